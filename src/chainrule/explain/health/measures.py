"""What a training looks like inside at one moment: a graph of its own, made of the step's own nodes.

The step is built once more for a batch that is given, and numbers are added about the nodes that it has: what each
layer gives, the gradient there, and how far the update moves each weight. So nothing is computed in another way than
the step does it, and the step itself stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.engines.protocol import Program
from chainrule.gradients import gradients
from chainrule.graph import FLOATS, Build, Graph, Node
from chainrule.graph.composites import absolute, mean, sqrt
from chainrule.layers.scope import PARAMETERS, Applied, Record, is_weight
from chainrule.training import Batch, DataSpec, StepState

if TYPE_CHECKING:
    from chainrule.run import Data, Run

#: As many samples show which units never answer; a training whose batches are larger is looked at with such a batch.
FEWEST_SAMPLES = 128
#: A value counts as saturated where the slope is below this share of the largest that the function has.
FLAT = 0.05
#: Where that is so: for y = σ(x), whose slope y·(1 - y) is at most 1/4, and for y = tanh(x), whose slope is 1 - y².
_ENDS = {"sigmoid": (0.5, 0.5 * (1 - FLAT) ** 0.5), "tanh": (0.0, (1 - FLAT) ** 0.5)}


@dataclass(frozen=True)
class LayerHealth:
    """One layer at one moment; what does not apply to it is NaN.

    ``mean`` and ``deviation`` are of its output over the batch; ``dead`` is the part of its units that are 0 for each
    sample, ``saturated`` the part of its values where its sigmoid or tanh is flat. ``gradient`` is the norm of the
    loss's gradient by its output. ``weight_gradient`` and ``update`` are of its weights: the gradient's norm, and how
    long the update is beside the weights. ``equal`` is whether all units have the same weights and gradients.
    """

    path: str
    activation: str
    mean: float
    deviation: float
    dead: float
    saturated: float
    gradient: float
    weight_gradient: float
    update: float
    equal: bool


@dataclass(frozen=True)
class Health:
    """A training at one moment: the step's number, the loss of the batch looked at, each layer, the last one's name.

    ``inputs`` is the root mean square of each input as the network sees it, or None for a step that has no "inputs".
    """

    step: int
    loss: float
    layers: tuple[LayerHealth, ...]
    inputs: NDArray[Any] | None = None
    last: str = ""

    def worst(self) -> dict[str, float]:
        """The numbers of the layer that is worst in each: what is worth a column in a history."""
        columns = {name: [float(getattr(one, name)) for one in self.layers] for name in ("dead", "saturated", "update")}
        return {f"health_{name}": max([v for v in column if v == v], default=0.0) for name, column in columns.items()}


class Probe:
    """The measuring graph of a run, compiled once: ``probe.look()`` is the health of the run as it is now."""

    def __init__(self, run: Run, data: Data) -> None:
        self.run = run
        spec, arrays = run._data(data)
        size = min(spec.samples, max(run.batch_size, FEWEST_SAMPLES))
        # Spread over the data, which may be in the order of their classes.
        rows = np.linspace(0, spec.samples - 1, size).astype(np.int64)
        #: What the graph is given beside the run's own state: the batch, what prepares it, the seed.
        self.given: dict[str, Any] = {f"batch/{name}": arrays[name][rows] for name in spec.arrays}
        self.given |= {f"data/{name}": array for name, array in arrays.items() if name not in spec.arrays}
        self.given["seed"] = np.asarray(run.seed & 0xFFFFFFFF, np.uint32)
        self.spec = DataSpec(size, spec.arrays, spec.preparing, spec.classes)
        measured, self.layers, self.last = _build(run, self.spec)
        self._program: Program = run.engine.compile(measured)

    def look(self) -> Health:
        """The numbers at the parameters, the optimizer's memory and the step that the run has now."""
        pool = {**self.run.numbers, **self.run.arrays, **self.given}
        inputs = self._program.graph.inputs
        found = self._program.run({name: np.asarray(pool[name], node.dtype) for name, node in inputs.items()})
        return Health(
            int(self.run.arrays["step"]),
            float(found["loss"]),
            tuple(_layer(path, activation, found) for path, activation in self.layers.items()),
            found.get("inputs"),
            self.last,
        )


