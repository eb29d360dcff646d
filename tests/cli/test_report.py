"""`chainrule report`, and the page that `chainrule train` leaves in the run's folder."""

from __future__ import annotations

import html
import shlex
import sys
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.cli import running
from chainrule.errors import RunFileError

from .calling import Command

QUICK = ("--epochs", "2", "--hidden", "8")


def test_a_training_leaves_a_page_with_its_exact_command(command: Command) -> None:
    output = command.works("train", "iris.csv", "--target", "species", "--seed", "7", *QUICK, "--output", "my run")
    assert "my run/report.html" in output
    page = html.unescape(Path("my run/report.html").read_text("utf-8"))
    (line,) = cr.load("my run").source["commands"]
    assert line in page
    assert "the test part, which took no part in the training" in page
    before = cr.load("my run").parameters
    words = shlex.split(line)
    assert words[:2] == ["chainrule", "train"]
    words[words.index("my run")] = "again"
    command.works(*words[1:])
    for path, array in cr.load("again").parameters.items():
        assert array.tobytes() == before[path].tobytes()


def test_commands_that_went_on_are_listed(command: Command) -> None:
    command.works("train", "xor", "--epochs", "1", "--quiet")
    command.works("train", "--resume", "runs/xor-1", "--epochs", "2", "--quiet")
    page = html.unescape(Path("runs/xor-1/report.html").read_text("utf-8"))
    assert "chainrule train xor --epochs 1 --quiet\nchainrule train --epochs 2 --resume runs/xor-1 --quiet" in page


def test_a_page_is_written_anew_for_other_data_and_to_another_place(command: Command) -> None:
    command.works("train", "digits", *QUICK, "--best", "validation_loss")
    assert "runs/digits-1/report.html" in command.works("report", "runs/digits-1")
    command.works("report", "runs/digits-1", "digits", "--output", "other.html")
    assert "Confusion matrix" in Path("other.html").read_text("utf-8")
    command.works("report", "runs/digits-1/checkpoints/best", "--output", "best.html")
    assert "Confusion matrix" in Path("best.html").read_text("utf-8")
    assert "is a folder" in command.refuses("report", "runs/digits-1", "--output", "runs")
    assert "no run folder" in command.refuses("report", "runs/digits-9")
    assert "was not trained on a table" in command.refuses("report", "runs/digits-1", "iris.csv")


def test_a_run_whose_data_are_not_known_has_a_page_without_a_result(command: Command) -> None:
    train, _ = cr.data.load("iris")
    cr.fit(cr.Chain(cr.Dense(3)), train, epochs=1).save("made")
    called = command("report", "made")
    assert called.code == 0
    assert "says nothing of how well the run does" in called.errors
    assert "Confusion matrix" not in Path("made/report.html").read_text("utf-8")


def test_a_page_that_fails_does_not_spoil_a_training(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RunFileError("report.html could not be written: No space left on device")

    monkeypatch.setattr("chainrule.report.write_report", full)
    called = command("train", "xor", "--epochs", "1")
    assert called.code == 0
    assert "there is no report: report.html could not be written" in called.errors
    assert "report.html:" not in called.output


def test_a_command_is_spelled_as_it_was_given() -> None:
    given = {"data": "a b.csv", "l2": 0.5, "ignore": ["x", "y"], "hidden": None, "quiet": False, "batch_norm": True}
    assert running.spelled("train", given) == "chainrule train 'a b.csv' --l2 0.5 --ignore x --ignore y --batch-norm"


def test_event_files_come_beside_the_run(command: Command) -> None:
    pytest.importorskip("tensorboardX")
    command.works("train", "xor", "--epochs", "1", "--tensorboard", "events")
    command.works("train", "--resume", "runs/xor-1", "--epochs", "2", "--tensorboard", "events")
    assert len([*Path("events").glob("events.out.tfevents.*")]) == 2


def test_without_the_library_it_says_which_extra(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert "chainrule[tensorboard]" in command.refuses("train", "xor", "--tensorboard", "events")
    assert not Path("runs").exists()
