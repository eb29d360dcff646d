"""What an optimizer is made of: small updates, one after another, each a few nodes of the step's graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import sqrt
from chainrule.initializers import Constant, Initializer
from chainrule.layers.scope import Record, Scope
from chainrule.optimizers.schedules.schedule import Number as Number
from chainrule.optimizers.schedules.schedule import follow

Tree = dict[str, Node]

#: What other libraries call our hyperparameters.
OTHER_WORDS = {
    "lr": "learning_rate", "eta": "learning_rate", "alpha": "learning_rate", "step_size": "learning_rate",
    "beta_1": "beta1", "beta_2": "beta2", "betas": "beta1 and beta2", "b1": "beta1", "b2": "beta2", "eps": "epsilon",
    "mu": "momentum", "decay": "momentum", "centered": "centred",
}  # fmt: skip

#: What other libraries have as a setting of an optimizer, and what says it here.
ELSEWHERE = {
    "weight_decay": "Compose(WeightDecay(0.01), {name}(…)), or AdamW, where it is decoupled",
    "clipvalue": "Compose(ClipValue(0.5), {name}(…))",
    "clipnorm": "Compose(ClipNorm(1.0), {name}(…))",
    "global_clipnorm": "Compose(ClipGlobalNorm(1.0), {name}(…))",
    "use_ema": "Compose({name}(…), Averaging(0.999))",
    "ema_momentum": "Compose({name}(…), Averaging(0.999))",
    "gradient_accumulation_steps": "Accumulate(4, {name}(…))",
    "lr_decay": "a schedule as learning_rate: {name}(schedules.InverseTime(0.1, 0.001))",
    "amsgrad": "AMSGrad",
    "decoupled_weight_decay": "AdamW",
}

OPTIMIZER, NUMBERS = "optimizer", "numbers"


class Update(Protocol):
    """One small update: a direction for each parameter in, a direction out."""

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The new directions, by the paths of the parameters."""


