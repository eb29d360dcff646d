"""A step as one graph, built once: batch, forward pass, loss, backward pass and update.

The same function that is trained by is measured and checked by: each of these calls it on symbols, and makes a graph
of what it says.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Build, Graph, Node, phase, scope
from chainrule.graph.composites import is_finite
from chainrule.initializers import Constant
from chainrule.layers.scope import PARAMETERS, AnyLayer, Applied, Declaration, Record
from chainrule.optimizers.driving import Descent, HostOptimizer
from chainrule.optimizers.updates import global_norm
from chainrule.training.batch import Batch, DataSpec
from chainrule.training.freezing import refuse_idle
from chainrule.training.step import Step, StepFunction, StepState


@dataclass(frozen=True, eq=False)
class BuiltStep:
    """A step as a graph, with what lives beside it."""

    graph: Graph
    declared: Mapping[str, Declaration]
    numbers: Mapping[str, float]
    logs: tuple[str, ...]
    descents: tuple[Descent, ...]
    applied: tuple[Applied, ...]
    #: Each layer object with its path: a graph that is built later finds a shared layer where it stands.
    layers: tuple[tuple[AnyLayer, str], ...] = ()

    @property
    def host(self) -> HostOptimizer | None:
        """The optimizer that takes this step on the host, if it has such a one."""
        return self.descents[0].host if self.descents else None

    @functools.cached_property
    def dtypes(self) -> Mapping[str, str]:
        """The dtypes of the graph's inputs, by name."""
        return {name: node.dtype for name, node in self.graph.inputs.items()}


def build_step(step: Step, spec: DataSpec, batch_size: int, dtype: str = "float32") -> BuiltStep:
    """The one graph of a training step for a batch size.

    Inputs: "step", "seed", "batch/indices", "data/…", "numbers/…", and the state: "parameters/…", "state/…",
    "optimizer/…". Outputs: the new state under the same names, what the function records, "gradient_norm",
    "finite", and what schedules gave ("learning_rate"). If a loss or a gradient is not finite, the state stays as it
    was.
    """
    with Build() as build:
        record = Record(dtype)
        state = StepState(record, training=True)
        batch = Batch(spec, batch_size, dtype, select=True)
        logs = dict(step.function(state, batch) or {})
        for name, node in logs.items():
            if not isinstance(node, Node) or node.shape:
                raise ConfigurationError(f"the step {step.name} records {name!r} as {node!r}; it must be a scalar node")
        if not state.descents:
            raise ConfigurationError(
                f"the step {step.name} never descends, so it would learn nothing; see StepState.descend"
            )
        refuse_idle(record)
        if record.added:
            raise ConfigurationError(
                f"layer {record.added[0][0]} adds to the loss, and the step {step.name} does not descend in it: add "
                "state.added_loss() to the loss"
            )
        with scope("step", absolute=True), phase("update"):
            outputs = _finish(record, state, logs)
    return BuiltStep(
        Graph.of(outputs, build),
        record.declared,
        state.numbers,
        tuple(logs),
        tuple(state.descents),
        tuple(record.applied),
        tuple((layer, record.paths[id(layer)]) for layer in record.kept if id(layer) in record.paths),
    )


def _finish(record: Record, state: StepState, logs: dict[str, Node]) -> dict[str, Node]:
    finite = is_finite(state.descents[0].loss)
    for descent in state.descents[1:]:
        finite = graph.logical_and(finite, is_finite(descent.loss))
    for name, node in state.scheduled.items():
        logs.setdefault(name.rpartition("/")[2], node)
    # Gradients that no update asks for, as where a population is judged by its losses, are not computed for a norm.
    computed = set(graph.topological([*record.values.values(), *logs.values()]))
    asked = [d for d in state.descents if d.host is not None or not computed.isdisjoint(d.gradients.values())]
    if slopes := [slope for descent in asked for slope in descent.gradients.values()]:
        logs["gradient_norm"] = norm = global_norm(slopes)
        finite = graph.logical_and(is_finite(norm), finite)
    logs["finite"] = finite
    outputs: dict[str, Node] = {}
    for name, declared in record.declared.items():
        old = graph.input(name, declared.shape, declared.dtype)
        if record.values[name] is not old:
            outputs[name] = graph.select(graph.broadcast_to(finite, old.shape), record.values[name], old)
    outputs["step"] = state.number + graph.cast(finite, "int32")
    # What is recorded comes first, so that a listing and a replay meet the forward pass before the rest.
    return {**logs, **outputs}


