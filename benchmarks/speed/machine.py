"""What this machine can do and what is installed on it: the peaks that figures are shares of."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.peers import cores

PACKAGES = ("chainrule", "numpy", "llvmlite", "torch", "jax", "scikit-learn", "onnxruntime", "keras")


def made_with() -> dict[str, Any]:
    """The machine, and the versions of all that was measured."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"machine": f"{_processor()}, {cores()} cores, {platform.system()} {platform.machine()}", **versions}


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    vectors = " (AVX-512)" if "avx512f" in flags else " (AVX2)" if "avx2" in flags else ""
    return (names[0] if names else platform.processor() or platform.machine()) + vectors


def warn_if_busy(tell: Callable[[str], None] = print) -> None:
    """Say so if others are running: then the figures are theirs too."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3:
        tell(f"others are running here (load {load:.1f} on {cores()} cores): these figures are theirs too")


def product_peak(seconds: float = 1.0) -> float:
    """Operations a second of NumPy's matrix product, float32, 2048 × 2048, with the threads that it takes."""
    a = np.ones((2048, 2048), np.float32)
    out = np.empty_like(a)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        best = min(best, time.perf_counter() - start)
    return float(2 * 2048**3 / best)


def copy_bandwidth(threads: int, megabytes: int = 128) -> float:
    """Bytes a second, read and written, of a copy that is larger than the caches, by so many threads."""
    source, target = np.ones(megabytes << 20, np.uint8), np.zeros(megabytes << 20, np.uint8)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    best = float("inf")
    for _ in range(7):
        workers = [threading.Thread(target=np.copyto, args=part) for part in parts[1:]]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        np.copyto(*parts[0])
        for worker in workers:
            worker.join()
        best = min(best, time.perf_counter() - start)
    return 2 * source.size / best


def main() -> None:
    """Print the peaks, measured in this process."""
    if "product" in sys.argv:
        print(json.dumps(product_peak()))
    else:
        from chainrule.engines.native.measuring import peak

        print(json.dumps(peak()))


def peaks() -> dict[str, float]:
    """Operations a second: OpenBLAS on one core and on all, and the generator's best on one core times the cores."""
    from benchmarks.speed.training import run_module

    def best(what: str, environment: dict[str, str] | None = None) -> float:
        # The most of three processes: what others take away is no part of a peak.
        return max(float(run_module("machine", what, environment=environment)) for _ in range(3))

    return {
        "openblas_one_core": best("product", {"OPENBLAS_NUM_THREADS": "1"}),
        "openblas": best("product"),
        "generator": best("generator") * cores(),
    }


if __name__ == "__main__":
    main()
