"""The mathematics that the native engine writes: its error, its ends, and that it is vectors."""

from __future__ import annotations

import math
import platform
import re
from typing import Any

import numpy as np
import pytest

from benchmarks.mathematics import CIRCLE, DTYPES, NAMES, Array, Loops, errors, exact, loops_text, samples, worst
from chainrule.engines.native.machine import Target, assembly, target
from chainrule.engines.native.mathematics import ERRORS, circle, coefficients, definitions

X86 = platform.machine().lower() in ("x86_64", "amd64")
WIDE = pytest.mark.skipif(bool(np.finfo(np.longdouble).eps > 1e-18), reason="no dtype here is wider than float64")
INF, NAN = math.inf, math.nan
LEAST = {"float32": 1e-45, "float64": 5e-324}
ENDS: dict[str, dict[float, float]] = {
    "exp": {0: 1, INF: INF, -INF: 0, 1000: INF, -1000: 0, 1e-320: 1, 1e300: INF, -1e300: 0},
    "log": {0: -INF, 1: 0, INF: INF, -INF: NAN, -1: NAN, -1e-30: NAN},
    "log1p": {0: 0, -1: -INF, INF: INF, -INF: NAN, -1.5: NAN, 1e-30: 1e-30, -1e-30: -1e-30},
    "expm1": {0: 0, INF: INF, -INF: -1, 1000: INF, -1000: -1, 1e-30: 1e-30, -1e-30: -1e-30},
    "tanh": {0: 0, INF: 1, -INF: -1, 30: 1, -30: -1, 1e300: 1, 1e-30: 1e-30, -1e-30: -1e-30},
    "erf": {0: 0, INF: 1, -INF: -1, 7: 1, -7: -1, -1e300: -1},
    "sin": {0: 0, INF: NAN, -INF: NAN, 1e-30: 1e-30, -1e-30: -1e-30},
    "cos": {0: 1, INF: NAN, -INF: NAN, 1e-30: 1},
    "sigmoid": {0: 0.5, INF: 1, -INF: 0, 1000: 1, -1000: 0},
}
#: What −0 is to be; 0 is in the table.
MINUS_ZERO = dict.fromkeys(("log1p", "expm1", "tanh", "erf", "sin"), -0.0)
#: Bases and exponents of which every pair is tried.
BASES = [0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 2.0, -2.0, 0.5, -0.5, -3.0, 1e-30, -1e-30, 1e30, -1e30]
POWERS = [0.0, -0.0, 1.0, -1.0, 2.0, 3.0, -2.0, -3.0, 0.5, -0.5, 2.5, 1e30, -1e30, 16777217.0, INF, -INF, NAN]


@pytest.fixture(scope="module")
def loops() -> Loops:
    return Loops()


@pytest.fixture(scope="module")
def plain_loops() -> Loops:
    return Loops(on=target("x86-64"))


def _limit(name: str) -> float:
    op, dtype = name.rsplit("_", 1)
    return ERRORS[op][DTYPES.index(dtype)]


def _measured(loops: Loops, name: str, count: int = 6000, seed: int = 1) -> float:
    op, dtype = name.rsplit("_", 1)
    return worst(loops, name, samples(op, dtype, count, seed))[0]


def _same(found: Array, wanted: Array) -> bool:
    """The same numbers, with the same signs of zero."""
    return bool(
        (((found == wanted) & (np.signbit(found) == np.signbit(wanted))) | np.isnan(found) & np.isnan(wanted)).all()
    )


@WIDE
@pytest.mark.parametrize("name", NAMES)
def test_the_error_is_at_most_what_is_said(loops: Loops, name: str) -> None:
    assert _measured(loops, name) <= _limit(name)


@WIDE
@pytest.mark.skipif(not X86, reason="a processor without fused multiplications that runs here is known for x86 only")
@pytest.mark.parametrize("name", NAMES)
def test_so_it_is_without_fused_multiplications(plain_loops: Loops, name: str) -> None:
    assert _measured(plain_loops, name, 2000) <= _limit(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("float32") and not name.startswith("pow")])
def test_the_error_over_the_whole_of_float32(loops: Loops, name: str) -> None:
    x = np.arange(0, 2**32, 40_009, dtype=np.uint64).astype(np.uint32).view(np.float32)
    if name.startswith(("sin", "cos")):
        x = x[~(np.abs(x) > CIRCLE["float32"])]
    assert worst(loops, name, [x])[0] <= _limit(name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ENDS)
def test_the_ends(loops: Loops, op: str, dtype: str) -> None:
    with np.errstate(over="ignore"):
        x = np.array([-0.0, *ENDS[op]]).astype(dtype)
        wanted = np.array([MINUS_ZERO.get(op, ENDS[op][0]), *ENDS[op].values()]).astype(dtype)
    # As vectors and, in what no vector fills, as single numbers.
    for times in (1, 40):
        found = loops[f"{op}_{dtype}"](np.tile(x, times))
        assert _same(found, np.tile(wanted, times)), list(zip(x, found, wanted, strict=False))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("pow")])
