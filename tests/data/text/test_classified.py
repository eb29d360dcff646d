from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import read_texts, read_texts_as, texts
from chainrule.errors import ConfigurationError, DataError

HEADER = "title\tclass\n"
ROWS = [f"{word} number {n}\t{label}" for n in range(20) for word, label in (("good", "yes"), ("bad", "no"))]


def write(folder: Path, text: str, name: str = "headlines.tsv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_column_of_texts(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "\n".join(ROWS))
    train, test = read_texts(path, "title", "class", tokens="words")
    assert (len(train), len(test), train.classes) == (32, 8, ("no", "yes"))
    form = test.preparation.text
    assert form is not None
    assert form.column == "title"
    assert train.preparation == test.preparation
    again = read_texts_as(path, train.preparation, train.classes)
    assert len(again) == 40
    other = write(tmp_path, "title\nvery good indeed\n", "new.csv")
    np.testing.assert_array_equal(
        read_texts_as(other, train.preparation, train.classes, with_targets=False).inputs,
        form.encode(["very good indeed"]),
    )
    loaded, _ = cr.data.load(path, text="title", target="class", tokens="words")
    np.testing.assert_array_equal(loaded.inputs, train.inputs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + "good\tyes\n\tno\n", r"row 2 \(line 3\), column 'title': the text is empty"),
        (HEADER + "good\tyes\nbad\t\n", r"row 2 \(line 3\), column 'class': the value is missing"),
        (HEADER, "there is a header, but no rows"),
        ("titel\tclass\na\tb\n", "no column 'title'; there are titel, class"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_texts(write(tmp_path, text), "title", "class")


def test_a_class_that_is_none_is_refused(tmp_path: Path) -> None:
    data = texts(["a", "b"], ["x", "y"])
    with pytest.raises(DataError, match=r"text 0: the target 'z' is not one of the classes, x, y"):
        texts(["a"], ["z"], form=data.preparation.text, classes=data.classes)


def test_longer_texts_are_cut_where_a_length_was_asked_for_and_counted() -> None:
    data = texts(["a b c d", "a b"], [0, 1], tokens="words", length=2)
    assert data.inputs.tolist() == [[2, 3], [2, 3]]
    assert "1 texts were longer, and cut" in data.note


def test_options_of_texts_are_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="text='title' is for texts"):
        cr.data.load("iris", text="title")
    with pytest.raises(ConfigurationError, match="length=3 is for texts"):
        cr.data.load("digits", length=3)
    with pytest.raises(ConfigurationError, match="names a column"):
        cr.data.load(write(tmp_path, "to be or not to be", "notes.txt"), text="title")


@pytest.mark.parametrize("name", ["tinyshakespeare", "thucnews-titles", "chinese-poetry"])
def test_texts_by_name(name: str) -> None:
    from chainrule.data.sources import locate

    if locate(name) is None:
        pytest.skip(f"{name} is not on this machine")
    train, test = cr.data.load(name)
    expected = {"tinyshakespeare": (15_686, 1_743, 65), "thucnews-titles": (10_000, 10_000, 3_435)}
    sizes = len(train), len(test), train.preparation.symbols
    assert sizes == expected.get(name, (890, 99, 3_656))
