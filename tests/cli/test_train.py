from __future__ import annotations

import json
import re
import shlex
import statistics
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import choices, running
from chainrule.cli.fingerprints import fingerprint
from chainrule.cli.sources import hold_out
from chainrule.cli.telling import raw_row
from tests.cli.calling import Command, flowers, prices

QUICK = ("--epochs", "3", "--hidden", "8")


@pytest.mark.tiny
def test_a_training_says_what_it_saw_what_it_made_and_how_well_it_does(command: Command) -> None:
    output = command.works("train", flowers(Path("flowers.csv")), "--target", "kind", *QUICK)
    assert "flowers.csv: " in output
    assert "classification: column 'kind' holds text, 2 different: a, b" in output
    assert "numbers, each scaled to mean 0 and deviation 1: width, length" in output
    assert "text, one input for each of its 2 values: soil (dry, wet)" in output
    assert "Dense(relu)" in output
    assert "learning rate 0.1, momentum 0.9" in output
    assert re.search(r"Test +\d+ of 12 right: accuracy \d", output)
    assert "Confusion matrix" in output
    assert "runs/flowers-1" in output
    tables = tomllib.loads(Path("runs/flowers-1/run.toml").read_text())
    assert tables["source"]["data"] == str(Path("flowers.csv").resolve())
    assert tables["source"]["target"] == "kind"
    assert tables["source"]["training"] == {"epochs": 3, "validation": 0.1}


def test_the_flowers_that_come_along_are_found_without_a_file(command: Command) -> None:
    output = command.works("train", "iris.csv", "--target", "species")
    assert cr.load("runs/iris-1").evaluate(cr.data.load("iris")[1])["accuracy"] >= 0.9
    assert "classification" in output


def test_an_epoch_has_a_line_with_what_was_held_out_and_the_time_left(command: Command) -> None:
    called = command("train", flowers(Path("flowers.csv"), 100), "--target", "kind", *QUICK)
    lines = called.errors.splitlines()
    assert "validation" in lines[0]
    assert lines[1].split() == ["epoch", "loss", "accuracy", "loss", "accuracy", "samples/s", "time", "left"]
    assert [line.split()[0] for line in lines[2:]] == ["1/3", "2/3", "3/3"]
    assert lines[-1].endswith("0 s")


def test_a_number_as_target_is_a_regression_told_in_its_own_units(command: Command) -> None:
    output = command.works("train", prices(Path("houses.csv")), "--target", "price", "--ignore", "id", "--epochs", "6")
    assert "regression: column 'price'" in output
    told_so = r"price is off by ([\d.,]+) in the mean, ([\d.,]+) \(root mean square\), by less than ([\d.,]+)"
    numbers = re.search(told_so, " ".join(output.split()))
    assert numbers is not None
    average, root, middle = numbers.groups()
    run, (_, test) = cr.load("runs/houses-1"), cr.data.load("houses.csv", target="price", ignore=["id"])
    assert test.targets is not None
    error = run.predict(test.inputs) - test.targets
    assert float(average.replace(",", "")) == pytest.approx(np.mean(np.abs(error)), rel=1e-3)
    assert float(root.replace(",", "")) == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-3)
    assert float(middle.replace(",", "")) == pytest.approx(np.median(np.abs(error)), rel=1e-3)
    told = float(re.search(r"R² ([\d.]+)", output).group(1))  # type: ignore[union-attr]
    assert told == pytest.approx(1 - np.mean(error**2) / np.var(test.targets), abs=1e-4)
    assert 0.1 < told < 0.99


def test_quiet_is_the_result_and_the_folder(command: Command) -> None:
    called = command("train", flowers(Path("flowers.csv")), "--target", "kind", *QUICK, "--quiet")
    assert called.code == 0
    assert called.errors == ""
    first, second = called.output.splitlines()
    assert "right: accuracy" in first
    assert second == "saved in runs/flowers-1"


