"""A learning-rate finder: some hundred steps with a rate that grows, and where the loss was least."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.curves import Curve
from chainrule.errors import ConfigurationError, NotFiniteError
from chainrule.graph import Node
from chainrule.optimizers.schedules import Exponential
from chainrule.optimizers.updates import Number
from chainrule.training import Batch, Callback, StepState

if TYPE_CHECKING:
    from chainrule.run import Data, Run

Floats = NDArray[np.float64]

#: How far below the rate of the least loss the suggestion stands.
_BELOW = 4.0
_FEWEST = 20


@dataclass(frozen=True, eq=False)
class LearningRates:
    """What a learning-rate finder found: it prints as a curve, and as what it suggests.

    ``rates``, ``losses`` and ``smoothed``, all (steps,), are as far as the loss had not exploded. ``suggestion`` is a
    quarter of the rate of the least smoothed loss, ``reason`` says it in words.
    """

    rates: Floats
    losses: Floats
    smoothed: Floats
    suggestion: float
    reason: str

    def __str__(self) -> str:
        return f"{self.curve().drawn()}\n\n{self.suggestion:.2g}: {self.reason}"

    def curve(self) -> Curve:
        """The smoothed loss over the logarithm of the rate, with a mark at the suggestion."""
        title = "smoothed loss, while the learning rate grows"
        return Curve(self.rates, self.smoothed, title, "learning rate", log=True, mark=self.suggestion)

    def plot(self, path: str | Path) -> Path:
        """Write the curve as a picture, a PNG file, and give its place."""
        return self.curve().plot(path)


def find_learning_rate(
    run: Run, data: Data, *, lowest: float = 1e-6, highest: float = 10.0, steps: int = 200, monitor: str = "loss"
) -> LearningRates:
    """Train a copy of a run with a rate that grows from ``lowest`` to ``highest``, and see where its loss is least.

    The rate is η(t) = lowest·(highest/lowest)^(t/(n - 1)) in step t of n = ``steps``: one schedule in one compiled
    program. ``monitor`` is what the step records of its loss. The losses, each of a batch, are smoothed by a Gaussian
    over their steps; the copy stops when they have exploded: risen well above the first, or not finite. Where several
    parts of an optimizer have learning rates, these keep their ratios, the largest is the one shown, and what has a
    rate of 0 keeps it. The run itself is left as it is, and the same seed gives the same result.

    Raises `ConfigurationError` for an optimizer without a learning rate for all weights, such as Rprop, and where the
    loss never falls.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits")
    >>> model = cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10))
    >>> found = cr.prepare(model, train, optimizer=cr.optimizers.Adam()).find_learning_rate(train)
    >>> 0.001 < found.suggestion < 0.1
    True

    Differs from: other finders, which smooth with the steps before alone, so that their curve lies further right, and
    stand a tenth below its least point.

    Reference: L. Smith, "Cyclical learning rates for training neural networks", 2015, section 3.3.
    """
    if not (isinstance(lowest, int | float) and isinstance(highest, int | float) and 0 < lowest < highest < math.inf):
        raise ConfigurationError(
            f"the rate grows from lowest to highest, numbers above 0, and these are {lowest!r} and {highest!r}"
        )
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < _FEWEST:
        raise ConfigurationError(f"steps is a whole number of {_FEWEST} or more, not {steps!r}")
    trying = _copy(run, lowest, highest, steps)
    exploded = _Exploded(monitor, steps)
    with contextlib.suppress(NotFiniteError):  # which is an explosion too; the history is that of the steps before
        trying.fit(data, steps=int(run.arrays["step"]) + steps, callbacks=[exploded], progress=False)
    found = trying.history.steps
    if not exploded.last_losses(found):
        raise ConfigurationError(
            f"the loss was not finite in the very first step, with a learning rate of {lowest:g}: give a smaller lowest"
        )
    columns = [column for name, column in found.items() if name.endswith("learning_rate")]
    return _read(np.max(columns, axis=0), np.asarray(found[monitor], np.float64), steps)


def _copy(run: Run, lowest: float, highest: float, steps: int) -> Run:
    """The run as it is, about to go on with a growing rate."""
    rates = _learning_rates(run)
    most = max((rate for rate in rates.values() if rate is not None), default=0.0)
    first = int(run.arrays["step"])

    def function(state: StepState, batch: Batch) -> Mapping[str, Node]:
        def growing(value: Number) -> Number:
            share = 1.0 if callable(value) or most == 0 else value / most
            grow = Exponential(lowest * share, highest / lowest, steps - 1)
            # By the steps of the loop: those that an optimizer shows its schedules may be fewer (`Accumulate`).
            return value if share == 0 else lambda _: grow(graph.cast(state.number - first, "float64"))

        state.instead["learning_rate"] = growing
        return run.step.function(state, batch)

    other = run.aside(dataclasses.replace(run.step, function=function))
    other.numbers = {name: value for name, value in run.numbers.items() if name not in rates}
    other.made_with = {}
    return other


def _learning_rates(run: Run) -> dict[str, float | None]:
    """The learning rates among the numbers of a run, None for one that is a schedule, and what belongs to them."""
    found: dict[str, float | None] = {}
    for name, value in run.numbers.items():
        head, known, rest = name.rpartition("learning_rate")
        if known and (not head or head[-1] in "/."):
            found[name] = None if "." in rest else value
    if not found:
        raise ConfigurationError(
            "the optimizer of this run has no learning rate that is one number for all weights: Rprop and "
            "delta-bar-delta find their own, and SGD, Adam and the others have one"
        )
    return found


class _Exploded(Callback):
    """Stops when the losses have exploded; what is read is decided afterwards, so it does not matter when it looks."""

    def __init__(self, monitor: str, steps: int) -> None:
        self.monitor, self.steps = monitor, steps

    def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
        """Look how the loss has gone on."""
        losses = self.last_losses(training.history.steps)
        if len(losses) >= _FEWEST and _end(smooth(np.asarray(losses), self.steps)) < len(losses) - self.steps // 10:
            training.stop("the loss has exploded")

    def last_losses(self, columns: Mapping[str, Any]) -> list[float]:
        """The losses of all steps that were taken."""
        if columns and self.monitor not in columns:
            raise ConfigurationError(
                f"the step records no {self.monitor!r}; name what it records of its loss: monitor=…, one of "
                f"{', '.join(columns)}"
            )
        return list(columns.get(self.monitor, []))


def smooth(losses: Floats, steps: int) -> Floats:
    """The losses as means over their neighbours, weighted by a Gaussian whose deviation is a fortieth of the steps."""
    width = max(steps / 40, 1.0)
    reach = math.ceil(3 * width)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    total = np.convolve(losses, weights, "full")[reach : reach + len(losses)]
    counted = np.convolve(np.ones(len(losses)), weights, "full")[reach : reach + len(losses)]
    found: Floats = total / counted
    return found


def _end(smoothed: Floats) -> int:
    """How many steps there are before the loss has risen above the first, by half of what it had fallen below it."""
    first = smoothed[0]
    fallen = first - np.minimum.accumulate(smoothed)
    # As long as it has hardly fallen, only twice the first loss is more than noise.
    room = np.where(fallen > 0.25 * abs(first), 0.5 * fallen, abs(first))
    beyond = np.flatnonzero(smoothed > first + room)
    return int(beyond[0]) if len(beyond) else len(smoothed)


def _read(rates: Floats, losses: Floats, steps: int) -> LearningRates:
    smoothed = smooth(losses, steps)
    end = max(_end(smoothed), 1)
    exploded = end < len(losses) or len(losses) < steps
    rates, losses, smoothed = rates[:end], losses[:end], smoothed[:end]
    place = int(np.argmin(smoothed))
    best = float(rates[place])
    noise = float(np.std(losses[: max(place, 1)] - smoothed[: max(place, 1)]))
    if smoothed[0] - smoothed[place] <= 0.5 * noise or best < _BELOW * rates[0]:
        raise ConfigurationError(
            f"the loss did not fall, from a rate of {rates[0]:.2g} to one of {rates[-1]:.2g}: give a smaller lowest, "
            "more steps, or look whether the model can learn these data at all"
        )
    after = f"explodes at about {rates[-1]:.2g}" if exploded else f"is {smoothed[-1]:.3g} at {rates[-1]:.2g}"
    reason = (
        f"a quarter of {best:.2g}, where the smoothed loss is least ({smoothed[place]:.3g}, from {smoothed[0]:.3g} at "
        f"first); it {after}"
    )
    return LearningRates(rates, losses, smoothed, best / _BELOW, reason)
