"""erf: near 0 a polynomial, further out 1 − e^p of a polynomial p for log(1 − erf x)."""

from __future__ import annotations

from chainrule.engines.native.mathematics.coefficients import ERF_FAR, ERF_NEAR
from chainrule.engines.native.mathematics.exponentials import exp_between
from chainrule.engines.native.mathematics.formulas import (
    Value,
    absolute,
    at_most,
    fused,
    polynomial,
    select,
    signed_as,
)

#: From here on erf is 1, to the last bit.
_FLAT = {"float32": 4.0, "float64": 6.0}


def erf(x: Value) -> Value:
    """2/√π · ∫₀ˣ e^(−t²) dt."""
    size = at_most(absolute(x), _FLAT[x.dtype])
    near = fused(size, polynomial(size * size, ERF_NEAR[x.dtype]), size)
    far = exp_between(polynomial(size - 1.0, ERF_FAR[x.dtype]))
    return signed_as(select(size < 1.0, near, -(far - 1.0)), x)
