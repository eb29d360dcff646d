"""Checkpoints: which are saved, which stay, and what becomes of a training whose folder takes nothing."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, NotFiniteError, RunFileError, StreamError
from chainrule.training import Callback, Checkpoint, OnEpoch, StopAfter, StopAtLoss, StopWithoutImprovement
from tests.training.making import flowers, model, same_bits

WILD: dict[str, Any] = {"optimizer": cr.optimizers.SGD(0.7, momentum=0.9), "batch_size": 8, "seed": 3}


def fit(*callbacks: Callback, epochs: int = 8, **settings: Any) -> cr.Run:
    train, test = flowers()
    return cr.fit(model(), train, validation=test, epochs=epochs, callbacks=callbacks, **{**WILD, **settings})


def kept(folder: Path) -> list[str]:
    beside = folder / "checkpoints"
    return sorted(path.name for path in beside.iterdir()) if beside.exists() else []


class Saves(Callback):
    """Where the run stood when it was saved."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, []  # type: ignore[var-annotated]

    def on_rest(self, training: Any) -> None:
        if (self.folder / "run.toml").exists():
            found = cr.load(self.folder)
            place = int(found.arrays["step"]), found.epoch
            if place not in self.seen:
                self.seen.append(place)


def test_after_each_epoch_if_nothing_is_said(tmp_path: Path) -> None:
    saves = Saves(tmp_path)
    run = fit(Checkpoint(tmp_path), saves, epochs=3)
    assert saves.seen == [(15, 1), (30, 2), (45, 3)]
    same_bits(run, cr.load(tmp_path))
    assert kept(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"every_epochs": 2}, [(30, 2), (60, 4), (75, 5)]),
        ({"every_steps": 20}, [(20, 1), (40, 2), (60, 3), (60, 4), (75, 5)]),
        ({"every_seconds": 1e9}, [(75, 5)]),
        ({"every_seconds": 1e9, "every_epochs": 4}, [(60, 4), (75, 5)]),
    ],
)
def test_when_it_is_saved(settings: dict[str, Any], expected: list[tuple[int, int]], tmp_path: Path) -> None:
    saves = Saves(tmp_path)
    fit(Checkpoint(tmp_path, **settings), saves, epochs=5)
    assert saves.seen == [place for place in expected if place != (60, 4) or "every_epochs" in settings]


def test_by_the_clock(tmp_path: Path) -> None:
    saves = Saves(tmp_path)
    fit(Checkpoint(tmp_path, every_seconds=0), saves, epochs=4)
    assert len(saves.seen) >= 2


def test_the_last_stay(tmp_path: Path) -> None:
    whole = fit(Checkpoint(tmp_path, keep=2, keep_every=3), epochs=8)
    assert kept(tmp_path) == ["epoch-3", "epoch-6", "step-105", "step-120"]
    for name, epoch in (("epoch-3", 3), ("epoch-6", 6), ("step-105", 7), ("step-120", 8)):
        run = cr.load(tmp_path, checkpoint=name)
        assert (run.epoch, len(run.history), len(run.history.epochs)) == (epoch, 15 * epoch, epoch)
        same_bits(whole, run.fit(flowers()[0], validation=flowers()[1], epochs=8))


def test_going_on_from_an_earlier_one_drops_the_later(tmp_path: Path) -> None:
    fit(Checkpoint(tmp_path, keep=3), epochs=5)
    run = cr.load(tmp_path, checkpoint="step-45")
    run.fit(flowers()[0], validation=flowers()[1], epochs=4, callbacks=[Checkpoint(tmp_path, keep=3)])
    assert kept(tmp_path) == ["step-45", "step-60"]


def test_what_a_kill_has_left_is_cleared_up_and_not_counted(tmp_path: Path) -> None:
    for name in (".gone", "step-40/.part", "best/.part"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / "run.toml").write_text("half")
    with pytest.raises(RunFileError, match="none is kept besides the last"):
        cr.load(tmp_path, checkpoint="step-40")
    fit(Checkpoint(tmp_path, keep=2), epochs=3)
    assert kept(tmp_path) == ["step-30", "step-45"]


@pytest.mark.parametrize("column", ["validation_loss", "validation_accuracy"])
@pytest.mark.parametrize("every", [1, 100])
def test_the_best_stays(column: str, every: int, tmp_path: Path) -> None:
    """Whether it was written at once or held until the end; and it is what a run of so many epochs is."""
    run = fit(Checkpoint(tmp_path, every_epochs=every, best=column))
    values = [record[column] for record in run.history.epochs]
    best = int(np.argmin(values) if "loss" in column else np.argmax(values)) + 1
    assert best < 8
    found = cr.load(tmp_path, checkpoint="best")
    same_bits(fit(epochs=best), found)
    assert found.evaluate(flowers()[1])[column.removeprefix("validation_")] == values[best - 1]
    same_bits(run, found.fit(flowers()[0], validation=flowers()[1], epochs=8))