class Part:
    """What the updates here have in common: names of other libraries are answered, and they say where they belong.

    An update of your own needs nothing of it. If it turns gradients into what is added to the parameters, it says so
    by ``descends = True``, so that what belongs after it (`MaxNorm`, `Averaging`) can be told from what belongs before.
    """

    #: What other libraries call the settings of this one.
    other_words: ClassVar[Mapping[str, str]] = {}
    #: What it is for: "gradients", or the "moves" that are added to the parameters; "" for either.
    wants: ClassVar[str] = ""

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Answer a name of another library with the name that is used here."""
        words = {**OTHER_WORDS, **cls.other_words}
        for name in set(settings).difference(getattr(cls, "__dataclass_fields__", ())):
            if name in words:
                raise ConfigurationError(f"{cls.__name__}: the name is {words[name]}, not {name}")
            if name in ELSEWHERE:
                raise ConfigurationError(
                    f"{cls.__name__} has no {name}; write {ELSEWHERE[name].format(name=cls.__name__)}"
                )
        return super().__new__(cls)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The new directions, by the paths of the parameters."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it makes of the directions")


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
    #: Whether the directions that come are moves by now, which are added to the parameters.
    moving: bool = False
    #: A boolean node: what is stored is kept only where it holds. None: always.
    due: Node | None = None
    #: What is to stand in the place of numbers, by their names: what the number was in, what it is to be out.
    instead: Mapping[str, Callable[[Number], Number]] = field(default_factory=dict)
    #: The loss that is descended in: for updates that ask for it at other parameters (`populations.losses_at`).
    loss: Node | None = None
    #: The gradients of that loss, as they came before any update.
    gradients: Mapping[str, Node] = field(default_factory=dict)

    def inside(self, place: int, label: str = "") -> UpdateScope:
        """The scope of an update within this one; a label stands before the names of its memory and its numbers."""
        name = f"{self.name}.{label}" if self.name and label else self.name or label
        return replace(self, place=(*self.place, place), name=name)

    def remember(self, what: str, path: str, like: Node, start: float | Initializer = 0.0) -> Node:
        """The array that this update keeps for a parameter, of the shape of ``like``; first filled with ``start``.

        With "" as path it is kept once, for all parameters.
        """
        first = start if callable(start) else Constant(start)
        return self.record.declare(self._place(what, path), like.shape, like.dtype, first)

    def store(self, what: str, path: str, value: Node) -> Node:
        """Keep a value for the next step, and give it back."""
        place = self._place(what, path)
        kept = value
        if self.due is not None:
            kept = graph.select(graph.broadcast_to(self.due, value.shape), value, self.record.values[place])
        self.record.values[place] = kept
        return value

    def normal(self, what: str, path: str, like: Node) -> Node:
        """Random numbers of the standard normal distribution for a parameter, new in each step."""
        return Scope(self.record).normal(self._place(what, path), like.shape)

    def uniform(self, what: str, path: str, like: Node) -> Node:
        """Random numbers spread evenly over [0, 1), of the shape of ``like``, new in each step."""
        return Scope(self.record).uniform(self._place(what, path), like.shape)

    def number(self, name: str, value: Number) -> Node:
        """A hyperparameter as a scalar node: an input that never recompiles, or a schedule at this step.

        The numbers of a schedule are such inputs too, of float64 (see `Schedule`), and so is what it is multiplied
        with, 1 unless somebody changes it: "numbers/learning_rate.initial", "numbers/learning_rate.scale".
        """
        if name in self.instead:
            value = self.instead[name](value)
        own = self._own(name)
        if not callable(value):
            return self._input(own, value, self.record.dtype)
        found = follow(own, value, graph.cast(self.step, "float64"), self._exactly)
        found = graph.cast(found * self._exactly(f"{own}.scale", 1.0), self.record.dtype)
        self.scheduled[f"{NUMBERS}/{own}"] = found
        return found

    def _exactly(self, own: str, value: float) -> Node:
        return self._input(own, value, "float64")

    def _input(self, own: str, value: float, dtype: str) -> Node:
        full = f"{NUMBERS}/{own}"
        if self.numbers.setdefault(full, float(value)) != float(value):
            raise ConfigurationError(f"an update asks for the number {own!r} as {self.numbers[full]} and as {value}")
        return graph.input(full, (), dtype)

    def count(self) -> Node:
        """The number of this step, counted from 1, as a float."""
        return graph.cast(self.step, self.record.dtype) + 1.0

    def _place(self, what: str, path: str) -> str:
        return f"{OPTIMIZER}/{self._own(what)}/{path}".removesuffix("/")

    def _own(self, name: str) -> str:
        name = f"{self.name}.{name}" if self.name else name
        count = 1
        while self.owners.setdefault(name + str(count) * (count > 1), self.place) != self.place:
            count += 1
        return name + str(count) * (count > 1)


def times(number: Node, x: Node) -> Node:
    """A scalar node times an array."""
    return graph.broadcast_to(number, x.shape) * x


def running_mean(scope: UpdateScope, what: str, path: str, x: Node, decay: Node) -> Node:
    """m ← β·m + (1 - β)·x, remembered under this name: the mean of what came, the older the less."""
    return scope.store(what, path, times(decay, scope.remember(what, path, x)) + times(1.0 - decay, x))


def unbias(scope: UpdateScope, decay: Node) -> Node:
    """1 / (1 - βᵗ): what a running mean that started at 0 is to be multiplied with at step t."""
    # As -1 / expm1(t·log β): the exponent of the op power is static, and near 1 no digits are lost.
    return -1.0 / graph.expm1(scope.count() * graph.log(decay))


def sign(x: Node) -> Node:
    """-1, 0 or 1, element by element; NaN passes."""
    return graph.select(x < 0, -1, graph.select(x > 0, 1, x))


def global_norm(directions: Iterable[Node]) -> Node:
    """√Σ‖g‖² over all of them: the one norm that clipping and a step's record share, so that it is computed once."""
    first, *rest = (graph.sum(direction**2) for direction in directions)
    total = first
    for square in rest:
        total = total + square
    return sqrt(total)


def unit_axes(parameter: Node) -> tuple[int, ...]:
    """The axes along which the incoming weights of one unit lie: all but the last."""
    return tuple(range(parameter.rank - 1))


def descends(update: Update) -> bool:
    """Whether what an update gives is added to the parameters: moves, no longer gradients."""
    return bool(getattr(update, "descends", False))


