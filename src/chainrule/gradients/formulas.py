"""Formulas: the rules of the table applied to symbols and printed. There is no second text that could go wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.errors import GraphError
from chainrule.gradients.rules import RULES, nothing
from chainrule.graph import OPS, Node, input, make
from chainrule.graph.printing import axis_letters
from chainrule.graph.showing import expression

Shapes = Sequence[Sequence[int]]

#: Words for the two rules that a reader would have to puzzle out; every other rule is read off its formula.
GLOSSES = {
    "max": "g goes to the first of the largest elements, 0 to the others",
    "scan": "the body is pulled back once, by the rules of its own ops, and looped over in the opposite direction",
}


def formula_of(node: Node) -> str:
    """The gradient of each input of a node in terms of g (the gradient of the output), y (the output) and the inputs.

    >>> from chainrule import graph
    >>> print(formula_of(graph.input("u", (3,)) / graph.input("v", (3,))))
    da = g/b
    db = −g·y/b
    """
    plain = _without_formula(node.op)
    if plain:
        return plain
    listed = OPS[node.op]
    names = [f"{listed.inputs[0]}{n}" for n in range(len(node.inputs))] if listed.variadic else listed.inputs
    names = [name.translate(_SUBSCRIPT) for name in names]
    inputs = [input(name, x.shape, x.dtype) for name, x in zip(names, node.inputs, strict=True)]
    y = make(node.op, tuple(inputs), **node.attributes)
    g = input("g", y.shape, y.dtype)
    called = {**dict(zip(inputs, names, strict=True)), y: "y", g: "g"}
    letters = dict(zip((*inputs, g), axis_letters(node), strict=True)) if node.op == "contract" else {}
    lines = []
    for name, gradient in zip(names, RULES[node.op](g, y, *inputs, **node.attributes), strict=True):
        if gradient is None:
            lines.append(f"d{name}: no gradient")
        else:
            lines.append(f"d{name} = {called.get(gradient) or expression(gradient, called, letters)}")
    if node.op in GLOSSES:
        lines.append(f"({GLOSSES[node.op]})")
    return "\n".join(lines)


def formula(op: str, **attributes: Any) -> str:
    """The rule of an op as it is printed from the rule itself, applied to symbols: one line for each input.

    Attributes that are not given are those of a small example of the op.

    >>> formula("tanh")
    'dx = g·(1 − y²)'
    >>> print(formula("contract"))
    da = contract(g, b; ik,jk→ij)
    db = contract(g, a; ik,ij→jk)

    Raises `GraphError` if there is no such op, or if the attributes do not fit it.
    """
    if op not in OPS:
        raise GraphError(f"there is no op {op!r}; the list is in chainrule.graph.OPS")
    listed = OPS[op]
    unknown = sorted(set(attributes) - set(listed.attributes))
    if unknown:
        raise GraphError(f"{op} has the attributes {listed.attributes}, not {', '.join(unknown)}")
    plain = _without_formula(op)
    if plain:
        return plain
    shapes_of, example = _EXAMPLES.get(op, (lambda **_: [()] * len(listed.inputs), {}))
    given = {**example, **attributes}
    dtypes = _DTYPES.get(op, ("float64",) * 9)
    shapes = shapes_of(**given)
    operands = [input(f"x{n}", shape, dtype) for n, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=False))]
    return formula_of(make(op, tuple(operands), **given))


def _without_formula(op: str) -> str:
    """What is said of an op whose rule is not a formula, or nothing."""
    if not OPS[op].inputs:
        return f"{op}: a leaf, with nothing behind it to pass a gradient to"
    if OPS[op].family == "scan":
        return f"{op}: {GLOSSES['scan']}"
    return f"{op}: no gradient passes" if RULES[op] is nothing else ""


_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_DTYPES = {
    "select": ("bool", "float64", "float64"),
    "gather": ("float64", "int32"),
    "scatter_add": ("float64", "int32"),
}


def _sizes(rank: int) -> list[int]:
    return [2 + axis for axis in range(rank)]


def _axes(axes: Sequence[int], **_: Any) -> Shapes:
    return [_sizes(max((*axes, 1)) + 1)]


def _contract(a_axes: Sequence[int], b_axes: Sequence[int], **_: Any) -> Shapes:
    return [[2 + axis for axis in a_axes], [2 + axis for axis in b_axes]]


def _window(axes: Sequence[int], sizes: Sequence[int], strides: Any, dilations: Any, **_: Any) -> Shapes:
    shape = _sizes(max((*axes, 0)) + 1)
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        shape[axis] = dilation * (size - 1) + 1 + stride
    return [shape]


def _fold(axes: Any, sizes: Any, strides: Any, dilations: Any, lengths: Any) -> Shapes:
    shape = _sizes(max((*axes, 0)) + 1)
    for axis, size, stride, dilation, length in zip(axes, sizes, strides, dilations, lengths, strict=True):
        shape[axis] = (length - dilation * (size - 1) - 1) // stride + 1
    return [[*shape, *sizes]]


def _gather(axis: int, batch: int, **_: Any) -> Shapes:
    return [_sizes(axis + 1), [*_sizes(batch), 5]]


def _scatter_add(axis: int, batch: int, length: int) -> Shapes:
    return [[*_sizes(axis), 5], [*_sizes(batch), 5]]


_FORM = {"axes": (0,), "sizes": (3,), "strides": (1,), "dilations": (1,)}

#: The shapes of an example's operands, from its attributes, and the attributes that it has if none are given.
_EXAMPLES: dict[str, tuple[Callable[..., Shapes], dict[str, Any]]] = {
    "power": (lambda **_: [()], {"exponent": 3.0}),
    "cast": (lambda **_: [()], {"dtype": "float32"}),
    "sum": (_axes, {"axes": (1,)}),
    "max": (_axes, {"axes": (1,)}),
    "contract": (_contract, {"a_axes": (0, 1), "b_axes": (1, 2), "out_axes": (0, 2)}),
    "reshape": (lambda shape: [[math.prod(shape)] if len(shape) != 1 else [1, *shape]], {"shape": (6,)}),
    "transpose": (lambda axes: [_sizes(len(axes))], {"axes": (1, 2, 0)}),
    "reverse": (_axes, {"axes": (0,)}),
    "broadcast": (lambda axes, sizes: [_sizes(max((*axes, 0)) + 1)[len(axes) :]], {"axes": (0,), "sizes": (4,)}),
    "slice": (lambda starts, stops, steps: [[*stops]], {"starts": (1,), "stops": (6,), "steps": (2,)}),
    "pad": (
        lambda low, high, interior, value: [_sizes(len(low))],
        {"low": (1,), "high": (2,), "interior": (0,), "value": 0.0},
    ),
    "concatenate": (lambda axis: [_sizes(axis + 1)] * 2, {"axis": 0}),
    "window": (_window, _FORM),
    "fold": (_fold, {**_FORM, "lengths": (5,)}),
    "gather": (_gather, {"axis": 0, "batch": 0}),
    "scatter_add": (_scatter_add, {"axis": 0, "batch": 0, "length": 4}),
}