def _build(run: Run, spec: DataSpec) -> tuple[Graph, dict[str, str], str]:
    """The measuring graph, the layers with their activations, and the activation that the outputs end in."""
    with Build() as build:
        record = Record(run.dtype)
        state = StepState(record, training=True)
        batch = Batch(spec, spec.samples, run.dtype, select=False)
        run.step.function(state, batch)
        layers = dict(_leaves(record.applied))
        named = {path: _activation(node, build) for path, node in layers.items()}
        outputs: dict[str, Node] = {"loss": state.descents[0].loss}
        if "inputs" in batch:
            x = batch.inputs
            outputs["inputs"] = sqrt(mean(x * x, range(x.rank - 1)))
        slopes = dict(zip(layers, gradients(state.descents[0].loss, list(layers.values())), strict=True))
        for path, node in layers.items():
            outputs |= {f"{name}/{path}": one for name, one in _of_output(node, slopes[path], named[path])}
        for descent in state.descents:
            for path, slope in descent.gradients.items():
                if is_weight(path):
                    old = graph.input(f"{PARAMETERS}/{path}", slope.shape, slope.dtype)
                    new = record.values[f"{PARAMETERS}/{path}"]
                    outputs |= {f"{name}/{path}": one for name, one in _of_weight(old, slope, new - old)}
        last = next((_activation(one.node, build) for one in record.applied if one.node is not None), "")
        return Graph.of(outputs, build), named, last


def _leaves(applied: Sequence[Applied]) -> Iterator[tuple[str, Node]]:
    """Each layer once by path, without those that only hold others."""
    within = {one.path.rpartition(".")[0] for one in applied if one.path}
    for one in applied:
        if one.node is not None and one.node.dtype in FLOATS and one.path not in within:
            yield one.path, one.node


def _activation(node: Node, build: Build) -> str:
    region = build.regions.get(node)
    return region.name if region is not None else node.op if node.op in _ENDS else ""


def _of_output(node: Node, slope: Node, activation: str) -> Iterator[tuple[str, Node]]:
    middle = mean(node)
    yield "mean", middle
    yield "deviation", sqrt(mean((node - graph.broadcast_to(middle, node.shape)) ** 2))
    yield "gradient", _norm(slope)
    if activation == "relu":
        largest = graph.max(node, range(node.rank - 1))
        yield "dead", mean(graph.cast(largest <= 0, node.dtype))
    if activation in _ENDS:
        centre, far = _ENDS[activation]
        yield "saturated", mean(graph.cast(absolute(node - centre) > far, node.dtype))


def _of_weight(old: Node, slope: Node, move: Node) -> Iterator[tuple[str, Node]]:
    yield "weight", _norm(old)
    yield "slope", _norm(slope)
    yield "move", _norm(move)
    if old.rank > 1 and old.shape[-1] > 1:
        # Largest differences between units, of the weights and of their gradients.
        for name, x in (("spread", old), ("slope_spread", slope)):
            yield name, graph.max(graph.max(x, x.rank - 1) + graph.max(-x, x.rank - 1))


def _norm(x: Node) -> Node:
    return sqrt(graph.sum(x * x))


def _layer(path: str, activation: str, found: Mapping[str, Any]) -> LayerHealth:
    def number(name: str, of: str = path) -> float:
        return float(found.get(f"{name}/{of}", np.nan))

    own = [
        name.partition("/")[2]
        for name in found
        if name.startswith("weight/") and name.partition("/")[2].rpartition(".")[0] == path
    ]
    size, slope, move = (
        float(np.sqrt(np.sum([number(name, one) ** 2 for one in own]))) if own else np.nan
        for name in ("weight", "slope", "move")
    )
    # Rounding alone tells units apart that are meant to be one.
    alike = [
        number("spread", one) <= 1e-6 * number("weight", one)
        and number("slope_spread", one) <= 1e-4 * number("slope", one)
        for one in own
        if f"spread/{one}" in found
    ]
    return LayerHealth(
        path, activation, number("mean"), number("deviation"), number("dead"), number("saturated"),
        number("gradient"), slope, (move / size if size else np.inf if move else 0.0) if own else np.nan,
        bool(alike) and all(alike),
    )  # fmt: skip
