"""Text one symbol at a time, as its speed is measured: the text goes on, and other texts are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.speed import training
from benchmarks.speed.data import SYMBOLS
from benchmarks.speed.network import LSTM, Dense, Embedding
from benchmarks.speed.others import generation
from benchmarks.speed.workload import Update, Workload


def test_chainrule_goes_on_with_the_first_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    network = (Embedding(SYMBOLS, 3), LSTM(4, each=True), Dense(SYMBOLS))
    small = Workload("small", "", (64,), network, Update("adam", 0.01), 8, bar=1.0, aim=1.0, data="text")
    monkeypatch.setattr(generation, "WORKLOADS", {"small": small})
    monkeypatch.setattr(generation, "COUNT", 5)
    found = generation.chainrule_generate("small", 1)
    first = found()
    assert first[0] == 0
    assert len(first) == 6
    assert found() == first


def printed(monkeypatch: pytest.MonkeyPatch, texts: dict[str, list[int]]) -> None:
    rates = {"chainrule": 300.0, "torch-1": 100.0, "torch": 160.0}
    monkeypatch.setattr(
        training,
        "run_module",
        lambda module, peer, *words: json.dumps({"symbols_a_second": rates[peer], "symbols": texts[peer]}),
    )


def test_the_best_peer_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    printed(monkeypatch, {key: [0, 1] for key in generation.TITLES})
    lines = generation.measure(tmp_path, quick=True)
    assert [line.met for line in lines] == [False, False]
    assert "1.88× the best" in lines[0].figure


def test_another_text_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    printed(monkeypatch, {"chainrule": [0, 1], "torch-1": [0, 1], "torch": [0, 2]})
    with pytest.raises(AssertionError, match="torch: other texts"):
        generation.measure(tmp_path, quick=True)
