"""Streams: what a source may give, what is refused and in which words, and statistics that no cut changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Dataset, Preparation, Scaling, stream
from chainrule.data.streams import Stream
from chainrule.errors import ConfigurationError, DataError, StreamError
from chainrule.keys import Key

INPUTS = Key(0, "inputs").normal((50, 3), 2.0) + 5.0
LABELS = np.arange(50) % 4


def cut(size: int, *arrays: Any) -> Callable[[int], Iterator[Any]]:
    """A source that cuts arrays into chunks."""

    def source(epoch: int) -> Iterator[Any]:
        for start in range(0, len(arrays[0]), size):
            yield tuple(array[start : start + size] for array in arrays)

    return source


def whole(data: Stream, **settings: Any) -> dict[str, Any]:
    parts = list(data.chunks(**settings))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.mark.tiny
@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_a_stream_holds_what_its_chunks_hold(size: int) -> None:
    data = stream(cut(size, INPUTS, LABELS), samples=50, classes=4)
    assert len(data) == 50
    assert data.arrays == {"inputs": ((3,), "float64"), "targets": ((), "int32")}
    np.testing.assert_array_equal(whole(data)["inputs"], INPUTS)
    np.testing.assert_array_equal(whole(data)["targets"], LABELS)
    np.testing.assert_array_equal(whole(data, start=13)["inputs"], INPUTS[13:])
    assert list(data.chunks(start=50)) == list(stream((INPUTS, LABELS), classes=4).chunks(start=50)) == []
    assert [len(block["inputs"]) for block in data.blocks(20)] == [20, 20, 10]
    first = data.take(30)
    assert isinstance(first, Dataset)
    np.testing.assert_array_equal(first.inputs, INPUTS[:30])
    assert first.classes == ("0", "1", "2", "3")


def test_samples_are_counted_where_nobody_says() -> None:
    called = []

    def source(epoch: int) -> Iterator[Any]:
        called.append(epoch)
        yield from cut(8, INPUTS, LABELS)(epoch)

    data = stream(source, classes=4)
    assert "not counted yet" in repr(data)
    assert called == []
    assert len(data) == len(data) == 50
    assert called == [0]
    assert repr(data) == "<Stream of data: 50 samples an epoch>"


def test_an_epoch_is_cut_at_its_samples_and_the_source_is_closed() -> None:
    closed = []

    def endless(epoch: int) -> Iterator[Any]:
        try:
            while True:
                yield INPUTS, LABELS
        finally:
            closed.append(epoch)

    data = stream(endless, samples=120, classes=4)
    np.testing.assert_array_equal(whole(data, epoch=2)["inputs"], np.concatenate([INPUTS, INPUTS, INPUTS[:20]]))
    assert closed == [0, 2]  # the first time for shapes and dtypes alone


@pytest.mark.parametrize(
    ("chunk", "kinds"),
    [
        ((INPUTS, LABELS), {"inputs": "float64", "targets": "int32"}),
        ([INPUTS.tolist(), LABELS.tolist()], {"inputs": "float64", "targets": "int32"}),
        (
            (INPUTS.astype(int), LABELS * 0.5, np.ones(50)),
            {"inputs": "float32", "targets": "float64", "weights": "float32"},
        ),
        (INPUTS.astype(np.uint8), {"inputs": "uint8"}),
        ((INPUTS, ["a", "b"] * 25), {"inputs": "float64", "targets": "int32"}),
        (Dataset(INPUTS, LABELS), {"inputs": "float64", "targets": "int32"}),
        ({"x": INPUTS, "n": LABELS}, {"x": "float64", "n": "int64"}),
    ],
)  # fmt: skip
def test_what_a_chunk_may_be(chunk: Any, kinds: dict[str, str]) -> None:
    data = stream(lambda epoch: [chunk, chunk], classes=["a", "b", "c", "d"] if "weights" not in kinds else None)
    assert {name: kind for name, (_, kind) in data.arrays.items()} == kinds
    assert len(data) == 100


def test_empty_chunks_are_left_out() -> None:
    data = stream(lambda epoch: [(INPUTS[:0], LABELS[:0]), (INPUTS, LABELS), (INPUTS[:0], LABELS[:0])], classes=4)
    assert len(data) == 50 == len(whole(data)["inputs"])


BROKEN: dict[str, tuple[Any, str]] = {
    "NaN": ((np.where(np.arange(50) == 7, np.nan, 1.0)[:, None] * INPUTS, LABELS), r"inputs, row 7, column 0: nan is"),
    "a longer sample": ((np.ones((50, 4)), LABELS), r"arrays are inputs float64\[4\].*the first chunk were .*\[3\]"),
    "another dtype": ((INPUTS.astype(np.float32), LABELS), r"are inputs float32\[3\].* were inputs float64\[3\]"),
    "fewer labels": ((INPUTS, LABELS[:9]), "50 samples, but targets for 9"),
    "labels beyond": ((INPUTS, LABELS + 1), "the label of row 3 is 4, but there are 4 classes"),
    "no labels": ((INPUTS,), "arrays are inputs float64"),
    "numbers for labels": ((INPUTS, LABELS * 1.0), "4 classes, but targets of shape"),
    "texts": ((np.array([["a"] * 3] * 50), LABELS), "numbers were expected"),
    "too many": ((INPUTS, LABELS, LABELS, LABELS), "not 4 parts"),
    "nothing": (None, "a chunk has inputs, and None came"),
    "one sample": ((INPUTS[0], LABELS[:1]), r"inputs\.reshape\(1, -1\) for one sample"),
    "by name": ({"inputs": INPUTS}, "arrays are inputs float64"),
    "no names": ({}, "a dictionary without arrays"),
    "names of several lengths": ({"inputs": INPUTS, "targets": LABELS[:3]}, "as many as each other"),
    "anything": (object(), "numbers were expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_chunk_that_cannot_be_used_is_named(name: str) -> None:
    chunk, words = BROKEN[name]
    data = stream(lambda epoch: [(INPUTS, LABELS), (INPUTS, LABELS), chunk], samples=150, classes=4, name="mine")
    with pytest.raises(StreamError, match=f"^mine, chunk 2 of epoch 5.*{words}"):
        whole(data, epoch=5)


def test_an_error_of_the_source_is_shown_with_its_chunk() -> None:
    def source(epoch: int) -> Iterator[Any]:
        yield INPUTS, LABELS
        raise OSError("the disk is gone")

    data = stream(source, samples=100, classes=4)
    with pytest.raises(
        StreamError, match=r"failed at chunk 1 of epoch 0 \(counted from 0\): OSError: the disk"
    ) as caught:
        whole(data)
    assert isinstance(caught.value.__cause__, OSError)


def test_an_error_before_the_first_chunk_is_shown_too() -> None:
    def source(epoch: int) -> Any:
        raise KeyError("nothing")

    with pytest.raises(StreamError, match=r"epoch 0, before the first chunk .*: KeyError: 'nothing'"):
        len(stream(source))


def test_an_epoch_that_ends_early_is_an_error() -> None:
    data = stream(cut(8, INPUTS, LABELS), samples=51, classes=4)
    with pytest.raises(StreamError, match="epoch 3 ended after 50 of 51 samples; say how many there are"):
        whole(data, epoch=3)


def test_a_generator_that_is_used_up_is_an_error() -> None:
    once = cut(8, INPUTS, LABELS)(0)
    data = stream(lambda epoch: once, samples=50, classes=4)
    assert data.arrays
    with pytest.raises(StreamError, match="epoch 0 ended after 0 of 50 samples; a generator can be gone through once"):
        whole(data)
    with pytest.raises(StreamError, match="epoch 0 has no samples; a generator"):
        len(stream(lambda epoch: iter(()), samples=3).arrays)


@pytest.mark.parametrize("found", [(INPUTS, LABELS), INPUTS, {"x": INPUTS}, 3, None])
def test_a_source_that_gives_no_row_of_chunks(found: Any) -> None:
    with pytest.raises(StreamError, match=r"source\(0\) gave one \w+, and not one chunk after the other"):
        len(stream(lambda epoch: found))


def test_labels_want_classes() -> None:
    with pytest.raises(StreamError, match=r"no chunk knows all the classes.*classes=10"):
        len(stream(cut(8, INPUTS, LABELS)))


@pytest.mark.parametrize(
    ("source", "settings", "words"),
    [
        (cut(8, INPUTS), {"samples": 0}, "from 1 to"),
        (cut(8, INPUTS), {"samples": True}, "not True"),
        (cut(8, INPUTS), {"samples": 2**31}, "from 1 to"),
        (cut(8, INPUTS), {"classes": "abc"}, "not 'abc'"),
        (cut(8, INPUTS), {"classes": 0}, "not 0"),
        (INPUTS, {"samples": 3}, "the arrays have 50; leave samples out"),
        (cut(8, INPUTS)(0), {}, r"stream\(lambda epoch: it\)"),
        ([INPUTS], {}, r"stream\(lambda epoch: it\)"),
        ("file.npy", {}, "not of a str"),
        ((), {}, "one row a sample"),
        ((INPUTS, LABELS[:3]), {}, "as many as each other"),
    ],
)
def test_what_is_no_stream(source: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises((ConfigurationError, DataError), match=words):
        stream(source, **settings)


@pytest.mark.parametrize("shape", [(9000, 3), (600, 4, 5), (700, 3)])
@pytest.mark.parametrize("dtype", ["float64", "uint8"])
def test_statistics_are_those_of_the_whole_and_no_cut_changes_a_bit(shape: tuple[int, ...], dtype: str) -> None:
    inputs = (Key(0).normal(shape, 30.0) + 100.0).clip(0, 200).astype(dtype)
    if len(shape) == 2:
        inputs[:, 1] = 7  # a column without spread is only shifted
    found = [stream(cut(size, inputs)).standardize() for size in (64, 999, 10_000)]
    assert len({repr(one.preparation) for one in found}) == 1
    assert all(len(one) == len(inputs) for one in found)
    wanted = Dataset(inputs).standardize().preparation
    np.testing.assert_allclose(found[0].preparation.shift, wanted.shift, rtol=1e-12)
    np.testing.assert_allclose(found[0].preparation.scale, wanted.scale, rtol=1e-12)
    known = [stream(cut(size, inputs), samples=500).standardize() for size in (64, 999)]
    assert known[0].preparation == known[1].preparation
    assert known[0].preparation != found[0].preparation or dtype == "uint8"  # those of the first 500 samples alone


def test_a_preparation_is_given_or_taken_over() -> None:
    train = Dataset(INPUTS, LABELS).standardize()
    given = stream(cut(8, INPUTS, LABELS), classes=4, preparation=train.preparation)
    assert given.preparation == stream(cut(8, INPUTS, LABELS), classes=4).prepared_as(train).preparation
    target = Preparation(target=Scaling(1.0, 2.0))
    assert (
        stream(cut(8, INPUTS, LABELS), classes=4, preparation=target).standardize().preparation.target == target.target
    )
    with pytest.raises(DataError, match="standardize is for inputs"):
        stream(lambda epoch: [{"x": INPUTS}]).standardize()
    with pytest.raises(StreamError, match="nan is not"):
        stream(lambda epoch: [(INPUTS,), (INPUTS * np.nan,)]).standardize()


def test_a_public_name() -> None:
    assert cr.data.stream is stream
    assert cr.data.Stream is Stream
