"""A line of progress for each epoch."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from chainrule.training.callbacks import Callback
from chainrule.training.loop import Training

_SHOWN = ("loss", "accuracy", "validation_loss", "validation_accuracy")


class Progress(Callback):
    """Writes a line an epoch: loss, accuracy, validation, samples per second and the time left.

    On a terminal, a line that is rewritten shows the steps within an epoch.
    """

    def __init__(self, epochs: int, samples: int, stream: TextIO | None = None) -> None:
        self.epochs, self.samples = epochs, samples
        self.stream = stream if stream is not None else sys.stderr
        self._start, self._first, self._shown = 0.0, 0, 0.0

    def on_start(self, training: Training) -> None:
        """Start the clock."""
        self._start, self._first = time.perf_counter(), training.epoch

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Rewrite the line of a long epoch, twice a second."""
        now = time.perf_counter()
        if self.stream.isatty() and now - self._shown > 0.5:
            self._shown = now
            share = training.offset / max(self.samples, 1)
            self.stream.write(
                f"\r\033[Kepoch {training.epoch + 1}/{self.epochs}  {share:4.0%}  loss {records[-1].get('loss', 0):.4f}"
            )
            self.stream.flush()

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Write the epoch's line."""
        done = record["epoch"] - self._first
        left = (time.perf_counter() - self._start) / done * (self.epochs - record["epoch"])
        width = len(str(self.epochs))
        shown = [name for name in _SHOWN if name in record] or [
            name
            for name, value in record.items()
            if isinstance(value, float) and name not in ("seconds", "samples_per_second")
        ]
        parts = [f"epoch {record['epoch']:{width}}/{self.epochs}"]
        parts += [f"{name.replace('_', ' ')} {_number(name, record[name])}" for name in shown]
        parts += [f"{record['samples_per_second']:,.0f} samples/s", f"{_duration(left)} left"]
        clear = "\r\033[K" if self.stream.isatty() else ""
        self.stream.write(clear + "  ".join(parts) + "\n")
        self.stream.flush()

    def on_end(self, training: Training) -> None:
        """Say why it ended, unless all epochs are done."""
        if training.stopped:
            clear = "\r\033[K" if self.stream.isatty() else ""
            self.stream.write(f"{clear}stopped in epoch {training.epoch + (training.offset > 0)}: {training.stopped}\n")
            self.stream.flush()


def _number(name: str, value: float) -> str:
    return f"{value:6.2%}" if "accuracy" in name else f"{value:.4f}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
