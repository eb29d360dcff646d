"""What must be refused: for every op, calls that do not fit, and what the message says came and would fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.graph import DTYPES, Node, input, make, scan
from chainrule.graph.node import constant

_F, _D, _I = "float32", "float64", "int32"


@dataclass(frozen=True)
class Bad:
    """A call that is refused, the error, and pieces of its message."""

    op: str
    call: Callable[[], Node]
    error: type[GraphError]
    says: tuple[str, ...]


def _x(*shape: int, dtype: str = _D, name: str = "x") -> Node:
    return input(name, shape, dtype)


def _made(op: str, inputs: tuple[Node, ...], error: type[GraphError], *says: str, **attributes: Any) -> Bad:
    return Bad(op, lambda: make(op, inputs, **attributes), error, says)


def _scan(**changed: Any) -> Callable[[], Node]:
    """A scan of one carry over one sequence, with one attribute changed."""
    h, x = _x(2), _x(4, 2, name="y")
    (after,), _ = scan(lambda c, s: ([c[0] + s[0]], []), [h], [x])
    (right,) = after.inputs
    inputs = changed.pop("inputs", right.inputs)
    return lambda: make("scan", inputs, **{**right.attributes, **changed})


def _reading(op: str, **attributes: Any) -> Callable[[], Node]:
    (after,), _ = scan(lambda c, s: ([c[0]], []), [_x(2)], [_x(4, 2)])
    return lambda: make(op, after.inputs, **attributes)


_FLOATS = "float32 or float64"
_FLOAT_ONLY = "exp log log1p expm1 tanh erf sin cos sigmoid floor".split()
_FORM = {"axes": (0,), "sizes": (3,), "strides": (1,), "dilations": (1,)}
_SLICE = {"starts": (0,), "stops": (2,), "steps": (1,)}
_PAD = {"low": (1,), "high": (0,), "interior": (0,), "value": 0.0}

BAD: list[Bad] = [
    Bad("input", lambda: input("x", (2,), "float16"), DtypeError, ("float16", *DTYPES)),
    Bad("input", lambda: input("x", (-2,)), ShapeError, ("(-2,)", "not a shape")),
    _made("param", (), DtypeError, "complex", *DTYPES, index=0, shape=(2,), dtype="complex"),
    Bad("constant", lambda: constant("text"), DtypeError, ("str", *DTYPES)),
    _made("constant", (), DtypeError, "complex128", *DTYPES, value=np.ones(2, complex)),
    _made("iota", (), DtypeError, "not bool", size=3, dtype="bool"),
    _made("iota", (), ShapeError, "-3 is negative", size=-3, dtype=_I),
    *[_made(op, (_x(2, dtype=_I),), DtypeError, op, "int32[2]", _FLOATS, "graph.cast") for op in _FLOAT_ONLY],
    *[_made(op, (_x(2), _x(2)), GraphError, f"{op} takes 1 inputs, and got 2") for op in ("exp", "neg", "not")],
    _made("power", (_x(2, dtype=_I),), DtypeError, "int32[2]", _FLOATS, exponent=2.0),
    _made("neg", (_x(2, dtype="bool"),), DtypeError, "bool[2]", "float32 or"),
    *[
        _made(op, (_x(2), _x(3)), ShapeError, op, "[2]", "[3]", "nothing is stretched", "broadcast_to", "reshape")
        for op in "add sub mul div rem lt le eq".split()
    ],
    *[
        _made(op, (_x(2), _x(2, dtype=_F)), DtypeError, op, "float64[2]", "float32[2]", "graph.cast")
        for op in "add sub mul div rem lt le eq".split()
    ],
    _made("div", (_x(2, dtype=_I),) * 2, DtypeError, "int32[2]", _FLOATS),
    *[_made(op, (_x(2, dtype="bool"),) * 2, DtypeError, op, "bool[2]") for op in "add sub mul rem".split()],
    *[_made(op, (_x(2),) * 2, DtypeError, op, "float64[2]", "bool or int32") for op in "and or xor".split()],
    *[_made(op, (_x(2, dtype="bool"),) * 2, DtypeError, op, "bool[2]") for op in ("shift_left", "shift_right")],
    _made("not", (_x(2),), DtypeError, "float64[2]", "bool or int32"),
    _made("select", (_x(2), _x(2), _x(2)), DtypeError, "select takes bool", "float64[2]"),
    _made("select", (_x(3, dtype="bool"), _x(2), _x(2)), ShapeError, "[3]", "[2]"),
    _made("select", (_x(2, dtype="bool"), _x(2), _x(2, dtype=_F)), DtypeError, "select", "float64[2]", "float32[2]"),
    _made("select", (_x(2, dtype="bool"), _x(2)), GraphError, "select takes 3 inputs, and got 2"),
    _made("cast", (_x(2),), DtypeError, "'half'", *DTYPES, dtype="half"),
    _made("stop_gradient", (), GraphError, "takes 1 inputs, and got 0"),
    _made("random_bits", (_x(2, dtype=_I),) * 2, DtypeError, "uint32", "int32[2]", path="a"),
    *[
        _made(op, (_x(2, 3),), ShapeError, op, f"{list(axes)}", "not distinct axes of float64[2, 3]", axes=axes)
        for op in ("sum", "max", "argmax")
        for axes in ((2,), (0, 0), (-1,))
    ],
    *[
        _made(op, (_x(2, dtype="bool"),), DtypeError, op, "bool[2]", "int32", axes=(0,))
        for op in ("sum", "max", "argmax")
    ],
    *[_made(op, (_x(0, 3),), ShapeError, f"{op} of no elements", "[0, 3]", axes=(0,)) for op in ("max", "argmax")],
    _made("contract", (_x(4, 3), _x(5, 2)), ShapeError, "[4, 3]", "[5, 2]", "3 in one and 5 in the other",
          a_axes=(0, 1), b_axes=(1, 2), out_axes=(0, 2)),
    _made("contract", (_x(4, 3), _x(3, 2)), ShapeError, "exactly two or three", "Sum or broadcast",
          a_axes=(0, 1), b_axes=(1, 2), out_axes=(0,)),
    _made("contract", (_x(4, 4), _x(4, 2)), ShapeError, "never twice in one",
          a_axes=(0, 0), b_axes=(0, 1), out_axes=(0, 1)),
    _made("contract", (_x(4,), _x(3, 2)), ShapeError, "2 letters for operand a", "float64[4]",
          a_axes=(0, 1), b_axes=(1, 2), out_axes=(0, 2)),
    _made("contract", (_x(4, 3), _x(3, 2, dtype=_F)), DtypeError, "float64[4, 3]", "float32[3, 2]",
          a_axes=(0, 1), b_axes=(1, 2), out_axes=(0, 2)),
    _made("contract", (_x(3, dtype=_I),) * 2, DtypeError, "int32[3]", _FLOATS,
          a_axes=(0,), b_axes=(0,), out_axes=()),
    _made("reshape", (_x(2, 3),), ShapeError, "float64[2, 3] has 6 elements", "[4, 2] would need 8", shape=(4, 2)),
    _made("reshape", (_x(2, 3),), ShapeError, "[-2, -3]", "one -1 at most", shape=(-2, -3)),
    _made("transpose", (_x(2, 3),), ShapeError, "[0]", "every axis of float64[2, 3]", axes=(0,)),
    _made("transpose", (_x(2, 3),), ShapeError, "[0, 2]", "float64[2, 3]", axes=(0, 2)),
    _made("reverse", (_x(2, 3),), ShapeError, "[2]", "float64[2, 3]", axes=(2,)),
    _made("broadcast", (_x(2),), ShapeError, "[3]", "2 axes only", axes=(3,), sizes=(4,)),
    _made("broadcast", (_x(2),), ShapeError, "[1, 0]", "not increasing", axes=(1, 0), sizes=(4, 5)),
    _made("broadcast", (_x(2),), ShapeError, "1 axes and 2 sizes", axes=(0,), sizes=(4, 5)),
    _made("broadcast", (_x(2),), ShapeError, "[-4]", "0 or more", axes=(0,), sizes=(-4,)),
    _made("slice", (_x(4, 2),), ShapeError, "one range an axis of float64[4, 2]", **_SLICE),
    *[
        _made("slice", (_x(4),), ShapeError, f"{start}:{stop}:{step} of an axis of 4",
              starts=(start,), stops=(stop,), steps=(step,))
        for start, stop, step in ((-1, 2, 1), (3, 2, 1), (0, 5, 1), (0, 2, 0))
    ],
    _made("pad", (_x(4, 2),), ShapeError, "one amount an axis of float64[4, 2]", **_PAD),
    _made("pad", (_x(4),), ShapeError, "not negative", "graph.slice", **{**_PAD, "low": (-1,)}),
    _made("pad", (_x(4, dtype="uint8"),), DtypeError, "-1.0", "uint8[4]", "graph.cast", **{**_PAD, "value": -1.0}),
    _made("concatenate", (), ShapeError, "nothing to join", axis=0),
    _made("concatenate", (_x(2, 3), _x(2, 4)), ShapeError, "[2, 3]", "[2, 4]", "beside axis 0", axis=0),
    _made("concatenate", (_x(2), _x(2, dtype=_F)), DtypeError, "float64[2]", "float32[2]", "graph.cast", axis=0),
    _made("concatenate", (_x(2), _x(2)), ShapeError, "axes [1]", "float64[2]", axis=1),
    _made("window", (_x(4),), ShapeError, "4 - 2·(3 - 1) - 1 = -1 is negative", "larger than axis 0",
          **{**_FORM, "dilations": (2,)}),
    _made("window", (_x(4),), ShapeError, "as many sizes, strides and dilations", **{**_FORM, "strides": (0,)}),
    _made("window", (_x(4),), ShapeError, "[1]", "float64[4]", **{**_FORM, "axes": (1,)}),
    _made("fold", (_x(4, 3),), ShapeError, "7 elements do not give 4 windows of 3", **_FORM, lengths=(7,)),
    _made("fold", (_x(4, 2),), ShapeError, "float64[4, 2]", "not the window's [3]", **_FORM, lengths=(6,)),
    _made("fold", (_x(4, 3, dtype=_I),), DtypeError, "int32[4, 3]", _FLOATS, **_FORM, lengths=(6,)),
    _made("fold", (_x(0, 3),), ShapeError, "1 elements do not give 0", **{**_FORM, "strides": (2,)}, lengths=(1,)),
    _made("gather", (_x(4), _x(2)), DtypeError, "the index", "float64[2]", "int32", axis=0, batch=0),
    _made("gather", (_x(4, 3), _x(5, 2, dtype=_I)), ShapeError, "[4, 3]", "[5, 2]", "share 1", axis=1, batch=1),
    _made("gather", (_x(4), _x(2, dtype=_I)), ShapeError, "axes [1]", "float64[4]", axis=1, batch=0),
    _made("gather", (_x(4),), GraphError, "gather takes 2 inputs, and got 1", axis=0, batch=0),
    _made("scatter_add", (_x(4), _x(3, dtype=_I)), ShapeError, "[4]", "[3]", "axis 0", axis=0, batch=0, length=5),
    _made("scatter_add", (_x(3), _x(3)), DtypeError, "the index", "float64[3]", axis=0, batch=0, length=5),
    _made("scatter_add", (_x(3, dtype=_I),) * 2, DtypeError, "int32[3]", "float32", axis=0, batch=0, length=5),
    _made("scatter_add", (_x(3), _x(3, dtype=_I)), ShapeError, "-5 is negative", axis=0, batch=0, length=-5),
    _made("scatter_add", (_x(3), _x(dtype=_I)), ShapeError, "axis 2", axis=2, batch=0, length=5),
    Bad("scan", _scan(length=3), ShapeError, ("sequence 0 is float64[4, 2]", "3 steps")),
    Bad("scan", _scan(length=-1), ShapeError, ("-1 steps",)),
    Bad("scan", _scan(n_carry=2), ShapeError, ("2 carries and 1 next values",)),
    Bad("scan", _scan(inputs=(_x(2),)), ShapeError, ("1 inputs for 1 carries and 1 sequences",)),
    Bad("scan", _scan(inputs=(_x(3), _x(4, 2))), ShapeError, ("starts as float64[3]", "back as float64[2]", "alike")),
    _made("last", (_x(2),), ShapeError, "last reads a scan, not input", index=0),
    Bad("last", _reading("last", index=1), ShapeError, ("there is no carry 1",)),
    _made("stack", (_x(2),), ShapeError, "stack reads a scan, not input", node=_x(2)),
]  # fmt: skip
