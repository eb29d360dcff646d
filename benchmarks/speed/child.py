"""One process of a measurement: a peer trains a workload; its first losses and the median time of a step are printed.

python -m benchmarks.speed.child FOLDER PEER WORKLOAD SECONDS
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.speed.data import read
from benchmarks.speed.peers import Peer, Runner, peers
from benchmarks.speed.workload import Workload, batches
from benchmarks.speed.workloads import WORKLOADS

#: Seconds of the steps that are timed together: as long as the training loop stays in one call.
TOGETHER = 0.1
MOST = 20_000


def train(folder: Path, peer: Peer, workload: Workload, seconds: float) -> dict[str, Any]:
    """The losses of the first steps, and microseconds a step."""
    why = peer.refuses(workload)
    if why:
        return {"refused": why}
    dtype = peer.module.DTYPE
    # Masks of dropout differ from peer to peer, so what is compared is the network without them.
    whole = workload.without_dropout()
    runner = peer.runner(read(folder, whole, dtype))
    samples = len(read(folder, workload, dtype).inputs)
    compared = [float(loss) for loss in runner.run(runner.order(batches(workload, samples, workload.compared)))]
    if whole != workload:
        runner = peer.runner(read(folder, workload, dtype))
    times = time_steps(runner, workload, samples, seconds)
    return {"losses": compared, "microseconds": statistics.median(times), "least": min(times), "chunks": len(times)}


def time_steps(runner: Runner, workload: Workload, samples: int, seconds: float) -> list[float]:
    """Microseconds a step, of several steps together, again and again for so many seconds."""
    count = 8
    for place in range(3):  # the first call may compile, and each new count may
        order = runner.order(batches(workload, samples, count, place))
        runner.run(order)
        start = time.perf_counter()
        runner.run(order)
        each = (time.perf_counter() - start) / count
        count = min(max(round(TOGETHER / each), 4), MOST)
    orders = [batches(workload, samples, count, 10 + place) for place in range(3)]
    runner.run(runner.order(orders[0]))
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 1000):
        order = runner.order(orders[len(times) % 3])
        start = time.perf_counter()
        runner.run(order)
        times.append((time.perf_counter() - start) / count * 1e6)
    return times


def main() -> None:
    folder, key, name, seconds = sys.argv[1:]
    try:
        found = train(Path(folder), peers()[key], WORKLOADS[name], float(seconds))
    except Exception as error:
        # A peer may be absent, or lack a compiler: that is said in its place in the table.
        if key == "chainrule":
            raise
        found = {"refused": f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
