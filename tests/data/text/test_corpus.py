from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Dataset, language, windows
from chainrule.errors import ConfigurationError, DataError


@pytest.mark.parametrize("count", [4, 5, 7, 8, 9, 23])
def test_each_token_but_the_first_is_asked_for_once(count: int) -> None:
    row = np.arange(count)
    inputs, targets, weights = windows(row, 3)
    asked = targets >= 0
    assert sorted(targets[asked]) == list(range(1, count))
    np.testing.assert_array_equal(targets[asked], inputs[asked] + 1)
    np.testing.assert_allclose(weights, asked.mean(1), rtol=1e-6)


@pytest.mark.parametrize("text", ["word", "", " \n ", "a b"])
def test_a_text_too_short_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=r"a window of 8 .*wants 9|nothing in it"):
        language(text, length=8)


def test_the_test_part_is_the_end_and_shares_the_form() -> None:
    text = "abcdefghij" * 30
    train, test = language(text, length=10)
    form = train.preparation.text
    assert form is not None
    assert form == test.preparation.text
    assert form.decode(train.inputs[0]) == "abcdefghij"
    assert form.decode(test.inputs[0]) == text[270:280]
    assert train.inputs.dtype == train.targets.dtype == np.int32  # type: ignore[union-attr]
    assert (train.labels, train.classes, train.symbolic) == (None, None, True)


def test_tokens_that_overlap_are_no_language(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("to be or not to be\n" * 30)
    for learn in (language, cr.data.language_stream):
        with pytest.raises(ConfigurationError, match="overlap, so a pair says what the next token is"):
            learn(path, tokens="character-pairs")


def test_words_that_are_rare_or_new_are_unknown_and_counted() -> None:
    train, test = language(
        "once " + "to be or not to be " * 40 + "that is it " * 8, tokens="words", length=5, min_count=2
    )
    form = train.preparation.text
    assert form is not None
    assert "once" not in form.vocabulary.tokens
    assert "1 of 248" in train.note or "<unknown>" in train.note
    assert "<unknown>" in test.note


def test_symbols_are_checked() -> None:
    form = cr.data.Preparation(symbols=3)
    with pytest.raises(DataError, match=r"inputs, row 1, position 0: 3 is no symbol; they are 0 … 2"):
        Dataset(np.array([[0, 1], [3, 1]]), preparation=form)
    with pytest.raises(DataError, match="targets, row 0, position"):
        Dataset(np.array([[0, 1]]), np.array([[-2, 0]]), preparation=form)
    with pytest.raises(DataError, match="symbols are whole numbers"):
        Dataset(np.array([[0.5, 1]]), preparation=form)
    with pytest.raises(DataError, match="no quantities"):
        Dataset(np.array([[0, 1]]), preparation=form).standardize()
