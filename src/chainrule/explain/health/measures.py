"""What a training looks like inside at one moment: a graph of its own, made of the step's own nodes.

The step is built once more for a batch that is given, and numbers are added about the nodes that it has: what each
layer gives, the gradient there, and how far the update moves each weight. So nothing is computed in another way than
the step does it, and the step itself stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.engines.choose import choose
from chainrule.engines.protocol import Engine, Program
from chainrule.errors import ConfigurationError
from chainrule.explain.health.through_time import ThroughTime, followed, is_recurrence, norms_by_distance
from chainrule.explain.health.variety import Variety, makers, variety
from chainrule.gradients import gradients
from chainrule.graph import FLOATS, Build, Graph, Node, topological
from chainrule.graph.composites import absolute, mean, sqrt
from chainrule.layers.scope import PARAMETERS, Applied, Record, is_weight
from chainrule.training import Batch, DataSpec, StepState

if TYPE_CHECKING:
    from chainrule.run import Data, Run

#: As many samples show which units never answer; a training whose batches are larger is looked at with such a batch.
FEWEST_SAMPLES = 128
#: With batches smaller than this it is looked whether a layer goes by the other samples of its batch.
SMALL = 4
#: A value counts as saturated where the slope is below this share of the largest that the function has.
FLAT = 0.05
#: Units whose weights differ by less than this share of the root mean square of all are one unit, and gradients too.
ALIKE = 0.01
#: Where that is so: for y = σ(x), whose slope y·(1 - y) is at most 1/4, and for y = tanh(x), whose slope is 1 - y².
_ENDS = {"sigmoid": (0.5, 0.5 * (1 - FLAT) ** 0.5), "tanh": (0.0, (1 - FLAT) ** 0.5)}


@dataclass(frozen=True)
class LayerHealth:
    """One layer at one moment; what does not apply to it is NaN.

    ``mean`` and ``deviation`` are of its output over the batch; ``dead`` is the part of its units that are 0 for each
    sample, ``saturated`` the part of its values where its sigmoid or tanh is flat. ``gradient`` is the norm of the
    loss's gradient by its output. ``weight_gradient`` and ``update`` are of its weights: the gradient's norm, and how
    long the update is beside the weights. ``equal`` is whether all units have the same weights and gradients.
    ``gain`` is how many times the weights multiply the size of what passes, ‖W‖/√units: the root mean square on the way
    forwards, the norm of the gradient on the way back, each on average over all directions.

    A layer that is applied several times, ``uses``, as in a recurrence written out, is told by its last time;
    ``first_gradient`` is that by its first output.
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
    uses: int = 1
    first_gradient: float = np.nan
    gain: float = np.nan


@dataclass(frozen=True)
class Health:
    """A training at one moment: the step's number, the loss of the batch looked at, each layer, the last one's name.

    ``inputs`` is the root mean square of each input as the network sees it, or None for a step that has no "inputs".
    ``from_probabilities`` is how far what goes into a softmax of the loss is, for any sample, from numbers above 0
    whose sum is 1. ``mixing`` is the first layer that gives a sample another output if the rest of its batch is
    another; it is looked for only where batches are so small that it matters. ``samples`` is how many were looked at.
    ``varieties`` are of the models that make samples of noise, as in an adversarial pair.
    """

    step: int
    loss: float
    layers: tuple[LayerHealth, ...]
    inputs: NDArray[Any] | None = None
    last: str = ""
    loops: tuple[ThroughTime, ...] = ()
    from_probabilities: float = np.inf
    mixing: str = ""
    samples: int = 0
    varieties: tuple[Variety, ...] = ()

    @property
    def ends(self) -> frozenset[str]:
        """The layers whose outputs are outputs: the last of all, and the last of each model that makes samples."""
        last = {one.path for one in self.layers[-1:]}
        for maker in self.varieties:
            inside = f"{maker.model}." if maker.model else ""
            last.update([one.path for one in self.layers if one.path.startswith(inside)][-1:])
        return frozenset(last)

    def worst(self) -> dict[str, float]:
        """The numbers of the layer that is worst in each: what is worth a column in a history."""
        columns = {name: [float(getattr(one, name)) for one in self.layers] for name in ("dead", "saturated", "update")}
        return {f"health_{name}": max([v for v in column if v == v], default=0.0) for name, column in columns.items()}


