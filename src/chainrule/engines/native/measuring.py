"""What this machine can do, measured here and now: the peak of one core, and what memory gives."""

from __future__ import annotations

import functools
import time

import numpy as np

from chainrule.engines.native.engine import NativeEngine
from chainrule.graph import Graph, contract, input


@functools.cache
def peak(dtype: str = "float32") -> float:
    """Operations a second of one core: the best of a contraction that stays in the first cache."""
    a, b = input("a", (48, 64), dtype), input("b", (64, 64), dtype)
    program = NativeEngine().compile(Graph({"c": contract(a, b, "mk,kn->mn")}))
    ones = {"a": np.ones((48, 64), dtype), "b": np.ones((64, 64), dtype)}
    many = {"a": np.ones((400, 48, 64), dtype)}
    program.run(ones)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        program.repeat({}, {"b": ones["b"]}, many)
        best = min(best, time.perf_counter() - start)
    return 400 * 2 * 48 * 64 * 64 / best


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
