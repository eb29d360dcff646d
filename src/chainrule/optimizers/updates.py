"""What an optimizer is made of: small updates, one after another, each a few nodes of the step's graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.initializers import Constant
from chainrule.layers.scope import Record

Tree = dict[str, Node]
#: A hyperparameter: a number, or a function from the step (a float node) to a node: a schedule.
Number = float | Callable[[Node], Node]

#: What other libraries call our hyperparameters.
OTHER_WORDS = {
    "lr": "learning_rate", "eta": "learning_rate", "alpha": "learning_rate", "step_size": "learning_rate",
    "beta_1": "beta1", "beta_2": "beta2", "betas": "beta1 and beta2", "b1": "beta1", "b2": "beta2", "eps": "epsilon",
    "mu": "momentum", "decay": "momentum",
}  # fmt: skip

OPTIMIZER, NUMBERS = "optimizer", "numbers"


class Update(Protocol):
    """One small update: a direction for each parameter in, a direction out."""

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The new directions, by the paths of the parameters."""


@dataclass(frozen=True)
class UpdateScope:
    """What an update sees: the step, its memory for each parameter, and its numbers as run-time inputs."""

    record: Record
    name: str
    step: Node
    numbers: dict[str, float]
    #: What schedules give at this step, by the name that a number would have: for the history.
    scheduled: dict[str, Node] = field(default_factory=dict)
    #: Where in the composition the update stands, and which name belongs to which place: two updates of one kind have
    #: each their own memory and numbers ("velocity", "velocity2").
    place: tuple[int, ...] = ()
    owners: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def inside(self, place: int) -> UpdateScope:
        """The scope of an update within this one."""
        return replace(self, place=(*self.place, place))

    def remember(self, what: str, path: str, like: Node, start: float = 0.0) -> Node:
        """The array that this update keeps for a parameter, of the parameter's shape; first filled with ``start``."""
        return self.record.declare(self._place(what, path), like.shape, like.dtype, Constant(start))

    def store(self, what: str, path: str, value: Node) -> Node:
        """Keep a value for the next step, and give it back."""
        self.record.values[self._place(what, path)] = value
        return value

    def number(self, name: str, value: Number) -> Node:
        """A hyperparameter as a scalar node: an input that never recompiles, or a schedule at this step."""
        name = self._own(name)
        full = f"{NUMBERS}/{self.name}.{name}" if self.name else f"{NUMBERS}/{name}"
        if callable(value):
            step = graph.cast(self.step, self.record.dtype)
            self.scheduled[full] = graph.lift(value(step), step)
            return self.scheduled[full]
        if self.numbers.setdefault(full, float(value)) != float(value):
            raise ConfigurationError(f"an update asks for the number {name!r} as {self.numbers[full]} and as {value}")
        return graph.input(full, (), self.record.dtype)

    def count(self) -> Node:
        """The number of this step, counted from 1, as a float."""
        return graph.cast(self.step, self.record.dtype) + 1.0

    def _place(self, what: str, path: str) -> str:
        what = self._own(what)
        return f"{OPTIMIZER}/{self.name}.{what}/{path}" if self.name else f"{OPTIMIZER}/{what}/{path}"

    def _own(self, name: str) -> str:
        count = 1
        while self.owners.setdefault(name + str(count) * (count > 1), self.place) != self.place:
            count += 1
        return name + str(count) * (count > 1)


def times(number: Node, x: Node) -> Node:
    """A scalar node times an array."""
    return graph.broadcast_to(number, x.shape) * x


@dataclass(frozen=True)
class Optimizer:
    """A composition of small updates; the last direction is added to the parameters.

    θ ← θ + d, with d the direction that the updates make of the gradient, in their order.
    """

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Answer a name of another library with the name that is used here."""
        for name in settings:
            if name in OTHER_WORDS:
                raise ConfigurationError(f"{cls.__name__}: the name is {OTHER_WORDS[name]}, not {name}")
        return super().__new__(cls)

    def updates(self) -> tuple[Update, ...]:
        """The small updates, in order."""
        raise ConfigurationError(f"{type(self).__name__} does not say what its updates are")

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The directions to add to the parameters."""
        for place, update in enumerate(self.updates()):
            directions = update.apply(scope.inside(place), directions, parameters)
        return directions


@dataclass(frozen=True, init=False)
class Compose(Optimizer):
    """An optimizer of the updates given, in their order: the way to one of your own."""

    parts: tuple[Update, ...]

    def __init__(self, *parts: Update) -> None:
        object.__setattr__(self, "parts", parts)

    def updates(self) -> tuple[Update, ...]:
        """The updates given."""
        return self.parts


@dataclass(frozen=True)
class Descend:
    """d ← -η·d: a step down, of length η = ``learning_rate`` times the direction."""

    learning_rate: Number

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """-η·d."""
        rate = scope.number("learning_rate", self.learning_rate)
        return {path: times(-rate, direction) for path, direction in directions.items()}


def check_rate(who: str, name: str, value: Number, low: float, high: float) -> None:
    """Refuse a number outside [low, high)."""
    if callable(value):
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value < high:
        raise ConfigurationError(f"{who}: {name} is a number from {low:g} to below {high:g}, not {value!r}")
