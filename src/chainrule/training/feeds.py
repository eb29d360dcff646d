"""The feeds of one step: data that lie in memory, batches staged by a thread, and texts by their lengths.

The graph takes its batch out of arrays by indices. For data in memory those are the data themselves, in the order of
the epoch; for a stream they are a slot of the ring, in the order it was filled. One program serves both, so a stream
ends with the bits that the same samples in memory would have led to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

from chainrule.data import Stream
from chainrule.data.staging import Ring, slot_rows
from chainrule.engines.protocol import Array
from chainrule.training.batch import DataSpec


class Fed(NamedTuple):
    """What one call into the engine is fed with: arrays by name, the rows of each step (steps, size)."""

    data: Mapping[str, Array]
    indices: Array
    #: Seconds waited for it; None where nothing ever has to be waited for.
    waited: float | None = None
    #: What the graph is built for where that is not the feed's own.
    spec: DataSpec | None = None


class Feed(Protocol):
    """Where a loop gets its batches from."""

    #: What the step's graph is built for.
    spec: DataSpec

    def take(self, epoch: int, offset: int, most: int, stopped: Callable[[], bool]) -> Fed | None:
        """The batches from sample ``offset`` of an epoch on, up to ``most``, all of one size; None if stopped."""

    def close(self) -> None:
        """The loop has ended."""


class Resident:
    """Data that lie in memory, or are mapped into it."""

    def __init__(
        self, spec: DataSpec, data: Mapping[str, Array], order: Callable[[int], Array], batch_size: int
    ) -> None:
        self.spec, self._data, self._order, self._size = spec, data, order, batch_size
        self._known: tuple[int, Array] | None = None

    def take(self, epoch: int, offset: int, most: int, stopped: Callable[[], bool]) -> Fed | None:
        """Rows in the order of the epoch."""
        if self._known is None or self._known[0] != epoch:
            self._known = epoch, self._order(epoch)
        size, left = self._size, self.spec.samples - offset
        count = min(most, max(left // size, 1))
        rows = self._known[1][offset : offset + count * size]
        return Fed(self._data, rows.reshape(count, -1))  # the last batch of an epoch may be smaller

    def close(self) -> None:
        """Nothing is held."""


class Bucketed:
    """Sequences in memory, those of about one length together: batches are cut to the smallest bound that holds them.

    ``inputs`` are symbols (samples, length), of which 0 fills up. The rows of a bound come in the order of the epoch,
    and its batches where their first rows stand there; so it is a function of the order alone.
    """

    def __init__(
        self,
        spec: DataSpec,
        data: Mapping[str, Array],
        order: Callable[[int], Array],
        batch_size: int,
        bounds: Sequence[int],
    ) -> None:
        self.spec, self._order, self._size = spec, order, batch_size
        inputs = data["inputs"]
        whole = inputs.shape[1]
        lengths = whole - np.argmax(inputs[:, ::-1] != 0, axis=1)
        self._bucket = np.searchsorted(np.asarray([*bounds, whole]), lengths)
        self._place = np.zeros(len(inputs), np.int32)
        self._specs: list[DataSpec] = []
        self._data: list[dict[str, Array]] = []
        for number, bound in enumerate([*bounds, whole]):
            rows = np.flatnonzero(self._bucket == number)
            self._place[rows] = np.arange(len(rows), dtype=np.int32)
            here = {name: array[rows] if name in spec.arrays else array for name, array in data.items()}
            here["inputs"] = np.ascontiguousarray(here["inputs"][:, :bound])
            shapes = {**spec.arrays, "inputs": ((bound,), spec.arrays["inputs"][1])}
            self._specs.append(replace(spec, samples=len(rows), arrays=shapes))
            self._data.append(here)
        self._known: tuple[int, list[tuple[int, Array]], Array] | None = None

    def take(self, epoch: int, offset: int, most: int, stopped: Callable[[], bool]) -> Fed | None:
        """Batches that follow each other, as long as they are of one length and size."""
        if self._known is None or self._known[0] != epoch:
            self._known = epoch, *self._planned(self._order(epoch))
        _, batches, starts = self._known
        first = int(np.searchsorted(starts, offset))
        bucket, rows = batches[first]
        taken = [rows]
        for other, more in batches[first + 1 : first + most]:
            if other != bucket or len(more) != len(rows):
                break
            taken.append(more)
        return Fed(self._data[bucket], np.stack(taken), spec=self._specs[bucket])

    def _planned(self, order: Array) -> tuple[list[tuple[int, Array]], Array]:
        """The batches of an epoch, each a bucket and its rows, and how many samples come before each."""
        found = []
        for number in range(len(self._specs)):
            places = np.flatnonzero(self._bucket[order] == number)
            for start in range(0, len(places), self._size):
                rows = self._place[order[places[start : start + self._size]]]
                found.append((int(places[start]), number, rows))
        found.sort(key=lambda one: one[0])
        sizes = np.cumsum([0, *(len(rows) for _, _, rows in found)])
        return [(number, rows) for _, number, rows in found], sizes[:-1]

    def close(self) -> None:
        """Nothing is held."""


class Staged:
    """A stream, by way of a ring; it has to be taken in the order in which it comes."""

    def __init__(self, spec: DataSpec, preparing: Mapping[str, Array], ring: Ring) -> None:
        self.spec = replace(spec, samples=ring.rows)
        self._preparing, self._ring = preparing, ring
        self._rows = np.arange(ring.rows, dtype=np.int32)

    def take(self, epoch: int, offset: int, most: int, stopped: Callable[[], bool]) -> Fed | None:
        """What is staged of a slot, or nothing if it is stopped while it waits."""
        before = self._ring.waited
        found = self._ring.take(most, stopped)
        if found is None:
            return None
        slot, row, count, size = found
        rows = self._rows[row : row + count * size].reshape(count, size)
        return Fed({**slot, **self._preparing}, rows, self._ring.waited - before)

    def close(self) -> None:
        """End the thread."""
        self._ring.close()


def staged_spec(spec: DataSpec, stream: Stream, batch_size: int) -> DataSpec:
    """What the graph is built for when a stream feeds it: a slot of the ring stands for the data."""
    return replace(spec, samples=slot_rows(stream, batch_size))