def test_the_best_is_known_to_a_run_gone_on_with(tmp_path: Path) -> None:
    run = fit(Checkpoint(tmp_path, best="validation_loss"), epochs=8)
    best = cr.load(tmp_path, checkpoint="best").epoch
    assert run.history.epochs[-1]["validation_loss"] > run.history.epochs[best - 1]["validation_loss"]
    saving = Checkpoint(tmp_path, best="validation_loss")
    still = cr.load(tmp_path)
    for name in still.numbers:
        still.numbers[name] = 0.0  # nothing changes any more, so nothing becomes better
    still.fit(flowers()[0], validation=flowers()[1], epochs=9, callbacks=[saving])
    assert cr.load(tmp_path, checkpoint="best").epoch == best
    fit(saving, epochs=1)
    assert cr.load(tmp_path, checkpoint="best").epoch == 1  # of a new run, the first is the best


def test_what_other_callbacks_remember_is_saved_with_it_wherever_they_stand(tmp_path: Path) -> None:
    def stopping() -> StopWithoutImprovement:
        return StopWithoutImprovement(4, restore_best=True)

    whole = fit(Checkpoint(tmp_path / "whole"), stopping(), epochs=40)
    assert whole.epoch < 40
    for epochs in range(1, whole.epoch + 2):
        folder = tmp_path / str(epochs)
        snap = OnEpoch(lambda run, record, e=epochs: run.stop("cut") if record["epoch"] == e else None)  # type: ignore
        fit(Checkpoint(folder), snap, stopping(), epochs=40)
        again = cr.load(folder)
        again.fit(flowers()[0], validation=flowers()[1], epochs=40, callbacks=[Checkpoint(folder), stopping()])
        same_bits(whole, again)
        same_bits(whole, cr.load(folder))


@pytest.mark.parametrize("stop", [StopAtLoss(0.4), StopAtLoss(0.9, "validation_accuracy")])
def test_a_run_that_has_reached_its_end_stays_there(stop: Callback, tmp_path: Path) -> None:
    """Killed after its last save, it is gone on with once more, and does nothing more."""
    whole = fit(Checkpoint(tmp_path), stop, epochs=50)
    assert whole.epoch < 50
    train, test = flowers()
    again = cr.load(tmp_path).fit(train, validation=test, epochs=50, callbacks=[stop])
    same_bits(whole, again)
    assert again.stopped == whole.stopped


def test_names_that_are_not_there(tmp_path: Path) -> None:
    fit(Checkpoint(tmp_path, best="loss"), epochs=1)
    with pytest.raises(RunFileError, match="has no checkpoint 'step-3'; there are best"):
        cr.load(tmp_path, checkpoint="step-3")
    with pytest.raises(RunFileError, match=r"has no checkpoint '\.\./x'"):
        cr.load(tmp_path, checkpoint="../x")
    with pytest.raises(ConfigurationError, match=r"Checkpoint watches 'validation_los', and an epoch records loss"):
        fit(Checkpoint(tmp_path, best="validation_los"), epochs=1)


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"every_steps": 1.5}, {"every_seconds": -1.0}, {"keep_every": 0}])
def test_settings_without_meaning_are_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"Checkpoint: {next(iter(wrong))} is a "):
        Checkpoint(tmp_path, **wrong)


# ---- folders that take nothing ----


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_does_not_end_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once; when there is space again, it is saved again."""
    told: list[str] = []
    folder = tmp_path / "run"

    def disk(run: Any, record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            monkeypatch.setattr("os.fsync", full)
        if record["epoch"] == 5:
            monkeypatch.undo()
        assert cr.load(folder).epoch == (1 if 2 < record["epoch"] < 6 else record["epoch"] - 1)

    watch = OnEpoch(lambda run, record: disk(run, record) if record["epoch"] > 1 else None)
    saving = Checkpoint(folder, best="validation_loss", tell=told.append)
    run = fit(saving, watch, epochs=8)
    assert len(told) == 1
    assert told[0].startswith("training goes on, but ")
    assert "No space left on device" in told[0]
    assert saving.saved == folder
    same_bits(run, cr.load(folder))
    losses = [record["validation_loss"] for record in run.history.epochs]
    assert cr.load(folder, checkpoint="best").epoch == int(np.argmin(losses)) + 1


def test_a_trained_run_finds_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder is a file by now, which nobody can write into, not even the root."""
    folder, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(other))
    folder.write_text("a file")
    saving = Checkpoint(folder, every_epochs=100, best="loss")
    with pytest.warns(RuntimeWarning, match=r"The run was saved in .* instead"):
        run = fit(saving, epochs=2)
    assert saving.saved is not None
    assert saving.saved.parent == other
    same_bits(run, cr.load(saving.saved))
    assert cr.load(saving.saved, checkpoint="best").epoch == 2
    assert folder.read_text() == "a file"