class Probe:
    """The measuring graph of a run, compiled once: ``probe.look()`` is the health of the run as it is now.

    ``engine`` is that of the run unless another is given: for a single look the reference engine is the quicker one,
    since it has nothing to compile.
    """

    def __init__(self, run: Run, data: Data, engine: Engine | None = None) -> None:
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
        self._measured = _build(run, self.spec, alone=run.batch_size < SMALL)
        self._program: Program = (engine or run.engine).compile(self._measured.graph)

    def look(self) -> Health:
        """The numbers at the parameters, the optimizer's memory and the step that the run has now."""
        found = self._run(self.given)
        return Health(
            int(self.run.arrays["step"]),
            float(found["loss"]),
            tuple(_layer(path, activation, uses, found) for path, activation, uses in self._measured.layers),
            found.get("inputs"),
            self._measured.last,
            tuple(
                ThroughTime(where, norms_by_distance(_under(f"loop/{n}/", found), reverse))
                for n, (where, reverse) in enumerate(self._measured.loops)
            ),
            min((float(value) for name, value in found.items() if name.startswith("probabilities/")), default=np.inf),
            self._mixing(found),
            self.spec.samples,
            tuple(variety(path, found[f"made/{path}"], found["real"]) for path in self._measured.made),
        )

    def _mixing(self, found: Mapping[str, Any]) -> str:
        """The first layer whose output for the first sample is another if all of the batch is that sample."""
        first = {name: array for name, array in found.items() if name.startswith("alone/")}
        if not first:
            return ""
        same = {
            name: np.broadcast_to(array[:1], array.shape) if name.startswith("batch/") else array
            for name, array in self.given.items()
        }
        again = self._run(same)
        for name, array in first.items():
            if not np.allclose(array, again[name], rtol=1e-4, atol=1e-6, equal_nan=True):
                return name.partition("/")[2] or "of the model"
        return ""

    def _run(self, given: Mapping[str, Any]) -> dict[str, Any]:
        pool = {**self.run.numbers, **self.run.arrays, **given}
        inputs = self._program.graph.inputs
        return self._program.run({name: np.asarray(pool[name], node.dtype) for name, node in inputs.items()})


def gradient_through_time(run: Run, data: Data) -> tuple[ThroughTime, ...]:
    """The gradient of a run's loss by the state at each step before the end, for each recurrent layer.

    The loss is that of a training step on up to a batch of the data (128 samples at least), as in `diagnose`; the run,
    trained or not, is left as it is. See `ThroughTime` for what is measured.

    Raises `ConfigurationError` where no layer is recurrent.

    >>> import chainrule as cr
    >>> data = cr.data.adding_problem(64, 30)
    >>> run = cr.prepare(cr.Chain(cr.SimpleRNN(8, weight=cr.initializers.Normal(0.1)), cr.Dense(1)), data)
    >>> (found,) = run.gradient_through_time(data)
    >>> found.where, found.steps, len(found.norms), 0.5 < found.factor < 1
    ('0', 30, 31, True)
    """
    # For a single look there is nothing to compile, and the smallest numbers are kept.
    found = Probe(run, data, choose("reference")).look().loops
    if not found:
        raise ConfigurationError("nothing here goes through time: no layer is recurrent, such as LSTM(64)")
    return found


@dataclass(frozen=True)
class _Measured:
    """The measuring graph; layers by path, activation and uses; what outputs end in; loops and their way; makers."""

    graph: Graph
    layers: list[tuple[str, str, int]]
    last: str
    loops: list[tuple[str, bool]]
    made: list[str]


