"""The error of the native engine's mathematics, over all numbers, and its speed beside NumPy's.

python benchmarks/mathematics.py [NAME …] [--every 997] [--count 400000] [--cpu x86-64]

Errors are in units in the last place of the exact result, which comes from NumPy in float64 (for float32) and in long
double (for float64); erf from math.erf and from its series. ``--every 1`` takes every float32 there is: an hour.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.native.machine import ATTRIBUTES, Code, Target, optimize, target
from chainrule.engines.native.mathematics import FORMULAS, definitions
from chainrule.engines.native.types import REGISTER

Array = NDArray[Any]
DTYPES = ("float32", "float64")
NAMES = tuple(f"{op}_{dtype}" for op in FORMULAS for dtype in DTYPES)
#: Where sin and cos keep all their digits.
CIRCLE = {"float32": 4e8, "float64": 1.6e9}
#: Exponents for pow; the graph knows its exponents, but not these.
EXPONENTS = (0.5, -0.5, 1 / 3, 2.5, 3.0, -7.0, 17.0, 100.3, 1e10, -1e10, math.inf, -math.inf, 0.0, math.nan)

_LOOP = """
define void @loop_{name}(ptr noalias %in, ptr noalias %in2, ptr noalias %out, i64 %count) noinline #0 {{
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %after, %body ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %at = getelementptr inbounds {kind}, ptr %in, i64 %i
  %x = load {kind}, ptr %at
  %at2 = getelementptr inbounds {kind}, ptr %in2, i64 %i
  %y = load {kind}, ptr %at2
  %found = call {kind} @{name}({arguments})
  %to = getelementptr inbounds {kind}, ptr %out, i64 %i
  store {kind} %found, ptr %to
  %after = add nsw nuw i64 %i, 1
  br label %head
done:
  ret void
}}
"""


def loops_text(names: tuple[str, ...] = NAMES) -> str:
    """A module with a loop over arrays for each function."""
    parts = [definitions(set(names))]
    for name in names:
        kind = REGISTER[name.rsplit("_", 1)[1]]
        arguments = f"{kind} %x, {kind} %y" if name.startswith("pow") else f"{kind} %x"
        parts.append(_LOOP.format(name=name, kind=kind, arguments=arguments))
    return "\n".join([*parts, f"attributes #0 = {{ {ATTRIBUTES} }}"])


class Loops:
    """The functions, compiled, by name: ``loops["exp_float32"](x)``."""

    def __init__(self, names: tuple[str, ...] = NAMES, on: Target | None = None) -> None:
        machine = (on or target()).machine()
        module = optimize(loops_text(names), machine)
        self.optimized = str(module)
        self._code = Code(bytes(machine.emit_object(module)))
        pointer = ctypes.c_void_p
        kind = ctypes.CFUNCTYPE(None, pointer, pointer, pointer, ctypes.c_int64)
        self._loops = {name: kind(self._code.address(f"loop_{name}")) for name in names}

    def __getitem__(self, name: str) -> Callable[..., Array]:
        def call(x: Array, y: Array | None = None, out: Array | None = None) -> Array:
            out = np.empty_like(x) if out is None else out
            self._loops[name](x.ctypes.data, (x if y is None else y).ctypes.data, out.ctypes.data, x.size)
            return out

        return call


def _erf(x: Array) -> Array:
    if x.dtype == np.float64:
        return np.array([math.erf(number) for number in x.tolist()])
    # erf x = 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n + 1)): no term is negative, so no digit is lost.
    size = np.minimum(np.abs(x), 7)
    term = total = size
    for n in range(1, 220):
        term = term * (2 * size * size / (2 * n + 1))
        total = total + term
    found: Array = np.copysign(total * np.exp(-size * size) / np.sqrt(np.arctan(size.dtype.type(1))), x)
    return found


def _sigmoid(x: Array) -> Array:
    tail = np.exp(-np.abs(x))
    found: Array = np.where(x >= 0, 1, tail) / (1 + tail)
    return found


EXACT: Mapping[str, Callable[..., Array]] = {
    **{name: getattr(np, name) for name in ("exp", "log", "log1p", "expm1", "tanh", "sin", "cos")},
    "erf": _erf,
    "sigmoid": _sigmoid,
    "pow": np.power,
}


def exact(op: str, *arrays: Array) -> Array:
    """The result in a wider dtype."""
    wide = np.float64 if arrays[0].dtype == np.float32 else np.longdouble
    with np.errstate(all="ignore"):
        return EXACT[op](*(array.astype(wide) for array in arrays))


def errors(found: Array, wanted: Array) -> Array:
    """How far each number is from the exact one, in units in the last place; infinity where it is another thing."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(found.dtype)
        same = (rounded == found) | (np.isnan(rounded) & np.isnan(found))
        unit = np.spacing(np.minimum(np.abs(rounded), np.finfo(found.dtype).max)).astype(wanted.dtype)
        distance = np.abs(found.astype(wanted.dtype) - wanted) / unit
        finite = np.isfinite(rounded) & np.isfinite(found)
        return np.where(finite, distance, np.where(same, 0, np.inf))


