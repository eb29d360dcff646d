from __future__ import annotations

from pathlib import Path

import pytest

from chainrule.data import Preparation
from chainrule.data.text import (
    BytePairs,
    CharacterPairs,
    Characters,
    ChineseWords,
    TextForm,
    Tokenizer,
    Vocabulary,
    Words,
)
from chainrule.data.text.form import make_vocabulary
from chainrule.data.text.tokenizing import tokenizer_from
from chainrule.errors import ConfigurationError, DataError, RunFileError
from chainrule.keys import Key

LINES = ["the cat sat on the mat", "the dog, the cat's friend; sat too", "héllo 語 😀\tworld\n"]


def byte_pairs() -> BytePairs:
    pytest.importorskip("tokenizers")
    return BytePairs.learn(LINES * 5, size=280)


def test_characters_and_byte_pairs_lose_nothing() -> None:
    for tokens in (Characters(), byte_pairs()):
        for line in [*LINES, "🙂 never met"]:
            assert tokens.join(tokens.split(line)) == line


@pytest.mark.parametrize("text", ["", "a", "ab", "天地 😀é"])
def test_characters_and_pairs_of_them_lose_nothing(text: str) -> None:
    tokens = CharacterPairs().split(text)
    assert len(tokens) == max(2 * len(text) - 1, 0)
    assert set(tokens) == {*text, *(text[n : n + 2] for n in range(len(text) - 1))}
    assert CharacterPairs().join(tokens) == text


@pytest.mark.parametrize("name", ["characters", "words", "byte-pairs"])
@pytest.mark.parametrize("size", [1, 2, 7])
def test_text_that_comes_in_parts_is_the_text(name: str, size: int) -> None:
    tokens = byte_pairs() if name == "byte-pairs" else tokenizer_from(name)
    found = [token for line in LINES for token in tokens.split(line)]
    form = TextForm(tokens, make_vocabulary(tokens, found, padding=False, unknown=False), length=4)
    numbers = [number for line in LINES for number in form.numbers(line).tolist()]
    pieces = list(form.decode_parts(numbers[place : place + size] for place in range(0, len(numbers), size)))
    assert "".join(pieces) == form.decode(numbers)
    assert len(pieces) >= len(numbers) // (2 * size)
    assert not any("\ufffd" in piece for piece in pieces)
    chance = Key(size).uniform((500,), 0, form.symbols).astype(int).tolist()
    assert "".join(form.decode_parts([number] for number in chance)) == form.decode(chance)


def test_byte_pairs_join_what_is_frequent() -> None:
    pairs = byte_pairs()
    assert len(pairs.merges) == 24
    assert len(pairs.split("the cat sat")) < 7
    assert tokenizer_from(pairs.to_dict()) == pairs


def test_words() -> None:
    assert Words().split("Don't — go, NOW!") == ["don't", "—", "go", ",", "now", "!"]
    assert Words().join(["go", ",", "now", "!"]) == "go, now!"
    assert Words(lower=False).split("Go") == ["Go"]


def test_chinese_words() -> None:
    pytest.importorskip("jieba")
    assert ChineseWords().split("北京大学 的学生") == ["北京大学", "的", "学生"]


def test_a_vocabulary_is_in_the_order_of_counts(tmp_path: Path) -> None:
    known = Vocabulary.of("b a b c c c".split())
    assert known.tokens == ("<padding>", "<unknown>", "c", "b", "a")
    assert Vocabulary.of("b a b c c c".split(), min_count=2, most=1, padding=False).tokens == ("<unknown>", "c")
    assert known.decode([0, 3, 1]) == ["b", "<unknown>"]
    odd = Vocabulary(('"', "\n", "\u2028", "語", "\\"))
    assert Vocabulary.load(odd.save(tmp_path / "vocabulary.json")) == odd


@pytest.mark.parametrize("text", ["", "{}", '["a", "a"]', "[1]", '[""]', '["a", "<padding>"]', "[" * 100_000])
def test_a_damaged_vocabulary_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"vocabulary\.json: "):
        Vocabulary.load(path)


@pytest.mark.parametrize("tokens", ["characters", "character-pairs", "words", "chinese-words", "byte-pairs"])
def test_a_form_is_plain_values_and_back(tokens: str) -> None:
    used: Tokenizer = byte_pairs() if tokens == "byte-pairs" else tokenizer_from(tokens)
    found = [] if tokens == "chinese-words" else [one for line in LINES for one in used.split(line)]
    form = TextForm(used, make_vocabulary(used, found or ["我"], padding=True, unknown=True), 9, "cut", "title")
    preparation = Preparation(text=form, target_name="class")
    assert Preparation.from_dict(preparation.to_dict()) == preparation
    assert preparation.symbols == form.symbols


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"length": 0}, "length is a whole number"),
        ({"length": True}, "length is a whole number"),
        ({"vocabulary": "abc"}, "the tokens are a list"),
        ({"vocabulary": ["a", 1]}, "one token or more"),
        ({"tokens": {"kind": "letters"}}, "tokens are one of characters, character-pairs"),
        ({"tokens": {"kind": "words", "upper": 1}}, "no setting 'upper'"),
        ({"tokens": {"kind": "words", "lower": "yes"}}, "lower is True or False"),
        ({"tokens": {"kind": "byte-pairs", "merges": [["a"]]}}, "merges are pairs"),
        ({"longer": "drop"}, "refuse or cut"),
        ({"extra": 1}, "unknown key 'extra'"),
    ],
)
def test_a_damaged_form_is_refused(change: dict[str, object], message: str) -> None:
    plain = TextForm(Words(), Vocabulary.of(["a"]), 3).to_dict()
    with pytest.raises(RunFileError, match=message):
        Preparation.from_dict({"text": {**plain, **change}})


@pytest.mark.tiny
def test_what_does_not_fit_a_form_is_refused_with_its_place() -> None:
    form = TextForm(Words(), Vocabulary.of(["a", "b"]), 3)
    with pytest.raises(DataError, match="the texts, text 1: there is no token"):
        form.encode(["a", " "])
    with pytest.raises(DataError, match="text 0: 4 tokens, and there are 3 positions"):
        form.encode(["a b a b"])
    with pytest.raises(DataError, match="put it into a list"):
        form.encode("a b")
    with pytest.raises(DataError, match=r"token 1 \(counted from 0\): 'c' is not among the 2 tokens"):
        TextForm(Words(), Vocabulary(("a", "b")), 3).encode(["a c b"])
    with pytest.raises(DataError, match="no <padding> to fill"):
        TextForm(Words(), Vocabulary(("a", "b")), 3).encode(["a b"])


def test_byte_pairs_without_a_text_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="learned from a text"):
        tokenizer_from("byte-pairs")
