"""What recalling lines of the cache that another core has read changes for a step, at this moment.

python benchmarks/apart.py [--times 5]

Two cores with a cache in common hardly notice that the other has a copy of what they write. Two without one, as on
processors of several parts or where a system moves a program about, take some thirty times as long. Each row is a step
with such lines recalled where a call found that to pay, and never; and how many calls did.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

if __package__ in (None, ""):
    import sys

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import networks
from chainrule import graph as g
from chainrule.engines.native import NativeEngine, recalling
from chainrule.engines.native.program import NativeProgram
from chainrule.graph import Build, Graph, Node

#: Steps in one call, and calls of which the median is taken.
_STEPS, _CALLS = 4, 5


def recurrent(batch: int = 128, length: int = 28, width: int = 28, units: int = 128) -> networks.Step:
    """An LSTM whose last state says which of ten classes."""
    network = networks.Network()
    random = np.random.default_rng(0)
    with Build() as build:
        x = network.given("x", random.standard_normal((length, batch, width), np.float32))
        labels = network.given("labels", random.integers(0, 10, batch, np.int32))
        weight = network.parameter("weight", width, 4 * units, fan_in=width)
        own = network.parameter("own", units, 4 * units, fan_in=units)
        bias = network.parameter("bias", 4 * units)

        def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            state, cell = carries
            both = slices[0] @ weight + state @ own + g.broadcast_to(bias, (batch, 4 * units))
            i, f, n, o = (both[:, k * units : (k + 1) * units] for k in range(4))
            cell = g.sigmoid(f) * cell + g.sigmoid(i) * g.tanh(n)
            return [g.sigmoid(o) * g.tanh(cell), cell], []

        (last, _), _ = g.scan(body, [g.full((batch, units), 0.0, "float32")] * 2, [x])
        loss = networks.cross_entropy(network.dense("last", last, 10), labels)
        return Graph.of(networks.adam(network, loss), build), network.arrays


ROWS: dict[str, Callable[[], networks.Step]] = {
    "lstm": recurrent,
    "transformer": networks.transformer,
    "residual": lambda: networks.residual(64),
}


class Row:
    """A step, compiled both ways."""

    def __init__(self, make: Callable[[], networks.Step]) -> None:
        graph, arrays = make()
        arrays = {name: np.asarray(arrays[name]) for name in graph.inputs}
        self.state = {name: array for name, array in arrays.items() if name in graph.outputs}
        self.fixed = {name: array for name, array in arrays.items() if name not in graph.outputs}
        self.programs: dict[str, NativeProgram] = {}
        for way, knows in (("recalled", recalling.known), ("never", lambda *_: False)):
            with mock.patch.object(recalling, "known", knows):
                self.programs[way] = NativeEngine(cores=2).compile(graph)

    def time(self, way: str) -> float:
        """Milliseconds a step."""
        program = self.programs[way]
        start = time.perf_counter()
        self.state, _ = program.repeat(self.state, self.fixed, {"turn": np.zeros(_STEPS)})
        return (time.perf_counter() - start) / _STEPS * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="how often each row is measured, the ways in turn")
    times = parser.parse_args().times
    rows = {name: Row(make) for name, make in ROWS.items()}
    print("| step | lines recalled | never | calls that recalled |")
    print("|---|---:|---:|---:|")
    for _ in range(times):
        for name, row in rows.items():
            before = row.programs["recalled"].recalls
            pairs = [{way: row.time(way) for way in row.programs} for _ in range(_CALLS)]
            recalled, never = (statistics.median(pair[way] for pair in pairs) for way in ("recalled", "never"))
            calls = row.programs["recalled"].recalls - before
            print(f"| {name} | {recalled:.1f} ms | {never:.1f} ms | {calls} of {_CALLS} |", flush=True)


if __name__ == "__main__":
    main()