def build_measure(
    measure: StepFunction,
    spec: DataSpec,
    batch_size: int,
    dtype: str = "float32",
    layers: Sequence[tuple[AnyLayer, str]] = (),
) -> BuiltStep:
    """The graph that measures a batch (given, not selected), in prediction mode: numbers a sample.

    ``layers`` are those of the training step, each with its path there.
    """
    with Build() as build:
        record = Record(dtype, paths={id(layer): path for layer, path in layers})
        state = StepState(record, training=False)
        logs = dict(measure(state, Batch(spec, batch_size, dtype, select=False)))
    for name, node in logs.items():
        if not isinstance(node, Node) or node.shape[:1] != (batch_size,):
            raise ConfigurationError(f"{name!r} is measured as {node!r}; it must be a node with one row a sample")
    return BuiltStep(Graph.of(logs, build), record.declared, {}, tuple(logs), (), tuple(record.applied))


def build_gradients(step: Step, spec: DataSpec, batch_size: int, dtype: str = "float64") -> list[tuple[Descent, Graph]]:
    """For each descent of a step, the graph of its loss and gradients, for a batch that is given.

    Outputs: "loss", and "gradient/PATH" for each parameter. The parameters are inputs even where the step had
    already updated them: what is checked and explained is the gradient at the values given.
    """
    with Build() as build:
        record = Record(dtype)
        state = StepState(record, training=True)
        step.function(state, Batch(spec, batch_size, dtype, select=False))
        found = []
        for descent in state.descents:
            known: dict[Node, Node] = {}
            for path, node in descent.parameters.items():
                fresh = graph.input(f"{PARAMETERS}/{path}", node.shape, node.dtype)
                if fresh is not node:
                    known[node] = fresh
            outputs = {"loss": descent.loss} | {f"gradient/{path}": g for path, g in descent.gradients.items()}
            if known:
                mapping = graph.map_nodes(outputs.values(), known=known)
                outputs = {name: mapping.get(node, node) for name, node in outputs.items()}
            found.append((descent, Graph.of(outputs, build)))
    return found


def refuse_other_state(first: BuiltStep, size: int, other: BuiltStep, other_size: int) -> None:
    """Raise where what lives beside the graph depends on how many samples a batch has, and they differ."""
    for name, declared in other.declared.items():
        known = first.declared.get(name)
        if known is not None and known.shape != declared.shape:
            raise ConfigurationError(
                f"{name} is {list(known.shape)} in a batch of {size} and {list(declared.shape)} in one of "
                f"{other_size}: what is carried from batch to batch wants all of one size; leave out the last samples, "
                "or choose a batch_size that divides their number"
            )


def initial_state(built: BuiltStep, seed: int) -> dict[str, Any]:
    """The first value of everything that lives beside the graph, from the seed."""
    import numpy as np

    from chainrule.keys import Key

    key = Key(seed).child("initial")

    def first(name: str, declared: Declaration) -> Any:
        start = declared.initializer
        if isinstance(start, Constant) and start.value == 0 and math.copysign(1.0, start.value) == 1.0:
            return np.zeros(declared.shape, declared.dtype)  # takes no memory as long as nobody writes to it
        return np.asarray(start(key.child(name), declared.shape), dtype=declared.dtype)

    arrays: dict[str, Any] = {name: first(name, declared) for name, declared in built.declared.items()}
    return {**arrays, "step": np.zeros((), np.int32)}
