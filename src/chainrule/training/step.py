"""The training step as it is written: a function of ``state`` and ``batch`` that says what happens.

`step` makes one of a user's own function, and `supervised` is the usual one. There is no other way to train, so
whatever holds for the one holds for all. `chainrule.training.building` makes a graph of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chainrule import graph
from chainrule.augmentation import Augmentation, Samples
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Node, phase, scope
from chainrule.layers.scope import PARAMETERS, AnyLayer, Record, Scope
from chainrule.losses import Loss, weighted_mean
from chainrule.optimizers.driving import Descent, HostOptimizer
from chainrule.optimizers.updates import Number, Optimizer, UpdateScope
from chainrule.regularizers import Regularizer
from chainrule.training.batch import Batch
from chainrule.training.freezing import check_patterns, learning

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