def samples(op: str, dtype: str, count: int, seed: int = 0) -> list[Array]:
    """The arguments: bits drawn evenly, and numbers where the function is interesting."""
    draw = np.random.default_rng(seed)
    whole = np.uint32 if dtype == "float32" else np.uint64
    most = math.log(float(np.finfo(dtype).max))
    powers = 2.0 ** draw.uniform(-60, 10, count) * draw.choice([-1, 1], count)
    found = [
        draw.integers(0, np.iinfo(whole).max, count, dtype=whole, endpoint=True).view(dtype),
        *(draw.uniform(-limit, limit, count).astype(dtype) for limit in (2, 7, 40, 1.2 * most)),
        powers.astype(dtype),
        (1 + draw.uniform(-0.5, 1, count)).astype(dtype),
        (1 + powers * 2.0**-10).astype(dtype),
    ]
    if op in ("sin", "cos"):
        quarters = np.round(2.0 ** draw.uniform(0, 29.9, count)).astype(np.longdouble)
        found += [draw.uniform(-limit, limit, count).astype(dtype) for limit in (1e5, CIRCLE[dtype])]
        found.append((quarters * (2 * np.arctan(np.longdouble(1)))).astype(dtype))
        found = [x[~(np.abs(x) > CIRCLE[dtype]) | np.isinf(x)] for x in found]
    x = np.concatenate(found)
    if op != "pow":
        return [x]
    y = np.where(
        draw.random(x.size) < 0.5, draw.uniform(-40, 40, x.size), draw.choice([*EXPONENTS, *range(-20, 20)], x.size)
    )
    # Exponents that make results of all sizes, where the logarithm needs the most digits.
    near = draw.random(x.size) < 0.5
    with np.errstate(all="ignore"):
        large = draw.uniform(-1, 1, x.size) * most / np.log(np.abs(x.astype(np.float64)))
        return [x, np.where(near & np.isfinite(large), large, y).astype(dtype)]


def _bit_patterns(op: str, every: int) -> Iterator[Array]:
    """Each so manieth float32 there is."""
    for start in range(0, 2**32, every << 20):
        stop = min(start + (every << 20), 2**32)
        x = np.arange(start, stop, every, dtype=np.uint64).astype(np.uint32).view(np.float32)
        if op in ("sin", "cos"):
            x = x[~(np.abs(x) > CIRCLE["float32"]) | np.isinf(x)]
        if x.size:
            yield x


def worst(loops: Loops, name: str, arguments: list[Array]) -> tuple[float, tuple[float, ...]]:
    """The largest error of a function, and where it is."""
    op = name.rsplit("_", 1)[0]
    off = errors(loops[name](*arguments), exact(op, *arguments))
    at = int(np.argmax(off))
    return float(off[at]), tuple(float(x[at]) for x in arguments)


def _rate(call: Callable[[], object], size: int) -> float:
    """Elements per nanosecond, in the best of some runs."""
    best = math.inf
    for _ in range(30):
        start = time.perf_counter_ns()
        call()
        best = min(best, time.perf_counter_ns() - start)
    return size / best


def main() -> None:
    parser = argparse.ArgumentParser(description="The error of the native engine's mathematics, and its speed.")
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(NAMES), help="functions, as exp_float32 (all)")
    parser.add_argument("--every", type=int, default=997, help="take each so manieth float32 there is (997)")
    parser.add_argument("--count", type=int, default=400_000, help="numbers to draw from each range (400,000)")
    parser.add_argument("--cpu", default="", help="a processor as LLVM names it, that this one can stand for")
    chosen = parser.parse_args()
    if np.finfo(np.longdouble).eps > 1e-18:
        print("long double is no wider than float64 here: float64's errors below are too large by up to 1")
    start = time.perf_counter()
    loops = Loops(on=target(chosen.cpu))
    print(f"compiled in {time.perf_counter() - start:.2f} s; errors in units in the last place, speed per nanosecond")
    print(f"{'function':16}{'error':>7}  {'worst at':32}{'numbers':>12}{'native':>8}{'NumPy':>8}")
    for name in chosen.names:
        op, dtype = name.rsplit("_", 1)
        given = samples(op, dtype, chosen.count)
        numbers, largest = given[0].size, worst(loops, name, given)
        if dtype == "float32" and op != "pow":
            for x in _bit_patterns(op, chosen.every):
                numbers, largest = numbers + x.size, max(largest, worst(loops, name, [x]), key=lambda found: found[0])
        x = np.random.default_rng(0).uniform(0.1, 5, 16384).astype(dtype)
        arguments = [x, np.full_like(x, 2.7)] if op == "pow" else [x]
        out = np.empty_like(x)
        native = _rate(lambda: loops[name](*arguments[:1], arguments[-1], out), x.size)  # noqa: B023
        # NumPy has no erf.
        numpy = math.nan if op == "erf" else _rate(lambda: EXACT[op](*arguments), x.size)  # noqa: B023
        where = ", ".join(f"{number:.9g}" for number in largest[1])
        print(f"{name:16}{largest[0]:7.2f}  {where:32}{numbers:12,}{native:8.2f}{numpy:8.2f}", flush=True)


if __name__ == "__main__":
    main()
