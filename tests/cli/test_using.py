"""What is done with a run: evaluate, predict, explain, check; and what the doctor says."""

from __future__ import annotations

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli import doctor
from tests.cli.calling import Command, flowers, prices
from tests.explain.making import broken, wrong_factor


@pytest.fixture
def run(command: Command) -> Path:
    flowers(Path("flowers.csv"))
    command.works("train", "flowers.csv", "--target", "kind", "--epochs", "3", "--hidden", "4", "--activation", "tanh")
    return Path("runs/flowers-1")


def test_evaluate_is_the_test_part_unless_other_data_are_named(command: Command, run: Path) -> None:
    output = command.works("evaluate", run)
    assert "the test part of flowers" in output
    right = round(12 * cr.load(run).evaluate(cr.data.load("flowers.csv", target="kind")[1])["accuracy"])
    assert f"{right} of 12 right" in output
    # The file it was trained on is not new data, however it is named.
    for name in ("flowers.csv", str(Path("flowers.csv").resolve())):
        again = command.works("evaluate", run, name)
        assert f"{right} of 12 right" in again
        assert "the rest of it is what this run was trained on" in " ".join(again.split())
    flowers(Path("more.csv"), 30)
    assert "all 30 rows of more.csv" in command.works("evaluate", run, "more.csv")
    renamed = Path("more.csv").read_text().replace("kind", "sort", 1)
    Path("more.csv").write_text(renamed)
    assert "30 right" in command.works("evaluate", run, "more.csv", "--target", "sort")
    assert len(command.works("evaluate", run, "--quiet").splitlines()) == 1


def test_metrics_are_told_in_a_table(command: Command, run: Path) -> None:
    test = cr.data.load("flowers.csv", target="kind")[1]
    names = ["f1", "roc_auc", "recall_per_class", "precision_per_class"]
    output = command.works("evaluate", run, "--metrics", "f1, roc_auc,recall_per_class,precision_per_class")
    rows = {line.split()[0]: line.split()[1:] for line in output.splitlines() if line.strip()}
    found = cr.load(run).evaluate(test, metrics=names)
    for name in ("f1", "roc_auc"):
        assert float(rows[name][0]) == pytest.approx(found[name], abs=1e-4)
    for name in ("a", "b"):
        told = [float(cell) for cell in rows[name]]
        assert told == pytest.approx([found[f"{one}[{name}]"] for one in names[2:]], abs=1e-4)
    brief = command.works("evaluate", run, "--metrics", "f1", "--quiet").splitlines()
    assert [line.split()[0] for line in brief] == ["Result", "f1"]
    Path("one.csv").write_text("width,length,soil,kind\n1,0.1,wet,b\n2,0.3,dry,b\n")
    output = command.works("evaluate", run, "one.csv", "--metrics", "roc_auc")
    assert "roc_auc          —" in output
    assert "— is not defined" in output
    assert "here it is called root_mean_squared_error" in command.refuses("evaluate", run, "--metrics", "rmse")
    assert "r2 is a metric of numbers" in command.refuses("evaluate", run, "--metrics", "r2")


