"""What a schedule is: a function of the step, built of nodes, so that it stays inside the one program of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Graph, Node

#: A hyperparameter: a number, or a function from the step (a float node) to a node: a schedule.
Number = float | Callable[[Node], Node]

_DTYPE = "float64"


class Numbers(Protocol):
    """What a schedule gets its numbers from: as inputs of the program, or as constants."""

    def __call__(self, name: str, value: float, /) -> Node:
        """The number as a node."""


class Schedule:
    """A function of the step, which is counted from 0: `at` says it in nodes. Its settings are numbers of a dataclass.

    In a training its numbers are inputs of the program (``run.numbers["numbers/learning_rate.initial"]``), so that
    another number never compiles anew; called on a node, ``schedule(step)``, it has them as constants. Steps are
    counted, and the formula computed, in float64, whatever the dtype of the training: each of the first 2³¹ steps is
    met exactly, where float32 would count to 2²⁴; what comes out is rounded to the dtype.
    """

    #: What other libraries call the settings of this one.
    other_words: ClassVar[Mapping[str, str]] = {}

    def __new__(cls, *args: Any, **settings: Any) -> Self:
        """Answer a name of another library with the name that is used here."""
        for name in set(settings).difference(getattr(cls, "__dataclass_fields__", ())):
            if name in cls.other_words:
                raise ConfigurationError(f"{cls.__name__}: the name is {cls.other_words[name]}, not {name}")
        return super().__new__(cls)

    def at(self, step: Node, number: Numbers) -> Node:
        """What the schedule gives at a step; ``number(name, value)`` is a setting as a node."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it gives at a step")

    def __call__(self, step: Node) -> Node:
        """What the schedule gives at a step, its numbers as constants."""
        return self.at(step, lambda name, value: graph.lift(value, step))

    def values(self, steps: int | Sequence[int]) -> NDArray[np.float64]:
        """What it gives at the first so many steps, or at these: see `values`."""
        return values(self, steps)

    def plot(self, path: str | Path, steps: int) -> Path:
        """Write a picture of the first so many steps as a PNG file: see `plot`."""
        return plot(self, path, steps)


def follow(name: str, value: Number, step: Node, number: Numbers) -> Node:
    """What a number, a function of the step or a schedule gives at a step; ``name`` goes before its numbers' names."""
    if isinstance(value, Schedule):
        found = value.at(step, lambda inner, setting: number(f"{name}.{inner}", setting))
    elif callable(value):
        found = graph.lift(value(step), step)
    else:
        return number(name, value)
    if not isinstance(found, Node) or found.shape != step.shape:
        raise ConfigurationError(f"{name}: a schedule gives one number for a step, and {value!r} gives {found!r}")
    return graph.cast(found, step.dtype)


def values(schedule: Number, steps: int | Sequence[int]) -> NDArray[np.float64]:
    """What a schedule, a function of one's own or a number gives at the first ``steps`` steps, or at those listed.

    >>> values(lambda step: 1.0 / (1.0 + step), 3).tolist()
    [1.0, 0.5, 0.3333333333333333]
    """
    from chainrule.engines.choose import choose

    numbers = np.arange(steps) if isinstance(steps, int) else np.asarray(steps)
    if numbers.ndim != 1 or not numbers.size or numbers.min() < 0:
        raise ConfigurationError(f"steps is how many of the first steps, or a list of steps from 0, not {steps!r}")
    step = graph.input("step", numbers.shape, _DTYPE)
    found = follow("schedule", schedule, step, lambda name, value: graph.lift(value, step))
    program = choose("reference").compile(Graph({"value": found}))
    given: NDArray[np.float64] = program.run({"step": numbers.astype(_DTYPE)})["value"]
    return given


def draw(schedule: Number, steps: int, width: int = 72, rows: int = 10) -> str:
    """The first ``steps`` steps of a schedule as a curve of letters, to be printed."""
    from chainrule.curves import Curve

    return Curve(np.arange(steps), values(schedule, steps), told(schedule), "steps").drawn(width, rows)


def plot(schedule: Number, path: str | Path, steps: int) -> Path:
    """Write the first ``steps`` steps of a schedule as a picture, a PNG file, and give its place.

    Raises `MissingExtraError` where matplotlib is not installed.
    """
    from chainrule.curves import Curve

    return Curve(np.arange(steps), values(schedule, steps), told(schedule), "steps").plot(path)


def told(schedule: Number) -> str:
    """A schedule in words: its settings, or the name of a function."""
    if isinstance(schedule, Schedule) or not callable(schedule):
        return repr(schedule)
    return str(getattr(schedule, "__name__", schedule))


def steps_per_epoch(data: Sized, batch_size: int | None = 32) -> int:
    """How many steps `fit` takes to go once through data: schedules count steps, and this says epochs in them.

    ``data`` is what is trained on, ``batch_size`` that of the fit: None is all samples at once. `Accumulate(k, …)`
    shows its schedules one step in k.

    >>> steps_per_epoch(range(1000), 32)
    32
    """
    samples = [len(array) for array in data.values()][:1] if isinstance(data, Mapping) else [len(data)]
    if not samples or samples[0] < 1:
        raise ConfigurationError("the data have no samples, so there is no epoch of them")
    if batch_size is not None and (not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1):
        raise ConfigurationError(f"batch_size is a whole number above 0, or None for all samples, not {batch_size!r}")
    return 1 if batch_size is None else math.ceil(samples[0] / batch_size)


def check_value(who: str, name: str, value: Any, *, above: bool = False) -> None:
    """Refuse anything but a finite number of 0 or more, or above 0."""
    real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not real or value < 0 or (above and value == 0):
        raise ConfigurationError(f"{who}: {name} is a number {'above 0' if above else 'of 0 or more'}, not {value!r}")


def check_steps(who: str, name: str, value: Any) -> None:
    """Refuse anything but a number of steps: whole or not, 1 or more."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value < math.inf:
        raise ConfigurationError(
            f"{who}: {name} is a number of steps, 1 or more, not {value!r}; "
            "steps_per_epoch(data, batch_size) says epochs in steps"
        )


def ease(share: Node) -> Node:
    """sin²(π·u/2): from 0 to 1 as u does, level at both ends, and exact there."""
    return graph.sin(share * (math.pi / 2)) ** 2


def up_to(step: Node, last: Node) -> Node:
    """min(t, T) / T: the share of the steps that is done."""
    return graph.select(step < last, step, last) / last


def to_the(base: Node, exponent: Node) -> Node:
    """base^exponent, for a base above 0, as exp(exponent·log base): the exponent of the op power is static."""
    return graph.exp(exponent * graph.log(base))
