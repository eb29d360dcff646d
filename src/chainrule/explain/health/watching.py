"""A callback that looks at a training while it goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from chainrule.errors import ConfigurationError
from chainrule.explain.health.diagnosis import Diagnosis, diagnose
from chainrule.explain.health.measures import Health, Probe
from chainrule.training import Callback

if TYPE_CHECKING:
    from chainrule.run import Data, Run
    from chainrule.training import Training

#: Of the time of the steps, what looking may take where nothing else is said.
_SHARE = 0.05


class Diagnose(Callback):
    """Measure a training while it goes on, and judge it at its end: ``records``, and ``diagnosis``.

    ``data`` are what is looked at, such as the training data. It looks after every ``every`` steps, exactly there;
    without it, as often as takes a twentieth of the time of the steps, which differs from run to run. What is learned
    is the same bits with it and without. The measuring program is compiled once, before the first step. An epoch
    records the worst layer of the last look: "health_dead", "health_saturated", "health_update". With ``curvature`` the
    diagnosis has that of the last step.

    >>> import chainrule as cr
    >>> from chainrule.explain.health import Diagnose
    >>> train, test = cr.data.load("iris")
    >>> watch = Diagnose(train, every=40)
    >>> run = cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, epochs=30, callbacks=[watch])
    >>> [health.step for health in watch.records], watch.diagnosis.healthy
    ([40, 80, 120], True)
    """

    def __init__(self, data: Data, *, every: int | None = None, curvature: bool = False) -> None:
        if every is not None and (not isinstance(every, int) or isinstance(every, bool) or every < 1):
            raise ConfigurationError(f"Diagnose: every is a number of steps above 0, or None, not {every!r}")
        self.data, self.every, self.curvature = data, every, curvature
        self.records: list[Health] = []
        self.diagnosis: Diagnosis | None = None
        self._probe: Probe | None = None
        self._looked = self._trained = self.took = 0.0

    def on_start(self, training: Training) -> None:
        """Compile the measuring program."""
        run: Run = training  # type: ignore[assignment]  # what fit trains is a run
        if self._probe is None or self._probe.run is not run:
            self._probe = Probe(run, self.data)
            self._probe.look()  # what a first call has to set up is no part of what a look takes
            self.took = self._timed(self._probe)[1]
        self._looked = self._trained = 0.0
        self._pause(training)

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Look, if it is time."""
        assert self._probe is not None
        step = int(training.arrays["step"])
        self._trained += sum(training.history.column("seconds")[-len(records) :])
        # A look is paid for beforehand, so that the share holds at each moment.
        paid = self._looked + self.took <= _SHARE * self._trained
        if paid if self.every is None else step % self.every == 0:
            found, self.took = self._timed(self._probe)
            self.records.append(found)
            self._looked += self.took
        self._pause(training)

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Add the last look to the epoch's record."""
        if self.records:
            record |= self.records[-1].worst()

    def on_end(self, training: Training) -> None:
        """Judge."""
        assert self._probe is not None
        self.diagnosis = diagnose(self._probe.run, self.data, self._probe, curvature=self.curvature)

    @staticmethod
    def _timed(probe: Probe) -> tuple[Health, float]:
        start = time.perf_counter()
        return probe.look(), time.perf_counter() - start

    def _pause(self, training: Training) -> None:
        if self.every is not None:
            training.pause_at((int(training.arrays["step"]) // self.every + 1) * self.every)
