"""The records of a training as JSON lines, in a file that grows with it."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import chainrule as cr
from chainrule.training import Callback, Checkpoint, History, Log, log, records
from chainrule.training.records import append, decoded, encoded, lines

from .making import flowers, line, model


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    assert text.endswith("\n") or not text
    return [json.loads(one, parse_constant=pytest.fail) for one in text.splitlines()]


def history(epochs: int = 3, steps: int = 4, more: Mapping[str, float] = MappingProxyType({})) -> History:
    found = History()
    for epoch in range(1, epochs + 1):
        for row in range(steps):
            step = (epoch - 1) * steps + row + 1
            numbers = {"loss": 1 / step, "learning_rate": 0.1, "seconds": 1e-4 * step}
            found.add_step({"step": step, "epoch": epoch, "samples": 2, **numbers, **more})
        found.epochs.append(found.last_epoch())
    return found


def whole(found: History) -> list[dict[str, Any]]:
    """What the lines should be, each record by itself."""
    told: list[dict[str, Any]] = []
    rows = [*found.step_records()]
    for record in found.epochs:
        told += [{"kind": "step", **row} for row in rows if row["epoch"] == record["epoch"]]
        told.append({"kind": "epoch", **record})
    return told + [{"kind": "step", **row} for row in rows if row["epoch"] > len(found.epochs)]


def test_every_step_and_epoch_is_a_line_in_the_order_they_came(tmp_path: Path) -> None:
    path = tmp_path / "course.jsonl"
    run = cr.fit(model(), flowers()[0], validation=flowers()[1], epochs=3, callbacks=[Log(path)])
    assert read(path) == whole(run.history)
    assert sum(one["kind"] == "epoch" for one in read(path)) == 3


@pytest.mark.parametrize("block", [1, 3, 5, 1000])
def test_lines_are_those_of_each_record_by_itself(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many become text at once; with what JSON has no word for, equal values and zeros of both signs."""
    monkeypatch.setattr(records, "_BLOCK", block)
    found = history(more={"odd %": math.nan, "edge": math.inf})
    found.add_step({"step": 13, "epoch": 4, "samples": 2, "loss": -0.0, "learning_rate": 0.0, "flag": True})
    found.add_step({"step": 14, "epoch": 4, "samples": 2, "loss": 0.0, "learning_rate": 0.1, "flag": 1})
    assert [one.rstrip("\n") for one in lines(found)] == [encoded(one) for one in whole(found)]
    again = [decoded(one) for one in lines(found)]
    assert math.isnan(again[0]["odd %"])
    assert again[0]["edge"] == math.inf
    assert [*lines(found, step=5, epoch=1)] == [*lines(found)][:6]


def test_both_zeros_keep_their_signs() -> None:
    found = History()
    for step in range(1, 21):
        found.add_step({"step": step, "epoch": 1, "zero": 0.0 if step % 3 else -0.0, "other": float(step % 2)})
    assert [one.rstrip("\n") for one in lines(found)] == [encoded(one) for one in whole(found)]


@pytest.mark.parametrize("cut", range(16))
def test_a_file_that_is_begun_is_gone_on_with(cut: int, tmp_path: Path) -> None:
    """From any line on, and with half a line behind it."""
    found, path = history(), tmp_path / "course.jsonl"
    text = [*lines(found)]
    for rest in ("", '{"kind": "st', text[cut][:-1] if cut < len(text) else "{"):
        path.write_text("".join(text[:cut]) + rest)
        assert append(path, found)
        assert path.read_text() == "".join(text)
    assert append(path, found)
    assert path.read_text() == "".join(text)


