from __future__ import annotations

import re
from pathlib import Path

from tests.cli.calling import Command, prices


def test_it_draws_the_curve_and_gives_a_command_that_works(command: Command, tmp_path: Path) -> None:
    output = command.works("rate", "digits", "--hidden", "16", "--plot", tmp_path / "rate.png", "--steps", "100")
    assert "learning rate" in output
    assert "a quarter of" in output
    assert (tmp_path / "rate.png").read_bytes().startswith(b"\x89PNG")
    found = re.search(r"train (digits --hidden 16 --learning-rate \S+)", output)
    assert found is not None
    command.works("train", *found[1].split(), "--epochs", "1", "--output", tmp_path / "run", "--quiet")


def test_a_regression_and_another_optimizer(command: Command, tmp_path: Path) -> None:
    table = prices(tmp_path / "prices.csv")
    output = command.works("rate", table, "--target", "price", "--optimizer", "adam", "--batch-size", "16")
    assert "Adam; " in output
    assert "--optimizer adam --batch-size 16 --learning-rate" in output


def test_what_cannot_be_is_refused_in_words(command: Command) -> None:
    assert "no learning rate that is one number" in command.refuses("rate", "digits", "--optimizer", "rprop")
    assert "lowest to highest" in command.refuses("rate", "digits", "--lowest", "-1")
    assert "the loss did not fall" in command.refuses("rate", "digits", "--lowest", "5")
