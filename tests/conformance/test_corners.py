"""The corners that the op list declares: ties, kinks, NaN, infinities, indices out of range."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.reference import VALUES
from chainrule.gradients import RULES, gradients
from chainrule.graph import FLOATS, OPS, Node
from tests.conformance.laws import run

INF, NAN = math.inf, math.nan


@dataclass(frozen=True)
class Corner:
    """A function of nodes, the numbers it is given, its value, and the slope of its sum with respect to the first."""

    op: str
    call: Callable[..., Node]
    given: Sequence[Any]
    value: Any = None
    slope: Any = None
    dtype: str = "float64"

    def nodes(self) -> tuple[list[Node], dict[str, Any]]:
        arrays = [np.array(a, self.dtype if isinstance(a, list) else np.asarray(a).dtype) for a in self.given]
        inputs = [g.input(f"x{n}", a.shape, a.dtype.name) for n, a in enumerate(arrays)]
        return inputs, {f"x{n}": a for n, a in enumerate(arrays)}


def relu(x: Node) -> Node:
    return g.select(x <= 0, 0, x)


def _index(*numbers: int, dtype: str = "int32") -> Any:
    return np.array(numbers, dtype)


def _hand_back(x: Node) -> Node:
    return g.scan(lambda carries, slices: ([], [x]), [], [], length=2)[1][0]


CORNERS: list[Corner] = [
    Corner("param", _hand_back, [[1.0, 2.0]], [[1, 2], [1, 2]], [2, 2]),
    Corner("log", g.log, [[0.0, -1.0, INF, NAN]], [-INF, NAN, INF, NAN], [INF, -1, 0, NAN]),
    Corner("log1p", g.log1p, [[-1.0, -2.0, 1e-20]], [-INF, NAN, 1e-20], [INF, -1, 1]),
    Corner("expm1", g.expm1, [[1e-20, -INF, 1000.0]], [1e-20, -1, INF]),
    Corner("exp", g.exp, [[-INF, INF, NAN, 1000.0]], [0, INF, NAN, INF]),
    Corner("power", lambda x: x ** (1 / 3), [[-8.0, 0.0, NAN]], [NAN, 0, NAN], [NAN, INF, NAN]),
    Corner("power", lambda x: x**-1, [[0.0, -2.0]], [INF, -0.5], [-INF, -0.25]),
    Corner("power", lambda x: x**0, [[0.0, NAN, INF]], [1, 1, 1], [0, 0, 0]),
    Corner("power", lambda x: x**3, [[-2.0, 0.0]], [-8, 0], [12, 0]),
    Corner("power", lambda x: x**2, [[-2.0, 0.0]], [4, 0], [-4, 0]),
    Corner("power", lambda x: x**1, [[-2.0, 0.0]], [-2, 0], [1, 1]),
    Corner("div", lambda a, b: a / b, [[1.0, -1.0, 0.0, 1.0], [0.0, 0.0, 0.0, -2.0]], [INF, -INF, NAN, -0.5]),
    Corner("rem", g.rem, [[5.0, -5.0, 5.0, -5.0, 5.0], [3.0, 3.0, -3.0, -3.0, 0.0]], [2, -2, 2, -2, NAN], [1] * 5),
    Corner("rem", g.rem, [_index(5, -5, 5, -5), _index(3, 3, -3, -3)], [2, -2, 2, -2]),
    Corner("floor", g.floor, [[1.5, -1.5, 2.0, INF, NAN]], [1, -2, 2, INF, NAN], [0] * 5),
    Corner("lt", lambda a: a < NAN, [[1.0, NAN, INF]], [False] * 3),
    Corner("le", lambda a: a <= a, [[1.0, NAN, -INF]], [True, False, True]),
    Corner("eq", lambda a: g.eq(a, a), [[1.0, NAN, INF]], [True, False, True]),
    Corner("eq", lambda a, b: g.eq(a, b), [[0.0], [-0.0]], [True]),
    Corner("select", lambda a: g.select(a < 3, a, NAN), [[1.0, 2.0]], [1, 2], [1, 1]),
    # 0·∞ is NaN behind a select too: whoever guards a division puts a select inside as well (as sqrt does).
    Corner("select", lambda a: g.select(a < 1.5, a, a * INF), [[1.0, 2.0]], [1, INF], [NAN, INF]),
    Corner("select", relu, [[-1.0, 0.0, 2.0, NAN, INF]], [0, 0, 2, NAN, INF], [0, 0, 1, 1, 1]),
    Corner("select", g.composites.sqrt, [[0.0, 4.0]], [0, 2], [0, 0.25]),
    Corner("select", g.composites.absolute, [[-2.0, 0.0, 3.0]], [2, 0, 3], [-1, 0, 1]),
    Corner("cast", lambda x: g.cast(x, "int32"), [[2.7, -2.7, 0.5, -0.5]], [2, -2, 0, 0]),
    Corner("cast", lambda x: g.cast(g.cast(x, "int32"), "float64"), [[2.7, -2.7]], [2, -2], [0, 0]),
    Corner("cast", lambda x: g.cast(x, "bool"), [[0.0, -0.0, 0.1, NAN]], [False, False, True, True]),
    Corner("cast", lambda x: g.cast(x, "float32"), [[1e300, 1.0]], [INF, 1], [1, 1]),
    Corner("cast", lambda x: g.cast(x, "float64"), [np.array([True, False])], [1, 0]),
    Corner("max", g.max, [[1.0, 3.0, 3.0, 2.0, 3.0]], 3, [0, 1, 0, 0, 0]),
    Corner("max", lambda x: g.max(x, 0), [[[1.0, 2.0], [1.0, 3.0], [1.0, 3.0]]], [1, 3], [[1, 0], [0, 1], [0, 0]]),
    Corner("max", lambda x: g.max(x, (0, 2)), [[[[1.0, 2.0]], [[2.0, 2.0]]]], [2], [[[0, 1]], [[0, 0]]]),
    Corner("max", g.max, [[1.0, NAN, INF]], NAN, [0, 1, 0]),
    Corner("max", g.max, [[-INF, -INF]], -INF, [1, 0]),
    Corner("argmax", g.argmax, [[1.0, 3.0, 3.0]], 1),
    Corner("argmax", g.argmax, [[1.0, NAN, INF, NAN]], 1),
    Corner("argmax", lambda x: g.argmax(x, (0, 2)), [[[[1.0, 5.0]], [[5.0, 2.0]]]], [1]),
    Corner("broadcast", lambda x: g.broadcast(x, (1,), (3,)), [[[1.0], [2.0]]], [[[1]] * 3, [[2]] * 3], [[3], [3]]),
    Corner("gather", g.gather, [[1.0, 2.0, 3.0], _index(-1, 0, 2, 3, 0)], [0, 1, 3, 0, 1], [2, 0, 1]),
    Corner("gather", g.gather, [[1.0, 2.0], _index(2**32 - 1, 1, dtype="uint32")], [0, 2], [0, 1]),
    Corner("gather", g.gather, [[1.0, 2.0], _index(-(2**63), 2**63 - 1, dtype="int64")], [0, 0], [0, 0]),
    Corner("gather", g.gather, [[INF, NAN], _index(5, 0)], [0, INF], [1, 0]),
    Corner("gather", lambda x, i: g.gather(x, i, 1, 1), [[[1.0, 2.0], [3.0, 4.0]], np.array([[1, 9], [-1, 0]])],
           [[2, 0], [0, 3]], [[0, 1], [1, 0]]),
    Corner("scatter_add", lambda u, i: g.scatter_add(u, i, 2), [[1.0, 2.0, 4.0, 8.0], _index(0, -1, 0, 2)], [5, 0],
           [1, 0, 1, 0]),
    Corner("scatter_add", lambda u, i: g.scatter_add(u, i, 2), [[NAN, 1.0], _index(7, 1)], [0, 1], [0, 1]),
    Corner("sigmoid", g.sigmoid, [[-800.0, 800.0, 0.0, -INF, NAN]], [0, 1, 0.5, 0, NAN], [0, 0, 0.25, 0, NAN]),
    Corner("tanh", g.tanh, [[-800.0, 1e-20, INF]], [-1, 1e-20, 1], [0, 1, 0]),
    Corner("erf", g.erf, [[-INF, 0.0, 10.0, NAN]], [-1, 0, 1, NAN]),
    Corner("sum", g.sum, [[INF, -INF]], NAN),
    Corner("mul", lambda a, b: a * b, [[0.0, 0.0], [NAN, INF]], [NAN, NAN]),
    Corner("sub", lambda a: a - a, [[INF, NAN, 1.0]], [NAN, NAN, 0], [0, 0, 0]),
    Corner("stop_gradient", lambda x: x * g.stop_gradient(x), [[3.0]], [9], [3]),
    Corner("shift_right", lambda x: g.shift_right(x, 1), [_index(-8, 8)], [-4, 4]),
    Corner("shift_right", lambda x: g.shift_right(x, 31), [_index(2**31, 1, dtype="uint32")], [1, 0]),
    Corner("shift_left", lambda x: g.shift_left(x, 31), [_index(3, 1, dtype="uint32")], [2**31, 2**31]),
    Corner("neg", lambda x: -x, [_index(1, 0, dtype="uint8")], [255, 0]),
    Corner("fold", lambda x: g.fold(x, [0], [2], [3], [1], [6]), [[[1.0, 2.0], [3.0, 4.0]]], [1, 2, 0, 3, 4, 0]),
    Corner("pad", lambda x: g.pad(x, [1], [0], [1], INF), [[1.0, 2.0]], [INF, 1, INF, 2], [1, 1]),
    Corner("window", lambda x: g.window(x, [0], [2], [2]), [[1.0, 2.0, 3.0]], [[1, 2]], [1, 1, 0]),
    Corner("concatenate", lambda x: g.concatenate([x, x]), [[1.0, 2.0]], [1, 2, 1, 2], [2, 2]),
]  # fmt: skip


def check_corner(corner: Corner) -> None:
    inputs, arrays = corner.nodes()
    node = corner.call(*inputs)
    if corner.value is not None:
        np.testing.assert_array_equal(run([node], arrays)[0], np.array(corner.value))
    if corner.slope is not None:
        total = g.sum(node) if node.dtype == "float64" else g.sum(g.cast(node, "float64"))
        np.testing.assert_array_equal(run(gradients(total, inputs[:1]), arrays)[0], np.array(corner.slope))


@pytest.mark.tiny
@pytest.mark.parametrize("corner", CORNERS, ids=lambda corner: corner.op)
def test_a_corner_is_as_declared(corner: Corner) -> None:
    check_corner(corner)


@pytest.mark.parametrize("corner", CORNERS, ids=lambda corner: corner.op)
def test_a_corner_is_the_same_in_float32(corner: Corner) -> None:
    value = None if corner.value is None else np.asarray(corner.value, "float32" if _is_float(corner.value) else None)
    if corner.op != "cast":
        check_corner(Corner(corner.op, corner.call, corner.given, value, None, "float32"))


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


def test_every_declared_corner_is_tested() -> None:
    tested = {corner.op for corner in CORNERS}
    assert {name for name, op in OPS.items() if op.corner} <= tested
    assert tested <= set(OPS)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sigmoid_keeps_its_digits_in_the_far_tail(dtype: str) -> None:
    x = g.input("x", (1,), dtype)
    y = g.sigmoid(x)
    value, slope = run([y, *gradients(g.sum(y), [x])], {"x": np.array([-40.0], dtype)})
    exact = 4.248354255291589e-18
    np.testing.assert_allclose([value[0], slope[0]], exact, rtol=1e-6 if dtype == "float32" else 1e-14)


def test_the_gradient_of_a_norm_at_zero_is_zero() -> None:
    x = g.input("x", (3,), "float64")
    norm = g.composites.sqrt(g.sum(x**2))
    value, slope = run([norm, *gradients(norm, [x])], {"x": np.zeros(3)})
    assert value == 0
    assert not slope.any()


def test_relu_written_the_other_way_round_would_swallow_nan() -> None:
    x = g.input("x", (1,), "float64")
    arrays = {"x": np.array([NAN])}
    assert np.isnan(run([relu(x)], arrays)[0]).all()
    assert not np.isnan(run([g.select(x > 0, x, 0)], arrays)[0]).any()


def test_a_wrong_corner_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tie = next(corner for corner in CORNERS if corner.op == "max")
    monkeypatch.setitem(RULES, "max", lambda y_bar, y, x, axes: (
        g.select(g.eq(x, g.broadcast_like(y, x, axes)), g.broadcast_like(y_bar, x, axes), 0),
    ))  # fmt: skip
    with pytest.raises(AssertionError):
        check_corner(tie)
    monkeypatch.setitem(VALUES, "sigmoid", lambda node, x: 0.5 * (1 + np.tanh(x / 2)))
    with pytest.raises(AssertionError):
        test_sigmoid_keeps_its_digits_in_the_far_tail("float64")
