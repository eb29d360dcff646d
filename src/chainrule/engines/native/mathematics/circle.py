"""sin and cos: the quarter turn k that x is in, the rest r with |r| ≤ π/4, and a polynomial for each."""

from __future__ import annotations

import math

from chainrule.engines.native.mathematics.coefficients import COS_TAIL, HALF_PI, SIN_TAIL
from chainrule.engines.native.mathematics.formulas import (
    Value,
    absolute,
    fused,
    nearest,
    polynomial,
    select,
)
from chainrule.engines.native.types import BITS

#: What is larger counts as 0.
LARGEST = 2.0**45
#: Below this |x| is sin x = x, to the last bit.
_TINY = {"float32": 2.0**-12, "float64": 2.0**-27}


def _quarter(x: Value) -> tuple[Value, Value]:
    """r, and bits that end in k: π/2 in parts, each of which times k is exact (Cody and Waite, 1980)."""
    # Infinity times 0 is NaN, as it should be.
    bounded = select(absolute(x) <= LARGEST, x, x * 0.0)
    if x.dtype == "float32":
        # float64 has room for the bits that are lost when x and k·π/2 are near to each other.
        wide = bounded.to("float64")
        k, bits = nearest(wide, 2 / math.pi)
        for part in HALF_PI["float32"]:
            wide = fused(k, -part, wide)
        return wide.to("float32"), bits.to("int32")
    k, bits = nearest(bounded, 2 / math.pi)
    first, second, third, fourth, last = HALF_PI["float64"]
    r = bounded - k * first - k * second
    r, lost = _less(r, k * third)
    r, lost_too = _less(r, k * fourth)
    return r + ((lost + lost_too) - k * last), bits


def _less(a: Value, b: Value) -> tuple[Value, Value]:
    """a − b, and what its rounding has lost (Dekker, 1971)."""
    found = a - b
    return found, (a - found) - b


def _turned(x: Value, quarters: int) -> Value:
    """sin(x + quarters·π/2)."""
    r, bits = _quarter(x)
    z = r * r
    sine = fused(r * z, polynomial(z, SIN_TAIL[x.dtype]), r)
    cosine = fused(z, fused(z, polynomial(z, COS_TAIL[x.dtype]), -0.5), 1.0)
    place = bits + quarters if quarters else bits
    found = select((place & 1).equals(0), sine, cosine)
    return (found.bits() ^ ((place & 2) << (BITS[x.kind] - 2))).float_of_bits()


def sin(x: Value) -> Value:
    """The sine of x."""
    return select(absolute(x) < _TINY[x.dtype], x, _turned(x, 0))


def cos(x: Value) -> Value:
    """The cosine of x."""
    return _turned(x, 1)
