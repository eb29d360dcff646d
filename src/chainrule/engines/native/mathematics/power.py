"""pow: |x|ʸ = 2^(y·log₂|x|), with more digits on the way than in the end; then the sign, and IEEE 754's cases."""

from __future__ import annotations

import math

from chainrule.engines.native.mathematics.coefficients import (
    EXP_TAIL,
    LN2_HALVES,
    POWER_LOG_LONG_TAIL,
    POWER_LOG_TAIL,
    TWO_THIRDS_LOG2_E,
)
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
    sign_bit,
    times_power_of_two,
    upper_half,
)
from chainrule.engines.native.mathematics.logarithms import exponent, split, split_any

#: An exponent beyond this makes 0 or infinity of every base but 1.
_LARGEST_EXPONENT = 2.0**65


def power(x: Value, y: Value) -> Value:
    """xʸ."""
    size = absolute(x)
    bounded = at_least(at_most(y, _LARGEST_EXPONENT), -_LARGEST_EXPONENT)
    found = _positive_float32(size, bounded) if x.dtype == "float32" else _positive_float64(size, bounded)
    # Powers of 0 and of infinity are one or the other.
    zero = size.equals(0.0)
    limit = select(zero ^ (y < 0.0), 0.0, x.constant(math.inf))
    found = select(zero | size.equals(math.inf), limit, found)
    whole = _is_whole(y)
    found = select((x < 0.0) & (x > -math.inf) & (whole ^ True), math.nan, found)
    odd = whole & (_is_whole(y * 0.5) ^ True)
    found = select(odd, (found.bits() | sign_bit(x)).float_of_bits(), found)
    found = select(x.is_nan() | y.is_nan(), math.nan, found)
    return select(x.equals(1.0) | y.equals(0.0), 1.0, found)


def _is_whole(y: Value) -> Value:
    size, bound = absolute(y), 2.0**y.format.fraction
    return (size >= bound) | ((size + bound) - bound).equals(size)


def _positive_float32(x: Value, y: Value) -> Value:
    """Computed in float64, with as many terms as float32 needs."""
    bits, m = split(x.to("float64"))
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    log2 = fused(s, fused(z, polynomial(z, POWER_LOG_TAIL["float64"]), 2 / math.log(2)), exponent(bits))
    high = at_least(at_most(y.to("float64") * log2, 200.0), -200.0)
    k, bits = nearest(high)
    r = (high - k) * math.log(2)
    found = fused(r * r, polynomial(r, EXP_TAIL["float32"]), r) + 1.0
    return (found * power_of_two(bits)).to("float32")


def _positive_float64(x: Value, y: Value) -> Value:
    """The logarithm in two parts, of which the first is short enough for exact products.

    With s = (m − 1)/(m + 1) it is log₂ m = 2/(3 ln 2) · s · (3 + s² + 3s⁴·tail); the way of splitting it is that of
    FDLIBM (Sun Microsystems, 1993).
    """
    k, m = split_any(x)
    f, d = m - 1.0, m + 1.0
    inverse = d.constant(1.0) / d
    s = f * inverse
    # s = s_first + s_rest, to about 80 bits: the division is done once more on what it has left.
    s_first, d_first = upper_half(s), upper_half(d)
    d_rest = m - (d_first - 1.0)
    s_rest = inverse * ((f - s_first * d_first) - s_first * d_rest)
    z = s * s
    square = s_first * s_first
    tail = fused(z * z, polynomial(z, POWER_LOG_LONG_TAIL["float64"]), s_rest * (s_first + s))
    factor_first = upper_half((square + 3.0) + tail)
    factor_rest = tail - ((factor_first - 3.0) - square)
    product = s_first * factor_first
    product_rest = fused(s_rest, factor_first, factor_rest * s)
    first = upper_half(product + product_rest)
    rest = product_rest - (first - product)
    scale_first, scale_rest = TWO_THIRDS_LOG2_E["float64"]
    scaled = first * scale_first
    scaled_rest = fused(first, scale_rest, rest * (scale_first + scale_rest))
    log2 = upper_half((scaled + scaled_rest) + k)
    log2_rest = scaled_rest - ((log2 - k) - scaled)
    y_first = upper_half(y)
    high = y_first * log2
    low = fused(y - y_first, log2, y * log2_rest)
    return _exp2(high, low)


def _exp2(high: Value, low: Value) -> Value:
    """2^(high + low)."""
    whole = high + low
    far = absolute(whole) > 1100.0
    high = at_least(at_most(high, 1100.0), -1100.0)
    low = select(far, 0.0, low)
    k, bits = nearest(high + low)
    high = high - k
    both = upper_half(high + low)
    low = low - (both - high)
    first, rest = LN2_HALVES["float64"]
    product = both * first
    product_rest = fused(both, rest, low * (first + rest))
    r = product + product_rest
    lost = product_rest - (r - product)
    tail = fused(r * r, polynomial(r, EXP_TAIL["float64"]), fused(lost, r, lost))
    return times_power_of_two((r + tail) + 1.0, bits)
