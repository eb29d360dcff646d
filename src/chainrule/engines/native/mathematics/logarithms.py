"""log and log1p: log x = k·ln 2 + log m for x = 2ᵏ·m, m from √½ to √2."""

from __future__ import annotations

import math

from chainrule.engines.native.mathematics.coefficients import LN2, LOG_TAIL
from chainrule.engines.native.mathematics.formulas import FORMATS, Value, bits_of, fused, polynomial, select

#: Powers of two that make subnormal numbers normal.
_LIFT = {"float32": 25, "float64": 54}


def split(x: Value) -> tuple[Value, Value]:
    """The bits of 2ᵏ, moved to the right end, and m, of a positive normal number."""
    layout, root = x.format, bits_of(math.sqrt(0.5), x.dtype)
    moved = x.bits() + (bits_of(1.0, x.dtype) - root)
    return moved >> layout.fraction, ((moved & layout.fraction_mask) + root).float_of_bits()


def exponent(bits: Value) -> Value:
    """k, as a float, of the bits of 2ᵏ at the right end."""
    dtype = "float32" if bits.dtype == "int32" else "float64"
    layout = FORMATS[dtype]
    # A small whole number below the exponent of 2ᶠʳᵃᶜᵗⁱᵒⁿ is that power, and so much more.
    top = 2.0**layout.fraction
    return (bits | bits_of(top, dtype)).float_of_bits() - (top + layout.bias)


def split_any(x: Value) -> tuple[Value, Value]:
    """k, as a float, and m of a positive number, normal or not."""
    lift = _LIFT[x.dtype]
    low = x < x.format.least
    bits, m = split(select(low, x * 2.0**lift, x))
    k = exponent(bits)
    return select(low, k - float(lift), k), m


def _combined(k: Value, f: Value) -> Value:
    """k·ln 2 + log(1 + f): with s = f/(2 + f) the logarithm is 2 atanh s = f − (f²/2 − s·(f²/2 + s²·tail)).

    The way of adding it up is that of FDLIBM (Sun Microsystems, 1993).
    """
    high, low = LN2[f.dtype]
    s = f / (f + 2.0)
    z = s * s
    half_square = f * f * 0.5
    inner = s * fused(z, polynomial(z, LOG_TAIL[f.dtype]), half_square)
    return fused(k, high, f - (half_square - fused(k, low, inner)))


def _with_limits(found: Value, x: Value, zero: float) -> Value:
    """What a logarithm is at infinity and NaN, at its pole, and beyond."""
    found = select(x < math.inf, found, x)
    found = select(x.equals(zero), -math.inf, found)
    return select(x < zero, math.nan, found)


def log(x: Value) -> Value:
    """log x."""
    k, m = split_any(x)
    return _with_limits(_combined(k, m - 1.0), x, 0.0)


def log1p(x: Value) -> Value:
    """log(1 + x): k from 1 + x, and f = x/2ᵏ + (1/2ᵏ − 1) from x itself, which has lost nothing."""
    one_more = x + 1.0
    bits, m = split(one_more)
    shrink = ((-bits + 2 * x.format.bias) << x.format.fraction).float_of_bits()
    # Where 1/2ᵏ would not be a normal number, m is as good.
    f = select(x < 2.0**60, fused(x, shrink, shrink - 1.0), m - 1.0)
    found = select(one_more.equals(1.0), x, _combined(exponent(bits), f))
    return _with_limits(found, x, -1.0)
