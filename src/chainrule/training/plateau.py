"""Reduce on plateau: a number of the optimizer made smaller when nothing becomes better."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from chainrule.errors import ConfigurationError
from chainrule.training.callbacks import Callback, _monitored, rises

if TYPE_CHECKING:
    from chainrule.training.loop import Training

_NUMBERS, _SCALE = "numbers/", ".scale"


class ReduceOnPlateau(Callback):
    """Multiply the learning rate by ``factor`` when a column has not improved for ``patience`` epochs.

    ``monitor`` is the column watched ("validation_loss", or "loss" without validation data); an improvement is one of
    more than ``least``, NaN is none, and which way is better, `rises` says unless ``upwards`` does. For ``cooldown``
    epochs after a reduction nothing is counted. The number is never made smaller than ``minimum``.

    What is multiplied is a run-time input, so that nothing compiles anew: ``run.numbers["numbers/learning_rate"]``, all
    of them where there are several; where the rate is a schedule, its scale, "numbers/learning_rate.scale", 1 at first.
    ``number`` names another number, such as "factor" for ``Compose(Rprop(), Scale(1.0))``. The history has the rate of
    each step. A run that is saved and gone on with, goes on as if it had not been.

    Raises `ConfigurationError` where the optimizer has no such number.

    Differs from: PyTorch's ReduceLROnPlateau, which reduces an epoch later for the same patience, counts an improvement
    of less than 0.01% as none, and lets a schedule overwrite it; Keras's, whose factor is written the same.

    >>> ReduceOnPlateau(factor=0.5, patience=3).factor
    0.5
    """

    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 10,
        monitor: str | None = None,
        least: float = 0.0,
        *,
        cooldown: int = 0,
        minimum: float = 0.0,
        number: str = "learning_rate",
        upwards: bool | None = None,
    ) -> None:
        if not 0 < factor < 1:
            raise ConfigurationError(f"ReduceOnPlateau: factor is a number between 0 and 1, not {factor!r}")
        if patience < 1 or cooldown < 0:
            raise ConfigurationError(
                f"ReduceOnPlateau: patience is 1 or more and cooldown 0 or more, not {patience} and {cooldown}"
            )
        if not 0 <= minimum < math.inf:
            raise ConfigurationError(f"ReduceOnPlateau: minimum is a number of 0 or more, not {minimum!r}")
        self.factor, self.patience, self.monitor, self.least = factor, patience, monitor, least
        self.cooldown, self.minimum, self.number, self.upwards = cooldown, minimum, number, upwards
        self._forget()

    def _forget(self) -> None:
        self.best, self.waited, self.cooling = math.inf, 0, 0

    def on_start(self, training: Training) -> None:
        """Look whether there is such a number: now, not when nothing becomes better."""
        if not training.history.epochs:
            self._forget()  # a new run
        if not self._found(training):
            known = ", ".join(name.removeprefix(_NUMBERS) for name in training.numbers) or "none"
            raise ConfigurationError(
                f"ReduceOnPlateau: there is no number {self.number!r} to reduce; the numbers of this run are {known}. "
                'Compose(…, Scale(1.0)) gives any optimizer one that is called "factor"'
            )

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare with the best so far."""
        monitor = self.monitor or ("validation_loss" if "validation_loss" in record else "loss")
        value = _monitored(self, record, monitor)
        value = -value if rises(training, monitor, self.upwards) else value
        cooling, self.cooling = self.cooling > 0, max(self.cooling - 1, 0)
        if value < self.best - self.least:
            self.best, self.waited = value, 0
            return
        self.waited = 0 if cooling else self.waited + 1
        if self.waited >= self.patience:
            self._reduce(training, record)
            self.waited, self.cooling = 0, self.cooldown

    def _reduce(self, training: Training, record: dict[str, Any]) -> None:
        for name in self._found(training):
            old, least = training.numbers[name], self.minimum
            if name.endswith(_SCALE):
                # What the schedule gave in this epoch, without its scale, is what the minimum is held against.
                column = name.removeprefix(_NUMBERS).removesuffix(_SCALE)
                given = float(record.get(column, 0.0)) / old if old else 0.0
                least = self.minimum / given if given > 0 else 0.0
            training.numbers[name] = max(old * self.factor, min(old, least))

    def _found(self, training: Training) -> list[str]:
        wanted = re.compile(rf"{_NUMBERS}(.*\.)?{re.escape(self.number)}\d*({re.escape(_SCALE)})?")
        scales = {name for name in training.numbers if name.endswith(_SCALE)}
        # The settings of a schedule are not the number itself, even if one of them is called as it is.
        inner = tuple(name.removesuffix(_SCALE) + "." for name in scales)
        return [
            name
            for name in training.numbers
            if wanted.fullmatch(name) and (name in scales or not name.startswith(inner))
        ]

    def state(self) -> dict[str, Any]:
        """The best value, how long it has stood, and how long nothing is counted; the number itself is the run's."""
        return {"best": self.best, "waited": self.waited, "cooling": self.cooling}

    def restore(self, state: dict[str, Any]) -> None:
        """Take them up again."""
        self.best, self.waited, self.cooling = float(state["best"]), int(state["waited"]), int(state["cooling"])
