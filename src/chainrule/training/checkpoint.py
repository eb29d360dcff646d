"""Checkpoints: a training saved while it goes on, so that a kill loses little."""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.errors import ChainruleError, ConfigurationError, RunFileError
from chainrule.training.callbacks import Callback, _monitored, rises
from chainrule.training.log import PAUSE
from chainrule.training.records import METRICS, append

if TYPE_CHECKING:
    from chainrule.training.loop import Training

#: The folder in a run's folder where the checkpoints are that stay besides the last.
CHECKPOINTS = "checkpoints"
#: Of its time a training spends one part in so many on being saved by the clock.
_SHARE = 20


class Checkpoint(Callback):
    """Save the run in a folder while it trains, and at the end: `chainrule.load` opens what was saved last.

    It is saved after every ``every_epochs`` epochs, ``every_steps`` steps and ``every_seconds`` seconds, whichever of
    them are given; after each epoch if none is. A save is there as a whole or not at all, whenever the process is
    killed. Besides the last one, these stay in ``folder/checkpoints``, each a run of its own, for
    ``chainrule.load(folder, checkpoint=NAME)``:

    - "step-120" and so on: the last ``keep``, if that is more than one;
    - "epoch-50" and so on: those after every ``keep_every`` epochs, for good;
    - "best": that of the epoch with the best ``best``, a column of the history ("validation_loss"). It is held in
      memory until the next save, which is of the same moment or a later one. Whether more of it is better, `rises`
      says, unless ``upwards`` does.

    Between the saves, ``metrics.jsonl`` in the folder grows as a `Log` does: ``tail -f`` shows the training.

    A folder that takes nothing more does not end a training: it is said once, and tried again; the end is saved in
    another folder if need be, and only where that fails too there is a `RunFileError`. ``tell`` is given what is to be
    said (None: it is a warning).

    >>> Checkpoint("digits-run", every_seconds=60, best="validation_loss").best
    'validation_loss'
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        every_epochs: int | None = None,
        every_steps: int | None = None,
        every_seconds: float | None = None,
        keep: int = 1,
        keep_every: int | None = None,
        best: str | None = None,
        upwards: bool | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        counts = {"every_epochs": every_epochs, "every_steps": every_steps, "keep": keep, "keep_every": keep_every}
        for name, value in counts.items():
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ConfigurationError(f"Checkpoint: {name} is a whole number above 0, not {value!r}")
        if every_seconds is not None and not every_seconds >= 0:
            raise ConfigurationError(f"Checkpoint: every_seconds is a number from 0 on, not {every_seconds!r}")
        if every_epochs is every_steps is every_seconds is None:
            every_epochs = 1
        self.folder = Path(folder)
        self.every_epochs, self.every_steps, self.every_seconds = every_epochs, every_steps, every_seconds
        self.keep, self.keep_every, self.best, self.upwards = keep, keep_every, best, upwards
        #: Where the run was saved at the end: the folder, or another one if that could not be written to.
        self.saved: Path | None = None
        self._tell = tell or (lambda words: warnings.warn(words, RuntimeWarning, stacklevel=2))
        self._value = math.inf
        self._told = self._ended = self._improved = self._stays = False
        self._waiting: dict[str, Any] = {}
        self._epoch = self._step = 0
        self._next = math.inf
        self._unlike, self._logged = False, 0.0

    def on_start(self, training: Training) -> None:
        """Begin to count."""
        if not training.history.epochs:
            self._value = math.inf  # a new run
        self._told = self._ended = self._improved = self._stays = False
        self._waiting, self.saved = {}, None
        self._begin(training, 0.0)
        # Records of another run, or of later steps than this one stands at, belong to what is saved there: they make
        # room together, at once, so that the newest can be read along.
        self._unlike = not self._log(training)

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Append the newest records to those in the folder, if it is time."""
        if time.monotonic() >= self._logged + PAUSE:
            self._log(training)

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Compare with the best so far."""
        if self.best is not None:
            value = _monitored(self, record, self.best)
            value = -value if rises(training, self.best, self.upwards) else value
            self._improved = value < self._value
            self._value = min(value, self._value)
        self._stays = self.keep_every is not None and training.epoch % self.keep_every == 0

    def on_end(self, training: Training) -> None:
        """What is saved next is the end."""
        self._ended = True

    def on_rest(self, training: Any) -> None:
        """Save, if it is time."""
        if not training.whole:
            return  # as it was last saved, it is
        if self._improved:
            self._waiting["best"] = training.moment()
            self._improved = False
        if self._stays:
            self._waiting[f"epoch-{training.epoch}"] = training.moment()
            self._stays = False
        if self._ended:
            self.saved = save_somewhere(training, self.folder, self._save, self._tell)
        elif (due := self._is_due(training)) or self._unlike:
            start = time.monotonic()
            try:
                if due:
                    self._save(training, self.folder)
                else:
                    training.save(self.folder)
            except (RunFileError, OSError) as error:
                if not self._told:
                    self._tell(f"training goes on, but {error}")
                self._told = True
            self._begin(training, time.monotonic() - start)
            self._unlike = False

    def state(self) -> dict[str, Any]:
        """The best value so far."""
        return {} if self.best is None else {"value": self._value}

    def restore(self, state: dict[str, Any]) -> None:
        """Take it up again."""
        self._value = float(state["value"])

    def _log(self, training: Training) -> bool:
        """Whether the folder's file has all records, and no others; one that cannot be written, the next save tells."""
        self._logged = time.monotonic()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return append(self.folder / METRICS, training.history)
        except OSError:
            return True

    def _is_due(self, training: Training) -> bool:
        epochs = self.every_epochs and training.offset == 0 and training.epoch >= self._epoch + self.every_epochs
        steps = self.every_steps and int(training.arrays["step"]) >= self._step
        return bool(epochs or steps or time.monotonic() >= self._next)

    def _begin(self, training: Training, spent: float) -> None:
        """Count anew, from the last multiple: a run that was cut is saved where one is that was not."""
        if self.every_epochs is not None:
            self._epoch = training.epoch - training.epoch % self.every_epochs
        if self.every_steps is not None:
            step = int(training.arrays["step"])
            self._step = step - step % self.every_steps + self.every_steps
            training.pause_at(self._step)
        if self.every_seconds is not None:
            # A large run on a slow disk must not spend its time on being saved.
            self._next = time.monotonic() + max(self.every_seconds, _SHARE * spent)

    def _save(self, training: Any, folder: Path) -> None:
        """What stays first, and the last at last: a run that goes on from there makes the rest again."""
        beside = folder / CHECKPOINTS
        for name in list(self._waiting):
            self._waiting[name].save(beside / name)
            del self._waiting[name]
        step = int(training.arrays["step"])
        if self.keep > 1:
            training.save(beside / f"step-{step}")
        training.save(folder)
        _drop(beside, step, self.keep if self.keep > 1 else 0)