def _build(run: Run, spec: DataSpec, *, alone: bool) -> _Measured:
    """The measuring graph; with ``alone`` it gives each layer's output for the first sample too."""
    with Build() as build:
        record = Record(run.dtype)
        state = StepState(record, training=True)
        batch = Batch(spec, spec.samples, run.dtype, select=False)
        run.step.function(state, batch)
        loss = state.descents[0].loss
        forward = topological([descent.loss for descent in state.descents])
        uses: dict[str, list[Node]] = {}
        for path, node in _leaves(record.applied, set(forward)):
            uses.setdefault(path, []).append(node)
        layers = {path: nodes[-1] for path, nodes in uses.items()}
        named = {path: _activation(node, build) for path, node in layers.items()}
        outputs: dict[str, Node] = {"loss": loss}
        made: dict[str, Node] = {}
        if "inputs" in batch and batch["inputs"].dtype != "int32":  # symbols have no size
            x = batch.inputs
            outputs["inputs"] = sqrt(mean(x * x, range(x.rank - 1)))
            made = makers(record.applied, x)
            outputs |= {f"made/{path}": node for path, node in made.items()} | ({"real": x} if made else {})
        every = [(node, [one for one in forward if one.inputs == (node,)]) for node in forward if node.op == "scan"]
        scans = [(node, readers) for node, readers in every if is_recurrence(node, readers)]
        asked = [node for nodes in uses.values() for node in (nodes[0], nodes[-1])]
        asked += [reader for _, readers in scans for reader in readers]
        slopes = dict(zip(asked, gradients(loss, asked), strict=True))
        for path, node in layers.items():
            outputs |= {f"{name}/{path}": one for name, one in _of_output(node, slopes[node], named[path])}
            if len(uses[path]) > 1:
                outputs[f"first_gradient/{path}"] = _norm(slopes[uses[path][0]])
            if alone and node.shape[:1] == (spec.samples,):
                outputs[f"alone/{path}"] = uses[path][0][0]
        for n, (node, readers) in enumerate(scans):
            known = {reader: slopes[reader] for reader in readers}
            outputs |= {f"loop/{n}/{name}": one for name, one in followed(node, known, spec.samples).items()}
        loops = [(build.origins[node].path, node.attributes["reverse"]) for node, _ in scans]
        for n, z in enumerate(_softened(build, set(forward))):
            outputs[f"probabilities/{n}"] = _from_probabilities(z)
        for descent in state.descents:
            for path, slope in descent.gradients.items():
                if is_weight(path):
                    old = graph.input(f"{PARAMETERS}/{path}", slope.shape, slope.dtype)
                    new = record.values[f"{PARAMETERS}/{path}"]
                    outputs |= {
                        f"{name}/{path}": one
                        for name, one in _of_weight(old, slope, None if descent.host else new - old)
                    }
        last = next((_activation(one.node, build) for one in record.applied if one.node is not None), "")
        told = [(path, named[path], len(nodes)) for path, nodes in uses.items()]
        return _Measured(Graph.of(outputs, build), told, last, loops, list(made))


def _leaves(applied: Sequence[Applied], forward: Set[Node]) -> Iterator[tuple[str, Node]]:
    """Each layer by path, without those that only hold others, and those in the body of a loop, which has no values."""
    within = {one.path.rpartition(".")[0] for one in applied if one.path}
    for one in applied:
        if one.node is not None and one.node in forward and one.node.dtype in FLOATS and one.path not in within:
            yield one.path, one.node


def _activation(node: Node, build: Build) -> str:
    region = build.regions.get(node)
    if region is not None and len(region.inputs) == 1:  # a convolution has two, and is no activation
        return region.name
    return node.op if node.op in _ENDS else ""


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


def _under(prefix: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in found.items() if name.startswith(prefix)}


def _softened(build: Build, forward: Set[Node]) -> list[Node]:
    """What the losses take the softmax of."""
    regions = [region for node, region in build.regions.items() if region.name == "log_softmax" and node in forward]
    return list(dict.fromkeys(region.inputs[0] for region in regions))


def _from_probabilities(z: Node) -> Node:
    apart = graph.max(absolute(graph.sum(z, -1) - 1))
    return apart + graph.max(graph.select(z < 0, -z, 0))


def _of_weight(old: Node, slope: Node, move: Node | None) -> Iterator[tuple[str, Node]]:
    yield "weight", _norm(old)
    if old.rank > 1:
        yield "gain", _norm(old) / sqrt(graph.full((), old.shape[-1], old.dtype))
    yield "slope", _norm(slope)
    if move is not None:  # on the host it is not a part of the graph
        yield "move", _norm(move)
    if old.rank > 1 and old.shape[-1] > 1:
        # Largest differences between units, of the weights and of their gradients; √n/‖x‖ is 1/rms.
        for name, x in (("spread", old), ("slope_spread", slope)):
            apart = graph.max(graph.max(x, x.rank - 1) + graph.max(-x, x.rank - 1))
            yield name, apart * sqrt(graph.full((), math.prod(x.shape), x.dtype))


def _norm(x: Node) -> Node:
    return sqrt(graph.sum(x * x))


def _layer(path: str, activation: str, uses: int, found: Mapping[str, Any]) -> LayerHealth:
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
    # Rounding alone tells units apart that are meant to be one, and steps make more of it.
    alike = [
        number("spread", one) <= ALIKE * number("weight", one)
        and number("slope_spread", one) <= ALIKE * number("slope", one)
        for one in own
        if f"spread/{one}" in found
    ]
    gains = [number("gain", one) for one in own if f"gain/{one}" in found]
    return LayerHealth(
        path, activation, number("mean"), number("deviation"), number("dead"), number("saturated"),
        number("gradient"), slope, (move / size if size else np.inf if move else 0.0) if own else np.nan,
        bool(alike) and all(alike), uses, number("first_gradient"),
        max(gains, default=np.nan),
    )  # fmt: skip
