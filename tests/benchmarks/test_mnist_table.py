"""MNIST's table: its short mode runs, its networks are those that it names, and only rows that were run are in it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from benchmarks import mnist_table as table

FOUND = {"error": 0.5, "seconds": 1234.5, "processor": 600.0, "cores": "1", "parameters": 7850, "settings": "as told"}


def parameters(name: str) -> int:
    run = cr.prepare(table.ROWS[name].model(), table.digits()[0], engine="reference")
    return sum(array.size for array in run.parameters.values())


def test_the_networks_are_as_large_as_those_that_were_published() -> None:
    sizes = {"linear": (), "300": (300,), "300-100": (300, 100), "500-150": (500, 150), "800": (800,)}
    for name, hidden in sizes.items():
        widths = [784, *hidden, 10]
        assert parameters(name) == sum(i * o + o for i, o in itertools.pairwise(widths)), name
    assert parameters("lenet5") == parameters("lenet5-distorted") == 60_000 + 850


def test_the_short_mode_trains_and_keeps_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(table, "KEPT", tmp_path / "kept.json")
    table.main(["--short", "--rows", "linear,knn"])
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["linear", "knn"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["knn", "svm"])
def test_the_baselines_know_digits(name: str) -> None:
    pytest.importorskip("sklearn")
    assert table.baseline(name, "short")["error"] < 15


def test_a_training_that_was_kept_is_gone_on_with(tmp_path: Path) -> None:
    data, _ = table.digits()
    row = table.ROWS["linear"]
    first = table.train(row, data, 2, folder=tmp_path / "kept")
    assert cr.load(tmp_path / "kept").epoch == 2
    again = table.train(row, data, 2, folder=tmp_path / "kept")  # nothing is left to be done
    for path, array in table.train(row, data, 2).parameters.items():
        np.testing.assert_array_equal(first.parameters[path], array)
        np.testing.assert_array_equal(again.parameters[path], array)


def test_a_validation_never_sees_the_test_set(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = table.digits()
    monkeypatch.setattr(cr.data, "load", lambda name, images: (train, None))
    fed, held_out = table.samples("mnist", "validation")
    assert len(fed) + len(held_out) == len(train)
    together = np.concatenate([fed.inputs, held_out.inputs]).reshape(len(train), -1)
    assert sorted(map(bytes, together)) == sorted(map(bytes, train.inputs.reshape(len(train), -1)))
    monkeypatch.setattr(cr.data, "load", lambda name, images: (train, test))
    assert table.samples("mnist", "test") == (train, test)


def test_what_is_measured_is_kept_with_what_was_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(table, "KEPT", tmp_path / "kept.json")
    found: dict[str, Any] = dict(FOUND)
    monkeypatch.setattr(table, "measure", lambda name, mode, kept_in: dict(found))
    table.main(["--rows", "linear"])
    table.main(["--rows", "cnn"])
    page = (tmp_path / "kept.md").read_text()
    assert "| linear classifier | 12.0 | **0.50** | 7,850 | 1,234 | 600 | as told |" in page
    assert "| at most 0.5 | **0.50** |" in page
    assert "| LeNet-5 with distortions |" not in page
    assert [*json.loads((tmp_path / "kept.json").read_text())["rows"]] == ["linear", "cnn"]
    found["error"] = 0.96
    with pytest.raises(SystemExit, match="worse than published: lenet5"):
        table.main(["--rows", "lenet5"])
    with pytest.raises(SystemExit) as refused:
        table.main(["--rows", "lenet6"])
    assert refused.value.code == 2
    assert "there is no row 'lenet6'; there are linear, 300," in capsys.readouterr().err


def test_the_committed_page_is_that_of_the_committed_figures() -> None:
    if not table.KEPT.exists():
        pytest.skip("no row was measured yet")
    kept = json.loads(table.KEPT.read_text())
    assert table.KEPT.with_suffix(".md").read_text() == table.page(kept)
    for name, found in kept["rows"].items():
        assert name not in table.ROWS or found["settings"] == table.ROWS[name].told(), f"{name}: measured with others"
