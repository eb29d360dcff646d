"""The two feeds of one step: data that lie in memory, and batches staged by a thread. The graph is the same for both.

The graph takes its batch out of arrays by indices. For data in memory those are the data themselves, in the order of
the epoch; for a stream they are a slot of the ring, in the order it was filled. One program serves both, so a stream
ends with the bits that the same samples in memory would have led to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
