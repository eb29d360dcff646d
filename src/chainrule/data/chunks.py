"""Chunks: what a source of one's own gives, what a chunk has to be, and how chunks become blocks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chainrule.data.checking import plain_array
from chainrule.data.dataset import Dataset, from_arrays
from chainrule.data.preparation import Preparation
from chainrule.errors import DataError, StreamError

Arrays: TypeAlias = dict[str, NDArray[Any]]
#: Where a chunk stands, in words; the chunk; and, where it is a part of arrays, which of their samples it holds.
Piece: TypeAlias = tuple[str, Any, NDArray[Any] | None]


def made(source: Callable[[int], Any], epoch: int, stream: str) -> Generator[Piece]:
    """The chunks that a function of the epoch gives; an error of its own says where it came from."""
    number, where = 0, f"epoch {epoch}, before the first chunk"
    iterator: Iterator[Any] = iter(())
    try:
        while True:
            try:
                if not number:
                    iterator = iter(_row_of_chunks(source(epoch), epoch, stream))
                    where = f"chunk 0 of epoch {epoch}"
                chunk = next(iterator)
            except StopIteration:
                return
            except StreamError:
                raise
            except Exception as error:
                raise StreamError(
                    f"{stream}: the source failed at {where} (counted from 0): {type(error).__name__}: {error}"
                ) from error
            yield where, chunk, None
            number += 1
            where = f"chunk {number} of epoch {epoch}"
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


def _row_of_chunks(found: Any, epoch: int, stream: str) -> Iterable[Any]:
    if isinstance(found, np.ndarray | tuple | Mapping | Dataset | str) or not hasattr(found, "__iter__"):
        raise StreamError(
            f"{stream}: source({epoch}) gave one {type(found).__name__}, and not one chunk after the other; "
            "yield the chunks, or give a list of them"
        )
    chunks: Iterable[Any] = found
    return chunks


def checked(
    chunk: Any,
    told: str,
    classes: tuple[str, ...] | None,
    first: Arrays | None,
    preparation: Preparation | None = None,
) -> Arrays:
    """A chunk's arrays by name, as a data set would hold them, and like those of the first chunk if there was one."""
    arrays = _named(chunk, told, classes, preparation)
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(f"{told}: the arrays hold one row a sample, as many as each other: {lengths}")
    if not rows_of(arrays):
        return arrays
    labelled = "targets" in arrays and arrays["targets"].dtype == np.int32 and arrays["targets"].ndim == 1
    if labelled and classes is None and not isinstance(chunk, Mapping):
        raise DataError(
            f"{told}: the targets are labels, and no chunk knows all the classes; give their names or their number: "
            "stream(…, classes=10). For numbers to be predicted as numbers, give floats"
        )
    if first is not None and _kinds(first) != _kinds(arrays):
        raise DataError(f"{told}: the arrays are {_kinds(arrays)}, and those of the first chunk were {_kinds(first)}")
    return arrays


def _named(chunk: Any, told: str, classes: tuple[str, ...] | None, preparation: Preparation | None) -> Arrays:
    if isinstance(chunk, Mapping):
        if not chunk:
            raise DataError(f"{told}: a dictionary without arrays")
        return {str(name): plain_array(f"{told}: {name}", array) for name, array in chunk.items()}
    if isinstance(chunk, Dataset):
        chunk = (chunk.inputs, chunk.targets, chunk.weights)
    parts = tuple(chunk) if isinstance(chunk, tuple | list) else (chunk,)
    if not 1 <= len(parts) <= 3:
        raise DataError(f"{told}: a chunk is (inputs, targets) or (inputs, targets, weights), not {len(parts)} parts")
    if parts[0] is None:
        raise DataError(f"{told}: a chunk has inputs, and None came")
    inputs = np.asarray(parts[0])
    if inputs.ndim > 1 and not len(inputs):
        return {"inputs": inputs}
    targets, weights = [*parts[1:], None, None][:2]
    whole = from_arrays(inputs, targets, classes, weights=weights, preparation=preparation, name=told)
    named = {"inputs": whole.inputs, "targets": whole.targets, "weights": whole.weights}
    return {name: array for name, array in named.items() if array is not None}


def recut(chunks: Iterable[Arrays], rows: int) -> Generator[Arrays]:
    """Blocks of exactly ``rows`` rows, the last maybe smaller; each block is overwritten by the next.

    >>> [block["x"].tolist() for block in recut([{"x": np.arange(3)}, {"x": np.arange(3, 5)}], 2)]
    [[0, 1], [2, 3], [4]]
    """
    block: Arrays = {}
    filled = 0
    for arrays in chunks:
        at, count = 0, rows_of(arrays)
        if not block:
            block = {name: np.empty((rows, *array.shape[1:]), array.dtype) for name, array in arrays.items()}
        while at < count:
            step = min(count - at, rows - filled)
            for name, array in arrays.items():
                block[name][filled : filled + step] = array[at : at + step]
            at, filled = at + step, filled + step
            if filled == rows:
                yield block
                filled = 0
    if filled:
        yield {name: array[:filled] for name, array in block.items()}


def rows_of(arrays: Arrays) -> int:
    """How many samples some arrays hold."""
    return len(next(iter(arrays.values())))


def _kinds(arrays: Arrays) -> str:
    return ", ".join(f"{name} {array.dtype}{list(array.shape[1:])}" for name, array in arrays.items())
