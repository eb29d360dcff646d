"""What this machine can do, measured here and now: the peak of one core, and what memory gives."""

from __future__ import annotations

import ctypes
import functools
import time

import numpy as np

from chainrule.engines.native.machine import ATTRIBUTES, Code, compile_object, target

#: Chains of multiplications and additions that wait for nothing but themselves: enough to keep every unit busy.
_CHAINS = 12
_TURNS = 20_000


@functools.cache
def peak(dtype: str = "float32") -> float:
    """Operations a second of one core: multiplications and additions of whole vectors that never leave their registers.

    >>> peak("float32") > 1e8
    True
    """
    chosen = target()
    kind = {"float32": "float", "float64": "double"}[dtype]
    lanes = chosen.vector_bytes // np.dtype(dtype).itemsize
    run = Code(compile_object(_chains(f"<{lanes} x {kind}>", f"v{lanes}f{8 * np.dtype(dtype).itemsize}"), chosen))
    call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)(run.address("chains"))
    values = np.full((3, lanes), 0.5, dtype)  # of aₙ₊₁ = a·aₙ + b: always near 1, never too small
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        call(_TURNS, values.ctypes.data)
        best = min(best, time.perf_counter() - start)
    return 2 * _TURNS * _CHAINS * lanes / best


def _chains(vector: str, suffix: str) -> str:
    """A loop of ``chain = chain·a + b`` over vectors, and the sum of all chains written at the end."""
    numbers = range(_CHAINS)
    begins = [f"  %x{n} = phi {vector} [ %a, %entry ], [ %y{n}, %turn ]" for n in numbers]
    turns = [
        f"  %y{n} = call {vector} @llvm.fmuladd.{suffix}({vector} %x{n}, {vector} %a, {vector} %b)" for n in numbers
    ]
    sums = [f"  %s{n} = fadd {vector} {f'%s{n - 1}' if n else '%a'}, %y{n}" for n in numbers]
    return "\n".join(
        [
            f"declare {vector} @llvm.fmuladd.{suffix}({vector}, {vector}, {vector})",
            "define void @chains(i64 %count, ptr %values) #0 {",
            "entry:",
            f"  %a = load {vector}, ptr %values, align 4",
            f"  %b.at = getelementptr inbounds {vector}, ptr %values, i64 1",
            f"  %b = load {vector}, ptr %b.at, align 4",
            f"  %sum.at = getelementptr inbounds {vector}, ptr %values, i64 2",
            "  br label %turn",
            "turn:",
            "  %t = phi i64 [ 0, %entry ], [ %t1, %turn ]",
            *begins,
            *turns,
            "  %t1 = add nuw nsw i64 %t, 1",
            "  %more = icmp slt i64 %t1, %count",
            "  br i1 %more, label %turn, label %end",
            "end:",
            *sums,
            f"  store {vector} %s{_CHAINS - 1}, ptr %sum.at, align 4",
            "  ret void",
            "}",
            f"attributes #0 = {{ {ATTRIBUTES} }}",
        ]
    )


@functools.cache
def copy_bandwidth() -> float:
    """Bytes a second, read and written, of a copy that is larger than the caches."""
    source = np.ones(2**26, np.uint8)
    target = np.empty_like(source)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - start)
    return 2 * source.size / best
