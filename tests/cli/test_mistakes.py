"""Every mistake gets one clear message, exit code 2, and never a traceback."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.calling import Command, environment, flowers, process, write_table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("trian digits", "Did you mean 'train'?"),
        ("train digits --lr 0.1", "the name is --learning-rate"),
        ("train digits --learning_rate 0.1", "did you mean --learning-rate?"),
        ("train digits --batch 3", "the name is --batch-size"),
        ("train digits --epochz 3", "did you mean --epochs?"),
        ("train digits --units 3", "the name is --hidden"),
        ("train digits --xyzzy 3", "there is no option --xyzzy\n"),
        ("check run --lr 3", "there is no option --lr\n"),
        ("train digits more", "unexpected extra argument"),
        ("train", "chainrule train digits"),
        ("train digist", "did you mean digits"),
        ("train nowhere.csv --target x", "nowhere.csv: no such file"),
        ("train iris.csv", "chainrule train iris.csv --target species"),
        ("train iris.csv --target sort", "no column 'sort'; there are 'sepal_length'"),
        ("train digits --target x", "--target 'x' is for tables"),
        ("train digits --activation rellu", "did you mean relu?"),
        ("train digits --optimizer sdg", "there are sgd, adam"),
        ("train digits --loss focal", "there are cross_entropy"),
        ("train iris --target sepal_width --loss hinge", "is for classes"),
        ("train digits --dropout 1", "--dropout is a part of the units, from 0 to below 1, such as 0.2, not 1"),
        ("train digits --dropout nan", "--dropout is a part"),
        ("train digits --dropout 0.2 --hidden none", "--dropout wants hidden layers, and there are none"),
        ("train digits --batch-norm --hidden none", "--batch-norm wants hidden layers"),
        ("train digits --batch-norm --batch-size 1", "one sample has no variance"),
        ("train digits --l1 -1", "--l1 is a number of 0 or more, such as 0.0001, not -1"),
        ("train digits --l2 inf", "--l2 is a number of 0 or more"),
        ("train digits --label-smoothing 1", "--label-smoothing is a part, from 0 to below 1"),
        ("train digits --label-smoothing 0.1 --loss hinge", "belongs to cross_entropy and binary_cross_entropy"),
        ("train digits --class-weights evenly", "there are balanced"),
        ("train iris --target sepal_width --class-weights balanced", "--class-weights is for classes"),
        ("train digits --loss binary-cross-entropy", "is for two classes, and there are 10"),
        ("train iris --target sepal_width --loss cross_entropy", "use mean_squared_error"),
        ("train iris --task counting", "there are classification, regression"),
        ("train digits --dtype half", "there are float32, float64"),
        ("train digits --hidden 0,3", "is not a number of units"),
        ("train digits --hidden 99999999999", "is not a number of units"),
        ("train digits --hidden 3.5", "is not a number of units"),
        ("train digits --learning-rate 0", "a number above 0"),
        ("train digits --learning-rate -1", "a number above 0"),
        ("train digits --learning-rate nan", "a number above 0"),
        ("train digits --learning-rate inf", "a number above 0"),
        ("train digits --learning-rate fast", "--learning-rate"),
        ("train digits --momentum 1", "a number from 0 to below 1"),
        ("train digits --momentum 0 --nesterov", "wants a --momentum above 0"),
        ("train digits --optimizer adam --momentum 0.5", "belongs to --optimizer sgd and rmsprop"),
        ("train digits --optimizer rmsprop --nesterov", "--nesterov to sgd"),
        ("train digits --optimizer rmsporp", "did you mean rmsprop?"),
        ("train digits --epochs 0", "--epochs is a whole number above 0, not 0"),
        ("train digits --epochs 1.5", "--epochs"),
        ("train digits --patience 0", "--patience is a whole number above 0"),
        ("train digits --stop-loss nan", "--stop-loss is a finite number"),
        ("train digits --batch-size 0", "neither a whole number above 0 nor all"),
        ("train digits --batch-size some", "neither a whole number above 0 nor all"),
        ("train digits --seed -1", "--seed is a whole number from 0"),
        ("train digits --seed 4294967296", "--seed is a whole number from 0"),
        ("train digits --validation 1", "from 0 to below 1, not 1"),
        ("train --resume nowhere", "there is no run folder nowhere"),
        ("evaluate", "Missing argument"),
        ("evaluate nowhere", "there is no run folder nowhere"),
        ("evaluate .", "is not a run: it has no run.toml"),
        ("evaluate letter.txt", "letter.txt is a file; a run is a folder"),
        ("doctor now", "unexpected extra argument"),
    ],
)
def test_what_is_typed_wrongly(command: Command, arguments: str, words: str) -> None:
    Path("letter.txt").write_text("dear")
    assert words in command.refuses(*arguments.split())
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["1,2,a", "NaN,2,b", "3,1,a"] * 5, "row 2 (line 3), column 'x'"),
        (["1,2,a", ",2,b", "3,1,a"] * 5, "the value is missing"),
        ([*["1,2,a", "3,1,b"] * 20, "4,oops,a"], "'oops' is text in a column of numbers"),
        (["1,2,a", "3,1,a"] * 5, "every one of the 8 samples is of class 'a'"),
        ([], "there is a header, but no rows"),
        (["1,2,a", "3,1"] * 5, "line 3"),
        (["1,2,a"], "two or more are needed"),
        (["1,2,a", "1e999,2,b"] * 5, "column 'x'"),
    ],
    ids=["NaN", "missing", "text", "one class", "no rows", "ragged", "one row", "infinite"],
)
def test_tables_that_cannot_be_used(command: Command, rows: list[str], words: str) -> None:
    write_table(Path("data.csv"), "x,y,kind", rows)
    assert words in command.refuses("train", "data.csv", "--target", "kind")
    assert not Path("runs").exists()


def test_the_command_names_its_own_options_for_what_the_library_calls_otherwise(command: Command) -> None:
    write_table(Path("data.csv"), "name,x,kind", [f"n{row},{row},{'ab'[row % 2]}" for row in range(40)])
    assert "--ignore 'name'" in command.refuses("train", "data.csv", "--target", "kind")
    write_table(Path("data.csv"), "x,y,kind", [f"{row or ''},{row},{'ab'[row % 2]}" for row in range(40)])
    assert "(--ignore COLUMN)" in command.refuses("train", "data.csv", "--target", "kind")
    command.works("train", "data.csv", "--target", "kind", "--ignore", "x", "--epochs", "1")


class _Harm:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


def test_npz_files_that_are_truncated_or_hostile(command: Command) -> None:
    np.savez("good.npz", x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2)
    content = Path("good.npz").read_bytes()
    command.works("train", "good.npz", "--epochs", "1")
    for length in (0, 10, len(content) // 2, len(content) - 30):
        Path("bad.npz").write_bytes(content[:length])
        command.refuses("train", "bad.npz")
    np.savez("bad.npz", x=np.array([_Harm()] * 4, dtype=object), y=np.arange(4))
    command.refuses("train", "bad.npz")
    assert not Path("harmed").exists()
    np.savez("bad.npz", x=np.array([[1.0, np.nan]] * 20), y=np.arange(20) % 2)
    assert "row 0, column 1: nan is not a finite number" in command.refuses("train", "bad.npz")
    np.savez("bad.npz", x=np.ones((20, 2)), y=np.zeros(20, np.int64))
    assert "nothing to tell apart" in command.refuses("train", "bad.npz")
    np.savez("bad.npz", x=np.ones((20, 2)))
    assert "targets" in command.refuses("train", "bad.npz")
    np.savez("bad.npz", other=np.ones(3))
    command.refuses("train", "bad.npz")


@pytest.fixture
def run(command: Command) -> Path:
    flowers(Path("flowers.csv"))
    command.works("train", "flowers.csv", "--target", "kind", "--epochs", "2", "--hidden", "4")
    return Path("runs/flowers-1")


COMMANDS = (
    ("evaluate", "damaged"),
    ("predict", "damaged", "--row", "1,2,wet"),
    ("check", "damaged"),
    ("explain", "damaged"),
    ("train", "--resume", "damaged", "--epochs", "3"),
)


@pytest.mark.parametrize("name", ["run.toml", "checkpoint.safetensors", "metrics.jsonl"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_run_folders_that_are_truncated(command: Command, run: Path, name: str, share: float) -> None:
    content = (run / name).read_bytes()
    shutil.copytree(run, "damaged")
    Path("damaged", name).write_bytes(content[: int(len(content) * share)])
    for arguments in COMMANDS:
        if name == "metrics.jsonl" and share == 0.0:
            continue  # no history is a history
        message = command.refuses(*arguments)
        assert "damaged" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size = 32", "batch_size = 0", "batch_size is 0"),
        ("batch_size = 32", 'batch_size = "32"', "batch_size is '32'"),
        ("batch_size = 32\n", "", "has no batch_size"),
        ('dtype = "float32"\nseed', 'dtype = "int32"\nseed', "dtype is 'int32'"),
        ("seed = 0", "seed = -1", "seed is -1"),
        ("units = 4", "units = 5", "and the step wants"),
        ("units = 4", "units = -4", "units is a whole number"),
        ('type = "Dense"', 'type = "Engine"', "there is no class 'Engine'"),
        ('function = "relu"', 'function = "system"', "there is no function 'system'"),
        ('type = "SGD"', 'type = "CrossEntropy"', "cannot be made of"),
        ("learning_rate = 0.1", "learning_rate = -0.1", "learning_rate"),
        ("format = 1", "format = 2", "has format 2"),
        ('    "b",\n', '    "a",\n', "classes is no list of different names"),
        ("[loss]", "[lost]", "not all of"),
    ],
)
def test_run_folders_that_say_what_cannot_be(command: Command, run: Path, old: str, new: str, words: str) -> None:
    shutil.copytree(run, "damaged")
    text = (run / "run.toml").read_text()
    assert old in text
    Path("damaged/run.toml").write_text(text.replace(old, new, 1))
    for arguments in COMMANDS:
        assert words in command.refuses(*arguments)


def test_data_of_another_kind_than_the_run_knows(command: Command, run: Path) -> None:
    assert "samples of [64]" in command.refuses("evaluate", run, "digits")
    write_table(Path("other.csv"), "width,length,kind", ["1,2,a", "2,3,b"])
    assert "no column 'soil'" in command.refuses("evaluate", run, "other.csv")
    write_table(Path("other.csv"), "width,length,soil,kind", ["1,2,wet,a", "2,3,dry,c"])
    assert "'c' is not one of the classes" in command.refuses("evaluate", run, "other.csv")
    write_table(Path("other.csv"), "width,length,soil,kind", ["1,2,moss,a"])
    assert "'moss' is not one of the categories" in command.refuses("predict", run, "other.csv")
    assert "has 2 values, and a sample has 3: width, length, soil" in command.refuses("predict", run, "--row", "1,2")
    assert "column 'width'" in command.refuses("predict", run, "--row", "wide,2,wet")
    assert "one of the two" in command.refuses("predict", run)
    assert "one of the two" in command.refuses("predict", run, "flowers.csv", "--row", "1,2,wet")
    assert "there is no folder" in command.refuses("predict", run, "flowers.csv", "--output", "no/where.csv")
    assert "samples 0 to 11" in command.refuses("explain", run, "--sample", "12")
    assert "samples 0 to 11" in command.refuses("explain", run, "--sample", "-1")
    assert "there is no parameter" in command.refuses("explain", run, "--parameter", "weight")
    assert "0.weight[9,9]" in command.refuses("explain", run, "--parameter", "0.weight[9,9]")
    assert "--samples" in command.refuses("check", run, "--samples", "0")


def test_a_full_disk_is_found_before_the_training(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    message = command.refuses("train", "xor", "--epochs", "1")
    assert "could not be written: No space left on device" in message
    assert "1/1" not in message
    assert not any(Path("runs").rglob("*.part"))


def test_a_folder_that_cannot_be_made(command: Command) -> None:
    Path("file").write_text("")
    assert "could not be made" in command.refuses("train", "xor", "--output", "file/run")
    assert "could not be made" in command.refuses("train", "xor", "--output", "file")
    Path("runs").write_text("")
    assert "could not be made" in command.refuses("train", "xor")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(command: Command, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "Permission denied" in command.refuses("train", "xor", "--output", "mine")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", ["--help", "doctor"])
def test_an_output_that_is_full(arguments: str) -> None:
    with open("/dev/full", "wb") as full:
        called = subprocess.run(
            [sys.executable, "-m", "chainrule", arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert called.returncode == 2
    assert b"No space left on device" in called.stderr
    assert b"Traceback" not in called.stderr
    assert b"Exception ignored" not in called.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of another kind")
@pytest.mark.parametrize("arguments", ["--help", "doctor"])
def test_a_reader_that_has_gone_is_no_error(arguments: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    called = subprocess.run(
        [sys.executable, "-m", "chainrule", arguments],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )
    os.close(writer)
    assert called.stderr == b""


def test_exit_codes_of_a_process(tmp_path: Path) -> None:
    assert process(tmp_path, "--version").returncode == 0
    refused = process(tmp_path, "train", "digits", "--lr", "1")
    assert refused.returncode == 2
    assert refused.stdout == b""
    assert b"--learning-rate" in refused.stderr


def test_what_nobody_foresaw_is_called_a_bug(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **settings: object) -> None:
        raise RuntimeError("the reactor is gone")

    monkeypatch.setattr("chainrule.data.loading.load_or_stream", broken)
    called = command("train", "digits")
    assert called.code == 1
    assert "this is a bug in chainrule: RuntimeError: the reactor is gone" in called.errors
    assert "CHAINRULE_TRACEBACK=1" in called.errors
    monkeypatch.setenv("CHAINRULE_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="reactor"):
        command("train", "digits")


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt, 130), (MemoryError, 2), (PermissionError(13, "no"), 2)]
)
def test_what_comes_from_outside(command: Command, monkeypatch: pytest.MonkeyPatch, raised: Any, code: int) -> None:
    def interrupted(*arguments: object, **settings: object) -> None:
        raise raised

    monkeypatch.setattr("chainrule.data.loading.load_or_stream", interrupted)
    called = command("train", "digits")
    assert called.code == code
    assert "Traceback" not in called.errors
    assert "bug" not in called.errors
