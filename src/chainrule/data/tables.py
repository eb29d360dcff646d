"""Tables, from CSV files or data frames, as data sets: numbers standardised, text columns one-hot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.data.cells import LARGEST, is_missing, number, text
from chainrule.data.columns import Column, encode_cells
from chainrule.data.dataset import Dataset
from chainrule.data.preparation import Preparation
from chainrule.data.recognising import Survey, Target, class_name, input_column, recognise_target
from chainrule.data.scaling import Scaling
from chainrule.errors import DataError

MAXIMUM_FEATURE_BYTES = 4 << 30


class Table(Protocol):
    """Anything with named columns whose rows can be gone through more than once."""

    name: str
    columns: tuple[str, ...]

    def rows(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """Each row as (place in words, cells)."""
        ...


def read_csv(
    path: str | Path,
    target: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
    *,
    ignore: Sequence[str] = (),
    task: str | None = None,
) -> tuple[Dataset, Dataset]:
    """A CSV file as a training and a test part, to predict the column ``target`` from the others.

    Numbers are standardised by the statistics of the training part, text columns become one feature a category
    (categories of the whole file), and the target is classified or predicted as a number as its values suggest:
    the data sets' ``note`` says which, and why; ``task`` decides otherwise. Regression targets keep their units,
    and ``preparation.target`` scales them. Columns in ``ignore`` are left out.

    Raises DataError naming row (from 1), line and column for a missing value, a ragged row, or text among
    numbers, and listing the columns where ``target`` is none of them.
    """
    from chainrule.data.csv_files import CsvFile

    return read_table(CsvFile(path), target, test_fraction, seed, ignore=ignore, task=task)


def read_table(
    table: Table,
    target: str | None,
    test_fraction: float = 0.2,
    seed: int = 0,
    *,
    ignore: Sequence[str] = (),
    task: str | None = None,
) -> tuple[Dataset, Dataset]:
    """What ``read_csv`` does, for any table."""
    wanted = _check_names(table, target, ignore)
    surveys = [Survey(name) for name in wanted]
    positions = [table.columns.index(name) for name in wanted]
    for place, cells in table.rows():
        for survey, position in zip(surveys, positions, strict=True):
            survey.meet(cells[position], place)
    if not surveys[0].rows:
        raise DataError(f"{table.name}: there is a header, but no rows")
    try:
        goal = recognise_target(surveys[0], task)
        columns = tuple(input_column(survey) for survey in surveys[1:])
    except DataError as error:
        told = str(error)
        raise DataError(told if told.startswith(table.name) else f"{table.name}: {told}") from None
    whole = _fill(table, positions, columns, goal, surveys[0].rows)
    train, test = whole.split(test_fraction, seed)
    preparation = _statistics(train, columns)
    return replace(train, preparation=preparation), replace(test, preparation=preparation)


def read_prepared(
    path: str | Path,
    preparation: Preparation,
    classes: Sequence[str] | None = None,
    *,
    with_targets: bool = True,
) -> Dataset:
    """A further CSV file in the form of a preparation from an earlier one: to evaluate, or to predict.

    Other columns are left alone. With targets, the column ``preparation.target_name`` must be there and known:
    DataError otherwise.
    """
    from chainrule.data.csv_files import CsvFile

    table = CsvFile(path)
    names = [column.name for column in preparation.columns]
    if not names:
        raise DataError(f"{table.name}: this run was not trained on a table, so a table cannot be fed to it")
    needed = [preparation.target_name, *names] if with_targets else names
    absent = [name for name in needed if name not in table.columns]
    if absent:
        raise DataError(f"{table.name}: no column {_quoted(absent)}; there are {_quoted(table.columns)}")
    count = sum(1 for _ in table.rows())
    if not count:
        raise DataError(f"{table.name}: there is a header, but no rows")
    positions = [table.columns.index(name) for name in needed]
    if not with_targets:
        rows = ((place, [cells[position] for position in positions]) for place, cells in table.rows())
        return Dataset(_encode(table, preparation.columns, rows, count), preparation=preparation, name=table.name)
    goal = Target(preparation.target_name, None if classes is None else tuple(classes), "")
    whole = _fill(table, positions, preparation.columns, goal, count)
    return replace(whole, preparation=preparation)


def _check_names(table: Table, target: str | None, ignore: Sequence[str]) -> list[str]:
    ignored = [ignore] if isinstance(ignore, str) else list(ignore)
    if target is None:
        raise DataError(
            f"{table.name}: which column is to be predicted? Name the target, one of {_quoted(table.columns)}"
        )
    unknown = [name for name in [target, *ignored] if name not in table.columns]
    if unknown:
        raise DataError(f"{table.name}: no column {_quoted(unknown)}; there are {_quoted(table.columns)}")
    if target in ignored:
        raise DataError(f"{table.name}: the target {target!r} cannot be ignored")
    inputs = [name for name in table.columns if name != target and name not in ignored]
    if not inputs:
        raise DataError(f"{table.name}: no column is left to predict {target!r} from")
    return [target, *inputs]


def _fill(table: Table, positions: Sequence[int], columns: Sequence[Column], goal: Target, count: int) -> Dataset:
    """All rows as one data set; the first position is the target's."""
    cells_of_target: list[tuple[str, Any]] = []

    def rows() -> Iterator[tuple[str, Sequence[Any]]]:
        for place, cells in table.rows():
            cells_of_target.append((place, cells[positions[0]]))
            yield place, [cells[position] for position in positions[1:]]

    inputs = _encode(table, columns, rows(), count)
    preparation = Preparation(columns=tuple(columns), target_name=goal.name)
    targets = _targets(cells_of_target, goal)
    return Dataset(inputs, targets, None, goal.classes, preparation, table.name, goal.note)


