"""The training step as one graph: batch, forward pass, loss, backward pass and update, built once.

A step is a function of ``state`` and ``batch`` that says what happens; `step` makes one of a user's own function, and
`Supervised` is the usual one. There is no other way to train, so whatever holds for the one holds for all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chainrule import graph
from chainrule.augmentation import Augmentation, Samples
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node, phase, scope
from chainrule.graph.composites import is_finite
from chainrule.initializers import Constant
from chainrule.layers.scope import PARAMETERS, AnyLayer, Applied, Declaration, Record, Scope
from chainrule.losses import Loss, weighted_mean
from chainrule.optimizers.driving import Descent as Descent
from chainrule.optimizers.driving import HostOptimizer
from chainrule.optimizers.updates import Number, Optimizer, UpdateScope, global_norm
from chainrule.regularizers import Regularizer
from chainrule.training.batch import Batch, DataSpec
from chainrule.training.freezing import check_patterns, learning, refuse_idle

StepFunction = Callable[["StepState", Batch], Mapping[str, Node]]


class StepState:
    """What a step function works with: it applies models, draws random numbers, and descends.

    ``state.apply(model, x)`` gives a model's output with the parameters as they are now; ``state.descend(loss, model,
    optimizer)`` updates them, so that what is applied after it sees the new ones.
    """

    def __init__(self, record: Record, *, training: bool) -> None:
        self.training = training
        self._record = record
        self._scope = Scope(record, training=training)
        self.number = graph.input("step", (), "int32")
        if training:
            seed = graph.input("seed", (), "uint32")
            record.seed = graph.random_bits(seed, graph.cast(self.number, "uint32"), "step")
        self.descents: list[Descent] = []
        self.numbers: dict[str, float] = {}
        self.scheduled: dict[str, Node] = {}
        #: What is to stand in the place of hyperparameters, by their names: see `UpdateScope`.
        self.instead: dict[str, Callable[[Number], Number]] = {}
        self._models: dict[str, AnyLayer] = {}
        self._penalties = 0

    @property
    def dtype(self) -> str:
        """The dtype of parameters and activations."""
        return self._record.dtype

    def freeze(self, *patterns: str) -> None:
        """What these patterns fit does not learn: said before anything is applied.

        A pattern is of layers ("0", "encoder.*") or of parameters ("*.bias"), by their paths. Frozen parameters stay as
        they are, without gradient, penalty or optimizer memory. A frozen layer is the function that it is in
        prediction: batch normalisation uses the mean and variance that it has and leaves them, dropout lets all pass.
        """
        check_patterns(patterns)
        if self._record.applied:
            raise ConfigurationError("freeze comes before the first apply, which is to know of it")
        self._record.frozen += patterns

    def apply(self, model: AnyLayer, *inputs: Node) -> Node:
        """The output of a model. Several models in one step are told apart by their names: Chain(…, name="encoder")."""
        name = getattr(model, "name", "") or ""
        known = self._models.setdefault(name, model)
        if known is not model:
            raise ConfigurationError(
                f"two models of this step are called {name!r}, so their parameters would share paths; "
                'give each a name of its own: Chain(…, name="encoder")'
            )
        return self._scope.apply(model, *inputs, name=name)

    def parameters(self, model: AnyLayer) -> dict[str, Node]:
        """The parameters of a model that has been applied, by path, as they are now."""
        name = getattr(model, "name", "") or ""
        if self._models.get(name) is not model:
            raise ConfigurationError(
                f"the model {name!r} has not been applied in this step, so it has no parameters yet"
            )
        prefix = f"{PARAMETERS}/{name}." if name else f"{PARAMETERS}/"
        values = self._record.values
        return {full[len(PARAMETERS) + 1 :]: node for full, node in values.items() if full.startswith(prefix)}

    def uniform(self, shape: Sequence[int], name: str = "uniform") -> Node:
        """Random numbers over [0, 1), new in each step and each time they are asked for."""
        return self._scope.uniform(name, shape)

    def normal(self, shape: Sequence[int], name: str = "normal") -> Node:
        """Random numbers of the standard normal distribution, new in each step and each time they are asked for."""
        return self._scope.normal(name, shape)

    def penalty(self, model: AnyLayer, regularizer: Regularizer) -> Node:
        """What a regularizer says of the parameters of a model as they are now: a scalar, to be added to a loss."""
        self._penalties += 1
        name = "penalty" + str(self._penalties) * (self._penalties > 1)
        with scope("penalty", absolute=True):
            found = regularizer.apply(self._updates(name), learning(self.parameters(model), self._record.frozen))
        if not isinstance(found, Node) or found.shape:
            raise ConfigurationError(f"{regularizer!r} gave {found!r}, and a penalty is a scalar node")
        return found

    def added_loss(self, *, per_sample: int = 0) -> Node | None:
        """What layers, such as `Sparsity` and `GaussianCode`, have added to the loss since this was last asked.

        It is the sum, a scalar; or, for so many samples, a number each, (per_sample,); None if nothing was added. A
        step of one's own descends in the sum of it and its loss; one that has forgotten it is refused.
        """
        found, self._record.added = self._record.added, []
        total = None
        for _, value in found:
            if not per_sample:
                value = weighted_mean(value) if value.rank else value
            elif not value.rank:
                value = graph.broadcast_to(value, (per_sample,))
            total = value if total is None else total + value
        return total

    def _updates(self, name: str) -> UpdateScope:
        return UpdateScope(self._record, name, self.number, self.numbers, self.scheduled, instead=self.instead)

    def augment(self, augmentation: Augmentation, samples: Samples) -> Samples:
        """Samples as an augmentation changes them, by random numbers that are new in each step."""
        with scope("augmentation", absolute=True):
            return augmentation.apply(Scope(self._record, "augmentation", self.training), samples)

    def descend(
        self,
        loss: Node,
        models: AnyLayer | Sequence[AnyLayer],
        optimizer: Optimizer,
        *,
        outputs: Node | None = None,
        criterion: Loss | None = None,
    ) -> None:
        """Take one step of the optimizer down the gradient of the loss, in the parameters of these models.

        The new parameters pass `stop_gradient`: a second loss is not differentiated through the first update.
        ``outputs``, the network's, and ``criterion``, the loss on them, are for optimizers that want to know the
        distribution that the network predicts (`optimizers.KFAC`); others do without.
        """
        chosen: list[AnyLayer] = [*models] if isinstance(models, list | tuple) else [models]  # type: ignore[list-item]
        parameters: dict[str, Node] = {}
        for model in chosen:
            parameters.update(self.parameters(model))
        if not parameters:
            raise ConfigurationError("there is nothing to learn: none of the models has a parameter")
        parameters = learning(parameters, self._record.frozen)
        if not parameters:
            raise ConfigurationError(f"there is nothing to learn: all is frozen, by {', '.join(self._record.frozen)}")
        if loss.shape:
            raise ShapeError(
                f"a descent wants a scalar loss, and this is {loss!r}; use losses.weighted_mean or graph.sum"
            )
        self._refuse_detached(loss, parameters)
        slopes = dict(zip(parameters, gradients(loss, list(parameters.values())), strict=True))
        name = self._descent_name("+".join(getattr(model, "name", "") or "" for model in chosen))
        host = optimizer if isinstance(optimizer, HostOptimizer) else None
        self.descents.append(Descent(name, loss, parameters, slopes, outputs, criterion, host))
        hosts = [descent.host for descent in self.descents if descent.host is not None]
        if hosts and len(self.descents) > 1:
            raise ConfigurationError(
                f"{hosts[0]!r} takes its steps on the host and wants a step of its own; this one descends twice"
            )
        if host is not None:
            host.declare(self._updates(""), parameters)  # there is no other to be told from
            return
        with scope("optimizer", absolute=True), phase("update"):
            moves = optimizer.apply(replace(self._updates(name), loss=loss, gradients=slopes), slopes, parameters)
            if set(moves) != set(parameters):
                raise ConfigurationError(f"{optimizer!r} gave directions for {sorted(moves)}, not {sorted(parameters)}")
            for path, parameter in parameters.items():
                self._record.values[f"{PARAMETERS}/{path}"] = graph.stop_gradient(parameter + moves[path])

    def _refuse_detached(self, loss: Node, parameters: Mapping[str, Node]) -> None:
        """Raise where a gradient would be 0 only because the loss knows nothing of the parameters as they are now."""
        behind = set(graph.topological([loss]))
        for path, node in parameters.items():
            past = [d.parameters[path] for d in self.descents if path in d.parameters]
            if node not in behind and any(old in behind for old in past):
                raise ConfigurationError(
                    f"the loss was computed before {path} was updated by a descent of this step, so that it has no "
                    "gradient in what the parameter is now: apply the model again after the first descent, or add the "
                    "two losses and descend once"
                )
        if behind.isdisjoint(parameters.values()):
            raise ConfigurationError(
                f"the loss {loss!r} does not depend on any of the parameters {', '.join(parameters)}: it is made of "
                "other models"
            )

    def _descent_name(self, wanted: str) -> str:
        """A name that no other descent of this step has: each has its own memory and numbers."""
        taken = {descent.name for descent in self.descents}
        name, count = wanted, 1
        while name in taken:
            count += 1
            name = f"{wanted}#{count}"
        return name


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


@dataclass(frozen=True)
class Step:
    """A training step: a function of state and batch, and, where there is one, a function that measures a batch.

    ``measure(state, batch)`` gives numbers a sample, each (batch,), whose means over a whole set are what
    ``evaluate`` reports.
    """

    function: StepFunction
    measure: StepFunction | None = None
    name: str = field(default="step")

    def evaluation(self, function: StepFunction) -> StepFunction:
        """A decorator: this function measures a batch."""
        object.__setattr__(self, "measure", function)
        return function

    def freezing(self, patterns: Sequence[str]) -> Step:
        """This step, in which what the patterns fit does not learn: see `StepState.freeze`."""
        frozen = check_patterns(patterns)
        if not frozen:
            return self

        def function(state: StepState, batch: Batch) -> Mapping[str, Node]:
            state.freeze(*frozen)
            return self.function(state, batch)

        return replace(self, function=function)


def step(function: StepFunction) -> Step:
    """Make a training step of your own function of ``state`` and ``batch``.

    The function applies models (`StepState.apply`), makes losses of nodes, and descends (`StepState.descend`), as
    often as it likes; it gives a dictionary of scalar nodes to record. It is called when the graph is built, not in
    each step.

    >>> from chainrule.layers import Chain, Dense
    >>> from chainrule.losses import mean_squared_error
    >>> from chainrule.optimizers import SGD
    >>> model = Chain(Dense(1))
    >>> @step
    ... def fit_line(state, batch):
    ...     loss = mean_squared_error(state.apply(model, batch.inputs), batch.targets)
    ...     state.descend(loss, model, SGD(0.1))
    ...     return {"loss": loss}
    >>> fit_line.name
    'fit_line'
    """
    return Step(function, name=getattr(function, "__name__", "step"))


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
