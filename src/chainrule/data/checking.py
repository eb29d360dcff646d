"""The checks that arrays pass before they are data: each refusal says what came, where, and what would fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError, ShapeError

_PIECE = 1 << 20
_DTYPES = ("float32", "float64", "int32", "int64", "uint8", "uint32", "bool")
MAXIMUM_CLASSES = 100_000  # without names of their own: a mistaken column must not become a million names


def as_inputs(values: Any, source: str, features: Sequence[str] = (), symbols: int = 0) -> NDArray[Any]:
    """Inputs (samples, …) as read-only uint8, float32 or float64; int32 where they are ``symbols``, so many."""
    array = _numeric(values, f"{source}: inputs")
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{source}: there are no samples (inputs of shape {array.shape})")
    if array.size == 0:
        raise DataError(f"{source}: the samples are empty (inputs of shape {array.shape})")
    if array.ndim == 1:
        raise DataError(
            f"{source}: inputs of shape {array.shape}; samples come first and features after, as in "
            f"({len(array)}, 1). Use inputs.reshape(-1, 1) for one feature, inputs.reshape(1, -1) for one sample"
        )
    if symbols:
        return _read_only(as_symbols(array, symbols, 0, f"{source}: inputs"))
    if array.dtype not in (np.uint8, np.float32, np.float64):
        array = _as_float(array)
    refuse_not_finite(array, f"{source}: inputs", features)
    return _read_only(array)


def as_symbols(array: NDArray[Any], symbols: int, lowest: int, what: str) -> NDArray[np.int32]:
    """Whole numbers from ``lowest`` to below ``symbols``, as int32; DataError names the first that is none."""
    if array.dtype.kind not in "iu":
        raise DataError(f"{what}: symbols are whole numbers, and {array.dtype} came")
    wrong = (array < lowest) | (array >= symbols)
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0].tolist())
        where = f"row {place[0]}, position {', '.join(map(str, place[1:]))}"
        raise DataError(f"{what}, {where}: {array[place]} is no symbol; they are 0 … {symbols - 1:,}")
    return array.astype(np.int32)


def as_targets(
    values: Any, samples: int, classes: tuple[str, ...] | None, source: str, symbols: int = 0
) -> tuple[NDArray[Any] | None, tuple[str, ...] | None]:
    """Targets as read-only labels (int32) with their classes, or as float32 or float64 numbers.

    Beside ``symbols``, whole numbers (samples, positions) are a symbol to each position, -1 where none is asked for.
    """
    if classes is not None and len(set(classes)) != len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise DataError(f"{source}: the class {twice!r} is named twice")
    if values is None:
        return None, classes
    array = _numeric(values, f"{source}: targets")
    if array.ndim == 0 or len(array) != samples:
        came = "one number" if array.ndim == 0 else f"{len(array):,}"
        raise DataError(f"{source}: {samples:,} samples, but targets for {came}; they must be as many")
    if array.dtype.kind in "iub" and array.ndim == 1:
        return _labels(array, classes, source)
    if symbols and array.dtype.kind in "iu" and array.ndim > 1:
        return _read_only(as_symbols(array, symbols, -1, f"{source}: targets")), classes
    if array.dtype not in (np.float32, np.float64):
        array = _as_float(array)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    if classes is not None and array.shape[1:] != (len(classes),):
        raise DataError(
            f"{source}: {len(classes)} classes, but targets of shape {array.shape}; labels (samples,) as whole "
            f"numbers or probabilities (samples, {len(classes)}) were expected"
        )
    refuse_not_finite(array, f"{source}: targets")
    return _read_only(array), classes


def as_weights(values: Any, samples: int, source: str) -> NDArray[np.float32] | None:
    """Weights (samples,) as read-only float32, none below 0."""
    if values is None:
        return None
    array = _numeric(values, f"{source}: weights").astype(np.float32)
    if array.shape != (samples,):
        raise DataError(f"{source}: weights of shape {array.shape} for {samples:,} samples; ({samples},) was expected")
    refuse_not_finite(array, f"{source}: weights")
    if (array < 0).any():
        row = int(np.argmax(array < 0))
        raise DataError(f"{source}: the weight of row {row} is {array[row]}; a weight is 0 or more")
    return _read_only(array)


def plain_array(name: str, value: Any) -> NDArray[Any]:
    """A value as an array of a dtype that graphs know, with one row a sample."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise DataError(f"{name} holds {array.dtype}, and a network works on numbers; encode texts first")
    if array.ndim == 0:
        raise ShapeError(f"{name} is one number; give an array with one row a sample")
    if array.dtype.name not in _DTYPES:
        array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
    return array


def refuse_not_finite(array: NDArray[Any], what: str, features: Sequence[str] = ()) -> None:
    """Raise DataError naming the first NaN or infinity by row and column, both counted from 0."""
    if array.dtype.kind != "f" or not array.size:
        return
    # In pieces: the array may be mapped from a file that is larger than memory.
    rows = max(1, _PIECE * len(array) // array.size)
    for start in range(0, len(array), rows):
        finite = np.isfinite(array[start : start + rows])
        if not finite.all():
            break
    else:
        return
    first = np.argwhere(~finite)[0].tolist()
    place = (first[0] + start, *first[1:])
    row, columns = place[0], place[1:]
    told = ""
    if len(columns) == 1:
        named = f" ({features[columns[0]]!r})" if columns[0] < len(features) else ""
        told = f", column {columns[0]}{named}"
    elif columns:
        told = f", at {columns}"
    raise DataError(f"{what}, row {row}{told}: {array[place]} is not a finite number; remove or replace it")


def _numeric(values: Any, what: str) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{what}: rows of different lengths cannot be one array") from error
    if array.dtype.kind in "USOMmVc" or array.dtype.kind not in "iubf":
        raise DataError(
            f"{what}: numbers were expected, but {array.dtype} came; text columns can be read from a CSV file "
            "or a data frame, which turn them into features"
        )
    return array


def _as_float(array: NDArray[Any]) -> NDArray[Any]:
    # float32 holds whole numbers up to 2^24 exactly; longer ones would silently become their neighbours.
    if array.dtype.kind in "iu" and array.size and max(abs(int(array.min())), abs(int(array.max()))) > 2**24:
        return array.astype(np.float64)
    return array.astype(np.float32)


def _labels(
    array: NDArray[Any], classes: tuple[str, ...] | None, source: str
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0:
        row = int(np.argmin(array))
        raise DataError(
            f"{source}: the label of row {row} is {lowest}, but labels count from 0; for ±1 targets give floats"
        )
    if classes is None:
        if highest >= MAXIMUM_CLASSES:
            raise DataError(
                f"{source}: the label of row {int(np.argmax(array))} is {highest:,}, which would mean "
                f"{highest + 1:,} classes; for numbers to be predicted as numbers, give floats"
            )
        classes = tuple(str(label) for label in range(highest + 1))
    elif highest >= len(classes):
        raise DataError(
            f"{source}: the label of row {int(np.argmax(array))} is {highest}, but there are "
            f"{len(classes)} classes, 0 … {len(classes) - 1}"
        )
    return _read_only(array.astype(np.int32)), classes


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
