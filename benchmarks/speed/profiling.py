"""Where each microsecond of a step goes, and what bounds each kernel."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.child import time_steps
from benchmarks.speed.data import read
from benchmarks.speed.machine import copy_bandwidth
from benchmarks.speed.peers import chainrule_peer
from benchmarks.speed.workload import Workload
from chainrule.engines.native import NativeEngine
from chainrule.engines.native.inspecting import Spent, table
from chainrule.engines.native.measuring import peak


def bound(row: Spent, operations: float, bandwidth: float) -> str:
    """What keeps a kernel from being faster, by the peaks of one core."""
    arithmetic = row.operations / operations / max(row.seconds, 1e-12)
    memory = row.bytes / bandwidth / max(row.seconds, 1e-12)
    if max(arithmetic, memory) < 0.5:
        return f"neither arithmetic ({arithmetic:.0%}) nor memory ({memory:.0%}): latency, shape, or what surrounds it"
    if arithmetic >= memory:
        return f"arithmetic ({arithmetic:.0%} of the peak)"
    place = "memory" if memory <= 1.1 else "the cache, faster than memory"
    return f"{place} ({memory:.0%} of a copy's bandwidth)"


def profile(folder: Path, workload: Workload, seconds: float = 1.0) -> str:
    """The profile of a workload as text, beside the time of a step without profiling."""
    engine = NativeEngine(profile=True)
    watched = chainrule_peer.Runner(read(folder, workload, chainrule_peer.DTYPE), engine=engine)
    plain = chainrule_peer.Runner(read(folder, workload, chainrule_peer.DTYPE))
    samples = len(read(folder, workload, chainrule_peer.DTYPE).inputs)
    program: Any = watched.program
    time_steps(watched, workload, samples, seconds)
    rows: Sequence[Spent] = program.profile()
    step = statistics.median(time_steps(plain, workload, samples, seconds))
    operations, bandwidth = peak(), copy_bandwidth(1)
    lines = [
        f"{workload.name}: {workload}",
        f"{step:.1f} µs a step; {sum(row.seconds for row in rows) * 1e6:.1f} µs with the profile's own counting",
        f"peaks of one core: {operations / 1e9:.0f} GFLOP/s by the generator, {bandwidth / 1e9:.1f} GB/s by a copy",
        str(program.plan),
        "",
        table(rows, operations, most=len(rows)),
        "",
        "bound by:",
        *(f"{row.share:6.1%} {row.kernel}: {bound(row, operations, bandwidth)}" for row in rows if row.share >= 0.01),
    ]
    return "\n".join(lines)
