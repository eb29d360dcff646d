"""The closed list of primitive ops: every graph that chainrule builds, differentiates or runs is made of these.

An op is a name here. Each concern about it is a table elsewhere, keyed by that name: its shape (``shapes.py``), its
value (``engines/reference/values.py``), its rule (``gradients/rules.py``), its batching (``vectorizing.py``) and its
print (``printing.py``). A test fails if any table lacks an op.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ANY = -1


@dataclass(frozen=True)
class Op:
    """What the list says of one op.

    ``inputs`` names the operands (``ANY`` arity for a list), ``smooth`` is the open interval of each operand on which
    the op is smooth and safe to perturb, and ``corner`` says in words what happens where it is not.
    """

    name: str
    family: str
    inputs: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    smooth: tuple[float, float] = (-math.inf, math.inf)
    corner: str = ""
    variadic: bool = False


def _unary(names: str, **kept: object) -> list[Op]:
    return [Op(name, "elementwise", ("x",), **kept) for name in names.split()]  # type: ignore[arg-type]


def _binary(names: str, **kept: object) -> list[Op]:
    return [Op(name, "elementwise", ("a", "b"), **kept) for name in names.split()]  # type: ignore[arg-type]


_POSITIVE = (0.0, math.inf)
_WINDOW = ("axes", "sizes", "strides", "dilations")
_LIST: list[Op] = [
    Op("input", "leaf", (), ("name", "shape", "dtype")),
    Op("param", "leaf", (), ("index", "shape", "dtype"), corner="an operand of a scan's body"),
    Op("constant", "leaf", (), ("value",)),
    Op("iota", "leaf", (), ("size", "dtype")),
    *_unary("neg exp expm1 tanh erf sin cos sigmoid"),
    *_unary("log", smooth=_POSITIVE, corner="log 0 is -inf, and NaN below"),
    *_unary("log1p", smooth=(-1.0, math.inf), corner="log1p(-1) is -inf, and NaN below"),
    Op("power", "elementwise", ("x",), ("exponent",), _POSITIVE, "a fraction of a negative number is NaN"),
    *_binary("add sub mul"),
    *_binary("div", smooth=_POSITIVE, corner="x/0 is infinite, 0/0 NaN; integers are refused"),
    *_binary("rem", smooth=_POSITIVE, corner="sign of a, as C's fmod; jumps at multiples of b"),
    *_unary("floor", corner="its gradient is nothing"),
    *_binary("lt le eq", corner="false for NaN; no gradient"),
    *_binary("and or xor shift_left shift_right"),
    *_unary("not"),
    Op("select", "elementwise", ("c", "a", "b"), corner="the operand not chosen gets gradient 0"),
    Op("cast", "elementwise", ("x",), ("dtype",), corner="towards zero to integers, without gradient"),
    Op("stop_gradient", "elementwise", ("x",)),
    Op("random_bits", "elementwise", ("seed", "counter"), ("path",)),
    Op("sum", "reduce", ("x",), ("axes",)),
    Op("max", "reduce", ("x",), ("axes",), corner="gradient to the first of equals; passes NaN on"),
    Op("argmax", "reduce", ("x",), ("axes",), corner="first of equals; first NaN if there is one"),
    Op("contract", "contract", ("a", "b"), ("a_axes", "b_axes", "out_axes")),
    Op("reshape", "move", ("x",), ("shape",)),
    Op("transpose", "move", ("x",), ("axes",)),
    Op("reverse", "move", ("x",), ("axes",)),
    Op("broadcast", "move", ("x",), ("axes", "sizes"), corner="inserts axes; never stretches one"),
    Op("slice", "move", ("x",), ("starts", "stops", "steps")),
    Op("pad", "move", ("x",), ("low", "high", "interior", "value")),
    Op("concatenate", "move", ("x",), ("axis",), variadic=True),
    Op("window", "move", ("x",), _WINDOW),
    Op("fold", "move", ("x",), (*_WINDOW, "lengths")),
    Op("gather", "index", ("x", "i"), ("axis", "batch"), corner="an index out of range reads 0"),
    Op("scatter_add", "index", ("u", "i"), ("axis", "batch", "length"), corner="out of range is dropped"),
    Op("scan", "scan", ("x",), ("next", "n_carry", "n_xs", "length", "reverse"), variadic=True),
    Op("last", "scan", ("scan",), ("index",)),
    Op("stack", "scan", ("scan",), ("node",)),
]

OPS: dict[str, Op] = {op.name: op for op in _LIST}
ELEMENTWISE = frozenset(op.name for op in _LIST if op.family == "elementwise")

FLOATS = ("float32", "float64")
INTEGERS = ("int32", "int64", "uint8", "uint32")
DTYPES = (*FLOATS, *INTEGERS, "bool")
#: The dtype of a ``scan`` node, which stands for all its carries at once and may only be read by last and stack.
TUPLE = "tuple"
_RANGES = {
    "bool": (0, 2),
    "uint8": (0, 2**8),
    "uint32": (0, 2**32),
    "int32": (-(2**31), 2**31),
    "int64": (-(2**63), 2**63),
}


def fits(value: float, dtype: str) -> bool:
    """Whether a dtype has this number; floats have every one, if need be rounded or infinite."""
    low, high = _RANGES.get(dtype, (0, 0))
    return dtype in FLOATS or bool(low <= value < high and value == int(value))
