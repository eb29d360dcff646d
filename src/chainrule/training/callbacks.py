"""Callbacks: what happens beside the steps: progress, stopping, saving."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chainrule.errors import ConfigurationError

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

    def on_end(self, training: Training) -> None:
        """After the last step, however it came about."""

    def state(self) -> dict[str, Any]:
        """What to keep in a checkpoint: plain numbers and texts."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up the state of a checkpoint."""


class StopAtLoss(Callback):
    """Stop after an epoch whose loss is at or below a threshold.

    ``monitor`` is the column watched; an accuracy counts upwards: it is to be at or above the threshold.

    >>> StopAtLoss(0.01).threshold
    0.01
    """

    def __init__(self, threshold: float, monitor: str = "loss") -> None:
        self.threshold, self.monitor = threshold, monitor

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare the epoch's loss."""
        value = _monitored(self, record, self.monitor)
        if value >= self.threshold if _upwards(self.monitor) else value <= self.threshold:
            training.stop(f"{self.monitor} {value:.6g} reached {self.threshold:g}")


class StopAtGradient(Callback):
    """Stop after an epoch whose mean gradient norm is at or below a threshold: the ground is level.

    >>> StopAtGradient(1e-4).threshold
    0.0001
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare it; in batch descent an epoch is one step, and this its gradient norm."""
        norm = record["gradient_norm"]
        if norm <= self.threshold:
            training.stop(f"gradient norm {norm:.3g} reached {self.threshold:g}")


class StopWithoutImprovement(Callback):
    """Stop when nothing has become better for some epochs.

    ``monitor`` is the column watched ("validation_loss", or "loss" without validation data), ``patience`` how many
    epochs may pass without an improvement of more than ``least``. An accuracy counts upwards, a loss downwards.

    Reference: L. Prechelt, "Early stopping - but when?", 1998.

    >>> StopWithoutImprovement(patience=5).patience
    5
    """

    def __init__(self, patience: int = 10, monitor: str | None = None, least: float = 0.0) -> None:
        if patience < 1:
            raise ConfigurationError(f"StopWithoutImprovement: patience is 1 or more, not {patience}")
        self.patience, self.monitor, self.least = patience, monitor, least
        self.best, self.waited = math.inf, 0

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare with the best so far."""
        monitor = self.monitor or ("validation_loss" if "validation_loss" in record else "loss")
        value = _monitored(self, record, monitor)
        value = -value if _upwards(monitor) else value
        if value < self.best - self.least:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            training.stop(f"{monitor} has not improved for {self.patience} epochs")

    def state(self) -> dict[str, Any]:
        """The best value, and how long it has stood."""
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them up again."""
        self.best, self.waited = float(state["best"]), int(state["waited"])


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


def _upwards(monitor: str) -> bool:
    return "accuracy" in monitor


def _monitored(callback: Callback, record: dict[str, Any], monitor: str) -> float:
    if monitor not in record:
        known = ", ".join(name for name, value in record.items() if isinstance(value, float))
        raise ConfigurationError(f"{type(callback).__name__} watches {monitor!r}, and an epoch records {known}")
    return float(record[monitor])