def _drop(beside: Path, step: int, keep: int) -> None:
    """Remove all but the last checkpoints by number of step, and those that a run gone on from before them had."""
    gone = beside / ".gone"
    for path in beside.glob("*"):
        if path == gone or (path.is_dir() and all(inner.name == ".part" for inner in path.iterdir())):
            shutil.rmtree(path)  # what a kill has left of a removal, or of a first save
    found = {int(path.name[5:]): path for path in beside.glob("step-*") if re.fullmatch(r"step-\d+", path.name)}
    there = sorted(number for number in found if number <= step)
    for number in [*there[: max(0, len(there) - keep)], *(number for number in found if number > step)]:
        os.replace(found[number], gone)  # at once: what is half removed is no checkpoint
        shutil.rmtree(gone)


def save_somewhere(training: Any, folder: Path, save: Callable[[Any, Path], Any], tell: Callable[[str], None]) -> Path:
    """Save a trained run; where its folder takes nothing more, in another one, since training is dear."""
    try:
        save(training, folder)
    except (RunFileError, OSError) as error:
        with contextlib.suppress(RunFileError, OSError):
            other = Path(tempfile.mkdtemp(prefix="chainrule-"))
            save(training, other)
            tell(f"{error}\nThe run was saved in {other} instead: move it to where it can stay.")
            return other
        if isinstance(error, ChainruleError):
            raise
        raise RunFileError(f"{folder} could not be written: {error}") from error
    return folder
