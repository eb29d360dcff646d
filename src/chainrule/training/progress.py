"""A line of progress for each epoch, in columns."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from chainrule.training.callbacks import Callback
from chainrule.training.loop import Training

_VALIDATION = "validation_"
_UNSHOWN = ("seconds", "samples_per_second", "gradient_norm", "learning_rate", "waited")
_NARROWEST, _GAP = 8, "  "


class Progress(Callback):
    """Writes a line an epoch: what the step recorded, the same of the validation data, speed and the time left.

    On a terminal, a line that is rewritten shows the steps within an epoch.
    """

    def __init__(self, epochs: int | None, samples: int, stream: TextIO | None = None) -> None:
        self.epochs, self.samples = epochs, samples
        self.stream = stream if stream is not None else sys.stderr
        self._start, self._first, self._shown = 0.0, 0.0, 0.0
        self._columns: tuple[str, ...] = ()

    def on_start(self, training: Training) -> None:
        """Start the clock."""
        self._start = self._shown = time.perf_counter()
        self._first, self._columns = training.epoch + training.offset / max(self.samples, 1), ()

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Rewrite the line of a long epoch, twice a second."""
        now = time.perf_counter()
        if self.stream.isatty() and now - self._shown > 0.5:
            self._shown = now
            share = training.offset / max(self.samples, 1)
            loss = f"  loss {_number('loss', records[-1]['loss'])}" if "loss" in records[-1] else ""
            left = self._left(training.epoch + share)
            self.stream.write(f"\r\033[K{self._count(training.epoch + 1)}  {share:4.0%}{loss}  {left} left")
            self.stream.flush()

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Write the epoch's line, and before the first the names of the columns."""
        columns = _columns(record)
        lines = [] if columns == self._columns else self._heads(columns)
        self._columns = columns
        cells = [f"{_number(name, record[name]):>{_width(name)}}" for name in columns]
        cells += [f"{record['samples_per_second']:>9,.0f}", f"{self._left(record['epoch']):>9}"]
        lines.append(_GAP.join([self._count(record["epoch"]), *cells]))
        self._write(lines)

    def on_end(self, training: Training) -> None:
        """Say why it ended, unless all epochs are done."""
        if training.stopped:
            self._write([f"stopped in epoch {training.epoch + (training.offset > 0)}: {training.stopped}"])

    def _heads(self, columns: Sequence[str]) -> list[str]:
        first = " " * (len(self._count(1)) - len("epoch")) + "epoch"
        names = [f"{name.removeprefix(_VALIDATION).replace('_', ' '):>{_width(name)}}" for name in columns]
        held = [name for name in columns if name.startswith(_VALIDATION)]
        lines = [_GAP.join([first, *names, "samples/s", "time left"])]
        if held:
            before = _GAP.join([first, *names[: len(columns) - len(held)], ""])
            across = sum(_width(name) for name in held) + len(_GAP) * (len(held) - 1)
            over = f"{' validation ':-^{across}}" if across > len(" validation ") else "validation"
            lines.insert(0, f"{over:>{len(before) + across}}")
        return lines

    def _count(self, epoch: int) -> str:
        told = f"{epoch}/{self.epochs}" if self.epochs is not None else f"{epoch}"
        return f"{told:>{max(2 * len(str(self.epochs)) + 1, len('epoch'))}}"

    def _left(self, epoch: float) -> str:
        done = epoch - self._first
        if done <= 0 or self.epochs is None:
            return "?"
        return _duration((time.perf_counter() - self._start) / done * (self.epochs - epoch))

    def _write(self, lines: Sequence[str]) -> None:
        clear = "\r\033[K" if self.stream.isatty() else ""
        self.stream.write(clear + "\n".join(lines) + "\n")
        self.stream.flush()


def _columns(record: dict[str, Any]) -> tuple[str, ...]:
    """The names of what is shown: the measures of a usual step, or all that a step of one's own recorded."""
    numbers = [name for name, value in record.items() if isinstance(value, float) and name not in _UNSHOWN]
    order = {"loss": 0, "accuracy": 1}
    numbers.sort(key=lambda name: (name.startswith(_VALIDATION), order.get(name.removeprefix(_VALIDATION), 2)))
    return tuple(numbers)


def _width(name: str) -> int:
    return max(len(name.removeprefix(_VALIDATION)), _NARROWEST)


def _number(name: str, value: float) -> str:
    if "accuracy" in name:
        # 100% is said of all samples only, not of all but one in a million.
        return f"{min(value, 0.9999) if value < 1 else value:.2%}"
    return f"{value:.4f}" if value == 0 or 0.001 <= abs(value) < 10_000 else f"{value:.2e}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} m" if hours else f"{minutes} m {seconds:02} s" if minutes else f"{seconds} s"
