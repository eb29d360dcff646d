"""exp, expm1, sigmoid and tanh: eˣ = 2ᵏ·eʳ for x = k·ln 2 + r, |r| ≤ ln 2 / 2, and a polynomial for eʳ."""

from __future__ import annotations

import math

from chainrule.engines.native.mathematics.coefficients import EXP_TAIL, LN2
from chainrule.engines.native.mathematics.formulas import (
    Value,
    absolute,
    at_least,
    at_most,
    fused,
    nearest,
    polynomial,
    power_of_two,
    select,
    signed_as,
    times_power_of_two,
)

#: Above the first eˣ is infinite, below the second it is 0; below the third eˣ − 1 is −1.
_LIMITS = {"float32": (89.0, -104.0, -20.0), "float64": (710.0, -746.0, -40.0)}
#: Below this |x| is eˣ − 1 = x, to the last bit.
_TINY = {"float32": 2.0**-26, "float64": 2.0**-55}
#: From here on tanh is 1, to the last bit.
_FLAT = {"float32": 10.0, "float64": 20.0}
#: tanh x = x − x³·p(x²)/q(x²), from Lambert's continued fraction x/(1 + x²/(3 + x²/(5 + …))), cut after 5 and 8 terms.
_LAMBERT = {
    "float32": ((315.0, 14.0), (945.0, 420.0, 15.0)),
    "float64": ((675675.0, 45045.0, 594.0, 1.0), (2027025.0, 945945.0, 51975.0, 630.0, 1.0)),
}


def _reduced(x: Value) -> tuple[Value, Value, Value]:
    """r in two parts, a − b, and k as bits. The parts of ln 2 (Cody and Waite, 1980) make a exact."""
    high, low = LN2[x.dtype]
    k, bits = nearest(x, 1 / math.log(2))
    return fused(k, -high, x), k * low, bits


def _exp_of_reduced(a: Value, b: Value) -> Value:
    # a has lost nothing, r = a − b has: a is what to add to.
    r = a - b
    return (a + fused(r * r, polynomial(r, EXP_TAIL[r.dtype]), -b)) + 1.0


def exp(x: Value) -> Value:
    """eˣ."""
    above, below, _ = _LIMITS[x.dtype]
    a, b, bits = _reduced(at_least(at_most(x, above), below))
    return times_power_of_two(_exp_of_reduced(a, b), bits)


def exp_between(x: Value) -> Value:
    """eˣ, of an x that is NaN or makes 2ᵏ a normal number."""
    a, b, bits = _reduced(x)
    return _exp_of_reduced(a, b) * power_of_two(bits)


def expm1(x: Value) -> Value:
    """eˣ − 1: the halves of 2ᵏ − 1 and of 2ᵏ·(eʳ − 1), added up from the largest, and doubled.

    Half of 2ᵏ is still a number where 2ᵏ is one too large.
    """
    above, _, below = _LIMITS[x.dtype]
    a, b, bits = _reduced(at_least(at_most(x, above), below))
    r = a - b
    tail = fused(r * r, polynomial(r, EXP_TAIL[x.dtype]), -b)
    half = power_of_two(bits, -1)
    found = fused(tail, half, fused(a, half, half - 0.5))
    return select(absolute(x) < _TINY[x.dtype], x, found + found)


def sigmoid(x: Value) -> Value:
    """1/(1 + e⁻ˣ): with e = e⁻|x| and q = e/(1 + e) it is 1 − q, or e − e·q below 0: both tails keep their digits."""
    a, b, bits = _reduced(at_least(-absolute(x), _LIMITS[x.dtype][1]))
    tail = times_power_of_two(_exp_of_reduced(a, b), bits)
    start = select(x >= 0.0, 1.0, tail)
    return fused(-start, tail / (tail + 1.0), start)


def tanh(x: Value) -> Value:
    """1 − 2/(e²ˣ + 1), and Lambert's continued fraction below 0.55, with one division for both."""
    size = at_most(absolute(x), _FLAT[x.dtype])
    small = size < 0.55
    z = size * size
    upper, lower = _LAMBERT[x.dtype]
    above = select(small, -(size * z * polynomial(z, upper)), -2.0)
    below = select(small, polynomial(z, lower), exp_between(size + size) + 1.0)
    return signed_as(select(small, size, 1.0) + above / below, x)
