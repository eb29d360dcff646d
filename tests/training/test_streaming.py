"""Training on a stream: the bits of the same samples in memory, however it is cut; broken off, it loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.data import Stream, epoch_order, staging, stream
from chainrule.errors import ConfigurationError, DataError, NotFiniteError, StreamError
from chainrule.training import StopAtLoss, loop
from tests.training.making import flowers, line, model, same_bits
from tests.training.test_same_bits import SETTINGS, StopAfter

TRAIN, TEST = flowers()
STREAMED = {name: settings for name, settings in SETTINGS.items() if name != "batch"}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


def shuffled(data: cr.data.Dataset, chunk: int, seed: int = 1, shuffle: bool = True) -> Stream:
    """The samples of a data set in the order in which a run takes them, in chunks."""

    def source(epoch: int) -> Iterator[Any]:
        order = epoch_order(seed, epoch, len(data), shuffle)
        for start in range(0, len(data), chunk):
            yield data.subset(order[start : start + chunk])

    return stream(source, samples=len(data), classes=data.classes).prepared_as(data)


def whole(**settings: Any) -> cr.Run:
    return cr.fit(model(), TRAIN, validation=TEST, epochs=3, seed=1, **settings)


@pytest.mark.parametrize(("engine", "chunk"), [("native", 1), ("native", 11), ("native", 500), ("reference", 11)])
@pytest.mark.parametrize("name", STREAMED)
def test_the_bits_are_those_of_data_in_memory(name: str, chunk: int, engine: str) -> None:
    settings = {**STREAMED[name], "engine": engine}
    data = shuffled(TRAIN, chunk, shuffle=settings.get("shuffle", True))
    run = cr.fit(model(), data, validation=TEST, epochs=3, seed=1, **settings)
    same_bits(whole(**settings), run)
    assert run.preparation == TRAIN.preparation
    assert (run.history.steps["waited"] >= 0).all()
    assert run.history.epochs[-1]["waited"] <= run.history.epochs[-1]["seconds"]


def test_arrays_are_read_in_the_order_of_the_run() -> None:
    same_bits(whole(), cr.fit(model(), stream(TRAIN), validation=TEST, epochs=3, seed=1))
    same_bits(whole(shuffle=False), cr.fit(model(), stream(TRAIN), validation=TEST, epochs=3, seed=1, shuffle=False))


def test_another_order_would_be_found() -> None:
    """The check can fail: the same samples in another order end with other bits."""
    with pytest.raises(AssertionError):
        same_bits(whole(), cr.fit(model(), shuffled(TRAIN, 11, seed=2), validation=TEST, epochs=3, seed=1))


@pytest.mark.parametrize("slot_bytes", [1, 1000, 1 << 20])
@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_no_cut_changes_a_bit(slot_bytes: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = whole(batch_size=7)
    monkeypatch.setattr(staging, "SLOT_BYTES", slot_bytes)
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", seconds)
    same_bits(expected, cr.fit(model(), shuffled(TRAIN, 13), validation=TEST, epochs=3, seed=1, batch_size=7))


@pytest.mark.parametrize("source", ["function", "arrays"])
@pytest.mark.parametrize("how", ["stop", "raise", "signal"])
@pytest.mark.parametrize("steps", [1, 18, 25])
def test_cut_anywhere_and_resumed(
    how: str, steps: int, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 0.0)  # one step a call, so that any step can be the last
    settings: dict[str, Any] = {"batch_size": 7, "optimizer": cr.optimizers.Adam(0.02), "seed": 1}
    data = shuffled(TRAIN, 10) if source == "function" else stream(TRAIN)
    run = cr.fit(model(), data, validation=TEST, epochs=3, callbacks=[StopAfter(steps, how)], **settings)
    assert int(run.arrays["step"]) == len(run.history) == steps
    assert run.stopped == ("enough" if how == "stop" else "interrupted")
    assert run.history.samples == run.epoch * len(TRAIN) + run.offset
    again = cr.load(run.save(tmp_path))
    for resumed in (run, again):
        resumed.fit(data, validation=TEST, epochs=3)
        same_bits(cr.fit(model(), TRAIN, validation=TEST, epochs=3, **settings), resumed)
    # What was begun on a stream can be gone on with in memory.
    mixed = cr.load(tmp_path).fit(TRAIN, validation=TEST, epochs=3)
    same_bits(again, mixed)


def test_a_lost_place_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a resumed stream that begins with the first batch again ends with other bits."""
    settings: dict[str, Any] = {"batch_size": 7, "seed": 1}
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 0.0)
    run = cr.fit(model(), shuffled(TRAIN, 10), epochs=3, callbacks=[StopAfter(5, "stop")], **settings)
    chunks = Stream.chunks
    monkeypatch.setattr(
        Stream, "chunks", lambda self, epoch, start, order: chunks(self, epoch, 0 if epoch == 0 else start, order)
    )
    run.fit(shuffled(TRAIN, 10), epochs=3)
    with pytest.raises(AssertionError):
        same_bits(cr.fit(model(), TRAIN, epochs=3, **settings), run)


