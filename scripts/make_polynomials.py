"""Compute the numbers of the native engine's mathematics: python scripts/make_polynomials.py [FILE].

Needs mpmath. Every polynomial is a minimax fit, found by Remez' exchange in 60 digits and rounded to its dtype; the
comment above it says on which interval, how its error is weighted, and how large the worst error is after rounding.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpmath import mp, mpf

TARGET = Path(__file__).parents[1] / "src/chainrule/engines/native/mathematics/coefficients.py"
Function = Callable[[mpf], mpf]
mp.dps = 60

HEAD = '''"""Numbers made by scripts/make_polynomials.py: change that, not this. The constant term is first."""

from __future__ import annotations

Parts = dict[str, tuple[float, ...]]
'''


@dataclass(frozen=True)
class Fit:
    """A function to approximate by polynomials, one for each dtype: ``bounds`` and ``degrees`` are by dtype."""

    name: str
    text: str
    weight_text: str
    function: Function
    weight: Function
    bounds: dict[str, tuple[mpf, mpf]]
    degrees: dict[str, int]


def minimax(fit: Fit, dtype: str) -> tuple[list[float], mpf]:
    """The polynomial p that makes the largest |weight·(p − function)| least, rounded, and that largest error."""
    low, high = fit.bounds[dtype]
    count = fit.degrees[dtype] + 2
    points = [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * n / (40 * count)) for n in range(40 * count + 1)]
    # Next to 0 the functions are quotients of two numbers that vanish.
    points = [x for x in points if abs(x) > mpf("1e-9")]
    values, weights = [fit.function(x) for x in points], [fit.weight(x) for x in points]
    chosen = [round((len(points) - 1) * n / (count - 1)) for n in range(count)]
    for _ in range(40):
        matrix, right = mp.matrix(count, count), mp.matrix(count, 1)
        for row, at in enumerate(chosen):
            for power in range(count - 1):
                matrix[row, power] = weights[at] * points[at] ** power
            matrix[row, count - 1] = (-1) ** row
            right[row] = weights[at] * values[at]
        found = mp.lu_solve(matrix, right)
        coefficients, level = list(found[: count - 1]), abs(found[count - 1])
        errors = [w * (_value(coefficients, x) - y) for x, y, w in zip(points, values, weights, strict=True)]
        peaks = _alternating(errors, count)
        if len(peaks) < count or max(map(abs, errors)) < level * mpf("1.001"):
            break
        chosen = peaks
    rounded = [rounded_to(c, dtype) for c in coefficients]
    return rounded, max(abs(w * (_value(rounded, x) - y)) for x, y, w in zip(points, values, weights, strict=True))


def _value(coefficients: Sequence[mpf | float], x: mpf) -> mpf:
    return mp.polyval([mpf(c) for c in reversed(coefficients)], x)


def _alternating(errors: Sequence[mpf], count: int) -> list[int]:
    """Where the error is largest between two of its zeros: ``count`` such places in a row."""
    peaks: list[int] = []
    for at, error in enumerate(errors):
        if peaks and (errors[peaks[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[peaks[-1]]):
                peaks[-1] = at
        else:
            peaks.append(at)
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    return peaks


def rounded_to(value: mpf, dtype: str) -> float:
    """The nearest number of a dtype."""
    return float(value) if dtype == "float64" else float(struct.unpack("<f", struct.pack("<f", float(value)))[0])


def parts(value: mpf, bits: Sequence[int], last: int) -> list[float]:
    """A number as a sum of numbers of so many bits; what remains is rounded to ``last`` bits."""
    found = []
    for width in bits:
        unit = mpf(2) ** (mp.floor(mp.log(abs(value), 2)) + 1 - width)
        found.append(float(mp.floor(value / unit) * unit))
        value -= mpf(found[-1])
    return [*found, rounded_to(value, "float32" if last == 24 else "float64")]


def _over(function: Function, limit: mpf, power: int) -> Function:
    """function(√z)/√z − limit, divided by zᵖᵒʷᵉʳ."""
    return lambda z: (function(mp.sqrt(z)) / mp.sqrt(z) - limit) / z**power


_BOTH = ("float32", "float64")
_ln2_half = mp.log(2) / 2 * mpf("1.0001")
_z_log = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2
_z_circle = (mp.pi / 4 * mpf("1.0001")) ** 2
FITS = [
    Fit(
        "EXP_TAIL",
        "(eʳ − 1 − r)/r² for |r| ≤ ln 2 / 2",
        "relative to eʳ − 1",
        lambda r: (mp.expm1(r) - r) / r**2,
        lambda r: abs(r**2 / mp.expm1(r)),
        dict.fromkeys(_BOTH, (-_ln2_half, _ln2_half)),
        {"float32": 4, "float64": 9},
    ),
    Fit(
        "LOG_TAIL",
        "(2 atanh(s)/s − 2)/z, z = s², for s = f/(2 + f), 1 + f from √½ to √2",
        "relative to 2 atanh(s)",
        lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z,
        lambda z: z / 2,
        dict.fromkeys(_BOTH, (mpf(0), _z_log)),
        {"float32": 2, "float64": 6},
    ),
    Fit(
        "POWER_LOG_TAIL",
        "for a float32's power, computed in float64: (2 atanh(s)/s − 2)/(z ln 2), z = s², in the same interval",
        "relative to 2 atanh(s)/ln 2",
        lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z / mp.log(2),
        lambda z: z / 2 * mp.log(2),
        {"float64": (mpf(0), _z_log)},
        {"float64": 3},
    ),
    Fit(
        "POWER_LOG_LONG_TAIL",
        "for a float64's power: 3 (atanh(s)/s − 1 − z/3)/z², z = s², in the same interval",
        "relative to atanh(s)",
        lambda z: 3 * (mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 1 - z / 3) / z**2,
        lambda z: z**2 / 3,
        {"float64": (mpf(0), _z_log)},
        {"float64": 6},
    ),
    Fit(
        "ERF_NEAR",
        "erf(x)/x − 1 of z = x², for |x| ≤ 1",
        "relative to x",
        lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
        lambda z: mpf(1),
        dict.fromkeys(_BOTH, (mpf(0), mpf(1))),
        {"float32": 6, "float64": 11},
    ),
    Fit(
        "ERF_FAR",
        "log(1 − erf(x)) of t = x − 1, for x from 1 to 4 (float32) or 6 (float64)",
        "as the error of erf(x)",
        lambda t: mp.log(mp.erfc(t + 1)),
        lambda t: mp.erfc(t + 1),
        {"float32": (mpf(0), mpf(3)), "float64": (mpf(0), mpf(5))},
        {"float32": 6, "float64": 18},
    ),
    Fit(
        "SIN_TAIL",
        "(sin(r)/r − 1)/z of z = r², for |r| ≤ π/4",
        "relative to r",
        _over(mp.sin, mpf(1), 1),
        lambda z: z,
        dict.fromkeys(_BOTH, (mpf(0), _z_circle)),
        {"float32": 2, "float64": 5},
    ),
    Fit(
        "COS_TAIL",
        "(cos(r) − 1 + z/2)/z² of z = r², for |r| ≤ π/4",
        "as the error of cos(r)",
        lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
        lambda z: z**2,
        dict.fromkeys(_BOTH, (mpf(0), _z_circle)),
        {"float32": 2, "float64": 5},
    ),
]
#: name, what it is, value, and for each dtype the bits of all parts but the last, and the bits of the last.
SPLITS: list[tuple[str, str, mpf, dict[str, tuple[tuple[int, ...], int]]]] = [
    (
        "LN2",
        "ln 2: the first part times any exponent is exact",
        mp.log(2),
        {"float32": ((15,), 24), "float64": ((41,), 53)},
    ),
    (
        "HALF_PI",
        "π/2 in float64's numbers: all parts but the last, times a number below 2²⁸ or (float64) 2³⁰, are exact",
        mp.pi / 2,
        {"float32": ((25, 25), 53), "float64": ((23, 23, 23, 23), 53)},
    ),
    ("LN2_HALVES", "ln 2, in two halves", mp.log(2), {"float64": ((26,), 53)}),
    ("TWO_THIRDS_LOG2_E", "2/3 of log2(e), in two halves", 2 / (3 * mp.log(2)), {"float64": ((26,), 53)}),
]


def _written(name: str, comment: Sequence[str], rows: dict[str, Sequence[float]]) -> str:
    lines = ["", *(f"# {line}" for line in comment), f"{name}: Parts = {{"]
    for dtype, numbers in rows.items():
        lines += [f'    "{dtype}": (', *(f"        {number!r}," for number in numbers), "    ),"]
    return "\n".join([*lines, "}"])


def text() -> str:
    """The whole file."""
    found = [HEAD]
    for fit in FITS:
        rows = {dtype: minimax(fit, dtype) for dtype in fit.degrees}
        errors = ", ".join(f"2^{float(mp.log(error, 2)):.1f} ({dtype})" for dtype, (_, error) in rows.items())
        comment = [f"{fit.text}.", f"Worst error, {fit.weight_text}: {errors}."]
        found.append(_written(fit.name, comment, {dtype: numbers for dtype, (numbers, _) in rows.items()}))
    for name, what, value, widths in SPLITS:
        halves: dict[str, Sequence[float]] = {dtype: parts(value, bits, last) for dtype, (bits, last) in widths.items()}
        found.append(_written(name, [f"{what}."], halves))
    return "\n".join(found) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    target.write_text(text(), encoding="utf-8")