def test_where_there_is_no_place_at_all_the_run_is_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunFileError, match="No space left on device") as caught:
        fit(Checkpoint(tmp_path / "run", tell=lambda words: None), epochs=2)
    monkeypatch.undo()
    same_bits(fit(epochs=2), caught.value.run)


def test_a_step_that_is_not_finite_is_saved_as_it_was_before(tmp_path: Path) -> None:
    def spoil(run: Any, record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            run.numbers["numbers/learning_rate"] = 1e38

    with pytest.raises(NotFiniteError) as caught:
        fit(Checkpoint(tmp_path, every_epochs=100), OnEpoch(spoil), epochs=5)
    found = cr.load(tmp_path)
    same_bits(caught.value.run, found)
    assert all(np.isfinite(array).all() for array in found.parameters.values())


def test_a_stream_that_breaks_off_is_saved_as_far_as_it_came(tmp_path: Path) -> None:
    train, _ = flowers()

    def source(epoch: int) -> Iterator[Any]:
        yield train.subset(np.arange(40))
        if epoch == 1:
            raise OSError("unplugged")
        yield train.subset(np.arange(40, 120))

    data = cr.data.stream(source, samples=120, classes=train.classes).prepared_as(train)
    with pytest.raises(StreamError) as caught:
        cr.fit(model(), data, epochs=3, callbacks=[Checkpoint(tmp_path, every_epochs=100)], **WILD)
    found = cr.load(tmp_path)
    assert (found.epoch, found.offset) == (1, 40)
    same_bits(caught.value.run, found)


# ---- budgets ----


@pytest.mark.parametrize("steps", [1, 7, 15, 16, 40])
def test_a_budget_of_steps_is_exact_and_changes_no_bit(steps: int, tmp_path: Path) -> None:
    train, test = flowers()
    whole = fit(epochs=4)
    run = fit(epochs=4, steps=steps)
    assert len(run.history) == int(run.arrays["step"]) == steps
    assert run.stopped == f"the budget of {steps} steps is spent; a fit with more goes on"
    run.fit(train, validation=test, epochs=4, steps=steps)
    assert len(run.history) == steps  # they count in all, as epochs do
    again = cr.load(run.save(tmp_path)).fit(train, validation=test, steps=41)
    assert (len(again.history), again.epoch) == (41, 2)
    for one in (run, again):
        same_bits(whole, one.fit(train, validation=test, epochs=4))


def test_a_budget_of_time_changes_no_bit() -> None:
    train, test = flowers()
    run = fit(epochs=None, seconds=0.05)  # type: ignore[arg-type]
    assert run.stopped == "the budget of 0.05 seconds is spent; a further fit goes on"
    before = len(run.history)
    assert before > 0
    run.fit(train, validation=test, seconds=0.05)
    assert len(run.history) > before
    run.fit(train, validation=test, epochs=run.epoch + 1)
    same_bits(fit(epochs=run.epoch), run)


def test_a_budget_without_meaning_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="how long"):
        cr.prepare(model(), flowers()[0]).fit(flowers()[0])
    for wrong in ({"steps": 0}, {"steps": 1.5}, {"seconds": 0.0}, {"seconds": float("inf")}):
        with pytest.raises(ConfigurationError, match=r"is a (whole )?number above 0"):
            StopAfter(**wrong)


def test_another_machine_is_told_of(tmp_path: Path) -> None:
    train, _ = flowers()
    run = cr.load(fit(epochs=1).save(tmp_path))
    made = dict(run.made_with)
    assert run.differences() == ""
    run.made_with = {**made, "cores": 512}
    assert re.search(r"512 cores then and \d+ now; which changes no bit$", run.differences())
    run.made_with = {**made, "processor": "abacus"}
    with pytest.warns(RuntimeWarning, match=r"abacus then and .* now; its last bits may differ"):
        run.fit(train, epochs=2)
    run.fit(train, epochs=3)  # told once