def test_a_run_folder_may_be_moved(command: Command, run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "mine"
    moved.parent.mkdir()
    run.rename(moved)
    assert "12 right" in command.works("evaluate", moved)


def test_predictions_are_lines_of_csv(command: Command, run: Path) -> None:
    rows = list(csv.reader(command.works("predict", run, "flowers.csv").splitlines()))
    assert rows[0] == ["sample", "kind", "probability"]
    found, whole = cr.load(run), cr.data.read_prepared("flowers.csv", cr.load(run).preparation, with_targets=False)
    assert [row[1] for row in rows[1:]] == found.predict(whole.inputs).tolist()
    assert [int(row[0]) for row in rows[1:]] == list(range(60))
    every = list(csv.reader(command.works("predict", run, "flowers.csv", "--probabilities").splitlines()))
    assert every[0][3:] == ["probability of a", "probability of b"]
    np.testing.assert_allclose(np.array(every[1:])[:, 3:].astype(float), found.probabilities(whole.inputs), rtol=1e-5)


def test_rows_and_files_are_predicted_alike(command: Command, run: Path) -> None:
    first = [row[:3] for row in csv.reader(Path("flowers.csv").read_text().splitlines())][1:3]
    rows = [argument for cells in first for argument in ("--row", ",".join(cells))]
    assert command.works("predict", run, *rows) == "".join(
        line + "\n" for line in command.works("predict", run, "flowers.csv").splitlines()[:3]
    )
    assert "are in said.csv" in command.works("predict", run, "flowers.csv", "--output", "said.csv")
    assert Path("said.csv").read_text() == command.works("predict", run, "flowers.csv")


def test_a_table_without_its_target_is_predicted_in_any_order_of_columns(command: Command, run: Path) -> None:
    Path("new.csv").write_text("soil,extra,length,width\nwet,9,3.1,4\n")
    expected = command.works("predict", run, "--row", "4,3.1,wet")
    assert command.works("predict", run, "new.csv") == expected


def test_numbers_come_in_their_own_units(command: Command) -> None:
    prices(Path("houses.csv"))
    command.works("train", "houses.csv", "--target", "price", "--ignore", "id", "--epochs", "100")
    header, line = command.works("predict", "runs/houses-1", "--row", "5").splitlines()
    assert header == "sample,price"
    assert float(line.split(",")[1]) == pytest.approx(5500, rel=0.1)
    assert "--probabilities is for classes" in command.refuses(
        "predict", "runs/houses-1", "houses.csv", "--probabilities"
    )
    assert "price is off by" in " ".join(command.works("evaluate", "runs/houses-1", "--quiet").split())


def test_digits_are_predicted_from_a_row_of_points(command: Command) -> None:
    command.works("train", "digits", "--epochs", "5", "--quiet")
    _, test = cr.data.load("digits")
    row = ",".join(map(str, test.inputs[0].tolist()))
    said = command.works("predict", "runs/digits-1", "--row", row).splitlines()[1].split(",")[1]
    assert said == cr.load("runs/digits-1").predict(test.inputs[:1])[0]
    assert len(command.works("predict", "runs/digits-1", "digits").splitlines()) == 360
    assert "could not convert" in command.refuses("predict", "runs/digits-1", "--row", ",".join(["x"] * 64))
    assert "NaN" in command.refuses("predict", "runs/digits-1", "--row", ",".join(["nan"] * 64))


def test_explain_prints_what_the_library_explains(command: Command, run: Path) -> None:
    _, test = cr.data.load("flowers.csv", target="kind")
    expected = str(cr.load(run).explain(test, 3, "0.weight[1,2]"))
    assert command.works("explain", run, "--sample", "3", "--parameter", "0.weight[1,2]") == expected + "\n"
    assert "∂loss/∂0.weight[" in command.works("explain", run, "--sample", "5")


def test_check_passes_and_its_exit_code_says_when_it_does_not(
    command: Command, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "passed" in command.works("check", run)
    with broken("tanh", wrong_factor):
        called = command("check", run)
    assert called.code == 1
    assert "FAILED" in called.output


def test_the_doctor_says_what_is_here(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    output = command.works("doctor")
    for engine in ("native (the default): works", "reference: works"):
        assert engine in output
    for words in (cr.__version__, np.__version__, "digits, iris, xor", "mnist"):
        assert words in output
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    assert "pip install 'chainrule[plot]'" in " ".join(command.works("doctor").split())
    monkeypatch.setattr(doctor, "_version", lambda name: "" if name == "safetensors" else "1")
    called = command("doctor")
    assert called.code == 1
    assert "safetensors MISSING" in called.output


def test_the_doctor_finds_an_engine_that_miscounts(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.engines.reference import values

    add = values.VALUES["add"]
    monkeypatch.setitem(values.VALUES, "add", lambda *arguments: add(*arguments) + 1)
    assert "is broken: 1 + 1 gave 3" in command.works("doctor")


def test_the_doctor_names_a_data_folder_that_is_not_there(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_DATA", "/no/where")
    assert "/no/where" in command.works("doctor")


@pytest.mark.tiny
def test_help_teaches_by_examples_that_name_options_that_exist(command: Command) -> None:
    first = command.works("--help")
    assert "chainrule train digits" in first
    assert command.works() == first
    assert all(len(line) <= 80 for line in first.splitlines())
    for name in ("train", "evaluate", "predict", "explain", "check", "doctor"):
        assert name in first
        output = command.works(name, "--help")
        assert f"  chainrule {name}" in output
        assert all(len(line) <= 80 for line in output.splitlines())
        options = output[output.index("\nOptions:") :]
        shown = [word for line in output.splitlines() if line.startswith("    chainrule ") for word in line.split()]
        assert [word for word in shown if word.startswith("--") and word not in options] == []