def test_the_commands_that_are_shown_next_work_as_they_stand(command: Command) -> None:
    output = command.works("train", "digits", "--epochs", "2")
    shown = [line.strip() for line in output.splitlines() if line.startswith("  chainrule ")]
    assert [line.split()[1] for line in shown] == ["explain", "check", "evaluate", "predict"]
    for line in shown:
        command.works(*shlex.split(line)[1:])
    flowers(Path("with space.csv"))
    output = command.works("train", "with space.csv", "--target", "kind", *QUICK)
    for line in [line for line in output.splitlines() if line.startswith("  chainrule ")]:
        command.works(*shlex.split(line)[1:])


def test_the_most_confused_digits_are_drawn(command: Command) -> None:
    output = command.works("train", "digits", "--epochs", "2")
    drawn = output[output.index("The 5 most confused") : output.index("Saved")]
    assert drawn.count("true ") == 5
    assert len(re.findall(r"said \d", drawn)) == 5
    assert sum(drawn.count(letter) for letter in "░▒▓█") > 100
    labels = re.findall(r"true (\d)", drawn)
    said = re.findall(r"said (\d)", drawn)
    samples = [int(number) for number in re.findall(r"sample (\d+)", drawn)]
    run, (_, test) = cr.load("runs/digits-1"), cr.data.load("digits")
    assert test.labels is not None
    assert [str(test.labels[sample]) for sample in samples] == labels
    assert run.predict(test.inputs[samples]).tolist() == said
    assert labels != said


def test_all_tables_fit_into_80_columns(command: Command) -> None:
    called = command("train", "digits", "--epochs", "2")
    long = [line for line in (called.output + called.errors).splitlines() if len(line) > 80 and "chainrule" not in line]
    assert long == []
    assert "\x1b" not in called.output + called.errors


def test_digits_are_read_at_97_per_cent_by_the_median_of_five_seeds(command: Command) -> None:
    _, test = cr.data.load("digits")
    accuracies = []
    for seed in range(5):
        command.works("train", "digits", "--seed", seed, "--quiet", "--output", f"seed-{seed}")
        accuracies.append(cr.load(f"seed-{seed}").evaluate(test)["accuracy"])
    assert statistics.median(accuracies) >= 0.97


@pytest.mark.tiny
def test_what_is_held_out_comes_from_the_training_part_alone() -> None:
    train, test = cr.data.load("digits")
    part, held = hold_out(train, 0.1, seed=3)
    assert held is not None
    assert len(part) + len(held) == len(train)
    whole = {row.tobytes() for row in train.inputs} - {row.tobytes() for row in test.inputs}
    assert {row.tobytes() for row in held.inputs} <= whole
    assert hold_out(train, 0.0, seed=3) == (train, None)
    few = train.subset(range(20))
    assert hold_out(few, 0.1, seed=3)[1] is None


def test_the_test_part_is_the_same_for_every_seed(command: Command) -> None:
    flowers(Path("flowers.csv"))
    prints = set()
    for seed in (1, 2):
        command.works("train", "flowers.csv", "--target", "kind", "--seed", seed, *QUICK, "--output", f"run-{seed}")
        prints.add(tomllib.loads(Path(f"run-{seed}/run.toml").read_text())["source"]["fingerprint"])
    train, test = cr.data.load("flowers.csv", target="kind")
    assert prints == {fingerprint(train, test)}


def test_runs_are_counted_and_none_is_written_over(command: Command) -> None:
    for _ in range(2):
        command.works("train", "xor", *QUICK, "--quiet")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["xor-1", "xor-2"]
    message = command.refuses("train", "xor", "--output", "runs/xor-1")
    assert "--resume runs/xor-1" in message
    Path("mine").mkdir()
    Path("mine/letter.txt").write_text("dear")
    assert "has files in it" in command.refuses("train", "xor", "--output", "mine")