def test_nan_stays_and_does_not_come_of_subnormal_numbers(loops: Loops, name: str) -> None:
    dtype = name.rsplit("_", 1)[1]
    assert np.isnan(loops[name](np.full(40, NAN, dtype))).all()
    assert not np.isnan(loops[name](np.arange(1, 41).astype(dtype) * LEAST[dtype])).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_tails_of_the_sigmoid_keep_their_digits(loops: Loops, dtype: str) -> None:
    assert loops[f"sigmoid_{dtype}"](np.array([-40.0], dtype))[0] == np.dtype(dtype).type(4.248354255291589e-18)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powers_of_and_by_everything_are_those_of_the_standard(loops: Loops, dtype: str) -> None:
    x, y = (part.ravel().astype(dtype) for part in np.meshgrid(BASES, POWERS))
    with np.errstate(all="ignore"):
        wanted = np.power(x, y)
    found = loops[f"pow_{dtype}"](x, y)
    ends = np.isin(wanted, [0, 1, -1, INF, -INF]) | np.isnan(wanted)
    assert _same(found[ends], wanted[ends])
    assert (np.signbit(found) == np.signbit(wanted))[~np.isnan(wanted)].all()
    assert errors(found, exact("pow", x, y)).max() <= 1


@WIDE
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", ["sin", "cos"])
def test_large_angles_lose_what_rounding_loses_and_larger_ones_count_as_0(loops: Loops, op: str, dtype: str) -> None:
    draw = np.random.default_rng(0)
    x = (2.0 ** draw.uniform(20, 45, 5000) * draw.choice([-1, 1], 5000)).astype(dtype)
    x = x[np.abs(x) <= circle.LARGEST]
    found = loops[f"{op}_{dtype}"](x)
    assert (np.abs(found) <= 1).all()
    off = np.abs(found.astype(np.longdouble) - getattr(np, op)(x.astype(np.longdouble)))
    assert (off <= np.abs(x) * 2.0**-51 + np.finfo(dtype).eps).all()
    beyond = np.array([1e15, -1e20, float(np.finfo(dtype).max)] * 20, dtype)
    assert (loops[f"{op}_{dtype}"](beyond) == (op == "cos")).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_loop_is_vectors_and_calls_nobody(loops: Loops, name: str) -> None:
    body = re.search(rf"define void @loop_{name}\(.*?\n}}", loops.optimized, re.DOTALL)
    assert body
    dtype = name.rsplit("_", 1)[1]
    lanes = target().vector_bytes // np.dtype(dtype).itemsize
    kind = "float" if dtype == "float32" else "double"
    assert re.search(rf"fadd <{lanes} x {kind}>", body[0]) or re.search(rf"fmuladd\.v{lanes}f", body[0])
    assert all(called.startswith("llvm.") for called in re.findall(r"call .*?@([\w.]+)", body[0]))


@pytest.mark.parametrize(
    ("triple", "cpu", "calling", "vectors"),
    [
        ("x86_64-unknown-linux-gnu", "x86-64", r"\bcall", "mulps"),
        ("x86_64-unknown-linux-gnu", "x86-64-v3", r"\bcall", "vfmadd.*ymm"),
        ("aarch64-unknown-linux-gnu", "generic", r"\tbl\t", r"fmla\tv.*\.4s"),
    ],
)
def test_other_processors_need_no_library_either(triple: str, cpu: str, calling: str, vectors: str) -> None:
    written = assembly(loops_text(), Target(triple, cpu))
    assert re.search(vectors, written)
    assert not re.search(calling, written)


def test_nothing_may_be_reordered() -> None:
    text = definitions(set(NAMES))
    assert not re.search(r"\b(fast|reassoc|nnan|ninf|nsz|arcp|afn)\b", text)
    for name in NAMES:
        assert text.count(f"@{name}(") == 1


@WIDE
@pytest.mark.parametrize(
    ("table", "dtype", "op"),
    [
        *((table, dtype, op) for dtype in DTYPES for table, op in [
            ("EXP_TAIL", "exp"), ("LN2", "exp"), ("LOG_TAIL", "log"), ("ERF_NEAR", "erf"), ("ERF_FAR", "erf"),
            ("SIN_TAIL", "sin"), ("COS_TAIL", "cos"), ("HALF_PI", "sin"),
        ]),
        ("POWER_LOG_TAIL", "float64", "pow_float32"),
        *((table, "float64", "pow_float64") for table in ("POWER_LOG_LONG_TAIL", "LN2_HALVES", "TWO_THIRDS_LOG2_E")),
    ],
)  # fmt: skip
def test_a_wrong_coefficient_is_noticed(monkeypatch: pytest.MonkeyPatch, table: str, dtype: str, op: str) -> None:
    name = op if op.startswith("pow") else f"{op}_{dtype}"
    numbers: dict[str, Any] = getattr(coefficients, table)
    wrong = (numbers[dtype][0], numbers[dtype][1] * (1 + 2.0**-12), *numbers[dtype][2:])
    monkeypatch.setitem(numbers, dtype, wrong)
    assert _measured(Loops((name,)), name, 3000) > _limit(name)


@WIDE
def test_a_reordered_error_term_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def loose(names: set[str]) -> str:
        return re.sub(r"= (fadd|fsub|fmul) ", r"= \1 reassoc nsz ", definitions(names))

    monkeypatch.setattr("benchmarks.mathematics.definitions", loose)
    assert _measured(Loops(("pow_float64",)), "pow_float64", 3000) > _limit("pow_float64")
