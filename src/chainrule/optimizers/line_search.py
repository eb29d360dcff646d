"""The line search of Wolfe's strong conditions: how far to go along a direction, by values and slopes there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

#: The value and the slope at a length.
Along = Callable[[float], tuple[float, float]]


@dataclass(frozen=True)
class Found:
    """Where a search ended: the length, the value there, and whether both conditions hold."""

    length: float
    value: float
    satisfied: bool


def strong_wolfe(
    along: Along,
    value: float,
    slope: float,
    first: float,
    *,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    evaluations: int = 20,
) -> Found:
    """A length t with φ(t) ≤ φ(0) + c₁·t·φ'(0) and |φ'(t)| ≤ c₂·|φ'(0)|.

    ``along(t)`` gives φ(t) and φ'(t), ``value`` and ``slope`` are those at 0, the slope below 0; ``first`` is the
    length tried first, ``decrease`` c₁ and ``curvature`` c₂. Lengths grow until an interval is found that holds such a
    t; then it is made smaller by cubic interpolation, kept away from its ends. A value that is not finite counts as
    too far. After ``evaluations`` of ``along`` it is the best length with a sufficient decrease, or else 0.

    >>> found = strong_wolfe(lambda t: ((t - 2.0) ** 2, 2 * (t - 2.0)), 4.0, -4.0, 1.0, curvature=0.1)
    >>> found.length, found.satisfied
    (2.0, True)

    Reference: J. Nocedal and S. Wright, "Numerical Optimization", 2nd edition, 2006, algorithms 3.5 and 3.6.
    """
    before, best, length = (0.0, value, slope), Found(0.0, value, False), first
    low: tuple[float, float, float] | None = None
    high = before
    for count in range(evaluations):
        here, its_slope = along(length)
        if not (math.isfinite(here) and math.isfinite(its_slope)):
            here, its_slope = math.inf, math.nan
        enough = here <= value + decrease * length * slope and here < math.inf
        if enough and abs(its_slope) <= -curvature * slope:
            return Found(length, here, True)
        if enough and here < best.value:
            best = Found(length, here, False)
        point = (length, here, its_slope)
        if low is None:  # still looking for an interval
            if not enough or (count > 0 and here >= before[1]):
                low, high = before, point
            elif its_slope >= 0:
                low, high = point, before
            else:
                # By the cubic through both points, but at most tenfold.
                guess = _cubic(before, point)
                length, before = min(max(guess if guess > length else 0.0, 2.0 * length), 10.0 * length), point
                continue
        elif not enough or here >= low[1]:
            high = point
        else:
            if its_slope * (high[0] - low[0]) >= 0:
                high = low
            low = point
        width = high[0] - low[0]
        if abs(width) <= 1e-16 * max(abs(low[0]), abs(high[0])):
            break
        guess, inside = _cubic(low, high), 0.1 * abs(width)
        left, right = min(low[0], high[0]) + inside, max(low[0], high[0]) - inside
        length = guess if left <= guess <= right else low[0] + 0.5 * width
    return best


def _cubic(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Where the cubic of two values and two slopes is smallest; NaN where it has no such place."""
    (a, fa, da), (b, fb, db) = one, other
    if not all(map(math.isfinite, (fa, da, fb, db))) or a == b:
        return math.nan
    bend = da + db - 3.0 * (fa - fb) / (a - b)
    inner = bend * bend - da * db
    if inner < 0:
        return math.nan
    root = math.copysign(math.sqrt(inner), b - a)
    below = db - da + 2.0 * root
    return b - (b - a) * (db + root - bend) / below if below else math.nan
