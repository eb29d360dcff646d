"""The ring: what goes in comes out in order, it is bounded, and its thread never outlives it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from chainrule.data import staging, stream
from chainrule.data.staging import SLOTS, Ring, slot_rows
from chainrule.data.streams import Stream
from chainrule.errors import StreamError


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def counting(samples: int, size: int = 10, made: list[int] | None = None) -> Stream:
    """Samples numbered through the epochs: 1000·epoch + place."""

    def source(epoch: int) -> Iterator[Any]:
        for start in range(0, samples, size):
            if made is not None:
                made.append(1000 * epoch + start)
            yield (np.arange(start, min(start + size, samples))[:, None] + 1000.0 * epoch,)

    return stream(source, samples=samples)


def drain(ring: Ring, most: int = 1000) -> list[np.ndarray[Any, Any]]:
    """Every batch, one array each."""
    found = []
    try:
        while ring._thread is None or ring._begun > ring._released or ring._thread.is_alive():
            taken = ring.take(most, lambda: ring._thread is not None and not ring._thread.is_alive())
            if taken is None:
                break
            slot, row, count, size = taken
            assert count <= most
            found += list(slot["inputs"][row : row + count * size, 0].reshape(count, size).copy())
    finally:
        ring.close()
    return found


@pytest.mark.tiny
@pytest.mark.parametrize("chunk", [1, 4, 10, 100])
@pytest.mark.parametrize("most", [1, 3, 1000])
@pytest.mark.parametrize("slot_bytes", [1, 100, 1 << 20])
def test_batches_come_out_in_order(chunk: int, most: int, slot_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "SLOT_BYTES", slot_bytes)
    found = drain(Ring(counting(23, chunk), 4, last=3), most)
    assert [len(batch) for batch in found] == [4, 4, 4, 4, 4, 3] * 3
    assert np.concatenate(found).tolist() == [1000 * epoch + place for epoch in range(3) for place in range(23)]


@pytest.mark.parametrize("start", [0, 4, 20, 22, 23])
def test_it_begins_where_it_is_told(start: int) -> None:
    made: list[int] = []
    found = drain(Ring(counting(23, 10, made), 4, first=1, start=start, last=3))
    numbers = [1000 + place for place in range(start, 23)] + [2000 + place for place in range(23)]
    assert np.concatenate(found).tolist() == numbers
    assert (1000 in made) == (start < 23)  # an epoch that is done is not gone through again


def test_a_slot_that_is_in_use_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken stays as it is, however long the loop works on it, while the thread fills the others."""
    monkeypatch.setattr(staging, "SLOT_BYTES", 64)
    ring = Ring(counting(1000, 3), 4)
    try:
        seen = 0
        for _ in range(30):
            taken = ring.take(2, lambda: False)
            assert taken is not None
            slot, row, count, size = taken
            time.sleep(0.002)
            rows = slot["inputs"][row : row + count * size, 0]
            assert rows.tolist() == list(range(seen, seen + count * size))
            seen += count * size
    finally:
        ring.close()


def test_a_slot_that_is_let_go_too_early_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a ring that does not wait for the loop overwrites what is in use."""

    def without_waiting(self: Ring) -> int:
        with self._changed:
            place = self._begun % SLOTS
            self._filled[place] = 0
            self._begun += 1
            return -1 if self._closed else place

    monkeypatch.setattr(Ring, "_next_slot", without_waiting)
    with pytest.raises((AssertionError, StreamError)):
        test_a_slot_that_is_in_use_is_never_written(monkeypatch)


def test_the_thread_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "SLOT_BYTES", 1)
    made: list[int] = []
    data = counting(1000, 1, made)
    ring = Ring(data, 5, last=1)
    assert ring.rows == 5
    try:
        assert ring.take(1, lambda: False) is not None
        time.sleep(0.1)
        # One chunk was made for the shapes; SLOTS slots are full, and one chunk more waits for room.
        assert len(made) == 1 + SLOTS * 5 + 1
    finally:
        ring.close()


def test_how_large_a_slot_is() -> None:
    bytes_a_sample = stream((np.zeros((10_000, 64), np.uint8),))
    assert slot_rows(bytes_a_sample, 32) == 32 * 313  # all of a small epoch
    larger = stream((np.zeros((50_000, 784), np.uint8),))
    assert slot_rows(larger, 32) * 784 <= staging.SLOT_BYTES < (slot_rows(larger, 32) + 32) * 784
    images = stream((np.zeros((40, 300, 300, 3), np.uint8),))
    assert slot_rows(images, 32) == 32  # a batch, however large


def test_waiting_ends_when_it_is_stopped() -> None:
    release = threading.Event()

    def source(epoch: int) -> Iterator[Any]:
        yield (np.zeros((4, 1)),)
        if threading.current_thread() is not threading.main_thread():
            release.wait(10)
        yield (np.zeros((4, 1)),)

    ring = Ring(stream(source, samples=8), 4)
    assert ring.take(9, lambda: False) is not None
    start = time.perf_counter()
    assert ring.take(9, lambda: time.perf_counter() - start > 0.1) is None
    assert 0.05 < ring.waited < 5
    release.set()
    ring.close()


def test_a_source_that_is_busy_is_told_of_and_ends_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_PATIENCE", 0.05)
    release, closed = threading.Event(), threading.Event()

    def source(epoch: int) -> Iterator[Any]:
        try:
            yield (np.zeros((4, 1)),)
            if threading.current_thread() is not threading.main_thread():
                release.wait(10)
            yield (np.zeros((4, 1)),)
        finally:
            if threading.current_thread() is not threading.main_thread():
                closed.set()

    ring = Ring(stream(source, samples=80), 4)
    assert ring.take(9, lambda: False) is not None
    with pytest.warns(RuntimeWarning, match="its source is still making a chunk"):
        ring.close()
    release.set()
    assert closed.wait(5)
    assert ring._thread is not None
    ring._thread.join(5)


@pytest.mark.parametrize("error", [ValueError("mine"), SystemExit(3), KeyboardInterrupt()])
def test_an_error_comes_after_the_batches_before_it(error: BaseException) -> None:
    def source(epoch: int) -> Iterator[Any]:
        yield (np.arange(10.0)[:, None],)
        if threading.current_thread() is not threading.main_thread():
            raise error
        yield (np.arange(10.0)[:, None],)

    ring = Ring(stream(source, samples=20), 4)
    time.sleep(0.02)
    taken = ring.take(9, lambda: False)
    try:
        assert taken is not None
        assert taken[2:] == (2, 4)
        with pytest.raises(StreamError if isinstance(error, Exception) else type(error)):
            ring.take(9, lambda: False)
    finally:
        ring.close()


def test_a_ring_that_was_never_asked_has_no_thread() -> None:
    ring = Ring(counting(8), 4)
    assert ring._thread is None
    ring.close()
