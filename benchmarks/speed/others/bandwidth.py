"""Elementwise functions and reductions of arrays larger than the caches: beside the time that their bytes need.

python -m benchmarks.speed.others.bandwidth MEGABYTES    prints the seconds and bytes of each, and a copy's rate
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.machine import copy_bandwidth
from benchmarks.speed.page import Line
from benchmarks.speed.peers import cores
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.graph import Graph, Node
from chainrule.graph.composites import log_softmax, relu, softmax

BAR = 1.3
#: Columns of the arrays: as wide as a layer, so that rows are short and many.
WIDTH = 512

# Each makes, of x and of a number k that is new in each run, what is computed; and says how many times the array is
# read and written at least. What gives an array is fed back into x, so that no run writes to memory that is new.
Case = tuple[Callable[[Node, Node], Node], int]


def _wide(k: Node, x: Node) -> Node:
    return graph.broadcast_to(k, x.shape)


CASES: dict[str, Case] = {
    "x·½ + k": (lambda x, k: x * 0.5 + _wide(k, x), 2),
    "relu(x) - k": (lambda x, k: relu(x) - _wide(k, x), 2),
    "exp(-x²) + k": (lambda x, k: graph.exp(-(x * x)) + _wide(k, x), 2),
    "tanh(x) + k": (lambda x, k: graph.tanh(x) + _wide(k, x), 2),
    "sum of x·k": (lambda x, k: graph.sum(x * _wide(k, x)), 1),
    "sum of each row of x·k": (lambda x, k: graph.sum(x * _wide(k, x), 1), 1),
    "sum of each column of x·k": (lambda x, k: graph.sum(x * _wide(k, x), 0), 1),
    "largest of each row of x·k": (lambda x, k: graph.max(x * _wide(k, x), 1), 1),
    "softmax of each row + k": (lambda x, k: softmax(x) + _wide(k, x), 2),
    "log softmax of each row + k": (lambda x, k: log_softmax(x) + _wide(k, x), 2),
}


def seconds_of(case: Case, x: np.ndarray[Any, Any]) -> float:
    """Seconds of a run, the call around it taken off: many runs, less one run, by their number."""
    make, _ = case
    output = make(graph.input("x", x.shape), graph.input("k"))
    fed_back = output.shape == x.shape
    program = NativeEngine().compile(Graph({"x" if fed_back else "y": output}))
    state, fixed = ({"x": x}, {}) if fed_back else ({}, {"x": x})

    def many(count: int) -> float:
        each = {"k": np.linspace(0.5, 1.0, count, dtype=np.float32)}
        start = time.perf_counter()
        program.repeat(state, fixed, each)
        return time.perf_counter() - start

    many(2)
    # Two runs are the least that touch both sides of the state.
    return statistics.median((many(10) - many(2)) / 8 for _ in range(5))


def all_seconds(megabytes: int) -> dict[str, Any]:
    """Each case's seconds and bytes, and the rate of a copy."""
    x = np.random.default_rng(2).standard_normal(((megabytes << 20) // (4 * WIDTH), WIDTH)).astype(np.float32)
    rate = max(copy_bandwidth(threads, megabytes) for threads in {1, cores()})
    return {
        "rate": rate,
        "cases": {name: (seconds_of(case, x), case[1] * x.nbytes) for name, case in CASES.items()},
    }


def measure(folder: Path, quick: bool) -> list[Line]:
    """All cases, the median of three processes, each beside its own copy."""
    from benchmarks.speed.training import run_module

    megabytes = 64
    printed = [json.loads(run_module("others.bandwidth", str(megabytes))) for _ in range(1 if quick else 3)]
    rate = statistics.median(found["rate"] for found in printed)
    lines = [Line(f"copy of {megabytes} MB, bytes read and written", f"{rate / 1e9:.1f} GB/s")]
    for name in CASES:
        times = [found["cases"][name][0] / (found["cases"][name][1] / found["rate"]) for found in printed]
        ratio = statistics.median(times)
        each = statistics.median(found["cases"][name][0] for found in printed)
        what = f"{name}, {megabytes} MB"
        lines.append(Line(what, f"{each * 1e3:.1f} ms, {ratio:.2f} of its bytes' time", f"{BAR}", ratio <= BAR))
    return lines


if __name__ == "__main__":
    print(json.dumps(all_seconds(int(sys.argv[1]))))
