"""`chainrule train --model`: by name, from a table, from a file of Python; and what is never executed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import chainrule as cr
from tests.cli.calling import Command, flowers

QUICK = ("--epochs", "1", "--quiet", "--engine", "reference")
TABLE = """
[model]
type = "Chain"

[[model.layers]]
type = "Reshape"
shape = [8, 8, 1]

[[model.layers]]
type = "Conv2D"
channels = 4
kernel = [3, 2]
activation = { function = "relu" }
stride = 2

[[model.layers]]
type = "GlobalAveragePool"

[[model.layers]]
type = "Dense"
units = 10
"""
OWN = """
from dataclasses import dataclass
import chainrule as cr

@dataclass(frozen=True)
class Doubled:
    def apply(self, scope, *inputs):
        return inputs[0] * 2.0

model = cr.Chain(Doubled(), cr.Dense(10))
"""


def test_a_model_by_name_is_trained_saved_and_used(command: Command) -> None:
    output = command.works("train", "digits", "--model", "simple-cnn", "--epochs", "2", "--optimizer", "adam")
    assert "Conv2D(relu)" in output
    run = cr.load("runs/digits-1")
    assert run.model == cr.models.simple_cnn(10, (8, 8, 1))
    assert "--model simple-cnn" in tomllib.loads(Path("runs/digits-1/run.toml").read_text())["source"]["commands"][0]
    command.works("check", "runs/digits-1")
    parameter = output.split("--parameter ")[1].split()[0].strip("'")
    assert parameter == "1.weight[1,1,0,0]"
    assert "convolution" in command.works("explain", "runs/digits-1", "--sample", "3", "--parameter", parameter)
    assert "Conv2D" in Path("runs/digits-1/report.html").read_text()
    again = command("train", "--resume", "runs/digits-1", "--epochs", "3", "--model", "simple_cnn")
    assert again.code == 2
    assert "--model" in again.errors
    command.works("train", "--resume", "runs/digits-1", "--epochs", "3", "--quiet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits", "--model", "resnet"), "did you mean resnet20? there are simple_cnn, lenet5, resnet20, mobile; or"),
        (("digits", "--model", "lenet5"), "lenet5: its images are grey, 28×28 or 32×32, and these are 8×8×1"),
        (("iris", "--model", "simple_cnn"), "--model simple_cnn is for images, and iris has 4 numbers a sample"),
        (("digits", "--model", "simple_cnn", "--hidden", "9"), "--hidden describes the dense network that --model"),
        (("digits", "--model", "simple_cnn", "--batch-norm"), "--batch-norm describes the dense network"),
        (("digits", "--model", "none.toml"), "--model none.toml cannot be read"),
        (("digits", "--model", "none.py"), "--model none.py cannot be read"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(command: Command, arguments: tuple[str, ...], message: str) -> None:
    assert message in " ".join(command.refuses("train", *arguments).split())


def test_a_table_is_a_model(command: Command) -> None:
    Path("small.toml").write_text(TABLE)
    command.works("train", "digits", "--model", "small.toml", *QUICK)
    kernel = cr.Conv2D(4, (3, 2), cr.relu, stride=2)
    model = cr.Chain(cr.Reshape((8, 8, 1)), kernel, cr.GlobalAveragePool(), cr.Dense(10))
    assert cr.load("runs/digits-1").model == model
    # The configuration of a run has the same form, so a network is trained anew by naming it.
    command.works("train", "digits", "--model", "runs/digits-1/run.toml", *QUICK)
    assert cr.load("runs/digits-2").model == model


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type = ", "small.toml is not TOML"),
        ('type = "Conv9D"', "there is no class 'Conv9D' in chainrule"),
        ('[model]\ntype = "Conv2D"', "Conv2D cannot be made of []"),
        ('[model]\ntype = "Conv2D"\nchannels = 0', "channels is a whole number above 0"),
        ("[model]\nlayers = 3", "a table without a type"),
        ("model = 3", "model is a layer, such as a Chain of layers, not 3"),
        ('[model]\ntype = "Dense"\nunits = 10\nweight = { type = "os.system" }', "there is no class 'os.system'"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_refused(command: Command, text: str, message: str) -> None:
    Path("small.toml").write_text(text)
    assert message in " ".join(command.refuses("train", "digits", "--model", "small.toml").split())


def test_a_file_of_ones_own_is_run(command: Command) -> None:
    Path("mine.py").write_text("import chainrule as cr\nmodel = cr.Chain(cr.Dense(5, cr.tanh), cr.Dense(10))\n")
    command.works("train", "digits", "--model", "mine.py", *QUICK)
    assert cr.load("runs/digits-1").model == cr.Chain(cr.Dense(5, cr.tanh), cr.Dense(10))
    Path("made.py").write_text(
        "import chainrule as cr\n"
        "def model(outputs, shape):\n    return cr.Chain(cr.Dense(shape[0]), cr.Dense(outputs))\n"
    )
    command.works("train", flowers(Path("flowers.csv")), "--target", "kind", "--model", "made.py", *QUICK)
    assert cr.load("runs/flowers-1").model == cr.Chain(cr.Dense(4), cr.Dense(2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = 1 / 0", "mine.py, line 1: ZeroDivisionError"),
        ("x = 1\nmodel = (", "mine.py, line 2: SyntaxError"),
        ("import chainrule as cr\nmodel = cr.Dense(0)", "mine.py: Dense: units is a whole number above 0"),
        ("import chainrule as cr\nmodel = cr.Dense", "model is a layer, such as a Chain of layers, not <class"),
        ("def model(outputs, shape):\n    return outputs.nothing", "mine.py, line 2: AttributeError"),
        ("x = 1", "mine.py makes no model: it assigns a layer to the name model, or defines model(outputs, shape)"),
        ("import chainrule as cr\nmodel = cr.Chain(cr.Dense(3))", "10"),
    ],
)  # fmt: skip
def test_a_file_that_makes_none_is_refused(command: Command, text: str, message: str) -> None:
    Path("mine.py").write_text(text)
    assert message in " ".join(command.refuses("train", "digits", "--model", "mine.py").split())


def test_layers_of_ones_own_are_never_loaded_from_a_run(command: Command) -> None:
    Path("mine.py").write_text(OWN)
    called = command("train", "digits", "--model", "mine.py", *QUICK)
    assert called.code == 0
    assert "has layers of its own, so this run is for Python" in " ".join(called.errors.split())
    assert "there is no class 'Doubled' in chainrule" in command.refuses("evaluate", "runs/digits-1")
    assert "mine.py" not in Path("runs/digits-1/run.toml").read_text().split("commands")[0]


def test_a_run_that_brings_a_python_file_along_does_not_run_it(command: Command) -> None:
    command.works("train", "iris", *QUICK)
    for name in ("model.py", "mine.py", "__init__.py", "conftest.py"):
        (Path("runs/iris-1") / name).write_text("raise SystemExit('code of a downloaded run was executed')")
    command.works("evaluate", "runs/iris-1")
    command.works("train", "--resume", "runs/iris-1", "--epochs", "2", "--quiet")


def test_other_commands_take_a_model_too(command: Command) -> None:
    assert "digits: 53,002 parameters" in command.works("doctor", "--plan", "digits", "--model", "simple_cnn")
    output = command.works("rate", "digits", "--model", "simple_cnn", "--steps", "20", "--engine", "reference")
    assert "train digits --model simple_cnn --learning-rate" in output
