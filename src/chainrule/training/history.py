"""The history of a run: a line for each step and one for each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Record = dict[str, Any]


class History:
    """What happened: ``steps["loss"]`` is an array over steps, ``epochs`` a list of records, ``samples`` a count.

    A step's record has step, epoch, samples, what the step function recorded, gradient_norm, learning_rate and
    seconds; an epoch's has the means over its samples, what was validated, seconds and samples_per_second. Those of
    a stream have waited besides: the seconds, of those told, in which no data were there.

    >>> history = History()
    >>> history.add_step({"step": 1, "epoch": 1, "samples": 32, "loss": 0.5})
    >>> float(history.steps["loss"][0])
    0.5
    """

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._count = 0
        self.epochs: list[Record] = []

    def __len__(self) -> int:
        return self._count

    @property
    def steps(self) -> dict[str, NDArray[Any]]:
        """One array a column, over all steps."""
        return {name: np.asarray(column) for name, column in self._columns.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of what the steps have recorded."""
        return tuple(self._columns)

    def column(self, name: str) -> Sequence[Any]:
        """One column over all steps, as it is kept; empty if there is none of that name."""
        return self._columns.get(name, [])

    @property
    def samples(self) -> int:
        """How many samples all steps have seen together."""
        return int(sum(self._columns.get("samples", [])))

    def add_step(self, record: Mapping[str, Any]) -> None:
        """Append the record of a step."""
        for name in record:
            if name not in self._columns:
                self._columns[name] = [float("nan")] * self._count
        self._count += 1
        for name, column in self._columns.items():
            column.append(record.get(name, float("nan")))

    def step_records(self, first: int = 0) -> Iterator[Record]:
        """The records of the steps, from the number given."""
        for index in range(first, self._count):
            yield {name: column[index] for name, column in self._columns.items()}

    def last_epoch(self) -> Record:
        """The steps, samples and seconds of the epoch of the last step, and the means of the rest over its samples."""
        epochs = self._columns.get("epoch", [])
        first = self._count
        # Only the end is looked at: batch descent has as many epochs as steps.
        while first and epochs[first - 1] == epochs[-1]:
            first -= 1
        part = {name: np.asarray(column[first:]) for name, column in self._columns.items()}
        samples, seconds = part["samples"], float(part["seconds"].sum())
        means = {
            # The mean of what never changes is that number itself, not one that rounding has touched.
            name: float(column[0] if (column == column[0]).all() else np.average(column, weights=samples))
            for name, column in part.items()
            if name not in ("step", "epoch", "samples", "seconds", "waited")
        }
        rate = int(samples.sum()) / max(seconds, 1e-9)
        record: Record = {"epoch": int(epochs[-1]), "steps": len(samples), "samples": int(samples.sum())}
        record |= {**means, "seconds": seconds, "samples_per_second": rate}
        # An epoch that was begun on other data has steps that did not wait, and those have no such number.
        return record | ({"waited": float(np.nansum(part["waited"]))} if "waited" in part else {})
