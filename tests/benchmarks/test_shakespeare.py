"""A language model here and in PyTorch: both are given the same, and what is said of it follows from the figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from benchmarks import shakespeare
from benchmarks.speed.network import LSTM, Dense, Embedding, Normalization, Positions, transformer_block
from benchmarks.speed.workload import Given, Workload, batches, first_parameters

LINES = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind to suffer\n" * 12
CUTS = (3, 6)


def small(name: str) -> tuple[Workload, shakespeare.Text]:
    """The workload with few units, for a text of few symbols."""
    train, test = cr.data.language(LINES, length=8)
    symbols = train.preparation.symbols
    head = (Normalization("features"), Dense(symbols))
    network = {
        "charlstm": (Embedding(symbols, 4), LSTM(6, each=True), Dense(symbols)),
        "transformer": (Embedding(symbols, 8), Positions(8), *transformer_block(8, heads=2), *head),
    }[name]
    workload = replace(shakespeare.workload_of(name, CUTS[-1]), network=network, shape=(8,), batch=4)
    return workload, shakespeare.text_of(train, test)


def courses(ours: float = 0.0, last: float = 0.0) -> dict[str, shakespeare.Course]:
    """Three trainings; ours is apart by so much in its losses, and in its bits at the end."""
    curve, bits = np.linspace(4.0, 1.5, 200), [4.0, 2.5]
    return {
        shakespeare.OURS: shakespeare.Course(curve + ours, [4.0, 2.5 + last], 10.0),
        shakespeare.THEIRS: shakespeare.Course(curve, bits, 12.0),
        shakespeare.AGAIN: shakespeare.Course(curve + 1e-6, bits, 12.0),
    }


def test_windows_are_whole_and_the_next_symbol_is_asked_for_at_each_place() -> None:
    _, text = small("charlstm")
    assert (text.targets >= 0).all()
    assert (text.theirs >= 0).all()
    assert np.array_equal(text.inputs[:, 1:], text.targets[:, :-1])


@pytest.mark.parametrize("name", ["charlstm", "transformer"])
def test_our_course_is_measured_at_each_cut(name: str) -> None:
    workload, text = small(name)
    given = Given(workload, text.inputs, text.targets, first_parameters(workload))
    order = batches(workload, len(text.inputs), CUTS[-1])
    found, whole = (shakespeare.ours(given, order, text, cuts) for cuts in (CUTS, CUTS[-1:]))
    assert len(found.losses) == CUTS[-1]
    assert np.array_equal(found.losses, whole.losses)
    assert len(found.bits) == len(CUTS)
    assert found.bits[-1] == whole.bits[-1] < found.bits[0]


@pytest.mark.parametrize("name", ["charlstm", "transformer"])
def test_the_curves_of_both_lie_on_top_of_each_other(name: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is in the environment of the benchmarks alone")
    found = shakespeare.compared(*small(name), CUTS)
    for who in (shakespeare.THEIRS, shakespeare.AGAIN):
        assert shakespeare.apart(found[who], found[shakespeare.OURS])["first"] < 1e-5
        assert np.allclose(found[who].bits, found[shakespeare.OURS].bits, rtol=1e-5)


@pytest.mark.parametrize(("ours", "last", "told"), [(0.001, 0.01, 0), (0.1, 0.0, 1), (0.0, 0.1, 1), (0.1, 0.1, 2)])
def test_what_is_too_far_apart_is_told_and_ends_with_an_error(
    ours: float, last: float, told: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = shakespeare.record({"charlstm": courses(ours, last)}, (100, 200))
    assert len(shakespeare.missed(kept)) == told
    assert shakespeare.page(kept).count("Too far apart") == told
    monkeypatch.setattr(shakespeare, "KEPT", tmp_path / "shakespeare.json")
    shakespeare.KEPT.write_text(json.dumps(kept))
    if told:
        with pytest.raises(SystemExit, match="is the bar"):
            shakespeare.main(["--again"])
    else:
        shakespeare.main(["--again"])
    assert "2.5" in shakespeare.KEPT.with_suffix(".md").read_text()


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    kept = shakespeare.record({"charlstm": courses()}, (100, 200))
    assert shakespeare.draw(kept["networks"], str(tmp_path / "curves.png")).stat().st_size > 1000


def test_the_committed_page_is_that_of_the_committed_figures() -> None:
    if not shakespeare.KEPT.exists():
        pytest.skip("nothing was measured yet")
    assert shakespeare.KEPT.with_suffix(".md").read_text() == shakespeare.page(json.loads(shakespeare.KEPT.read_text()))