@pytest.mark.parametrize("tail", [1, 150, 4096])
def test_only_the_end_of_a_file_is_looked_at(tail: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is before it, and however long its lines are."""
    monkeypatch.setattr(records, "_TAIL", tail)
    found, path = history(), tmp_path / "course.jsonl"
    text = [*lines(found)]
    for cut in (4, 5, 9, 10):
        path.write_text("unread\n" + "".join(text[2:cut]))
        assert append(path, found)
        assert path.read_text() == "unread\n" + "".join(text[2:])


OTHERS: dict[str, Callable[[list[str]], str]] = {
    "further": lambda text: "".join(text),
    "a step further": lambda text: "".join(text[:14]),
    "another run's": lambda text: text[0].replace("0.0001", "0.0002"),
    "another epoch's": lambda text: "".join(text[:4]) + text[4].replace('"samples": 8', '"samples": 9'),
    "steps and then epochs": lambda text: "".join(text[:4] + text[5:7] + text[4:5]),
    "an epoch alone": lambda text: text[4],
    "no JSON": lambda text: text[0] + "{]\n",
    "no record": lambda text: text[0] + "7\n",
    "nested": lambda text: "[" * 100_000 + "\n",
    "no kind": lambda text: text[0].replace('"kind": "step", ', ""),
    "an empty line": lambda text: text[0] + "\n",
    "bytes": lambda text: text[0] + "\x00\x01\n",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_of_this_history_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    found, path = history(), tmp_path / "course.jsonl"
    path.write_text(OTHERS[name]([*lines(found)]))
    before = path.read_bytes()
    assert not append(path, found, step=11, epoch=2)
    assert path.read_bytes() == before


def test_a_full_disk_leaves_whole_lines_and_the_rest_comes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, path, real = history(), tmp_path / "course.jsonl", os.write

    def full(descriptor: int, content: bytes) -> int:
        if len(content) <= 100:
            raise OSError(28, "No space left on device")
        return real(descriptor, content[: len(content) // 2])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        append(path, found)
    monkeypatch.undo()
    assert read(path) == whole(found)[: len(read(path))] != []
    assert append(path, found)
    assert read(path) == whole(found)


def test_a_training_goes_on_without_its_log(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    told: list[str] = []
    run = cr.fit(model(), flowers()[0], epochs=2, callbacks=[Log(tmp_path / "taken" / "x.jsonl", tell=told.append)])
    assert run.epoch == 2
    assert len(told) == 1
    assert told[0].startswith("training goes on, but")
    with pytest.warns(RuntimeWarning, match="could not be written"):
        cr.fit(model(), flowers()[0], epochs=1, callbacks=[Log(tmp_path)])


class Kill(Callback):
    """Copies all files as they are after some step: what a kill there would leave."""

    def __init__(self, step: int, source: Path, target: Path) -> None:
        self.step, self.source, self.target = step, source, target

    def on_steps(self, training: cr.training.Training, records: list[dict[str, Any]]) -> None:
        if int(training.arrays["step"]) >= self.step and not self.target.exists():
            shutil.copytree(self.source, self.target)


@pytest.mark.parametrize("killed", [4, 5, 9])
def test_gone_on_with_after_a_kill_no_line_is_there_twice_or_lacks(
    killed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was logged after the checkpoint's step is not what a resumed run has done."""
    monkeypatch.setattr(log, "PAUSE", 0.0)
    monkeypatch.setattr(cr.training.checkpoint, "PAUSE", 0.0)
    data, there, left = line(40), tmp_path / "there", tmp_path / "left"
    run = cr.prepare(cr.Chain(cr.Dense(1)), data, batch_size=10)
    run.fit(data, steps=3, callbacks=[Log(there / "course.jsonl"), Checkpoint(there / "run")])
    saving = Checkpoint(there / "run", every_epochs=99)
    run.fit(data, epochs=4, callbacks=[Log(there / "course.jsonl"), saving, Kill(killed, there, left)])
    files = [left / "course.jsonl", left / "run" / "metrics.jsonl"]
    for file in files:
        assert killed <= len([one for one in read(file) if one["kind"] == "step"]) < 16
    resumed = cr.load(left / "run")
    assert len(resumed.history) == int(resumed.arrays["step"]) == 3
    resumed.fit(data, epochs=4, callbacks=[Log(files[0]), Checkpoint(left / "run")])
    for file in files:
        assert [one["step"] for one in read(file) if one["kind"] == "step"] == list(range(1, 17))
        assert read(file) == whole(resumed.history)


def test_the_folder_of_a_checkpoint_shows_the_newest_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is saved for the first time, and of a run in whose folder another one was."""
    monkeypatch.setattr(cr.training.checkpoint, "PAUSE", 0.0)
    seen: list[int] = []

    class Look(Callback):
        def on_steps(self, training: cr.training.Training, records: list[dict[str, Any]]) -> None:
            seen.append(len(read(tmp_path / "metrics.jsonl")) - len(training.history) - len(training.history.epochs))

    for seed in (1, 2):
        cr.fit(model(), flowers()[0], epochs=5, seed=seed, callbacks=[Checkpoint(tmp_path, every_seconds=1e6), Look()])
        assert seen[-1] == 0
    assert cr.load(tmp_path).seed == 2


def test_a_save_appends_and_an_older_moment_is_written_whole(tmp_path: Path) -> None:
    run = cr.fit(model(), flowers()[0], epochs=2)
    older = cr.load(run.save(tmp_path / "older"))
    folder = run.save(tmp_path / "run")
    place = (folder / "metrics.jsonl").stat().st_ino
    run.fit(flowers()[0], epochs=4)
    run.save(folder)
    assert (folder / "metrics.jsonl").stat().st_ino == place
    assert read(folder / "metrics.jsonl") == whole(run.history)
    older.save(folder)
    assert (folder / "metrics.jsonl").stat().st_ino != place
    assert read(folder / "metrics.jsonl") == whole(older.history)


@pytest.mark.parametrize("lacking", [0, 2, -1, -2])
def test_a_history_with_a_gap_is_damaged(lacking: int, tmp_path: Path) -> None:
    folder = cr.fit(model(), flowers()[0], epochs=2).save(tmp_path)
    text = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    del text[lacking]
    (folder / "metrics.jsonl").write_text("".join(text))
    if lacking == 0:
        assert len(cr.load(folder).history) == len(text) - 2  # a history may begin late, but not break off
        return
    with pytest.raises(cr.errors.RunFileError, match=r"metrics\.jsonl is damaged: it does not have"):
        cr.load(folder)
