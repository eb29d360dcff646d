"""The history of a run: a line for each step and one for each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Record = dict[str, Any]


class History:
    """What happened: ``steps["loss"]`` is an array over steps, ``epochs`` a list of records, ``samples`` a count.

    A step's record has step, epoch, samples, what the step function recorded, gradient_norm, learning_rate and
    seconds; an epoch's has the means over its samples, what was validated, seconds and samples_per_second.

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
    def samples(self) -> int:
        """How many samples all steps have seen together."""
        return int(sum(self._columns.get("samples", [])))

    def add_step(self, record: Mapping[str, Any]) -> None:
        """Append the record of a step."""
        for name in record:
            self._columns.setdefault(name, [float("nan")] * self._count)
        self._count += 1
        for name, column in self._columns.items():
            column.append(record.get(name, float("nan")))

    def step_records(self, first: int = 0) -> Iterator[Record]:
        """The records of the steps, from the number given."""
        for index in range(first, self._count):
            yield {name: column[index] for name, column in self._columns.items()}

    def epoch_means(self, epoch: int) -> Record:
        """The mean of each column over the samples of one epoch (counted from 1)."""
        rows = np.asarray(self._columns.get("epoch", [])) == epoch
        weights = np.asarray(self._columns.get("samples", []))[rows]
        means: Record = {}
        for name, column in self._columns.items():
            if name not in ("step", "epoch", "samples", "seconds"):
                means[name] = (
                    float(np.average(np.asarray(column)[rows], weights=weights)) if len(weights) else float("nan")
                )
        return means
