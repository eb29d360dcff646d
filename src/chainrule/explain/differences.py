"""The slope of a function of one number, measured by differences, with the error that they can have."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

_EPSILON = 2.0**-52
#: The steps go from the first of these down to about the last, by quarters; where rounding is larger than the slope
#: itself, as it is for a gradient that has all but vanished, larger steps are tried as well.
_STEPS = (1e-2, 1e-8)
_LARGER_STEPS = (10.24, 1e-2)


@dataclass(frozen=True)
class Slope:
    """A slope that was measured, how far off it may be, the smallest step used, and whether a corner lies there."""

    value: float
    uncertainty: float
    step: float
    corner: bool


def measure_slope(along: Callable[[float], float], target: float = 1e-9) -> Slope:
    """f′(0) of a function f by central differences (f(h) − f(−h)) / 2h, extrapolated to h = 0.

    The steps h are 0.01, a quarter of it, and so on. Three neighbours at a time are extrapolated (error of the order
    h⁶), and the three that agree best are taken: where f has a kink within reach, as a sum of ReLU units has,
    neighbours disagree until the steps are too small to cross it. It ends when they agree within ``target``, relative
    to the slope. ``uncertainty`` is that disagreement, or the rounding of f where this is larger. ``corner`` says that
    f has a kink at 0 itself, so that it has two slopes there: the second difference, over h, stays the same as h
    shrinks, and does not shrink along.

    Reference: L. Richardson, "The approximate arithmetical solution by finite differences", 1911; C. Ridders,
    "Accurate computation of F'(x) and F'(x)F''(x)", 1982.

    >>> import math
    >>> found = measure_slope(math.exp)
    >>> abs(found.value - 1) < 1e-10, found.corner
    (True, False)
    >>> measure_slope(abs).corner
    True
    """
    found = _descend(along, *_STEPS, target)
    if not found.corner and found.uncertainty > 1e2 * target * abs(found.value):
        wider = _descend(along, *_LARGER_STEPS, target)
        near = abs(wider.value - found.value) <= 10 * found.uncertainty
        if wider.uncertainty < found.uncertainty and near and not wider.corner:
            return wider
    return found


def _descend(along: Callable[[float], float], step: float, last: float, target: float) -> Slope:
    """The best three neighbours among steps that go down by quarters."""
    middle = along(0.0)
    slopes: list[float] = []
    bends: list[float] = []
    best = Slope(math.nan, math.inf, math.nan, False)
    while step > last:
        above, below = along(step), along(-step)
        slopes.append((above - below) / (2 * step))
        bends.append(abs(above - 2 * middle + below) / step)
        rounding = _EPSILON * max(abs(above), abs(below)) / step
        if len(slopes) >= 3:
            value, disagreement = _extrapolated(slopes[-3], slopes[-2], slopes[-1], rounding)
            uncertainty = max(disagreement, rounding)
            if uncertainty < best.uncertainty:
                x, y, z = bends[-3:]
                corner = z > max(0.6 * y, 16 * rounding, 1e-7 * abs(value)) and y > 0.6 * x
                best = Slope(value, uncertainty, step, corner)
            if best.uncertainty <= max(target * abs(best.value), 2 * rounding):
                break
        step /= 4
    return best


def _extrapolated(a: float, b: float, c: float, rounding: float) -> tuple[float, float]:
    """The limit of three neighbours, and how far it is from the limit of the last two."""
    if abs(c - b) > max(abs(b - a) / 8, 4 * rounding):
        # Where only the curvature has a kink, as in max(0, t)², the error falls with h, not with h².
        first, second = (4 * b - a) / 3, (4 * c - b) / 3
        return second, abs(second - first)
    first, second = (16 * b - a) / 15, (16 * c - b) / 15
    value = (256 * second - first) / 255
    return value, abs(value - second)
