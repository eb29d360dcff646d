"""The case table: for every op, sample calls with their attributes and sizes, odd ones included.

A case says how to make a node of the op and how to draw its operands: floats on the domain that the op declares as
smooth, whole numbers where ties matter, indices inside and outside their range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule.graph import DTYPES, FLOATS, INTEGERS, OPS, Node, make
from chainrule.graph.building import broadcast_to, concatenate, contract, input, tanh
from chainrule.graph.scanning import scan

Array = NDArray[Any]
Shape = tuple[int, ...]

#: The interval on which floats are drawn, where an op declares no end, and how far from an end they stay.
_WIDTH, _MARGIN = 2.0, 0.3


@dataclass(frozen=True)
class Operand:
    """One operand: floats are drawn on the smooth domain, whole numbers from low … high; ``fixed`` keeps its dtype."""

    shape: Shape
    dtype: str = "float64"
    fixed: bool = False
    whole: bool = False
    low: int = 0
    high: int = 5


@dataclass(frozen=True)
class Case:
    """One call of one op."""

    op: str
    operands: tuple[Operand, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    #: How the node is built, where an op does not stand alone: the ops of scan.
    build: Callable[[Sequence[Node]], Node] | None = None
    number: int = 0

    def __str__(self) -> str:
        return f"{self.op}-{self.number}"

    def inputs(self, dtype: str = "") -> list[Node]:
        """An input for each operand, of another dtype where that is free."""
        return [input(f"x{n}", operand.shape, _dtype(operand, dtype)) for n, operand in enumerate(self.operands)]

    def node(self, inputs: Sequence[Node]) -> Node:
        """The op applied."""
        return self.build(inputs) if self.build else make(self.op, tuple(inputs), **self.attributes)

    def arrays(self, seed: int = 0, dtype: str = "") -> list[Array]:
        """Operands drawn at random, by the domain that the op declares."""
        random = np.random.default_rng([seed, self.number, *map(ord, self.op)])
        drawn = [self._draw(random, operand, dtype) for operand in self.operands]
        if self.op == "rem" and drawn[0].dtype.kind == "f":
            # The remainder jumps where a is a multiple of b: stay between two multiples.
            parts = random.integers(0, 4, drawn[0].shape) + random.uniform(0.2, 0.8, drawn[0].shape)
            drawn[0] = (parts * drawn[1]).astype(drawn[1].dtype)
        if self.op == "cast" and self.attributes["dtype"].startswith("u"):
            drawn[0] = np.abs(drawn[0])  # a negative number has no unsigned one to be
        return drawn

    def _draw(self, random: np.random.Generator, operand: Operand, dtype: str) -> Array:
        kind = _dtype(operand, dtype)
        if kind == "bool":
            return random.integers(0, 2, operand.shape).astype(bool)
        if kind in INTEGERS or operand.whole:
            first = 1 if self.op == "rem" else operand.low
            return random.integers(first, operand.high + 1, operand.shape).astype(kind)
        low, high = interval(self.op)
        size = math.prod(operand.shape)
        if self.op in ("max", "argmax"):
            # No two elements near each other: at a tie the largest changes place.
            return random.permutation(np.linspace(low, high, size)).reshape(operand.shape).astype(kind)
        return random.uniform(low, high, operand.shape).astype(kind)


def _dtype(operand: Operand, dtype: str) -> str:
    return operand.dtype if operand.fixed or not dtype else dtype


def interval(op: str) -> tuple[float, float]:
    """Where floats are drawn for an op: inside the open interval that the op list declares as smooth."""
    low, high = OPS[op].smooth
    low, high = low + _MARGIN, high - _MARGIN
    if math.isinf(low):
        low = min(-_WIDTH, high - _WIDTH)
    return low, high if math.isfinite(high) else max(_WIDTH, low + _WIDTH)


def _floats(*shapes: Shape) -> tuple[Operand, ...]:
    return tuple(Operand(shape) for shape in shapes)


def _whole(*shapes: Shape) -> tuple[Operand, ...]:
    return tuple(Operand(shape, whole=True) for shape in shapes)


def _letters(letters: str) -> dict[str, Shape]:
    number: dict[str, int] = {}
    parts = letters.replace("->", ",").split(",")
    axes = [tuple(number.setdefault(k, len(number)) for k in part) for part in parts]
    return dict(zip(("a_axes", "b_axes", "out_axes"), axes, strict=True))


def _window(axes: Shape, sizes: Shape, strides: Shape, dilations: Shape) -> dict[str, Shape]:
    return {"axes": axes, "sizes": sizes, "strides": strides, "dilations": dilations}


def _index(shape: Shape, length: int, dtype: str = "int32") -> Operand:
    """Indices of which some lie outside the range, on both sides where the dtype has a sign."""
    return Operand(shape, dtype, fixed=True, low=-1 if dtype.startswith("int") else 0, high=length)


def _run(reverse: bool = False, length: int | None = None) -> Callable[[Sequence[Node]], tuple[Node, Node]]:
    """h ← tanh(h + x[t]·w), with w captured; the output of a step is the old h, doubled."""

    def build(inputs: Sequence[Node]) -> tuple[Node, Node]:
        h, x, w = inputs

        def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            step = contract(slices[0], w, "bi,io->bo")
            return [tanh(carries[0] + step)], [carries[0] * 2]

        (after,), (rows,) = scan(body, [h], [x], length=length, reverse=reverse)
        return after, rows

    return build


def _scans(op: str, output: int) -> list[tuple[str, tuple[Operand, ...], dict[str, Any], Any]]:
    forms = [((2, 3), (4, 2, 3), (3, 3)), ((1, 2), (1, 1, 3), (3, 2)), ((2, 2), (0, 2, 1), (1, 2))]
    return [
        (op, _floats(*shapes), {"reverse": reverse}, lambda inputs, r=reverse: _run(r)(inputs)[output])
        for shapes in forms
        for reverse in (False, True)
    ]


def _both(after: Node, rows: Node) -> Node:
    """The last carry, and below it the rows: a scan read in both ways."""
    return concatenate([broadcast_to(after, (1, *after.shape)), rows])


def _param_case(inputs: Sequence[Node]) -> Node:
    """A scan whose body hands its captured operand back: the param and nothing else."""
    (x,) = inputs
    _, (rows,) = scan(lambda carries, slices: ([], [x]), [], [], length=3)
    return rows


_UNARY = "neg exp expm1 tanh erf sin cos sigmoid log log1p floor stop_gradient".split()
_ODD: tuple[Shape, ...] = ((3, 4), (), (1,), (0, 2))

_LIST: list[tuple[Any, ...]] = [
    *[("input", _floats(shape), {}, lambda inputs: inputs[0]) for shape in ((3, 2), ())],
    ("param", _floats((2,)), {}, _param_case),
    *[("constant", (), {"value": np.arange(5.0, 5.0 + math.prod(s)).reshape(s)}) for s in ((), (2, 0), (2, 3))],
    *[("iota", (), {"size": size, "dtype": dtype}) for size, dtype in ((5, "float64"), (0, "int32"), (1, "int64"))],
    *[(op, _floats(shape)) for op in _UNARY for shape in _ODD],
    *[("power", _floats((3, 2)), {"exponent": n}) for n in (2.0, 3.0, 1.0, 0.0, -1.0, 0.5, -2.5)],
    *[(op, _floats(shape, shape)) for op in "add sub mul div rem".split() for shape in _ODD],
    *[(op, _whole(shape, shape)) for op in "lt le eq".split() for shape in _ODD],
    *[(op, (Operand(s, "int32"),) * 2) for op in "and or xor shift_left shift_right".split() for s in ((4, 3), (0,))],
    *[("not", (Operand(shape, "int32"),)) for shape in ((4, 3), ())],
    *[("select", (Operand(s, "bool", fixed=True), Operand(s), Operand(s))) for s in _ODD],
    *[("cast", _floats((3, 2)), {"dtype": dtype}) for dtype in DTYPES],
    *[("random_bits", (Operand(s, "uint32"),) * 2, {"path": p}) for s, p in (((4, 2), "a"), ((), ""), ((0,), "b"))],
    *[
        (op, _floats(shape), {"axes": axes})
        for op in ("sum", "max", "argmax")
        for shape, axes in (
            ((3, 4), (1,)), ((3, 4), (0,)), ((3, 4), (0, 1)), ((2, 3, 4), (0, 2)), ((5,), (0,)), ((1, 3), (0,)),
            ((3, 2), ()), ((), ()), ((0, 3), (1,)),
        )
    ],
    ("sum", _floats((0, 3)), {"axes": (0,)}),
    ("sum", _floats((2, 0)), {"axes": (0, 1)}),
    *[
        ("contract", _floats(a, b), _letters(letters))
        for letters, a, b in (
            ("bi,io->bo", (4, 3), (3, 2)),
            ("bi,io->ob", (4, 3), (3, 2)),
            ("i,i->", (5,), (5,)),
            ("i,j->ij", (2,), (3,)),
            ("i,j->ji", (2,), (3,)),
            ("bi,bj->bij", (2, 3), (2, 4)),
            ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
            ("ij,ij->ij", (2, 3), (2, 3)),
            ("i,i->i", (4,), (4,)),
            ("ij,ji->", (2, 3), (3, 2)),
            ("bi,io->bo", (1, 1), (1, 1)),
            ("bi,io->bo", (2, 0), (0, 3)),
            ("bi,io->bo", (0, 3), (3, 2)),
            ("bxykl,klo->bxyo", (2, 3, 2, 2, 2), (2, 2, 4)),
            (",->", (), ()),
            (",ij->ij", (), (2, 3)),
        )
    ],
    *[
        ("reshape", _floats(shape), {"shape": to})
        for shape, to in (((2, 6), (3, 4)), ((6,), (2, 3)), ((1,), ()), ((), (1, 1)), ((0, 3), (5, 0)))
    ],
    *[
        ("transpose", _floats(shape), {"axes": axes})
        for shape, axes in (((2, 3), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((2, 1, 0), (1, 2, 0)), ((), ()), ((3,), (0,)))
    ],
    *[
        ("reverse", _floats(shape), {"axes": axes})
        for shape, axes in (((4,), (0,)), ((2, 3), (1,)), ((2, 3, 2), (0, 2)), ((2, 3), ()), ((0, 2), (0,)))
    ],
    *[
        ("broadcast", _floats(shape), {"axes": axes, "sizes": sizes})
        for shape, axes, sizes in (
            ((3,), (0,), (2,)), ((3,), (1,), (2,)), ((), (0, 1), (2, 3)), ((2, 3), (1, 3), (4, 5)),
            ((3,), (0,), (1,)), ((3,), (0,), (0,)), ((1,), (0,), (4,)), ((2,), (), ()),
        )
    ],
    *[
        ("slice", _floats(shape), {"starts": starts, "stops": stops, "steps": steps})
        for shape, starts, stops, steps in (
            ((6,), (1,), (5,), (1,)), ((7,), (0,), (7,), (3,)), ((7,), (1,), (6,), (2,)),
            ((4, 5), (1, 0), (3, 5), (1, 2)), ((4,), (2,), (2,), (1,)),
            ((0,), (0,), (0,), (1,)), ((), (), (), ()), ((5,), (4,), (5,), (9,)),
        )
    ],
    *[
        ("pad", _floats(shape), {"low": low, "high": high, "interior": interior, "value": value})
        for shape, low, high, interior, value in (
            ((3,), (1,), (2,), (0,), 0.0), ((3,), (0,), (0,), (2,), 0.0), ((2, 3), (1, 0), (0, 2), (1, 0), -1.5),
            ((1,), (1,), (1,), (3,), 2.0), ((0,), (2,), (1,), (4,), 1.0), ((), (), (), (), 0.0),
            ((2,), (0,), (0,), (0,), math.inf),
        )
    ],
    *[
        ("concatenate", _floats(*shapes), {"axis": axis})
        for shapes, axis in (
            (((2,), (3,)), 0), (((2, 1), (2, 3), (2, 2)), 1), (((0, 2), (1, 2)), 0), (((2, 3),), 1),
        )
    ],
    *[
        ("window", _floats(shape), _window(*form))
        for shape, *form in (
            ((7,), (0,), (3,), (1,), (1,)), ((8,), (0,), (3,), (2,), (1,)), ((9,), (0,), (3,), (1,), (3,)),
            ((9,), (0,), (2,), (3,), (2,)), ((2, 5, 6, 2), (1, 2), (3, 2), (2, 1), (1, 2)),
            ((2, 4), (1,), (1,), (1,), (1,)), ((3, 4), (1, 0), (2, 3), (1, 1), (1, 1)),
            ((3,), (0,), (3,), (5,), (1,)), ((0, 4), (1,), (2,), (2,), (1,)),
            ((4,), (), (), (), ()),
        )
    ],
    *[
        ("fold", _floats(shape), {**_window(*form), "lengths": lengths})
        for shape, lengths, *form in (
            ((5, 3), (7,), (0,), (3,), (1,), (1,)), ((3, 3), (8,), (0,), (3,), (2,), (1,)),
            ((3, 3), (9,), (0,), (3,), (1,), (3,)), ((3, 2), (10,), (0,), (2,), (3,), (2,)),
            ((2, 2, 4, 2, 3, 2), (5, 6), (1, 2), (3, 2), (2, 1), (1, 2)), ((1, 3), (4,), (0,), (3,), (5,), (1,)),
            ((3, 2, 2, 1), (4, 3), (1, 0), (2, 1), (2, 1), (1, 1)), ((0, 2, 2), (4,), (1,), (2,), (2,), (1,)),
        )
    ],
    *[
        ("gather", (Operand(shape), _index(index, shape[axis], dtype)), {"axis": axis, "batch": batch})
        for shape, index, axis, batch, dtype in (
            ((5,), (3,), 0, 0, "int32"), ((5, 2), (3,), 0, 0, "int64"), ((2, 5), (3, 2), 1, 0, "uint8"),
            ((4, 3), (), 0, 0, "uint32"), ((2, 5), (2, 3), 1, 1, "int32"), ((2, 5, 3), (2,), 1, 1, "int32"),
            ((2, 3, 4, 2), (2, 3, 5), 2, 2, "int64"), ((2, 3, 4), (2, 2), 2, 1, "int32"), ((0, 2), (3,), 0, 0, "int32"),
            ((5,), (0,), 0, 0, "int32"), ((0, 3), (0, 2), 1, 1, "int32"),
        )
    ],
    *[
        ("scatter_add", (Operand(shape), _index(index, length)), {"axis": axis, "batch": batch, "length": length})
        for shape, index, axis, batch, length in (
            ((3,), (3,), 0, 0, 5), ((6,), (6,), 0, 0, 2), ((3, 2), (3,), 0, 0, 4), ((2, 3, 2), (3, 2), 1, 0, 4),
            ((2,), (), 0, 0, 3), ((2, 3), (2, 3), 1, 1, 4), ((2, 2), (2,), 1, 1, 3), ((2, 3, 5, 2), (2, 3, 5), 2, 2, 4),
            ((0, 2), (0,), 0, 0, 3), ((2,), (2,), 0, 0, 0), ((2, 3, 2), (2, 2), 2, 1, 4),
        )
    ],
    *_scans("last", 0),
    *_scans("stack", 1),
    ("scan", _floats((2, 3), (4, 2, 3), (3, 3)), {"reverse": False}, lambda inputs: _both(*_run()(inputs))),
]  # fmt: skip


def _numbered(rows: list[tuple[Any, ...]]) -> list[Case]:
    met: dict[str, int] = {}
    cases = []
    for op, operands, *rest in rows:
        number = met[op] = met.get(op, -1) + 1
        cases.append(replace(Case(op, operands, *rest), number=number))
    return cases


CASES: list[Case] = _numbered(_LIST)

_LOGIC = ("bool", *INTEGERS)
_NUMBERS = (*FLOATS, *INTEGERS)
#: The dtypes that the flexible operands of an op may have; every other one is refused.
TAKES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys("exp expm1 tanh erf sin cos sigmoid log log1p floor power div".split(), FLOATS),
    **dict.fromkeys("contract fold scatter_add".split(), FLOATS),
    **dict.fromkeys("neg add sub mul rem sum max argmax".split(), _NUMBERS),
    **dict.fromkeys("and or xor not".split(), _LOGIC),
    **dict.fromkeys("shift_left shift_right".split(), INTEGERS),
    **dict.fromkeys("lt le eq select cast stop_gradient".split(), DTYPES),
    **dict.fromkeys("reshape transpose reverse broadcast slice pad concatenate window gather".split(), DTYPES),
    "random_bits": ("uint32",),
}


def as_parameters(cases: Sequence[Case]) -> list[Any]:
    """Cases for a test, the first of each op among the essential ones."""
    met: set[str] = set()
    parameters = []
    for case in cases:
        parameters.append(pytest.param(case, marks=() if case.op in met else pytest.mark.tiny, id=str(case)))
        met.add(case.op)
    return parameters


def cases_of(op: str) -> list[Case]:
    """The cases of one op."""
    return [case for case in CASES if case.op == op]
