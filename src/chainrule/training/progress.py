"""A line of progress for each epoch, in columns."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TextIO

from chainrule.training.callbacks import Callback
from chainrule.training.loop import Training
from chainrule.training.showing import Display, display_for

_VALIDATION = "validation_"
_UNSHOWN = ("seconds", "samples_per_second", "gradient_norm", "learning_rate", "waited")
_NARROWEST, _GAP = 8, "  "
_ENDS = {"samples_per_second": "samples/s", "left": "time left"}
#: So many lines stay however fast they come; after them one in so many seconds, and the last.
_ALWAYS, _SECONDS = 30, 3.0


class Progress(Callback):
    """Shows a line an epoch: what the step recorded, the same of the validation data, speed and the time left.

    The first epochs and the last one have a line that stays; of those between, one every three seconds, so that ten
    thousand epochs do not make ten thousand lines. A terminal and a notebook show the others, and the steps within a
    long epoch, in one line that is rewritten; a terminal leaves out columns that it has no room for. A log or a pipe
    gets plain text. ``stream`` is where to (None: the notebook, or the standard errors).
    """

    def __init__(self, epochs: int | None, samples: int, stream: TextIO | None = None) -> None:
        self.epochs, self.samples, self.stream = epochs, samples, stream
        self._display: Display = display_for(stream)
        self._start, self._first, self._shown, self._kept = 0.0, 0.0, 0.0, 0.0
        self._count_kept = 0
        self._columns: tuple[str, ...] = ()
        self._waiting: list[str] = []

    def on_start(self, training: Training) -> None:
        """Start the clock."""
        self._display = display_for(self.stream)
        self._start = self._shown = self._kept = time.perf_counter()
        self._first, self._columns = training.epoch + training.offset / max(self.samples, 1), ()
        self._count_kept, self._waiting = 0, []

    def on_steps(self, training: Training, records: list[dict[str, Any]]) -> None:
        """Rewrite the line of a long epoch, twice a second."""
        if self._passes(0.5):
            share = training.offset / max(self.samples, 1)
            loss = f"  loss {_number('loss', records[-1]['loss'])}" if "loss" in records[-1] else ""
            left = self._left(training.epoch + share)
            self._display.passing(f"{self._count(training.epoch + 1)}  {share:4.0%}{loss}  {left} left")

    def on_epoch(self, training: Training, record: dict[str, Any]) -> None:
        """Show the epoch's line, and before the first the names of the columns."""
        columns = _columns(record)
        tail = ["samples_per_second", "left"]
        room = self._display.width
        while room is not None and len(columns) + len(tail) > 1 and self._across(columns, tail) > room:
            if tail:
                tail.pop()
            else:
                columns = columns[:-1]
        lines = [] if (*columns, *tail) == self._columns else self._heads(columns, tail)
        self._columns = (*columns, *tail)
        cells = [f"{_number(name, record[name]):>{_width(name)}}" for name in columns]
        ends = {
            "samples_per_second": f"{record['samples_per_second']:>9,.0f}",
            "left": f"{self._left(record['epoch']):>9}",
        }
        row = _GAP.join([self._count(record["epoch"]), *cells, *(ends[name] for name in tail)])
        now = time.perf_counter()
        due = self._count_kept < _ALWAYS or now - self._kept >= _SECONDS
        if lines or due or record["epoch"] == self.epochs:
            self._kept, self._count_kept, self._waiting = now, self._count_kept + 1, []
            self._display.keep([*lines, row])
        else:
            self._waiting = [row]
            if self._passes(0.1):
                self._display.passing(row)

    def on_end(self, training: Training) -> None:
        """Show the last epoch, and say why it ended unless all epochs are done."""
        lines, self._waiting = self._waiting, []
        if training.stopped:
            lines.append(f"stopped in epoch {training.epoch + (training.offset > 0)}: {training.stopped}")
        if lines:
            self._display.keep(lines)

    def _passes(self, seconds: float) -> bool:
        """Whether it is time to rewrite the line."""
        now = time.perf_counter()
        if not self._display.passes or now - self._shown <= seconds:
            return False
        self._shown = now
        return True

    def _across(self, columns: Sequence[str], tail: Sequence[str]) -> int:
        return len(self._count(1)) + sum(map(_width, columns)) + 9 * len(tail) + len(_GAP) * (len(columns) + len(tail))

    def _heads(self, columns: Sequence[str], tail: Sequence[str]) -> list[str]:
        first = " " * (len(self._count(1)) - len("epoch")) + "epoch"
        names = [f"{name.removeprefix(_VALIDATION).replace('_', ' '):>{_width(name)}}" for name in columns]
        held = [name for name in columns if name.startswith(_VALIDATION)]
        lines = [_GAP.join([first, *names, *(_ENDS[name] for name in tail)])]
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
