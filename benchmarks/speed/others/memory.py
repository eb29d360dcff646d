"""Peak resident memory of training beyond the interpreter, NumPy and the data.

python -m benchmarks.speed.others.memory FOLDER PEER WORKLOAD    prints the bytes
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.speed.page import Line
from benchmarks.speed.peers import COMPARED, peers
from benchmarks.speed.workload import batches, read
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
    runner = chosen.runner(given)
    runner.run(runner.order(batches(task, len(given.inputs), COMPARED)))
    return resident("VmHWM") - before


def _process(folder: Path, peer: str, workload: str) -> str:
    from benchmarks.speed.training import run_module

    # Nothing is compiled yet: what the compiler needs is part of a first training.
    with tempfile.TemporaryDirectory() as cache:
        return run_module("others.memory", str(folder), peer, workload, environment={"CHAINRULE_CACHE": cache})


def measure(folder: Path, quick: bool) -> list[Line]:
    """Of a small network and of larger ones, the median of three processes."""
    if not Path("/proc/self/clear_refs").exists():
        return [Line("peak memory of training", "not measured: it is read from /proc, which is not here", "a quarter")]
    lines = []
    for name in ("tiny", "mlp-128", "mlp-bn"):
        found: dict[str, float] = {}
        for peer in PEERS:
            printed = [_process(folder, peer, name) for _ in range(1 if quick else 3)]
            found[peer] = statistics.median(int(text.split()[-1]) for text in printed) / 1e6
        share = found["chainrule"] / found["torch-1"]
        told = ", ".join(f"{PEERS[peer]} {megabytes:,.0f} MB" for peer, megabytes in found.items())
        what = f"peak memory of training {name}, nothing compiled, beyond interpreter, NumPy and data"
        lines.append(Line(what, f"{told}; {share:.2f} of PyTorch's", f"{BAR}", share <= BAR))
    return lines


if __name__ == "__main__":
    print(beyond(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
