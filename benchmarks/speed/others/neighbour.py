"""A step while another process holds one core: how many times as long as undisturbed.

python -m benchmarks.speed.others.neighbour FOLDER PEER WORKLOAD SECONDS    prints the two medians
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import sys
from pathlib import Path

from benchmarks.speed.child import time_steps
from benchmarks.speed.data import read
from benchmarks.speed.page import Line
from benchmarks.speed.peers import cores, peers
from benchmarks.speed.workloads import WORKLOADS

BAR = 3.0


def hold_a_core() -> None:
    """Work without end, on the first core that is allowed."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    while True:
        pass


def undisturbed_and_not(folder: Path, key: str, name: str, seconds: float) -> tuple[float, float]:
    """The median microseconds of a step, alone, and beside a process that holds a core."""
    peer, workload = peers()[key], WORKLOADS[name]
    given = read(folder, workload, peer.module.DTYPE)
    runner = peer.runner(given)
    alone = statistics.median(time_steps(runner, workload, len(given.inputs), seconds))
    # A process of its own, begun anew: one that is forked takes the peer's threads half with it.
    neighbour = multiprocessing.get_context("spawn").Process(target=hold_a_core, daemon=True)
    neighbour.start()
    try:
        beside = statistics.median(time_steps(runner, workload, len(given.inputs), seconds))
    finally:
        neighbour.kill()
        neighbour.join()
    return alone, beside


def measure(folder: Path, quick: bool) -> list[Line]:
    """A small, a middling and a larger step, chainrule and PyTorch."""
    from benchmarks.speed.training import run_module

    lines = []
    for name in ("tiny", "mlp-32", "mlp-128"):
        found = {}
        for key in ("chainrule", f"torch-{cores()}", "jax"):
            printed = [
                json.loads(run_module("others.neighbour", str(folder), key, name, "0.5" if quick else "2"))
                for _ in range(1 if quick else 3)
            ]
            found[key] = sorted(printed, key=lambda pair: pair[1] / pair[0])[len(printed) // 2]
        ratios = {key: beside / alone for key, (alone, beside) in found.items()}
        told = ", ".join(
            f"{peers()[key].title} {alone:,.1f} → {beside:,.1f} ({ratios[key]:.1f}×)"
            for key, (alone, beside) in found.items()
        )
        what = f"{name} beside a process that holds one core: µs a step"
        lines.append(Line(what, told, f"{BAR:g}×", ratios["chainrule"] <= BAR))
    return lines


if __name__ == "__main__":
    print(json.dumps(undisturbed_and_not(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))))
