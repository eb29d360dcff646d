from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.choices import SCHEDULES
from chainrule.optimizers.schedules import Cosine, Warmup
from tests.cli.calling import Command


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_ends_with_the_last_epoch(command: Command, tmp_path: Path, name: str) -> None:
    command.works(
        "train", "iris", "--hidden", "4", "--epochs", "6", "--schedule", name, "--output", tmp_path / "run", "--quiet"
    )
    rates = cr.load(tmp_path / "run").history.steps["learning_rate"]
    assert rates[0] == pytest.approx(0.004 if name == "one_cycle" else 0.1, rel=1e-6)
    ends = {"constant": 0.1, "step": 0.001, "exponential": 0.0013, "inverse_time": 0.0104}
    assert rates[-1] == pytest.approx(ends.get(name, 0.0), abs=0.006 if name == "linear" else 0.0015)
    assert rates.max() <= 0.1 + 1e-7


def test_a_warm_up_is_counted_in_epochs_and_told(command: Command, tmp_path: Path) -> None:
    output = command.works(
        "train", "iris", "--epochs", "3", "--schedule", "cosine", "--warmup", "0.5", "--output", tmp_path / "run",
    )  # fmt: skip
    run = cr.load(tmp_path / "run")
    optimizer: Any = run.optimizer
    steps = len(run.history)
    assert optimizer.learning_rate == Warmup(round(steps / 6), Cosine(0.1, steps))
    assert f"learning rate Warmup({round(steps / 6)}, Cosine(0.1, {steps}))" in " ".join(output.split())


def test_gone_on_with_for_more_epochs_it_stays_and_that_is_said(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command.works("train", "iris", "--epochs", "2", "--schedule", "cosine", "--output", folder, "--quiet")
    steps = len(cr.load(folder).history)
    output = command.works("train", "--resume", folder, "--epochs", "3")
    assert f"learning rate, Cosine(0.1, {steps}), was made for {steps} steps; at the end now it is 0." in output
    assert "changes nothing any more" in output
    np.testing.assert_array_equal(cr.load(folder).history.steps["learning_rate"][steps:], 0.0)


def test_max_steps_is_a_horizon_too(command: Command, tmp_path: Path) -> None:
    command("train", "iris", "--schedule", "linear", "--max-steps", "7", "--output", tmp_path / "run", "--quiet")
    np.testing.assert_allclose(
        cr.load(tmp_path / "run").history.steps["learning_rate"], 0.1 * (1 - np.arange(7) / 7), rtol=1e-6
    )


def test_what_cannot_be_is_refused_in_words(command: Command) -> None:
    assert "did you mean cosine?" in command.refuses("train", "iris", "--schedule", "cosin")
    assert "--max-time alone gives none" in command.refuses("train", "iris", "--schedule", "cosine", "--max-time", "5s")
    assert "--warmup is a number of epochs above 0" in command.refuses("train", "iris", "--warmup", "-1")
    refused = command.refuses("train", "iris", "--optimizer", "rprop", "--batch-size", "all", "--warmup", "1")
    assert "--warmup is for a learning rate, and Rprop has a step of its own for each weight" in refused
