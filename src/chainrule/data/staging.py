"""A fixed ring of preallocated arrays between a thread that reads a stream and the loop that trains on it."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from contextlib import closing

import numpy as np

from chainrule.data.chunks import Arrays, rows_of
from chainrule.data.streams import Stream
from chainrule.data.wholes import Order
from chainrule.errors import StreamError

SLOTS = 4
#: A slot is about so large: four of them stay in the cache of a usual processor, and fill a call of some milliseconds.
SLOT_BYTES = 2 << 20

_LOOK = 0.05  # so often a loop that waits looks whether it was stopped
_PATIENCE = 2.0


def slot_rows(stream: Stream, batch_size: int) -> int:
    """How many samples a slot holds: whole batches, at least one, and no more than an epoch has."""
    sample = sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in stream.arrays.values())
    batches = min(SLOT_BYTES // max(sample * batch_size, 1), -(-len(stream) // batch_size))
    return max(batches, 1) * batch_size


class Ring:
    """Batches staged ahead, in the order of a stream, from sample ``start`` of epoch ``first`` to the last epoch.

    A thread cuts chunks into `SLOTS` slots of `slot_rows` samples each; a slot never holds parts of two epochs. The
    loop asks for batches with `take`, and what it got stays as it is until it asks again. Memory is the ring and one
    chunk, however long the stream is. `close` ends the thread.
    """

    def __init__(
        self,
        stream: Stream,
        batch_size: int,
        *,
        first: int = 0,
        start: int = 0,
        last: int = 1,
        order: Order | None = None,
    ) -> None:
        self.rows, self.batch_size = slot_rows(stream, batch_size), batch_size
        #: Seconds that the loop has waited in all.
        self.waited = 0.0
        self._stream, self._order = stream, order
        if start == len(stream):  # a run that was cut after the last batch of an epoch, and before its end
            first, start = first + 1, 0
        self._first, self._start, self._last = first, start, last
        kinds = stream.arrays.items()
        self._slots: list[Arrays] = [
            {name: np.empty((self.rows, *shape), kind) for name, (shape, kind) in kinds} for _ in range(SLOTS)
        ]
        self._filled = [0] * SLOTS
        self._begun = self._released = self._used = 0
        self._left = len(stream) - start
        self._closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def take(self, most: int, stopped: Callable[[], bool]) -> tuple[Arrays, int, int, int] | None:
        """The next batches, up to ``most`` of one size: a slot, its first row, how many batches, and their size.

        It waits until there is one, or until ``stopped`` (then None). Raises what broke the stream off, after
        all whole batches before it.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="chainrule stream", daemon=True)
            self._thread.start()
        start = time.perf_counter()
        with self._changed:
            if self._used == self.rows or self._left == 0:
                self._release()
            try:
                while not (found := self._found(most)):
                    if stopped():
                        return None
                    if self._error is not None:
                        raise self._error
                    if not self._thread.is_alive():  # nothing that could still come is worth waiting for
                        raise StreamError(f"{self._stream!r} ended {self._left:,} samples before its epoch did")
                    self._changed.wait(_LOOK)
            finally:
                self.waited += time.perf_counter() - start
            count, size = found
            row, self._used, self._left = self._used, self._used + count * size, self._left - count * size
            return self._slots[self._released % SLOTS], row, count, size

    def close(self) -> None:
        """End the thread, wherever it is; a source that is in the middle of making a chunk is waited for, shortly."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE)
            if self._thread.is_alive():
                warnings.warn(
                    f"{self._stream!r}: its source is still making a chunk; its thread ends when that is done",
                    RuntimeWarning,
                    stacklevel=2,
                )

    def _found(self, most: int) -> tuple[int, int] | None:
        if self._begun == self._released:
            return None
        there, size = min(self._filled[self._released % SLOTS] - self._used, self._left), self.batch_size
        if there >= size:
            return min(there // size, most), size
        return (1, there) if there == self._left else None  # the last batch of an epoch may be smaller

    def _release(self) -> None:
        self._released += 1
        self._used = 0
        self._left = self._left or len(self._stream)
        self._changed.notify_all()

    def _work(self) -> None:
        try:
            for epoch in range(self._first, self._last):
                start = self._start if epoch == self._first else 0
                with closing(self._stream.chunks(epoch, start, self._order)) as chunks:
                    place = self._next_slot()
                    for chunk in chunks:
                        place = self._stage(chunk, place)
                        if place < 0:
                            return
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _stage(self, chunk: Arrays, place: int) -> int:
        """Copy a chunk into the slot at ``place`` and those after it; gives the last, or -1 when it is all over."""
        at, count = 0, rows_of(chunk)
        while at < count and place >= 0:
            filled = self._filled[place]
            if filled == self.rows:
                place = self._next_slot()
                continue
            step = min(count - at, self.rows - filled)
            for name, array in chunk.items():
                self._slots[place][name][filled : filled + step] = array[at : at + step]
            with self._changed:  # only now: the loop never sees a row that is being written
                self._filled[place] = filled + step
                place = -1 if self._closed else place
                self._changed.notify_all()
            at += step
        return place

    def _next_slot(self) -> int:
        """A slot that the loop is done with, or -1 when it is all over."""
        with self._changed:
            while self._begun - self._released == SLOTS and not self._closed:
                self._changed.wait()
            if self._closed:
                return -1
            place = self._begun % SLOTS
            self._filled[place] = 0
            self._begun += 1
            return place