def _encode(
    table: Table, columns: Sequence[Column], rows: Iterator[tuple[str, Sequence[Any]]], count: int
) -> NDArray[np.float32]:
    features = sum(column.width for column in columns)
    if count * features * 4 > MAXIMUM_FEATURE_BYTES:
        raise DataError(
            f"{table.name}: {count:,} rows of {features:,} features would take {count * features * 4:,} bytes; up to "
            f"{MAXIMUM_FEATURE_BYTES:,} are read. Ignore text columns with many categories, or take fewer rows"
        )
    try:
        return encode_cells(columns, rows, count)
    except (IndexError, ValueError) as error:
        raise DataError(f"{table.name}: changed while it was read; try again") from error


def _targets(cells: Sequence[tuple[str, Any]], goal: Target) -> NDArray[Any]:
    if goal.classes is None:
        numbers = np.empty((len(cells), 1), dtype=np.float32)
        for row, (place, cell) in enumerate(cells):
            value = None if is_missing(cell) else number(cell)
            if value is None or not abs(value) <= LARGEST:
                raise DataError(f"{place}, column {goal.name!r}: {text(cell)!r:.60} is not a number to be predicted")
            numbers[row] = value
        return numbers
    known = {name: label for label, name in enumerate(goal.classes)}
    labels = np.empty(len(cells), dtype=np.int32)
    for row, (place, cell) in enumerate(cells):
        label = known.get(text(cell), known.get(class_name(cell)))
        if label is None:
            raise DataError(
                f"{place}, column {goal.name!r}: {text(cell)!r:.60} is not one of the classes, {_quoted(goal.classes)}"
            )
        labels[row] = label
    return labels


def _statistics(train: Dataset, columns: Sequence[Column]) -> Preparation:
    """The preparation that standardises the columns of numbers as measured in the training part."""
    measured = Scaling.standardize(train.inputs)
    are_numbers = np.array([column.kind == "number" for column in columns for _ in range(column.width)])
    shift = tuple(np.where(are_numbers, measured.shift, 0.0).tolist())
    scale = tuple(np.where(are_numbers, measured.scale, 1.0).tolist())
    target = Scaling()
    if train.labels is None and train.targets is not None:
        target = Scaling.standardize(train.targets)
    return replace(train.preparation, shift=shift, scale=scale, target=target)


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:40]))
    return f"{shown}, … ({len(names):,} in all)" if len(names) > 40 else shown
