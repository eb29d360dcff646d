"""Interrupted, killed, resumed: the run ends with the same bits as one that was left alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import chainrule as cr
from chainrule.cli.running import Keeper, is_whole, save_at_last
from chainrule.errors import RunFileError
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
    assert is_whole(run)
    command.works("train", "--resume", "parts")
    assert cr.load("parts").epoch == 300
    if number == signal.SIGINT:
        command.works(*slow, "--output", "whole")
        assert same("whole", "parts")


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_a_kill_loses_what_came_after_the_last_save_only(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.works(*TRAIN, "--epochs", "4", "--output", "whole")
    code = (
        "import os, signal, chainrule.cli.running as running\n"
        "old = running.Keeper.on_epoch\n"
        "running.Keeper.__init__.__defaults__ = (0.0,)\n"
        "def then_die(self, training, record):\n"
        "    self._next = 0.0\n"
        "    old(self, training, record)\n"
        "    if record['epoch'] == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "running.Keeper.on_epoch = then_die\n"
        "from chainrule.cli import main\n"
        f"main({[*TRAIN, '--epochs', '4', '--output', 'parts']!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert cr.load("parts").epoch == 2
    command.works("train", "--resume", "parts")
    assert same("whole", "parts")


def test_metrics_that_are_ahead_of_the_checkpoint_are_not_counted_twice(command: Command) -> None:
    command.works(*TRAIN, "--epochs", "2", "--output", "parts")
    checkpoint = Path("parts/checkpoint.safetensors").read_bytes()
    command.works("train", "--resume", "parts", "--epochs", "3")
    Path("parts/checkpoint.safetensors").write_bytes(checkpoint)
    command.works("train", "--resume", "parts", "--epochs", "4")
    command.works(*TRAIN, "--epochs", "4", "--output", "whole")
    assert same("whole", "parts")


def test_a_run_is_not_resumed_on_data_that_have_changed(command: Command) -> None:
    flowers(Path("flowers.csv"))
    command.works("train", "flowers.csv", "--target", "kind", "--epochs", "2")
    text = Path("flowers.csv").read_text()
    Path("flowers.csv").write_text(text.replace("0,0.0,", "0,0.7,", 1))
    message = command.refuses("train", "--resume", "runs/flowers-1", "--epochs", "4")
    assert "is not what it was when runs/flowers-1 was trained" in message
    Path("flowers.csv").unlink()
    assert "no such file" in command.refuses("train", "--resume", "runs/flowers-1", "--epochs", "4")
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


def test_a_folder_that_cannot_be_written_to_does_not_end_a_training(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command.works("train", "xor", "--epochs", "1", "--quiet")
    run = cr.load("runs/xor-1")

    def full(folder: object) -> Path:
        raise RunFileError("run.toml could not be written: No space left on device")

    monkeypatch.setattr(run, "save", full)
    keeper = Keeper(Path("runs/xor-1"), seconds=0.0)
    for _ in range(3):
        keeper._next = 0.0
        keeper.on_epoch(run, {})
    assert capsys.readouterr().err.count("No space left on device") == 1
    with pytest.raises(RunFileError, match="No space left"):
        save_at_last(run, Path("runs/xor-1"))


def test_a_trained_run_finds_another_place_when_its_own_is_full(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.works("train", "xor", "--epochs", "1", "--quiet")
    run = cr.load("runs/xor-1")
    save, refused = type(run).save, Path("runs/xor-1")

    def full(self: cr.Run, folder: Path) -> Path:
        if folder == refused:
            raise RunFileError("run.toml could not be written: No space left on device")
        return save(self, folder)

    monkeypatch.setattr(type(run), "save", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    other = save_at_last(run, refused)
    assert cr.load(other).epoch == 1
    assert f"saved in {other} instead" in capsys.readouterr().err
