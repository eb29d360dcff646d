"""`chainrule train --weights --freeze`: what is taken and told, what stays as it is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import chainrule as cr
from tests.cli.calling import Command

QUICK = ("--epochs", "1", "--engine", "reference")


@pytest.fixture
def known(command: Command) -> str:
    """The folder of a run that has learned digits by 16 and 8 units."""
    command.works("train", "digits", "--hidden", "16,8", *QUICK, "--quiet")
    return "runs/digits-1"


def test_weights_are_taken_told_and_kept_where_they_are_frozen(command: Command, known: str) -> None:
    output = command.works(
        "train", "digits", "--weights", known, "--freeze", "0", "--freeze", "2.bias", "--hidden", "16,8", *QUICK
    )
    assert f"weights of {known}: 6 taken, 0 begin anew, 0 left" in output
    assert "1,050 frozen" in output  # 64·16 + 16 and 10
    first, second = cr.load(known), cr.load("runs/digits-2")
    for path, array in first.parameters.items():
        assert (second.parameters[path] == array).all() == (path in ("0.weight", "0.bias", "2.bias")), path
    command.works("train", "--resume", "runs/digits-2", "--epochs", "2", "--quiet")  # what is frozen stays so
    np.testing.assert_array_equal(cr.load("runs/digits-2").parameters["0.weight"], first.parameters["0.weight"])


def test_a_head_of_another_size_begins_anew(command: Command, known: str) -> None:
    """A file of weights will do, and so will a part of them."""
    arrays = cr.load(known).parameters
    save_file({path: array for path, array in arrays.items() if path != "1.bias"}, "some.safetensors")
    output = command.works("train", "iris", "--weights", "some.safetensors", "--hidden", "16,8", *QUICK)
    assert "weights of some.safetensors: 2 taken, 4 begin anew, 0 left" in output
    told = [line.split() for line in output.splitlines()]
    assert ["0.weight", "64×16", "4×16", "begins", "anew:", "another", "shape"] in told
    assert ["1.weight", "16×8", "16×8", "taken"] in told
    assert ["1.bias", "–", "8", "begins", "anew:", "there", "is", "none", "of", "this", "path"] in told


def test_what_cannot_be_taken_or_frozen_is_refused_before_a_run_is_there(command: Command, known: str) -> None:
    train = ("train", "digits", "--hidden", "16,8", *QUICK)
    assert "there are no weights at gone" in command.refuses(*train, "--weights", "gone")
    Path("notes.safetensors").write_text("no weights")
    assert "notes.safetensors is damaged" in command.refuses(*train, "--weights", "notes.safetensors")
    Path("empty").mkdir()
    assert "empty is not a run" in command.refuses(*train, "--weights", "empty")
    other = command.refuses("train", "digits", "--hidden", "5", *QUICK, "--weights", known)
    assert "none of the weights fits this model" in other
    assert ["0.weight", "64×16", "64×5", "begins", "anew:", "another", "shape"] in list(
        map(str.split, other.splitlines())
    )
    assert "'7' fits no parameter; there are 0.weight," in command.refuses(*train, "--freeze", "7")
    assert "nothing to learn: all is frozen, by *" in command.refuses(*train, "--freeze", "*")
    chance = command.refuses("train", "digits", "--hidden", "16,4", *QUICK, "--weights", known, "--freeze", "1")
    assert "1.weight, 1.bias would be frozen at first values drawn by chance" in chance
    assert "--weights cannot be given with it" in command.refuses("train", "--resume", known, "--weights", known)
    assert [path.name for path in Path("runs").iterdir()] == ["digits-1"]
