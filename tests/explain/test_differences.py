from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from chainrule.explain.differences import measure_slope

SMOOTH: list[tuple[str, Callable[[float], float], float]] = [
    ("exp", math.exp, 1.0),
    ("fast", lambda t: math.sin(100 * t), 100.0),
    ("a line", lambda t: 3 * t + 1, 3.0),
    ("a parabola", lambda t: (t + 1) ** 2, 2.0),
    ("nothing", lambda t: 5.0, 0.0),
    ("flat at 0", lambda t: 1 + t**3, 0.0),
    ("all but vanished", lambda t: 1 + 1e-9 * t, 1e-9),
    ("large", lambda t: 1e12 * math.exp(t), 1e12),
    ("half a parabola", lambda t: max(0.0, t) ** 2, 0.0),
]


@pytest.mark.tiny
@pytest.mark.parametrize(("name", "f", "slope"), SMOOTH, ids=[name for name, _, _ in SMOOTH])
def test_a_slope_is_as_right_as_it_says(name: str, f: Callable[[float], float], slope: float) -> None:
    found = measure_slope(f)
    assert not found.corner
    assert abs(found.value - slope) <= 1e-8 * max(1.0, abs(slope))
    assert abs(found.value - slope) <= 10 * found.uncertainty


@pytest.mark.tiny
@pytest.mark.parametrize("place", [3e-3, -1e-4, 1e-5, -3e-7])
def test_a_kink_beside_the_point_is_not_crossed(place: float) -> None:
    found = measure_slope(lambda t: math.exp(t) + 0.5 * max(0.0, t - place))
    slope = 1.0 if place > 0 else 1.5
    assert not found.corner
    assert abs(found.value - slope) <= max(10 * found.uncertainty, 1e-9)


@pytest.mark.tiny
def test_a_kink_at_the_point_is_said() -> None:
    assert measure_slope(lambda t: math.exp(t) + 0.5 * max(0.0, t)).corner
    assert measure_slope(abs).corner
    assert measure_slope(lambda t: math.exp(t) + 0.5 * max(0.0, t - 1e-10)).corner
    assert not measure_slope(lambda t: t * abs(t) + t).corner
    assert not measure_slope(lambda t: math.cosh(30 * t)).corner


@pytest.mark.tiny
def test_a_jump_beside_the_point_is_not_crossed() -> None:
    assert abs(measure_slope(lambda t: t + (t > 1e-5)).value - 1) < 1e-9
