"""Sampling, and text that goes on: probabilities by hand, the same text for the same seed, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.text import BytePairs
from chainrule.errors import ConfigurationError, DataError
from chainrule.keys import Key
from chainrule.training import Sampling

LOGITS = np.log([0.4, 0.1, 0.3, 0.2])


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [0.4, 0.1, 0.3, 0.2]),
        ({"temperature": 0.5}, np.array([0.16, 0.01, 0.09, 0.04]) / 0.3),
        ({"temperature": 0}, [1, 0, 0, 0]),
        ({"top_k": 2}, [4 / 7, 0, 3 / 7, 0]),
        ({"top_k": 9}, [0.4, 0.1, 0.3, 0.2]),
        ({"top_p": 0.7}, [4 / 7, 0, 3 / 7, 0]),
        ({"top_p": 0.71}, np.array([4, 0, 3, 2]) / 9),
        ({"top_p": 1e-9}, [1, 0, 0, 0]),
        ({"top_p": 1}, [0.4, 0.1, 0.3, 0.2]),
        ({"top_k": 3, "top_p": 0.5}, [4 / 7, 0, 3 / 7, 0]),
    ],
)
def test_probabilities(settings: dict[str, Any], expected: Any) -> None:
    np.testing.assert_allclose(Sampling(**settings).probabilities(LOGITS), expected, atol=1e-12)


def test_what_is_never_drawn_takes_part_in_nothing() -> None:
    np.testing.assert_allclose(Sampling(top_k=2).probabilities(LOGITS, [0]), [0, 0, 0.6, 0.4], atol=1e-12)
    assert Sampling(0).probabilities(LOGITS, [0]).tolist() == [0, 0, 1, 0]
    assert Sampling().probabilities([1e4, -1e4, np.nan_to_num(-np.inf)]).tolist() == [1, 0, 0]


def test_draws_come_as_often_as_they_should() -> None:
    key = Key(3)
    found = np.bincount([Sampling(top_p=0.8).draw(LOGITS, key.child(n)) for n in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(found, np.array([4, 0, 3, 2]) / 9, atol=0.03)


@pytest.mark.parametrize(("number", "expected"), [(0.0, 2), (1.0 - 2.0**-53, 3)])
def test_a_draw_at_the_border_is_of_what_is_left(number: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Key, "uniform", lambda *_: np.array(number))
    assert Sampling().draw(LOGITS, Key(0), [0, 1]) == expected


@pytest.mark.parametrize(
    "settings",
    [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_k": 1.5}, {"top_p": 0}, {"top_p": 1.1}],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Sampling(**settings)


def causal(symbols: int) -> cr.Chain:
    return cr.Chain(cr.Embedding(symbols, 8), cr.LSTM(16, sequences=True), cr.Dense(symbols))


@pytest.fixture(scope="module")
def run() -> cr.Run:
    train, test = cr.data.language("to be or not to be, that is the question. " * 40, length=12)
    return cr.fit(causal(15), train, validation=test, optimizer=cr.optimizers.Adam(0.02), epochs=8)


def test_the_same_seed_is_the_same_text(run: cr.Run, tmp_path: Path) -> None:
    first = run.generate("to ", 40, temperature=0.7, top_k=5, top_p=0.95, seed=1)
    assert first.startswith("to ")
    assert len(first) == 43
    assert first == run.generate("to ", 40, temperature=0.7, top_k=5, top_p=0.95, seed=1)
    assert first != run.generate("to ", 40, temperature=0.7, top_k=5, top_p=0.95, seed=2)
    again = cr.load(run.save(tmp_path / "run"))
    assert again.generate("to ", 40, temperature=0.7, top_k=5, top_p=0.95, seed=1) == first
    assert again.preparation == run.preparation


def test_a_text_longer_than_the_positions_goes_on_by_its_end() -> None:
    train, _ = cr.data.language("to be or not to be, that is the question. " * 40, length=12)
    model = cr.Chain(cr.Embedding(15, 8), cr.Conv1D(16, 3, cr.tanh, padding="causal"), cr.Dense(15))
    run = cr.fit(model, train, optimizer=cr.optimizers.Adam(0.02), epochs=3)
    long = "to be or not to be, that is"
    whole = run.generate(long, 9, temperature=0)
    assert whole == long + run.generate(long[-12:], 9, temperature=0)[12:]
    assert run.generate("to", 0) == "to"


def test_each_token_is_drawn_from_what_the_model_says(run: cr.Run) -> None:
    form = run.preparation.text
    assert form is not None
    row = np.zeros((1, 12), np.int32)
    row[0, :3] = form.numbers("to ")
    best = int(np.argmax(run.outputs(row)[0, 2]))
    assert run.generate("to ", 1, temperature=0) == "to " + form.vocabulary.tokens[best]


def test_what_cannot_go_on_is_refused(run: cr.Run) -> None:
    with pytest.raises(DataError, match="the prompt '' has no token"):
        run.generate("")
    with pytest.raises(DataError, match=r"the prompt, token 1 \(counted from 0\): 'Z' is not among the 15"):
        run.generate("tZ")
    with pytest.raises(ConfigurationError, match="0 or more"):
        run.generate("to", -1)
    iris, _ = cr.data.load("iris")
    with pytest.raises(ConfigurationError, match="has not learned which token comes next"):
        cr.fit(cr.Chain(cr.Dense(3)), iris, epochs=1).generate("a")


def test_a_list_of_prompts_is_a_list_of_texts(run: cr.Run) -> None:
    alone = [run.generate("to ", 9, seed=seed) for seed in (4, 5, 6)]
    assert len({*alone}) == 3
    assert run.generate(("to ",) * 3, 9, seed=4) == alone
    assert run.generate(["to "], 9, seed=4) == alone[:1]
    with pytest.raises(DataError, match="no prompt in the list"):
        run.generate([])
    with pytest.raises(DataError, match="prompt 1 '' has no token"):
        run.generate(["to", ""])
    with pytest.raises(DataError, match=r"prompt 1, token 0 \(counted from 0\): 'Z'"):
        run.generate(["to", "Z"])
    with pytest.raises(DataError, match="prompt 1: a text was expected, not int"):
        run.generate(["to", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="prompt 0: a text was expected, not NoneType"):
        run.generate([None, "to"])  # type: ignore[list-item]


def test_prompts_of_a_model_that_is_computed_anew_come_one_after_the_other() -> None:
    train, _ = cr.data.language("to be or not to be, that is the question. " * 10, length=12)
    model = cr.Chain(cr.Embedding(15, 8), cr.Conv1D(16, 3, cr.tanh, padding="causal"), cr.Dense(15))
    run = cr.prepare(model, train)
    assert run.generate(["to", "be or"], 9, seed=4) == [run.generate("to", 9, seed=4), run.generate("be or", 9, seed=5)]


def test_the_pieces_of_a_text_are_the_text(run: cr.Run) -> None:
    pieces = list(run.generate_in_pieces("to ", 150, temperature=0.8, seed=4))
    assert pieces[0] == "to "
    assert len(pieces) > 2
    assert "".join(pieces) == run.generate("to ", 150, temperature=0.8, seed=4)
    assert "".join(run.generate_in_pieces("to", 0)) == "to"
    endless = run.generate_in_pieces("to ", 10_000_000, seed=4)
    assert run.generate("to ", 20, seed=4).startswith(next(endless) + next(endless)[:20])
    for prompt, length in (("", 5), ("Z", 5), ("to", -1)):
        with pytest.raises((DataError, ConfigurationError)):
            run.generate_in_pieces(prompt, length)


@pytest.mark.parametrize(
    ("text", "tokens", "begins"),
    [
        ("to be or\n", "characters", "\n"),
        ("to be or not ", "characters", " "),
        ("to be, to be, to do, to do\n", "words", "to"),
    ],
)
def test_without_a_prompt_it_begins_as_a_line_or_with_what_is_frequent(text: str, tokens: Any, begins: str) -> None:
    train, _ = cr.data.language(text * 30, length=4, tokens=tokens)
    run = cr.prepare(causal(train.preparation.symbols), train)
    assert run.generate(length=3).startswith(begins)
    assert next(run.generate_in_pieces()) == begins
    assert run.generate(length=0) == begins


def test_bytes_that_are_no_characters_are_in_the_pieces_too() -> None:
    pytest.importorskip("tokenizers")
    train, _ = cr.data.language("天下大事，分久必合。" * 40, length=8, tokens=BytePairs.learn([], 257))
    run = cr.prepare(causal(train.preparation.symbols), train)
    text = run.generate("天", 200, seed=2)
    assert "\ufffd" in text
    assert "".join(run.generate_in_pieces("天", 200, seed=2)) == text


def test_a_model_that_looks_ahead_is_refused() -> None:
    train, _ = cr.data.language("to be or not to be, that is the question. " * 10, length=12)
    ahead = cr.Chain(cr.Embedding(15, 8), cr.Conv1D(16, 3), cr.Dense(15))
    with pytest.raises(ConfigurationError, match="looks at tokens that come later"):
        cr.fit(ahead, train, epochs=1).generate("to ")
    with pytest.raises(ConfigurationError, match="looks at tokens that come later"):
        cr.fit(ahead, train, epochs=1).generate_in_pieces("to ")


def test_a_stream_ends_with_the_bits_of_the_same_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    path.write_text("to be or not to be\nthat is the question\n" * 30)
    data = cr.data.language_stream(path, length=8, shuffle=False)
    whole = data.take(10_000)
    settings: dict[str, Any] = {"optimizer": cr.optimizers.Adam(0.01), "epochs": 2, "shuffle": False}
    streamed, resident = (cr.fit(causal(data.preparation.symbols), one, **settings) for one in (data, whole))
    for name, array in resident.parameters.items():
        np.testing.assert_array_equal(streamed.parameters[name], array)
    assert streamed.generate("to", 5) == resident.generate("to", 5)