@pytest.mark.parametrize("batch", ["1", "all", "7"])
def test_the_three_forms_of_descent(command: Command, batch: str) -> None:
    output = command.works("train", "xor", "--batch-size", batch, *QUICK)
    assert ("all samples at once" in " ".join(output.split())) == (batch != "1")
    assert cr.load("runs/xor-1").history.samples == 12


def test_every_setting_reaches_the_run(command: Command) -> None:
    command.works(
        "train", "digits", "--hidden", "12,6", "--hidden", "4", "--activation", "leaky-relu",
        "--loss", "half_squared_error", "--optimizer", "sgd", "--learning-rate", "0.02", "--momentum", "0.5",
        "--nesterov", "--epochs", "1", "--batch-size", "50", "--seed", "9", "--dtype", "float64",
        "--validation", "0.25",
    )  # fmt: skip
    run = cr.load("runs/digits-1")
    assert [array.shape for name, array in sorted(run.parameters.items()) if "weight" in name] == [
        (64, 12), (12, 6), (6, 4), (4, 10),
    ]  # fmt: skip
    assert all(array.dtype == np.float64 for array in run.parameters.values())
    assert run.optimizer == cr.optimizers.SGD(0.02, 0.5, nesterov=True)
    assert run.loss == cr.losses.half_squared_error
    assert (run.batch_size, run.seed, run.epoch) == (50, 9, 1)
    assert run.spec is not None
    assert run.spec.samples == round(0.75 * 1438)


def test_every_remedy_reaches_the_run_and_its_end(command: Command) -> None:
    remedies = "--batch-norm --dropout 0.25 --label-smoothing 0.1 --class-weights balanced --l1 1e-3 --l2 2e-3".split()
    output = command.works("train", "digits", "--hidden", "12,6", *remedies, "--epochs", "2")
    told = " ".join(output.split())
    assert "penalty L1 and L2 of 0.001 and 0.002; batches of 32" in told
    assert "each class counts alike" in told
    assert "chainrule check" in told
    assert "chainrule explain" not in told, "one sample cannot be normalised by its batch"
    assert max(map(len, output.splitlines())) <= 80
    run = cr.load("runs/digits-1")
    assert run.model == cr.Chain(
        cr.Dense(12, bias=False, weight=cr.initializers.He()), cr.BatchNorm(), cr.relu, cr.Dropout(0.25),
        cr.Dense(6, bias=False, weight=cr.initializers.He()), cr.BatchNorm(), cr.relu, cr.Dropout(0.25), cr.Dense(10),
    )  # fmt: skip
    assert run.loss == cr.losses.CrossEntropy(smoothing=0.1)
    assert run.regularizer == cr.regularizers.ElasticNet(0.001, 0.002)
    assert run.spec is not None
    assert "weights" in run.spec.arrays
    command.works("train", "--resume", "runs/digits-1", "--epochs", str(run.epoch + 1))
    for words in ("check", "evaluate"):
        command.works(words, "runs/digits-1")
    assert "one sample has no variance" in command.refuses(
        "explain", "runs/digits-1", "--sample", "0", "--parameter", "0.weight[0,0]"
    )
    for option, expected in (("--l1", cr.regularizers.L1(0.5)), ("--l2", cr.regularizers.L2(0.5))):
        command.works("train", "xor", option, "0.5", "--epochs", "1", "--output", option[2:])
        assert cr.load(option[2:]).regularizer == expected


def test_no_hidden_layer_and_two_classes_in_one_unit(command: Command) -> None:
    flowers(Path("flowers.csv"))
    output = command.works(
        "train",
        "flowers.csv",
        "--target",
        "kind",
        "--hidden",
        "none",
        "--loss",
        "binary_cross_entropy",
        "--epochs",
        "20",
    )
    run = cr.load("runs/flowers-1")
    assert run.parameters["0.weight"].shape == (4, 1)
    assert "12 of 12 right" in output


