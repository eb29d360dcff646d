"""Callbacks: what happens beside the steps: progress, stopping, saving."""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import metrics
from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError
from chainrule.layers.scope import PARAMETERS, STATE

if TYPE_CHECKING:
    from chainrule.training.loop import Training


class Callback:
    """Something that looks on, or stops a training: override what you need.

    ``training.stop("why")`` ends it after the present epoch or, from `on_steps`, after the present steps. What a
    callback has to remember for a resumed run it gives in ``state`` and gets back in ``restore``.
    """

    def on_start(self, training: Training) -> None:
        """Before the first step."""

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """After some steps have run, with their records."""

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """After an epoch, with its record."""

    def on_rest(self, training: Training) -> None:
        """After `on_steps`, `on_epoch` or `on_end` of all callbacks: what they remember and the state go together."""

    def on_end(self, training: Training) -> None:
        """After the last step, however it came about."""

    def state(self) -> dict[str, Any]:
        """What to keep in a checkpoint: plain numbers and texts by name, and NumPy arrays."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""


def rises(training: Training, monitor: str, upwards: bool | None = None) -> bool:
    """Whether more is better in a column that a callback watches: the one place where that is decided.

    ``upwards`` of the callback says so; if it is None, the metric of the column's name does (`metrics.upwards`), be it
    one of those that this training measures or one known by its name; what no metric is the name of is to fall.
    """
    return metrics.upwards(monitor, training.metrics) if upwards is None else upwards


class StopAtLoss(Callback):
    """Stop after an epoch whose loss is at or below a threshold.

    ``monitor`` is the column watched. Where more of it is better, it is to be at or above the threshold; `rises` says
    when that is so, unless ``upwards`` does.

    >>> StopAtLoss(0.01).threshold
    0.01
    """

    def __init__(self, threshold: float, monitor: str = "loss", *, upwards: bool | None = None) -> None:
        self.threshold, self.monitor, self.upwards = threshold, monitor, upwards

    def on_start(self, training: Training) -> None:
        """A run that had come so far when it was cut has no further to go."""
        last = training.history.epochs[-1:]
        if last and training.offset == 0 and self.monitor in last[0]:
            self.on_epoch(training, last[0])

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare the epoch's loss."""
        value = _monitored(self, record, self.monitor)
        up = rises(training, self.monitor, self.upwards)
        if value >= self.threshold if up else value <= self.threshold:
            training.stop(f"{self.monitor} {value:.6g} reached {self.threshold:g}")


class StopAtGradient(Callback):
    """Stop after an epoch whose mean gradient norm is at or below a threshold: the ground is level.

    >>> StopAtGradient(1e-4).threshold
    0.0001
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def on_start(self, training: Training) -> None:
        """A run that had come so far when it was cut has no further to go."""
        if training.history.epochs and training.offset == 0:
            self.on_epoch(training, training.history.epochs[-1])

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare it; in batch descent an epoch is one step, and this its gradient norm."""
        if "gradient_norm" not in record:
            raise ConfigurationError("StopAtGradient: this optimizer learns without gradients, so there is no norm")
        norm = record["gradient_norm"]
        if norm <= self.threshold:
            training.stop(f"gradient norm {norm:.3g} reached {self.threshold:g}")


