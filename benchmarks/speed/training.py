"""The rows of training: five processes of each peer in turn, until the ratio is decided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.speed.figures import Measured, best_peer, differences, refuse_other_work, undecided
from benchmarks.speed.peers import Peer
from benchmarks.speed.workload import Workload

ROOT = Path(__file__).resolve().parents[2]
Child = Callable[[str, str], dict[str, Any]]


def run_module(module: str, *words: str, timeout: float = 900, environment: Mapping[str, str] | None = None) -> str:
    """What a program of this folder prints, run in a process of its own."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.speed.{module}", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def child(folder: Path, seconds: float, timeout: float = 900) -> Child:
    """How one process is started: by peer and workload; it ends after ``timeout`` seconds at the latest."""

    def start(peer: str, workload: str) -> dict[str, Any]:
        try:
            printed = run_module("child", str(folder), peer, workload, str(seconds), timeout=timeout)
        except subprocess.TimeoutExpired:
            return {"refused": f"it did not end within {timeout:.0f} s"}
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found

    return start


def measure(
    workload: Workload,
    peers: Mapping[str, Peer],
    start: Child,
    *,
    rounds: int = 5,
    most: int = 15,
    tell: Callable[[str], None] = print,
) -> dict[str, Measured]:
    """Every peer on a workload: a process of each in turn, ``rounds`` times, and on while the ratio is undecided."""
    measured = {key: Measured(peer.title, peer.rated) for key, peer in peers.items() if peer.differs(workload)}
    for number in range(most):
        going = [key for key, found in measured.items() if not found.refused and (found.rated or number == 0)]
        if number >= rounds:
            best = best_peer(measured)
            if best is None or not undecided(measured["chainrule"], measured[best], workload.bar):
                break
            going = ["chainrule", best]
        # Each round begins with another, so that none always follows the same neighbour.
        turn = number % len(going)
        for key in [*going[turn:], *going[:turn]]:
            measured[key].add(start(key, workload.name))
            last = measured[key].microseconds[-1:]
            said = f"{last[0]:10.1f} µs" if last else measured[key].refused
            tell(f"  {workload.name} {number + 1}: {measured[key].title:24} {said}")
    refuse_other_work(measured)
    return measured


def row(workload: Workload, measured: Mapping[str, Measured], peaks: Mapping[str, float]) -> dict[str, Any]:
    """The figures of a workload, as they are kept."""
    own, best, apart = measured["chainrule"], best_peer(measured), differences(measured)
    rate = workload.operations / (own.median * 1e-6)
    found: dict[str, Any] = {
        "network": str(workload),
        "microseconds": {key: round(m.median, 2) for key, m in measured.items() if m.microseconds},
        "middle": {key: [round(x, 2) for x in m.middle] for key, m in measured.items() if m.microseconds},
        "processes": {key: len(m.microseconds) for key, m in measured.items() if m.microseconds},
        "titles": {key: m.title for key, m in measured.items()},
        "for_the_record": [key for key, m in measured.items() if not m.rated],
        "refused": {key: m.refused for key, m in measured.items() if m.refused},
        "compared": workload.compared,
        "differences": {key: float(f"{value:.2g}") for key, value in apart.items()},
        "gigaflops": round(rate / 1e9, 1),
        "share_of_peak": {name: round(rate / peak, 3) for name, peak in peaks.items()},
        "bar": workload.bar,
        "aim": workload.aim,
    }
    if best is not None:
        found |= {"best": best, "ratio": round(measured[best].median / own.median, 2)}
        found["decided"] = not undecided(own, measured[best], workload.bar)
    return found