def test_a_callback_ends_it() -> None:
    """And the thread with it, though an endless source would go on."""
    closed = threading.Event()

    def endless(epoch: int) -> Iterator[Any]:
        try:
            while True:
                yield TRAIN.inputs, TRAIN.targets
        finally:
            closed.set()

    data = stream(endless, samples=1000, classes=TRAIN.classes).standardize()
    run = cr.fit(model(), data, epochs=1000, callbacks=[StopAtLoss(0.5)])
    assert run.stopped.startswith("loss ")
    assert run.epoch < 1000
    assert closed.is_set()


def test_ctrl_c_while_it_waits_for_data() -> None:
    def slow(epoch: int) -> Iterator[Any]:
        yield TRAIN.inputs[:64], TRAIN.targets[:64]  # type: ignore[index]
        if threading.current_thread() is not threading.main_thread():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        yield TRAIN.inputs[:64], TRAIN.targets[:64]  # type: ignore[index]

    run = cr.fit(model(), stream(slow, samples=128, classes=3), epochs=1)
    assert run.stopped == "interrupted"
    assert run.offset in (0, 32, 64)


def broken(error: Exception | None, chunk: Any = None) -> Callable[[int], Iterator[Any]]:
    """In epoch 1, after 40 samples, something happens."""

    def source(epoch: int) -> Iterator[Any]:
        for start in range(0, len(TRAIN), 20):
            if epoch == 1 and start == 40:
                if error is not None:
                    raise error
                if chunk is not None:
                    yield chunk
                    continue
                return
            rows = epoch_order(1, epoch, len(TRAIN))[start : start + 20]
            yield TRAIN.inputs[rows], TRAIN.targets[rows]  # type: ignore[index]

    return source


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (broken(OSError("unplugged")), r"failed at chunk 2 of epoch 1 \(counted from 0\): OSError: unplugged"),
        (broken(None), "epoch 1 ended after 40 of 120 samples"),
        (broken(None, (TRAIN.inputs[:20] * np.nan, np.zeros(20, int))), "chunk 2 of epoch 1: inputs, row 0, column 0"),
        (broken(None, (TRAIN.inputs[:20, :3], np.zeros(20, int))), "chunk 2 of epoch 1: the arrays are inputs"),
    ],
)  # fmt: skip
def test_a_stream_that_breaks_off_loses_nothing(source: Any, words: str, tmp_path: Path) -> None:
    data = stream(source, samples=120, classes=TRAIN.classes, name="mine").prepared_as(TRAIN)
    with pytest.raises(StreamError, match=words) as caught:
        cr.fit(model(), data, epochs=3, batch_size=16, seed=1)
    run = caught.value.run
    assert (run.epoch, run.offset, len(run.history)) == (1, 32, 8 + 2)  # all whole batches before it
    assert len(run.history.epochs) == 1
    again = cr.load(run.save(tmp_path)).fit(shuffled(TRAIN, 20), epochs=3)
    same_bits(cr.fit(model(), TRAIN, epochs=3, batch_size=16, seed=1), again)


def test_a_validation_that_breaks_off_is_made_up_for(tmp_path: Path) -> None:
    """The epoch is not over until it has been measured: gone on with, it has its record."""
    whole_of_it = cr.fit(model(), TRAIN, validation=stream(TEST), epochs=3, seed=1)
    broken = [1]

    def source(epoch: int) -> Iterator[Any]:
        if broken and len(run.history.epochs) == 1:
            broken.pop()
            raise OSError("unplugged")
        yield TEST.inputs, TEST.targets

    run = cr.prepare(model(), TRAIN, seed=1)
    data = stream(source, samples=len(TEST), classes=TEST.classes).prepared_as(TEST)
    with pytest.raises(StreamError, match="unplugged"):
        run.fit(TRAIN, validation=data, epochs=3)
    again = cr.load(run.save(tmp_path))
    for resumed in (run, again):
        same_bits(whole_of_it, resumed.fit(TRAIN, validation=TEST, epochs=3))


def test_a_step_that_is_not_finite_names_the_node() -> None:
    unit = cr.Chain(cr.Dense(1), name="unit")

    @cr.step
    def down(state: Any, batch: Any) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(unit, batch["x"]) ** 2), unit, cr.optimizers.SGD(0.01))
        return {}

    def source(epoch: int) -> Iterator[Any]:
        for part in range(10):
            yield {"x": np.full((4, 2), np.nan if part == 7 else 0.1, np.float32)}

    for data in (stream(source, samples=40), {"x": np.concatenate([chunk["x"] for chunk in source(0)])}):
        with pytest.raises(NotFiniteError, match=r"step 8 is not finite.*NaN in the input data/x") as caught:
            cr.fit(down, data, epochs=1, batch_size=4, shuffle=False)
        assert int(caught.value.run.arrays["step"]) == 7
        assert caught.value.run.offset == 28


