"""Arrays by name, as an .npz file holds them, as a training and a test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.archives import read_npz
from chainrule.data.dataset import Dataset, from_arrays
from chainrule.data.recognising import MAXIMUM_CLASSES, class_name, few_classes
from chainrule.data.scaling import Scaling
from chainrule.errors import DataError

_PARTED = (("x_train", "y_train", "x_test", "y_test"),)
_WHOLE = (("x", "y"), ("inputs", "targets"))


def load_npz(path: str | Path, test_fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """An .npz file as a training and a test part.

    The arrays are named x and y, or inputs and targets, or x_train, y_train, x_test, y_test; without y there is
    nothing to predict. ``classes`` may hold the names of the classes. Whole numbers (samples,) that look like
    classes are classified; other targets are predicted as numbers. Inputs are standardised by the training part,
    uint8 brought into 0 … 1. The ``note`` says what was recognised. Raises DataError.
    """
    return from_named_arrays(read_npz(path), Path(path).name, test_fraction, seed)


def from_named_arrays(
    arrays: Mapping[str, NDArray[Any]], name: str, test_fraction: float = 0.2, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """What ``load_npz`` does, for arrays that are in memory."""
    lowered = {key.lower(): value for key, value in arrays.items()}
    named = [str(one) for one in lowered["classes"].ravel()] if "classes" in lowered else None
    for x, y, x_test, y_test in _PARTED:
        if x in lowered and x_test in lowered:
            ys = [lowered.get(y), lowered.get(y_test)]
            if (ys[0] is None) != (ys[1] is None):
                raise DataError(f"{name}: only one of {y} and {y_test} is there")
            targets, classes, note = _recognise(None if ys[0] is None else _joined(ys, name), named)
            border = len(lowered[x])
            train = from_arrays(lowered[x], _part(targets, 0, border), classes, name=name)
            test = from_arrays(lowered[x_test], _part(targets, border, None), classes, name=name)
            return _prepared(train, test, note)
    for x, y in _WHOLE:
        if x in lowered:
            targets, classes, note = _recognise(lowered.get(y), named)
            whole = from_arrays(lowered[x], targets, classes, name=name)
            return _prepared(*whole.split(test_fraction, seed), note)
    known = " or ".join(", ".join(names) for names in (*_WHOLE, *_PARTED))
    raise DataError(f"{name}: holds {', '.join(map(repr, arrays))}; arrays named {known} were expected")


def _joined(ys: Sequence[Any], name: str) -> NDArray[Any]:
    try:
        return np.concatenate(ys)
    except ValueError as error:
        raise DataError(f"{name}: the training and test targets differ in shape ({error})") from error


def _part(targets: NDArray[Any] | None, start: int, stop: int | None) -> NDArray[Any] | None:
    return None if targets is None else targets[start:stop]


def _recognise(
    targets: NDArray[Any] | None, named: list[str] | None
) -> tuple[NDArray[Any] | None, list[str] | None, str]:
    if targets is None:
        return None, named, "no targets: there is nothing to predict but the inputs themselves"
    if targets.ndim == 2 and targets.shape[1] == 1 and targets.dtype.kind in "iubU":
        targets = targets[:, 0]
    if targets.ndim != 1 or targets.dtype.kind not in "iubU" or targets.size == 0:
        shape = "×".join(map(str, targets.shape[1:])) or "one"
        return targets, named, f"regression: the targets are {shape} numbers of {targets.dtype} a sample"
    distinct = np.unique(targets)
    told = f"{len(distinct):,} different {'texts' if targets.dtype.kind == 'U' else 'whole numbers'}"
    if targets.dtype.kind == "U":
        return targets, named, f"classification: the targets are {told}"
    counted = bool(distinct[0] == 0 and distinct[-1] == len(distinct) - 1)
    if named is not None or (counted and len(distinct) <= min(MAXIMUM_CLASSES, len(targets) / 2)):
        return targets.astype(np.int64), named, f"classification: the targets are {told}, counted from 0"
    if few_classes(len(distinct), len(targets), True):
        labels = np.searchsorted(distinct, targets)
        return labels, [class_name(int(one)) for one in distinct], f"classification: the targets are {told}"
    return targets.astype(np.float32), None, f"regression: the targets are {told}"


def _prepared(train: Dataset, test: Dataset, note: str) -> tuple[Dataset, Dataset]:
    preparation = train.standardize().preparation
    if train.labels is None and train.targets is not None and train.classes is None:
        preparation = replace(preparation, target=Scaling.standardize(train.targets))
    if len(train.sample_shape) > 1:
        preparation = replace(preparation, shape=train.sample_shape)
    return tuple(replace(part, preparation=preparation, note=note) for part in (train, test))  # type: ignore[return-value]
