"""The print table: op -> how it is written.

A formula is a rule printed by this table, so the brackets are as few as arithmetic needs: ``g·(1 − y²)``.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np

from chainrule.graph.node import Node


class Level(IntEnum):
    """How tightly the outermost sign of a text binds; an operand that binds less is put in brackets."""

    ANY = 0
    OR = 1
    XOR = 2
    AND = 3
    COMPARE = 4
    SHIFT = 5
    SUB = 6
    ADD = 7
    DIV = 8
    MUL = 9
    POWER = 10
    ATOM = 11


class Text(NamedTuple):
    """What has been written, and how tightly its outermost sign binds."""

    text: str
    level: Level = Level.ATOM


class Write(Protocol):
    """The writer that a print rule is given: an operand as text, bracketed if it binds less than ``level``."""

    def __call__(self, operand: Node, level: Level = Level.ANY, *, leading: bool = True) -> str:
        """``leading`` says that nothing stands to the left, so that a minus sign needs no bracket."""

    def letters(self, operand: Node) -> str | None:
        """The letters of the axes of an operand, where they are known."""


Print = Callable[[Node, Write], Text]

_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LETTERS = string.ascii_lowercase[8:] + string.ascii_lowercase[:8] + string.ascii_uppercase
_NAMED = {math.pi: "π", 2 / math.sqrt(math.pi): "2/√π", 1 / math.sqrt(2): "1/√2", math.sqrt(2 / math.pi): "√(2/π)"}
_LARGEST_SHOWN = 8


def number(value: float | int | bool, dtype: str = "float64") -> Text:
    """A number as it is written in a formula.

    >>> number(1.0).text, number(-0.25).text, number(3.14159265358979312).text
    ('1', '−0.25', 'π')
    """
    if dtype == "bool":
        return Text("true" if value else "false")
    for known, name in _NAMED.items():
        if value == (np.float32(known) if dtype == "float32" else known):
            return Text(name, Level.ANY if "/" in name else Level.ATOM)
    if math.isnan(value) or math.isinf(value):
        return Text("NaN" if math.isnan(value) else "∞" if value > 0 else "−∞")
    digits = f"{value:.6g}" if dtype in ("float32", "float64") else str(int(value))
    return Text(digits.replace("-", "−"))


def repeated_number(node: Node) -> float | int | bool | None:
    """The number that a node is made of, if it is a constant scalar, broadcast or not."""
    while node.op == "broadcast":
        node = node.inputs[0]
    if node.op != "constant" or node.shape:
        return None
    scalar: float | int | bool = node.attributes["value"].item()
    return scalar


def _infix(sign: str, level: Level, left: Level | None = None, right: Level | None = None) -> Print:
    """Two operands round a sign; by default the left may be of the same level, the right must bind more."""
    first = level if left is None else left
    second = Level(level + 1) if right is None else right

    def write(node: Node, operand: Write) -> Text:
        a, b = node.inputs
        return Text(operand(a, first) + sign + operand(b, second, leading=False), level)

    return write


def _prefix(sign: str) -> Print:
    return lambda node, operand: Text(sign + operand(node.inputs[0], Level.DIV, leading=False), Level.MUL)


def _attribute(name: str, value: Any) -> str:
    """One attribute in words, or nothing if it has the value that one expects."""
    if name in ("strides", "dilations") and set(value) <= {1}:
        return ""
    if name in ("low", "high", "interior") and not any(value):
        return ""
    if name in ("batch", "value") and value == 0:
        return ""
    if isinstance(value, tuple):
        return f"{name} {('×' if name in ('sizes', 'shape') else ',').join(map(str, value))}"
    return f"{name} {number(value).text if isinstance(value, int | float) else value}"


def call(name: str, *attributes: str) -> Print:
    """Operands in brackets, the attributes named after a semicolon."""

    def write(node: Node, operand: Write) -> Text:
        inputs = ", ".join(operand(x) for x in node.inputs)
        parts = [inputs, *(_attribute(part, node.attributes[part]) for part in attributes)]
        return Text(f"{name}({'; '.join(part for part in parts if part)})")

    return write


def _reduce(name: str) -> Print:
    def write(node: Node, operand: Write) -> Text:
        (x,) = node.inputs
        axes = node.attributes["axes"]
        where = "" if len(axes) == x.rank else "; " + _attribute("axes", axes)
        return Text(f"{name}({operand(x)}{where})")

    return write


def _constant(node: Node, operand: Write) -> Text:
    value = node.attributes["value"]
    if not node.shape:
        return number(value.item(), node.dtype)
    if value.size > _LARGEST_SHOWN:
        return Text("constant")
    return Text(np.array2string(value, separator=", ", precision=6).replace("\n", "").replace("-", "−"))


def _power(node: Node, operand: Write) -> Text:
    exponent = node.attributes["exponent"]
    if exponent == 0.5:
        return Text("√" + operand(node.inputs[0], Level.ATOM, leading=False), Level.POWER)
    base = operand(node.inputs[0], Level.ATOM, leading=False)
    if exponent == int(exponent):
        return Text(base + str(int(exponent)).translate(_SUPERSCRIPT), Level.POWER)
    return Text(f"{base}^{number(exponent).text}", Level.POWER)


def axis_letters(node: Node) -> tuple[str, str, str]:
    """The letters of a contraction's operands and output, by first appearance: ("ij", "jk", "ik")."""
    a, b, out = (node.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
    return tuple("".join(_LETTERS[axis] for axis in axes) for axes in (a, b, out))  # type: ignore[return-value]


def _contract(node: Node, operand: Write) -> Text:
    """Letters that the operands are known by are kept; the others are the next ones free."""
    parts = [node.attributes[name] for name in ("a_axes", "b_axes", "out_axes")]
    letter: dict[int, str] = {}
    for axes, x in zip(parts, node.inputs, strict=False):
        letter = {**dict(zip(axes, operand.letters(x) or "", strict=False)), **letter}
    free = (each for each in _LETTERS if each not in letter.values())
    for axis in (axis for axes in parts for axis in axes):
        if axis not in letter:
            letter[axis] = next(free)
    a, b, out = ("".join(letter[axis] for axis in axes) for axes in parts)
    return Text(f"contract({operand(node.inputs[0])}, {operand(node.inputs[1])}; {a},{b}→{out})")


def _slice(node: Node, operand: Write) -> Text:
    (x,) = node.inputs
    ranges = []
    parts = (node.attributes[name] for name in ("starts", "stops", "steps"))
    for size, start, stop, step in zip(x.shape, *parts, strict=True):
        ends = ":" if (start, stop) == (0, size) else f"{start}:{stop}"
        ranges.append(ends if step == 1 else f"{ends}:{step}")
    return Text(f"{operand(x, Level.ATOM, leading=False)}[{', '.join(ranges)}]")


def _broadcast(node: Node, operand: Write) -> Text:
    value = repeated_number(node)
    # A number that fills an array is written as the number: this is how the arithmetic was written down.
    return call("broadcast", "axes")(node, operand) if value is None else number(value, node.dtype)


def _scan(node: Node, operand: Write) -> Text:
    n_carry, n_xs = node.attributes["n_carry"], node.attributes["n_xs"]
    groups = {
        "carries": node.inputs[:n_carry],
        "sequences": node.inputs[n_carry : n_carry + n_xs],
        "captured": node.inputs[n_carry + n_xs :],
    }
    parts = [f"{name} {', '.join(operand(x) for x in group)}" for name, group in groups.items() if group]
    parts.append(f"{node.attributes['length']} steps{', backwards' if node.attributes['reverse'] else ''}")
    return Text(f"scan({'; '.join(parts)})")


_FUNCTIONS = "exp log log1p expm1 tanh erf sin cos sigmoid floor rem select stop_gradient"

PRINTING: dict[str, Print] = {
    "input": lambda node, operand: Text(node.attributes["name"]),
    "param": lambda node, operand: Text(f"param{node.attributes['index']}"),
    "constant": _constant,
    "iota": call("iota", "size"),
    **{name: call(name) for name in _FUNCTIONS.split()},
    "neg": _prefix("−"),
    "add": _infix(" + ", Level.ADD, Level.SUB, Level.ADD),
    "sub": _infix(" − ", Level.SUB, Level.SUB, Level.DIV),
    "mul": _infix("·", Level.MUL, Level.DIV, Level.MUL),
    "div": _infix("/", Level.DIV, Level.DIV, Level.POWER),
    "power": _power,
    "lt": _infix(" < ", Level.COMPARE, Level.SHIFT),
    "le": _infix(" ≤ ", Level.COMPARE, Level.SHIFT),
    "eq": _infix(" = ", Level.COMPARE, Level.SHIFT),
    "and": _infix(" ∧ ", Level.AND, right=Level.AND),
    "or": _infix(" ∨ ", Level.OR, right=Level.OR),
    "xor": _infix(" ⊻ ", Level.XOR, right=Level.XOR),
    "not": lambda node, operand: Text("¬" + operand(node.inputs[0], Level.POWER, leading=False), Level.POWER),
    "shift_left": _infix(" ≪ ", Level.SHIFT),
    "shift_right": _infix(" ≫ ", Level.SHIFT),
    "cast": lambda node, operand: Text(f"{node.dtype}({operand(node.inputs[0])})"),
    "random_bits": call("random_bits", "path"),
    "sum": _reduce("sum"),
    "max": _reduce("max"),
    "argmax": _reduce("argmax"),
    "contract": _contract,
    "reshape": call("reshape", "shape"),
    "transpose": call("transpose", "axes"),
    "reverse": call("reverse", "axes"),
    "broadcast": _broadcast,
    "slice": _slice,
    "pad": call("pad", "low", "high", "interior", "value"),
    "concatenate": call("concatenate", "axis"),
    "window": call("window", "axes", "sizes", "strides", "dilations"),
    "fold": call("fold", "axes", "sizes", "strides", "dilations", "lengths"),
    "gather": call("gather", "axis", "batch"),
    "scatter_add": call("scatter_add", "axis", "batch", "length"),
    "scan": _scan,
    "last": call("last", "index"),
    "stack": lambda node, operand: Text(f"stack({operand(node.inputs[0])}; {operand(node.attributes['node'])})"),
}
