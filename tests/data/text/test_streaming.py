"""Texts larger than memory: the windows of the whole, in pieces, divided where lines begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Dataset, language_stream, windows
from chainrule.data.text import TextFile, streaming
from chainrule.data.text.streaming import with_samples
from chainrule.errors import ConfigurationError, DataError, StreamError


def write(folder: Path, text: str) -> Path:
    path = folder / "corpus.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize("piece", [17, 100, 1 << 20])
def test_a_stream_has_the_windows_of_the_whole(tmp_path: Path, piece: int) -> None:
    text = "".join(f"line {n} of a text\n" for n in range(31))
    data = language_stream(write(tmp_path, text), length=8, piece=piece, shuffle=False)
    form = data.preparation.text
    assert form is not None
    inputs, targets, weights = windows(form.numbers(text), 8)
    whole = data.take(10_000)
    assert isinstance(whole, Dataset)
    np.testing.assert_array_equal(whole.inputs, inputs)
    np.testing.assert_array_equal(whole.targets, targets)
    np.testing.assert_array_equal(whole.weights, weights)


def test_a_stream_is_shuffled_by_the_epoch_alone(tmp_path: Path) -> None:
    data = language_stream(write(tmp_path, "to be or not to be\n" * 50), length=8, tokens="characters")
    first, again, second = (np.concatenate([c["inputs"] for c in data.chunks(epoch)]) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != second).any()
    np.testing.assert_array_equal(sorted(map(tuple, first)), sorted(map(tuple, second)))


def test_a_stream_of_known_length_is_not_read_to_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "to be or not to be\n" * 50)
    counted = language_stream(path, length=8)
    settings: dict[str, Any] = {"length": 8, "form": counted.preparation.text, "samples": len(counted)}
    with monkeypatch.context() as patch:
        patch.setattr(TextFile, "pieces", None)
        data = language_stream(path, **settings)
        assert len(data) == 119
    assert sum(len(chunk["inputs"]) for chunk in data.chunks()) == 119
    assert len(with_samples(counted, 7)) == 7


def test_a_stream_of_a_file_that_shrinks_breaks_off(tmp_path: Path) -> None:
    path = write(tmp_path, "to be or not to be\n" * 50)
    data = language_stream(path, length=8, piece=100)
    assert len(data) == 119
    write(tmp_path, "to be or not to be\n" * 10)
    with pytest.raises(StreamError, match="was 950 bytes long, and ended after 190"):
        list(data.chunks())


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("end", ["\n", "\r\n", " "])
def test_a_file_is_divided_where_a_line_or_a_character_begins(tmp_path: Path, end: str, fraction: float) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(("\ufeff" + f"天地玄黄 é😀{end}" * 40).encode())
    first, last = TextFile(path).divide(fraction)
    assert first.read() + last.read() == TextFile(path).read()
    assert first.bytes + last.bytes == path.stat().st_size
    wanted = fraction * path.stat().st_size
    assert wanted - 22 < last.bytes < wanted + 1  # a line is 21 bytes at most
    if "\n" in end:
        assert first.read().endswith("\n")
    inner, held = first.divide(0.25)
    assert inner.read() + held.read() == first.read()
    assert TextFile(path).divide(fraction, 60)[1].bytes <= 60


def test_bytes_of_a_part_are_named_as_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_bytes(b"to be\n" * 20 + b"\xff\n")
    first, last = TextFile(path).divide(0.2)
    assert first.read() == "to be\n" * (first.bytes // 6)
    with pytest.raises(DataError, match=r"corpus\.txt, byte 120: ff"):
        last.read()


@pytest.mark.parametrize("fraction", [0, 1, 2.0, -0.5])
def test_a_part_that_is_none_is_refused(tmp_path: Path, fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        TextFile(write(tmp_path, "to be\n")).divide(fraction)


def test_too_little_to_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few to set"):
        TextFile(write(tmp_path, "é")).divide(0.5)
    with pytest.raises(DataError, match="there is no part"):
        TextFile(write(tmp_path, "abc"), 2, 9)


@pytest.mark.parametrize("tokens", ["characters", "words"])
def test_a_large_text_is_a_stream_and_its_end_in_memory(tmp_path: Path, tokens: str) -> None:
    text = "".join(f"line {n} of a text\n" for n in range(200)) + "ß\n"
    train, test = streaming.large_language(write(tmp_path, text), length=8, tokens=tokens)
    form = train.preparation.text
    assert form is not None
    assert form == test.preparation.text
    part, held = streaming.divided(train, 0.2)
    shown = [np.concatenate([c["inputs"] for c in one.chunks()]) for one in (part, train)]
    assert len(shown[0]) == len(part) < len(shown[1]) == len(train)
    parts = [streaming.windows_of(part).file, *streaming.windows_of(train).file.divide(0.2)[1:]]
    parts.append(TextFile(tmp_path / "corpus.txt").divide(0.1)[1])
    assert "".join(one.read() for one in parts) == text
    assert [len(part), len(held), len(test)] == [-(-(len(form.tokens.split(one.read())) - 1) // 8) for one in parts]
    assert ("ß" in form.vocabulary.tokens) == (tokens == "characters")
    again, _ = streaming.large_language(tmp_path / "corpus.txt", form=form)
    assert again.preparation.text is form


def test_a_seed_orders_the_windows_anew(tmp_path: Path) -> None:
    data = language_stream(write(tmp_path, "to be or not to be\n" * 50), length=8)
    first, other = (np.concatenate([c["inputs"] for c in one.chunks()]) for one in (data, streaming.with_seed(data, 5)))
    assert (first != other).any()
    np.testing.assert_array_equal(sorted(map(tuple, first)), sorted(map(tuple, other)))


def test_other_streams_are_not_divided() -> None:
    with pytest.raises(ConfigurationError, match="streams of a text file alone"):
        streaming.divided(cr.data.stream(np.zeros((4, 2), np.float32)), 0.5)
