"""Peak resident memory of training beyond the interpreter, NumPy and the data.

python -m benchmarks.speed.others.memory FOLDER PEER WORKLOAD    prints the bytes
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.data import read
from benchmarks.speed.page import Line
from benchmarks.speed.peers import peers
from benchmarks.speed.workload import batches
from benchmarks.speed.workloads import WORKLOADS

BAR = 0.25
PEERS = {"chainrule": "chainrule", "torch-1": "PyTorch", "jax": "JAX"}


def resident(name: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (at most so far) of this process, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0


def beyond(folder: Path, peer: str, workload: str) -> int:
    """How much the peak grows from the moment on at which the interpreter, NumPy and the data are there."""
    chosen, task = peers()[peer], WORKLOADS[workload]
    # Which dtype a peer takes stands in its file, which imports its library: so the data are those of float32 for all.
    given = read(folder, task, "float32")
    given.inputs.sum()  # every page of it is there
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    before = resident("VmRSS")
    assert not {"chainrule", "torch", "jax"} & set(sys.modules), "imported before the measurement began"
    runner = chosen.runner(given)
    runner.run(runner.order(batches(task, len(given.inputs), task.compared)))
    return resident("VmHWM") - before


def _pair(folder: Path, peer: str, workload: str) -> tuple[int, int]:
    """The bytes of a first training, for which chainrule compiles, and of one that finds all compiled."""
    from benchmarks.speed.training import run_module

    with tempfile.TemporaryDirectory() as cache:
        words, environment = (str(folder), peer, workload), {"CHAINRULE_CACHE": cache}
        first, second = (int(run_module("others.memory", *words, environment=environment)) for _ in range(2))
        return first, second


def measure(folder: Path, quick: bool) -> list[Line]:
    """Of a small network and of larger ones, the median of three processes."""
    if not Path("/proc/self/clear_refs").exists():
        return [Line("peak memory of training", "not measured: it is read from /proc, which is not here", "a quarter")]
    lines = []
    for name in ("tiny", "mlp-128", "mlp-bn"):
        found: dict[str, dict[str, float]] = {"nothing compiled": {}, "all compiled": {}}
        for peer in PEERS:
            pairs = [_pair(folder, peer, name) for _ in range(1 if quick else 3)]
            for row, sizes in zip(found.values(), zip(*pairs, strict=True), strict=True):
                row[peer] = statistics.median(sizes) / 1e6
        for state, row in found.items():
            share = row["chainrule"] / row["torch-1"]
            told = ", ".join(f"{PEERS[peer]} {megabytes:,.0f} MB" for peer, megabytes in row.items())
            what = f"peak memory of training {name}, {state}, beyond interpreter, NumPy and data"
            lines.append(Line(what, f"{told}; {share:.2f} of PyTorch's", f"{BAR}", share <= BAR))
    return lines


if __name__ == "__main__":
    print(beyond(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