def test_a_learning_rate_that_is_too_large_is_named_as_the_thing_to_change(command: Command) -> None:
    prices(Path("houses.csv"))
    message = command.refuses("train", "houses.csv", "--target", "price", "--learning-rate", "90", "--epochs", "200")
    assert "is not finite" in message
    assert "--learning-rate" in message
    assert cr.load("runs/houses-1").parameters["0.weight"].dtype == np.float32


def test_pictures_in_an_npz_file_and_its_own_test_part(command: Command) -> None:
    train, test = cr.data.load("digits", images=True)
    np.savez(
        "mine.npz", x_train=train.inputs[:300], y_train=np.asarray(train.labels)[:300], x_test=test.inputs[:40],
        y_test=np.asarray(test.labels)[:40],
    )  # fmt: skip
    output = command.works("train", "mine.npz", "--epochs", "3")
    assert "40 for the test; 8×8×1 points a sample" in " ".join(output.split())
    assert "true " in output
    assert "1.weight" in cr.load("runs/mine-1").parameters


def test_numbers_as_targets_of_several_outputs(command: Command) -> None:
    inputs = np.linspace(-1, 1, 80, dtype=np.float32).reshape(-1, 1)
    np.savez("two.npz", x=inputs, y=np.concatenate([inputs * 3, inputs**2], axis=1))
    output = command.works("train", "two.npz", "--epochs", "40")
    assert "(the mean over 2 outputs)" in output
    predicted = command.works("predict", "runs/two-1", "two.npz").splitlines()
    assert predicted[0] == "sample,prediction 0,prediction 1"
    assert len(predicted) == 81


def test_a_row_is_written_as_it_was_read() -> None:
    columns = (
        cr.data.Column("size"),
        cr.data.Column("colour", "category", ("blue, dark", "red")),
        cr.data.Column("when", origin=1e9),
    )
    preparation = cr.data.Preparation(columns=columns)
    features = preparation.encode([{"size": "0.1", "colour": "blue, dark", "when": "1000000012"}])
    assert raw_row(columns, features[0]) == '0.1,"blue, dark",1000000012'


def test_commands_are_shown_as_they_can_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path(".venv/bin/chainrule")
    place.parent.mkdir(parents=True)
    place.write_text("#!/bin/sh\n")
    place.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    for called in (str(place), str(place.absolute())):
        monkeypatch.setattr("sys.argv", [called])
        assert running.command("check", "my run") == ".venv/bin/chainrule check 'my run'"
    monkeypatch.setenv("PATH", str(place.parent.absolute()))
    monkeypatch.setattr("sys.argv", [str(place.absolute())])
    assert running.command("check", "run") == "chainrule check run"
    monkeypatch.setattr("sys.argv", ["/lib/chainrule/__main__.py"])
    assert running.command("check", "run") == f"{shlex.quote(sys.executable)} -m chainrule check run"


def test_history_is_a_line_a_step_and_a_line_an_epoch(command: Command) -> None:
    command.works("train", "digits", *QUICK)
    lines = [json.loads(line) for line in Path("runs/digits-1/metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["kind"] == "epoch"] == [1, 2, 3]
    assert sum(line["kind"] == "step" for line in lines) == 3 * 41


@pytest.mark.parametrize("name", choices.OPTIMIZERS)
def test_every_optimizer_has_a_name(name: str) -> None:
    made = choices.make_optimizer(cr.losses.cross_entropy, True, name.replace("_", "-").upper(), 0.003, None, None)
    assert type(made).__name__ == choices.OPTIMIZERS[name]
    assert vars(made)["learning_rate"] == 0.003
    assert choices.told_optimizer(made).endswith("momentum 0.9" if name == "sgd" else "learning rate 0.003")


def test_every_optimizer_that_has_a_learning_rate_is_named() -> None:
    there = {
        name
        for name, kind in vars(cr.optimizers).items()
        if isinstance(kind, type) and issubclass(kind, cr.optimizers.Optimizer) and hasattr(kind, "learning_rate")
    }
    assert there == set(choices.OPTIMIZERS.values())