@dataclass(frozen=True)
class Optimizer(Part):
    """A composition of small updates; the last direction is added to the parameters.

    θ ← θ + d, with d the direction that the updates make of the gradient, in their order.
    """

    def updates(self) -> tuple[Update, ...]:
        """The small updates, in order."""
        raise ConfigurationError(f"{type(self).__name__} does not say what its updates are")

    @property
    def descends(self) -> bool:
        """Whether one of its updates does."""
        return any(map(descends, self.updates()))

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The directions to add to the parameters."""
        moving = scope.moving
        for place, update in enumerate(self.updates()):
            _check_order(update, moving)
            directions = update.apply(replace(scope.inside(place), moving=moving), directions, parameters)
            moving = moving or descends(update)
        return directions


def _check_order(update: Update, moving: bool) -> None:
    wants = getattr(update, "wants", "")
    if wants == "moves" and not moving:
        raise ConfigurationError(
            f"{update!r} looks at where a step leads, so it stands after what descends: Compose(SGD(0.1), {update!r}). "
            "An update of your own that descends says so by descends = True"
        )
    if wants == "gradients" and moving:
        raise ConfigurationError(
            f"{update!r} is for gradients, so it stands before what descends, and here something has descended already"
        )


@dataclass(frozen=True, init=False)
class Compose(Optimizer):
    """An optimizer of the updates given, in their order: the way to one of your own.

    A whole optimizer is an update too. What is meant for gradients (clipping, `WeightDecay`) stands before it, what
    looks at where the step leads (`MaxNorm`, `Averaging`) after it; the other order is refused.

    >>> from chainrule.optimizers import Adam, Averaging, ClipGlobalNorm
    >>> len(Compose(ClipGlobalNorm(1.0), Adam(), Averaging(0.99)).updates())
    3
    """

    parts: tuple[Update, ...]

    def __init__(self, *parts: Update) -> None:
        for part in parts:
            check_update("Compose", part)
        object.__setattr__(self, "parts", parts)

    def updates(self) -> tuple[Update, ...]:
        """The updates given."""
        return self.parts


@dataclass(frozen=True)
class Descend(Part):
    """d ← -η·d: a step down, of length η = ``learning_rate`` times the direction."""

    learning_rate: Number

    descends: ClassVar[bool] = True
    wants: ClassVar[str] = "gradients"

    def __post_init__(self) -> None:
        check_rate("Descend", "learning_rate", self.learning_rate, 0.0, math.inf)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """-η·d."""
        rate = scope.number("learning_rate", self.learning_rate)
        return {path: times(-rate, direction) for path, direction in directions.items()}


@dataclass(frozen=True)
class Downhill(Part):
    """d ← -d: a step down along directions that have their length already."""

    descends: ClassVar[bool] = True
    wants: ClassVar[str] = "gradients"

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """-d."""
        return {path: -direction for path, direction in directions.items()}


@dataclass(frozen=True)
class Scale(Part):
    """d ← a·d, with a = ``factor``, a number or a schedule: a warm-up for an optimizer that has no one learning rate.

    >>> from chainrule.optimizers import Rprop
    >>> warmed = Compose(Rprop(), Scale(lambda step: (step + 1.0) / (step + 10.0)))
    """

    factor: Number

    def __post_init__(self) -> None:
        check_rate("Scale", "factor", self.factor, 0.0, math.inf)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """a·d."""
        factor = scope.number("factor", self.factor)
        return {path: times(factor, direction) for path, direction in directions.items()}


def check_rate(who: str, name: str, value: Number, low: float, high: float) -> None:
    """Refuse a number outside [low, high)."""
    if callable(value):
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value < high:
        raise ConfigurationError(f"{who}: {name} is a number from {low:g} to below {high:g}, not {value!r}")


def check_positive(who: str, name: str, value: Number) -> None:
    """Refuse a number that is not above 0."""
    check_rate(who, name, value, 0.0, math.inf)
    if not callable(value) and value == 0:
        raise ConfigurationError(f"{who}: {name} is a number above 0, not {value!r}")


def check_start(who: str, name: str, value: float) -> None:
    """Refuse anything but a number above 0 for where something begins that moves by itself."""
    if callable(value):
        raise ConfigurationError(
            f"{who}: {name} is where the step of each weight begins, a number and no schedule; "
            f"Compose({who}(…), Scale(schedule)) scales its steps"
        )
    check_positive(who, name, value)


def check_update(who: str, update: Any) -> None:
    """Refuse what is no update: a class in the place of an object, a number."""
    if isinstance(update, type) or not hasattr(update, "apply"):
        example = f"{update.__name__}(…)" if isinstance(update, type) else "ClipNorm(1.0) or Adam()"
        raise ConfigurationError(f"{who}: an update is an object with apply, such as {example}, not {update!r}")
    if hasattr(update, "drive"):
        raise ConfigurationError(
            f"{who}: {type(update).__name__} takes its steps on the host and stands alone, in fit(…, optimizer=…); "
            "what it does between gradient and step cannot be composed with other updates"
        )