def test_memory_is_bounded() -> None:
    """80 MB in epochs of 40 MB pass through a ring of less than ten."""

    def source(epoch: int) -> Iterator[Any]:
        for part in range(40):
            yield np.full((1000, 256), part / 40, np.float32), np.full((1000, 1), 0.5, np.float32)

    data = stream(source, samples=40_000)
    settings: dict[str, Any] = {"batch_size": 500, "optimizer": cr.optimizers.SGD(0.001)}
    run = cr.fit(cr.Chain(cr.Dense(1)), data, epochs=1, **settings)  # compiled here, and not counted below
    tracemalloc.start()
    try:
        run.fit(data, epochs=2)
        first = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        run.fit(data, epochs=4)
        second = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    ring = staging.SLOTS * staging.slot_rows(data, 500) * 257 * 4
    assert ring < first < ring + 6_000_000
    assert second < first + 200_000  # twice as many samples; records of steps are kept


def test_a_leak_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: chunks that somebody keeps."""
    kept: list[Any] = []
    chunks = Stream.chunks

    def keeping(self: Stream, *arguments: Any) -> Iterator[Any]:
        for chunk in chunks(self, *arguments):
            kept.append(chunk)
            yield chunk

    monkeypatch.setattr(Stream, "chunks", keeping)
    with pytest.raises(AssertionError):
        test_memory_is_bounded()


def test_random_numbers_and_weights_are_the_same() -> None:
    unit = cr.Chain(cr.Dense(1), name="unit")

    @cr.step
    def noisy(state: Any, batch: Any) -> dict[str, cr.Node]:
        noise = state.normal(batch["x"].shape)
        loss = cr.losses.mean_squared_error(state.apply(unit, batch["x"] + noise), batch["y"], batch["w"])
        state.descend(loss, unit, cr.optimizers.SGD(0.01))
        return {"noise": graph.sum(noise)}

    points = line(23, "float32")
    arrays: dict[str, Any] = {"x": points.inputs, "y": points.targets, "w": np.arange(23, dtype=np.float32)}
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 5, "shuffle": False}
    data = stream(
        lambda epoch: [{name: array[at : at + 4] for name, array in arrays.items()} for at in range(0, 23, 4)]
    )
    same_bits(cr.fit(noisy, arrays, **settings), cr.fit(noisy, data, **settings))
    heavy = cr.data.from_arrays(points.inputs, points.targets, weights=np.arange(23.0))
    one, two = cr.fit(cr.Chain(cr.Dense(1)), heavy, epochs=2), cr.fit(cr.Chain(cr.Dense(1)), stream(heavy), epochs=2)
    same_bits(one, two)
    assert one.evaluate(heavy) == one.evaluate(stream(heavy)) != one.evaluate(points)


def test_a_stream_is_evaluated_in_blocks() -> None:
    run = cr.fit(model(), TRAIN, validation=stream(TEST), epochs=2)
    assert run.history.epochs[-1]["validation_loss"] == pytest.approx(run.evaluate(TEST)["loss"])
    for chunk in (1, 7, 200):
        assert run.evaluate(shuffled(TEST, chunk, shuffle=False)) == run.evaluate(TEST)
    with pytest.raises(DataError, match="to evaluate, the data needs targets"):
        run.evaluate(stream(TEST.inputs))
    with pytest.raises(StreamError, match="source failed at chunk 2 of epoch 0"):
        run.evaluate(stream(lambda epoch: failing(), samples=120, classes=3))


def failing() -> Iterator[Any]:
    yield TRAIN.inputs[:20], TRAIN.targets[:20]  # type: ignore[index]
    yield TRAIN.inputs[:20], TRAIN.targets[:20]  # type: ignore[index]
    raise OSError("unplugged")


def test_what_a_stream_is_not_for() -> None:
    data = stream(TRAIN)
    run = cr.fit(model(), data, epochs=1)
    for ask in (lambda: run.check(data), lambda: run.explain(data, 0, "0.weight[0,0]")):
        with pytest.raises(DataError, match=r"take samples of it: stream\.take\(1000\)"):
            ask()
    assert run.check(data.take(20)).passed
    with pytest.raises(ConfigurationError, match="a stream is never there at once"):
        cr.fit(model(), data, batch_size=None)
    with pytest.raises(DataError, match="the data needs targets"):
        cr.fit(model(), stream(TRAIN.inputs))
    with pytest.raises(DataError, match="a model is fitted to a Dataset"):
        cr.fit(model(), stream({"x": TRAIN.inputs}))
    with pytest.raises(DataError, match="its labels would be taken for other classes"):
        run.fit(stream((TRAIN.inputs, TRAIN.targets), classes=["a", "b", "c"]), epochs=2)
    with pytest.raises(DataError, match="was trained on arrays"):
        run.fit(stream(lambda epoch: [(TRAIN.inputs[:, :2], TRAIN.targets)], classes=TRAIN.classes), epochs=2)


def test_a_batch_may_be_larger_than_the_data() -> None:
    one, two = (cr.fit(model(), data, epochs=2, batch_size=500) for data in (TRAIN, stream(TRAIN)))
    same_bits(one, two)


def test_progress_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    cr.fit(model(), stream(TRAIN), epochs=1, progress=True)
    told = capsys.readouterr().err
    assert "waited" not in told
    assert "1/1" in told