class StopWithoutImprovement(Callback):
    """Stop when nothing has become better for some epochs.

    ``monitor`` is the column watched ("validation_loss", or "loss" without validation data), ``patience`` how many
    epochs may pass without an improvement of more than ``least``. Which way is better, `rises` says from the metric of
    that name, unless ``upwards`` does; NaN is no improvement.

    With ``restore_best`` the run ends with the parameters and the layer state of its best epoch, however it came to
    its end; only a step that is not finite leaves those before it. What they were at the end is set aside: the same
    callback in a further `fit`, or in one of the run saved and loaded, goes on from there, to the same bits as if
    there had been no end.

    Reference: L. Prechelt, "Early stopping - but when?", 1998.

    Differs from: Keras, which goes on from the best epoch's weights with the optimizer's memory of the last.

    >>> StopWithoutImprovement(patience=5, restore_best=True).patience
    5
    """

    def __init__(
        self,
        patience: int = 10,
        monitor: str | None = None,
        least: float = 0.0,
        *,
        upwards: bool | None = None,
        restore_best: bool = False,
    ) -> None:
        if patience < 1:
            raise ConfigurationError(f"StopWithoutImprovement: patience is 1 or more, not {patience}")
        self.patience, self.monitor, self.least = patience, monitor, least
        self.upwards, self.restore_best = upwards, restore_best
        self._forget()

    def _forget(self) -> None:
        self.best, self.waited, self.best_epoch = math.inf, 0, 0
        #: Set aside: while it trains, what the best epoch had; once it has ended, what the last step had.
        self._aside: dict[str, Array] = {}
        #: The checksum of what the run was given at the end; 0 while it trains.
        self._given = 0

    def on_start(self, training: Training) -> None:
        """After an end, take up what was set aside, if the run still has what it was given then."""
        if not training.history.epochs:
            self._forget()  # a new run
        present = _learned(training)
        shapes = {name: (array.shape, array.dtype) for name, array in present.items()}
        if self._aside and shapes != {name: (array.shape, array.dtype) for name, array in self._aside.items()}:
            self._forget()  # it was another run's
        elif self._given and self._given != _checksum(present):
            self._forget()  # somebody gave it other parameters: what is best among those is to be seen
        elif self._given:
            self._exchange(training)
            self._given = 0
        if self.waited >= self.patience:  # gone on with, a run that was stopped is stopped still
            self._stop(training, training.history.epochs[-1])

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare with the best so far."""
        monitor = self._watched(record)
        value = _monitored(self, record, monitor)
        value = -value if rises(training, monitor, self.upwards) else value
        if value < self.best - self.least:
            self.best, self.waited = value, 0
            if self.restore_best:
                self.best_epoch = int(record["epoch"])
                self._aside = {name: array.copy() for name, array in _learned(training).items()}
            return
        self.waited += 1
        if self.waited >= self.patience:
            self._stop(training, record)

    def _watched(self, record: Mapping[str, Any]) -> str:
        return self.monitor or ("validation_loss" if "validation_loss" in record else "loss")

    def _stop(self, training: Training, record: Mapping[str, Any]) -> None:
        kept = f"; the parameters are those of epoch {self.best_epoch}" if self._aside else ""
        training.stop(f"{self._watched(record)} has not improved for {self.waited} epochs{kept}")

    def on_end(self, training: Training) -> None:
        """Give the run what its best epoch had."""
        if self._aside and not self._given and training.stopped != "not finite":
            self._given = _checksum(self._aside)
            self._exchange(training)

    def _exchange(self, training: Training) -> None:
        present = {name: array.copy() for name, array in _learned(training).items()}
        training.arrays = {**training.arrays, **self._aside}
        self._aside = present

    def state(self) -> dict[str, Any]:
        """The best value, how long it has stood, and what is set aside."""
        state: dict[str, Any] = {"best": self.best, "waited": self.waited}
        if self._aside:
            state |= {"best_epoch": self.best_epoch, "given": self._given, **self._aside}
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take them up again."""
        self.best, self.waited = float(state["best"]), int(state["waited"])
        self.best_epoch, self._given = int(state.get("best_epoch", 0)), int(state.get("given", 0))
        self._aside = {name: array for name, array in state.items() if isinstance(array, np.ndarray)}


class StopAfter(Callback):
    """Stop with a step, or after a time: a budget, of which `chainrule.fit` makes one of its ``steps`` and ``seconds``.

    ``steps`` count from the beginning of the run, as epochs do, and it stops exactly there; ``seconds`` count from the
    beginning of this `fit`, by the clock on the wall. Gone on with, the run ends with the bits of one that had no
    budget.

    >>> StopAfter(steps=1000, seconds=60).steps
    1000
    """

    def __init__(self, *, steps: int | None = None, seconds: float | None = None) -> None:
        if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
            raise ConfigurationError(f"steps is a whole number above 0, not {steps!r}")
        if seconds is not None and not 0 < seconds < math.inf:
            raise ConfigurationError(f"seconds is a number above 0, not {seconds!r}")
        self.steps, self.seconds = steps, seconds
        #: Whether it was this that ended the training.
        self.spent = False
        self._end = math.inf

    def on_start(self, training: Training) -> None:
        """Start the clock, and have a call end with the last step."""
        self.spent = False
        if self.seconds is not None:
            self._end = time.monotonic() + self.seconds
        if self.steps is not None:
            training.pause_at(self.steps)
            self._count(training)

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Compare."""
        self._count(training)
        self._look(training)

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Measuring the validation data takes time too."""
        self._look(training)

    def _count(self, training: Training) -> None:
        if self.steps is not None and int(training.arrays["step"]) >= self.steps:
            self._stop(training, f"the budget of {self.steps:,} steps is spent; a fit with more goes on")

    def _look(self, training: Training) -> None:
        if time.monotonic() >= self._end:
            self._stop(training, f"the budget of {self.seconds:g} seconds is spent; a further fit goes on")

    def _stop(self, training: Training, reason: str) -> None:
        self.spent = self.spent or not training.stopped
        training.stop(reason)


class OnEpoch(Callback):
    """Call a function after each epoch: function(training, record).

    >>> OnEpoch(print)
    <chainrule.training.callbacks.OnEpoch object at ...>
    """

    def __init__(self, function: Callable[[Training, dict[str, Any]], None]) -> None:
        self.function = function

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Call it."""
        self.function(training, record)


def _learned(training: Training) -> dict[str, Array]:
    """The parameters and the state of the layers."""
    prefixes = (f"{PARAMETERS}/", f"{STATE}/")
    return {name: array for name, array in training.arrays.items() if name.startswith(prefixes)}


def _checksum(arrays: Mapping[str, Array]) -> int:
    """A number that tells these arrays from others; never 0."""
    found = 0
    for name in sorted(arrays):
        found = zlib.crc32(np.ascontiguousarray(arrays[name]).data, zlib.crc32(name.encode(), found))
    return found or 1


def _monitored(callback: Callback, record: dict[str, Any], monitor: str) -> float:
    if monitor not in record:
        known = ", ".join(name for name, value in record.items() if isinstance(value, float))
        raise ConfigurationError(f"{type(callback).__name__} watches {monitor!r}, and an epoch records {known}")
    return float(record[monitor])
