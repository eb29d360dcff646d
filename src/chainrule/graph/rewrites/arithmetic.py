"""Rewrites of what is done element by element: neutral elements, double negations, decided choices."""

from __future__ import annotations

from chainrule.graph.node import Node
from chainrule.graph.ops import FLOATS, INTEGERS
from chainrule.graph.printing import repeated_number
from chainrule.graph.rewrites.common import Make, Rewrite, is_number


def neutral(number: float, *, both: bool) -> Rewrite:
    """The other operand, where one is the number that changes nothing."""

    def rewrite(node: Node, make: Make) -> Node | None:
        a, b = node.inputs
        return a if is_number(b, number) else b if both and is_number(a, number) else None

    return rewrite


def of_add(node: Node, make: Make) -> Node | None:
    """a + (−b) is a − b."""
    a, b = node.inputs
    if b.op == "neg":
        return make("sub", a, b.inputs[0])
    return make("sub", b, a.inputs[0]) if a.op == "neg" else None


def of_sub(node: Node, make: Make) -> Node | None:
    """a − (−b) is a + b."""
    a, b = node.inputs
    return make("add", a, b.inputs[0]) if b.op == "neg" else None


def of_mul(node: Node, make: Make) -> Node | None:
    """(−a)·(−b) is a·b, and −1·x is −x."""
    a, b = node.inputs
    if a.op == b.op == "neg":
        return make("mul", a.inputs[0], b.inputs[0])
    return make("neg", a) if is_number(b, -1) else make("neg", b) if is_number(a, -1) else None


def of_power(node: Node, make: Make) -> Node | None:
    """(a·b)² is a²·b² where both are repeated, along different axes: the squares are fewer there."""
    (x,) = node.inputs
    if x.op != "mul" or node.attributes["exponent"] != 2 or any(below.op != "broadcast" for below in x.inputs):
        return None
    return make("mul", *(make("power", below, exponent=2.0) for below in x.inputs))


def of_logic(node: Node, make: Make) -> Node | None:
    """p ∧ true and p ∨ false are p; p ∧ false and p ∨ true are decided."""
    for one, other in (node.inputs, node.inputs[::-1]):
        number = repeated_number(one)
        if isinstance(number, bool):
            return other if number == (node.op == "and") else one
    return None


def of_select(node: Node, make: Make) -> Node | None:
    """A choice that is decided, or makes no difference, or repeats one already made."""
    condition, a, b = node.inputs
    number = repeated_number(condition)
    if number is not None:
        return a if number else b
    if a is b:
        return a
    if condition.op == "not":
        return make("select", condition.inputs[0], b, a)
    if a.op == "select" and a.inputs[0] is condition:
        return make("select", condition, a.inputs[1], b)
    if b.op == "select" and b.inputs[0] is condition:
        return make("select", condition, a, b.inputs[2])
    return None


#: dtype -> the dtypes that have every number of it.
_WIDER = {
    "bool": (*INTEGERS, *FLOATS),
    "uint8": ("int32", "int64", "uint32", *FLOATS),
    "int32": ("int64", "float64"),
    "uint32": ("int64", "float64"),
    "float32": ("float64",),
}


def of_cast(node: Node, make: Make) -> Node | None:
    """A cast through a dtype that has every number of the first one."""
    (x,) = node.inputs
    if x.op != "cast":
        return None
    (first,) = x.inputs
    # A negative whole number becomes unsigned in one way from integers, and in any way from floats.
    direct = first.dtype in FLOATS or x.dtype not in FLOATS or node.dtype in FLOATS
    return make("cast", first, dtype=node.dtype) if direct and x.dtype in _WIDER.get(first.dtype, ()) else None
