"""The race to 99 %: both are given the same course, and what is said of it follows from the figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from benchmarks import mnist_race as race
from benchmarks.courses import apart
from benchmarks.mnist_table import digits


def courses(ours: float, theirs: float) -> dict[str, race.Course]:
    curve = np.linspace(2.0, 0.1, 400)
    return {
        race.FROM_NOTHING: race.Course(curve, [ours / 2 + 1, ours + 2], [0.98, 0.991]),
        race.OURS: race.Course(curve, [ours / 2, ours], [0.98, 0.991]),
        **{name: race.Course(curve + 1e-6, [theirs / 2, theirs], [0.98, 0.99]) for name in race.PEERS},
    }


def test_our_course_stops_at_the_goal_and_is_measured_twice_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert race.cuts(60_000, 1) == [469, 938]
    train, test = digits()
    linear = cr.Chain(cr.Flatten(), cr.Dense(10))  # what is trained is no matter, and this is compiled at once
    monkeypatch.setattr(race, "prepared", lambda data: cr.prepare(linear, data, batch_size=race.BATCH))
    found = race.ours(train, test, goal=0.05, epochs=3)
    assert len(found.losses) == race.cuts(len(train), 1)[0]
    assert len(found.seconds) == len(found.accuracies) == 1


def test_the_curves_of_both_lie_on_top_of_each_other() -> None:
    pytest.importorskip("torch", reason="PyTorch is in the environment of the benchmarks alone")
    found = race.race(*digits(), goal=1.1, epochs=2)
    for name in race.PEERS:
        assert len(found[name].losses) == len(found[race.OURS].losses)
        assert apart(found[name].losses, found[race.OURS].losses)[0] < 1e-4
        assert np.abs(np.subtract(found[name].accuracies, found[race.OURS].accuracies)).max() < 0.01


@pytest.mark.parametrize(
    ("ours", "verdict", "first"), [(5.0, "0.50 of the faster", "it is 0.70"), (9.0, "0.90 of the faster", "it is 1.10")]
)
def test_the_page_tells_the_part_of_the_time(ours: float, verdict: str, first: str) -> None:
    page = race.page(race.record(courses(ours, 10.0)))
    assert verdict in page
    assert first in page


def test_a_goal_that_was_not_reached_is_said_to_be() -> None:
    found = courses(5.0, 10.0)
    found[race.OURS].accuracies[-1] = 0.989
    page = race.page(race.record(found))
    assert "not reached by both" in page
    assert "| chainrule | not reached |" in page


def test_a_race_that_is_lost_ends_with_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(race, "KEPT", tmp_path / "race.json")
    for ours, lost in ((5.0, False), (9.0, True)):
        (tmp_path / "race.json").write_text(json.dumps(race.record(courses(ours, 10.0))))
        if lost:
            with pytest.raises(SystemExit, match="the bar is not met"):
                race.main(["--again"])
        else:
            race.main(["--again"])


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = race.draw(race.record(courses(5.0, 10.0))["rows"], str(tmp_path / "race.png"))
    assert written.stat().st_size > 1000


def test_the_committed_page_is_that_of_the_committed_figures() -> None:
    if not race.KEPT.exists():
        pytest.skip("no race was run yet")
    assert race.KEPT.with_suffix(".md").read_text() == race.page(json.loads(race.KEPT.read_text()))
