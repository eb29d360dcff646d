"""The mathematics that the generator writes itself: exp, log, log1p, expm1, tanh, erf, sin, cos, sigmoid and pow.

Each function is one straight line of LLVM without branches or calls, so that a loop that uses it becomes vectors. How
wrong it is at most stands in `ERRORS`. NaN and infinity keep their meaning, and so does the sign of 0. Results below
the smallest normal number are right where the processor keeps such numbers, and 0 where it is told to flush them.

sin and cos reduce their argument exactly up to 4·10⁸ (float32) and 1.6·10⁹ (float64); beyond, the error of the result
grows to |x|·2⁻⁵¹; what is larger than 2⁴⁵ counts as 0, since a branch for it would keep loops from being vectors.

Nothing comes from the C library. (The remainder of floats, an instruction of LLVM's, is its fmod.) Intrinsic functions
are called without declarations, which LLVM allows from version 19 on.
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.engines.native.mathematics.circle import cos, sin
from chainrule.engines.native.mathematics.error_function import erf
from chainrule.engines.native.mathematics.exponentials import exp, expm1, sigmoid, tanh
from chainrule.engines.native.mathematics.formulas import Value
from chainrule.engines.native.mathematics.logarithms import log, log1p
from chainrule.engines.native.mathematics.power import power
from chainrule.engines.native.text import Writer
from chainrule.engines.native.types import REGISTER

#: name -> a formula of as many numbers as its function takes.
FORMULAS: dict[str, tuple[Callable[..., Value], str]] = {
    **{f.__name__: (f, "x") for f in (exp, log, log1p, expm1, tanh, erf, sin, cos, sigmoid)},
    "pow": (power, "xy"),
}
#: The largest error, in units in the last place, of float32 and float64, with or without fused multiplications:
#: a little more than what benchmarks/mathematics.py finds. For sin and cos it holds where they reduce exactly.
ERRORS: dict[str, tuple[float, float]] = {
    "exp": (1.0, 1.0),
    "log": (1.0, 1.0),
    "log1p": (1.5, 1.5),
    "expm1": (1.5, 1.5),
    "tanh": (1.5, 1.5),
    "erf": (1.75, 1.75),
    "sin": (1.75, 1.75),
    "cos": (1.75, 1.75),
    "sigmoid": (2.0, 2.0),
    "pow": (0.75, 1.5),
}


def definitions(names: set[str]) -> str:
    """The functions of these names, as LLVM text.

    >>> definitions({"exp_float32"}).splitlines()[0]
    'define internal float @exp_float32(float %x) alwaysinline nounwind memory(none) {'
    """
    return "\n\n".join(_definition(*name.rsplit("_", 1)) for name in sorted(names))


def _definition(name: str, dtype: str) -> str:
    formula, letters = FORMULAS[name]
    writer, kind = Writer(), REGISTER[dtype]
    found = formula(*(Value(writer, f"%{letter}", dtype) for letter in letters))
    parameters = ", ".join(f"{kind} %{letter}" for letter in letters)
    lines = "\n".join([*writer.lines, f"  ret {kind} {found.register}"])
    return f"define internal {kind} @{name}_{dtype}({parameters}) alwaysinline nounwind memory(none) {{\n{lines}\n}}"
