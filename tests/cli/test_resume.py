"""Interrupted, killed, resumed: the run ends with the same bits as one that was left alone."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import chainrule as cr
from tests.cli.calling import Command, environment, flowers

TRAIN = ("train", "digits", "--hidden", "16", "--patience", "9", "--seed", "4")


def metrics(folder: str) -> list[dict[str, object]]:
    """What was recorded, without the times, which are never twice the same."""
    lines = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    timed = ("seconds", "samples_per_second")
    return [{name: value for name, value in line.items() if name not in timed} for line in lines]


def same(one: str, other: str) -> bool:
    """Whether two runs are the same, to the last bit."""
    weights = Path(one, "weights.safetensors").read_bytes() == Path(other, "weights.safetensors").read_bytes()
    return weights and metrics(one) == metrics(other)


def test_resuming_ends_with_the_same_bits(command: Command) -> None:
    command.works(*TRAIN, "--epochs", "6", "--output", "whole")
    command.works(*TRAIN, "--epochs", "2", "--output", "parts")
    assert not same("whole", "parts")
    output = command.works("train", "--resume", "parts", "--epochs", "6")
    assert "Going on with parts after 2 epochs, up to epoch 6" in output
    assert same("whole", "parts")
    message = command.refuses("train", "--resume", "parts")
    assert "has done its 6 epochs" in message
    assert "chainrule train --resume parts --epochs 12" in message


def test_resuming_with_every_remedy_ends_with_the_same_bits(command: Command) -> None:
    remedies = "--batch-norm --dropout 0.25 --label-smoothing 0.1 --class-weights balanced --l1 1e-3 --l2 2e-3".split()
    command.works(*TRAIN, *remedies, "--epochs", "3", "--output", "whole")
    command.works(*TRAIN, *remedies, "--epochs", "1", "--output", "parts")
    command.works("train", "--resume", "parts", "--epochs", "3")
    assert same("whole", "parts")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_is_saved_and_goes_on(command: Command, number: int, code: int) -> None:
    # Stochastic descent: an epoch takes long enough to be interrupted in the middle of one.
    slow = (*TRAIN, "--patience", "300", "--epochs", "300", "--batch-size", "2")
    arguments = [sys.executable, "-m", "chainrule", *slow, "--output", "parts"]
    running = subprocess.Popen(arguments, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stderr is not None
    errors = ""
    while "1/300" not in errors:
        line = running.stderr.readline()
        assert line, "the training ended before its first epoch"
        errors += line
    time.sleep(0.05)
    running.send_signal(number)
    output, rest = running.communicate(timeout=60)
    assert running.returncode == code, errors + rest
    assert "Traceback" not in rest
    assert "The run is saved in parts as it is after" in rest
    assert "chainrule train --resume parts" in rest
    assert "Test" not in output
    run = cr.load("parts")
    assert 1 <= run.epoch < 300
    assert int(run.arrays["step"]) == len(run.history)
    command.works("train", "--resume", "parts")
    assert cr.load("parts").epoch == 300
    if number == signal.SIGINT:
        command.works(*slow, "--output", "whole")
        assert same("whole", "parts")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_a_kill_loses_what_came_after_the_last_save_only(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.works(*TRAIN, "--epochs", "4", "--output", "whole")
    code = (
        "import os, signal\n"
        "from chainrule.training import Checkpoint\n"
        "old = Checkpoint.on_rest\n"
        "def then_die(self, training):\n"
        "    self._next = 0.0\n"
        "    old(self, training)\n"
        "    if training.epoch == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Checkpoint.on_rest = then_die\n"
        "from chainrule.cli import main\n"
        f"main({[*TRAIN, '--epochs', '4', '--output', 'parts']!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cr.load("parts").epoch == 2
    command.works("train", "--resume", "parts")
    assert same("whole", "parts")


def test_a_budget_of_steps_stops_there_and_says_how_to_go_on(command: Command) -> None:
    command.works(*TRAIN, "--epochs", "6", "--output", "whole")
    called = command(*TRAIN, "--max-steps", "50", "--output", "parts")
    assert called.code == 0
    assert "Stopped, since the budget of 50 steps is spent. To go on:" in called.errors
    assert "chainrule train --resume parts --max-steps 100" in called.errors
    assert len(cr.load("parts").history) == 50
    message = command.refuses("train", "--resume", "parts")
    assert "has done its 50 steps" in message
    assert "chainrule train --resume parts --max-steps 100" in message
    command.works("train", "--resume", "parts", "--max-steps", "10000", "--epochs", "6")
    assert same("whole", "parts")


def test_a_budget_of_time(command: Command) -> None:
    called = command(*TRAIN, "--max-time", "0.3s", "--patience", "100000", "--output", "parts")
    assert called.code == 0
    assert "Stopped, since the budget of 0.3 seconds is spent. To go on:" in called.errors
    assert "chainrule train --resume parts\n" in called.errors
    first = len(cr.load("parts").history)
    command.works("train", "--resume", "parts")
    assert len(cr.load("parts").history) > first
    assert "is a time, such as 90s, 10m or 1h30m, not soon" in command.refuses("train", "xor", "--max-time", "soon")


def test_checkpoints_are_kept_and_used_like_any_run(command: Command) -> None:
    command.works(*TRAIN, "--epochs", "4", "--best", "validation_loss", "--keep", "2", "--output", "parts")
    best = min(cr.load("parts").history.epochs, key=lambda record: record["validation_loss"])["epoch"]
    assert cr.load("parts", checkpoint="best").epoch == best
    assert "accuracy" in command.works("evaluate", "parts/checkpoints/best")


def test_another_machine_is_told_of_in_one_line(command: Command) -> None:
    command.works("train", "xor", "--epochs", "1", "--quiet")
    path = Path("runs/xor-1/run.toml")
    text = path.read_text()
    path.write_text(re.sub(r"^numpy = .*$", 'numpy = "1.0"', text, flags=re.MULTILINE))
    called = command("train", "--resume", "runs/xor-1", "--epochs", "2", "--quiet")
    assert called.code == 0
    told = r"^this is not what the run was saved with: NumPy 1\.0 then and [\d.]+ now; its last bits may differ .*\n$"
    assert re.search(told, called.errors)
    assert command("train", "--resume", "runs/xor-1", "--epochs", "3", "--quiet").errors == ""


def test_a_run_is_not_resumed_on_data_that_have_changed(command: Command) -> None:
    flowers(Path("flowers.csv"))
    command.works("train", "flowers.csv", "--target", "kind", "--epochs", "2")
    text = Path("flowers.csv").read_text()
    Path("flowers.csv").write_text(text.replace("0,0.0,", "0,0.7,", 1))
    again = ("train", "--resume", "runs/flowers-1", "--epochs", "4")
    message = command.refuses(*again)
    assert "flowers.csv is not what it was when runs/flowers-1 was trained: it holds 60 samples of [4] as" in message
    Path("flowers.csv").write_text(text.rpartition("\n")[0].rpartition("\n")[0] + "\n")
    assert "it held 60 samples of [4] and holds 59 samples of [4]" in command.refuses(*again)
    Path("flowers.csv").unlink()
    message = command.refuses(*again)
    assert "no such file" in message
    assert "flowers.csv" in message
    assert "It held 60 samples of [4]; put it back" in message
    assert cr.load("runs/flowers-1").epoch == 2
    Path("flowers.csv").write_text(text)
    command.works("train", "--resume", "runs/flowers-1", "--epochs", "4")


@pytest.mark.parametrize("given", [("digits",), ("--hidden", "3"), ("--seed", "1"), ("--output", "x")])
def test_what_the_run_has_settled_cannot_be_given_again(command: Command, given: tuple[str, ...]) -> None:
    command.works("train", "xor", "--epochs", "1", "--quiet")
    assert "cannot be given with it" in command.refuses("train", *given, "--resume", "runs/xor-1")


def test_patience_stops_and_is_said(command: Command) -> None:
    called = command("train", "digits", "--epochs", "50", "--patience", "2", "--hidden", "4", "--learning-rate", "0.5")
    assert called.code == 0
    assert "stopped in epoch" in called.errors
    assert "has not improved for 2 epochs" in called.errors
    assert cr.load("runs/digits-1").epoch < 50


def test_a_loss_that_is_reached_stops(command: Command) -> None:
    called = command("train", "digits", "--epochs", "50", "--stop-loss", "0.5")
    assert "reached 0.5" in called.errors
    assert cr.load("runs/digits-1").epoch < 50


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_the_beginning(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in command.refuses(*TRAIN, "--epochs", "1", "--output", "parts")


def test_a_disk_that_fills_up(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The training goes on to its end, which is saved elsewhere, and said; the folder holds what it last held."""
    command.works(*TRAIN, "--epochs", "2", "--output", "parts")
    command.works(*TRAIN, "--epochs", "4", "--output", "whole")
    mkdir = Path.mkdir

    def refused(self: Path, *rest: Any, **named: Any) -> None:
        if self.name == ".part" and self.parent.name == "parts" and saves:
            full()
        if self.name == ".part":
            saves.append(self)
        mkdir(self, *rest, **named)

    saves: list[Path] = []
    (tmp_path / "other").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "other"))
    monkeypatch.setattr(Path, "mkdir", refused)
    called = command("train", "--resume", "parts", "--epochs", "4")
    assert called.code == 2
    assert "parts could not be written: No space left on device" in called.errors
    other = next((tmp_path / "other").iterdir())
    assert f"The run was saved in {other} instead" in called.errors
    assert same("whole", str(other))
    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert cr.load("parts").epoch == 2
    command.works("train", "--resume", "parts", "--epochs", "4")
    assert same("whole", "parts")


def test_a_folder_that_is_read_only_is_found_before_the_training(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.works("train", "xor", "--epochs", "1", "--quiet")
    mkdir = Path.mkdir

    def refused(self: Path, *rest: Any, **named: Any) -> None:
        if Path("runs").resolve() in self.resolve().parents:
            raise PermissionError(errno.EROFS, "Read-only file system")
        mkdir(self, *rest, **named)

    monkeypatch.setattr(Path, "mkdir", refused)
    message = command.refuses("train", "--resume", "runs/xor-1", "--epochs", "2")
    assert "runs/xor-1 could not be written: Read-only file system" in message
    assert cr.load("runs/xor-1").epoch == 1
    assert "accuracy" in command.works("evaluate", "runs/xor-1")


def test_nothing_can_be_saved_anywhere(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.works("train", "xor", "--epochs", "1", "--quiet")
    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in command.refuses("train", "--resume", "runs/xor-1", "--epochs", "2")
    monkeypatch.undo()
