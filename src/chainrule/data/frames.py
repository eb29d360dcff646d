"""Data frames, of pandas or of anything with columns of the same manners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.data.dataset import Dataset
from chainrule.data.tables import read_table
from chainrule.errors import DataError


class FrameTable:
    """A data frame as a table: ``frame.columns`` are names, ``frame[name]`` goes through a column's values."""

    def __init__(self, frame: Any, name: str = "the data frame") -> None:
        if not hasattr(frame, "columns") or not hasattr(frame, "__getitem__"):
            raise DataError(f"a data frame was expected, with columns, not {type(frame).__name__}")
        self.name = name
        self.columns = tuple(str(column) for column in frame.columns)
        twice = sorted({column for column in self.columns if self.columns.count(column) > 1})
        if twice:
            raise DataError(f"{name}: two columns are named {twice[0]!r}; give each its own name")
        self._values = [list(frame[column]) for column in frame.columns]

    def rows(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """Each row as (place, cells)."""
        for row, cells in enumerate(zip(*self._values, strict=True), start=1):
            yield f"{self.name}, row {row}", cells


def from_frame(
    frame: Any,
    target: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    *,
    ignore: Sequence[str] = (),
    task: str | None = None,
) -> tuple[Dataset, Dataset]:
    """A data frame as a training and a test part, treated as ``read_csv`` treats a file; rows count from 1.

    >>> class Frame(dict):
    ...     columns = property(lambda self: list(self))
    >>> frame = Frame(size=[50, 80, 60, 90], kind=["flat", "house"] * 2)
    >>> train, test = from_frame(frame, "kind", test_fraction=0.5)
    >>> train.classes, len(train), len(test)
    (('flat', 'house'), 2, 2)
    """
    return read_table(FrameTable(frame), target, test_fraction, seed, ignore=ignore, task=task)
