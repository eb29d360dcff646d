"""A log of a training: its history as JSON lines in a file, written while it goes on."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.training.callbacks import Callback
from chainrule.training.records import append

if TYPE_CHECKING:
    from chainrule.training.loop import Training

#: How long the newest records may wait until they are written, a call's or many calls' together.
PAUSE = 0.25


class Log(Callback):
    """Append the record of each step and epoch to a file of JSON lines, a quarter of a second after it at the latest.

    A line is an object with "kind" ("step" or "epoch") and what `History` keeps of it; NaN is null and infinity a text.
    Only whole lines are written, so that other programs can read along. A run that is gone on with goes on in its
    file: what a killed process has written beyond the checkpoint is taken away, and no step is there twice or lacks. A
    file of another run is replaced.

    A `Checkpoint` does the same for ``metrics.jsonl`` in its folder; with one, a log of its own is not needed.

    A file that cannot be written to is said once, as a warning unless ``tell`` takes it, and the training goes on.

    >>> Log("course.jsonl").path.name
    'course.jsonl'
    """

    def __init__(self, path: str | Path, *, tell: Callable[[str], None] | None = None) -> None:
        self.path = Path(path)
        self._tell = tell or (lambda words: warnings.warn(words, RuntimeWarning, stacklevel=2))
        self._told = False
        self._next = 0.0

    def on_start(self, training: Training) -> None:
        """Have the file hold what has been, and no more."""
        self._told = False
        self._write(training)

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Append what is new, if it is time."""
        if time.monotonic() >= self._next:
            self._write(training)

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Append what is new, if it is time."""
        self.on_steps(training, [record])

    def on_end(self, training: Training) -> None:
        """Append the rest."""
        self._write(training)

    def _write(self, training: Training) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not append(self.path, training.history):
                self.path.write_bytes(b"")
                append(self.path, training.history)
        except OSError as error:
            if not self._told:
                self._tell(f"training goes on, but {self.path} could not be written: {error.strerror or error}")
            self._told = True
        self._next = time.monotonic() + PAUSE
