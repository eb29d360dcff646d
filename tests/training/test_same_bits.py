"""The same seed gives the same bits, however a run is cut: by calls, by stops, by Ctrl-C, by a save and a load."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.training import Callback, StopWithoutImprovement, loop
from tests.training.making import flowers, model, same_bits

#: Settings that a cut could disturb: a smaller last batch, memory of an optimizer, a schedule, other dtypes.
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum, odd batches": {"batch_size": 7, "optimizer": cr.optimizers.SGD(0.05, momentum=0.9, nesterov=True)},
    "Adam": {"optimizer": cr.optimizers.Adam(0.01)},
    "scheduled": {"optimizer": cr.optimizers.SGD(lambda step: 0.2 / (1.0 + 0.01 * step))},
    "L-BFGS": {"batch_size": 50, "optimizer": cr.optimizers.LBFGS(4)},
    "K-FAC": {"batch_size": 60, "optimizer": cr.optimizers.KFAC(0.1, inverse_interval=3, tikhonov_interval=4)},
    "batch": {"batch_size": None},
    "stochastic": {"batch_size": 1},
    "float64": {"dtype": "float64"},
    "in order": {"shuffle": False},
}
EPOCHS = 6


def whole(**settings: Any) -> cr.Run:
    return cr.fit(model(), flowers()[0], validation=flowers()[1], epochs=EPOCHS, seed=1, **settings)


@pytest.mark.parametrize("name", SETTINGS)
def test_two_runs_of_one_seed_are_the_same(name: str) -> None:
    same_bits(whole(**SETTINGS[name]), whole(**SETTINGS[name]))


def test_another_seed_gives_other_numbers() -> None:
    train, _ = flowers()
    first, second = (cr.fit(model(), train, epochs=1, seed=seed) for seed in (0, 1))
    assert (first.parameters["0.weight"] != second.parameters["0.weight"]).all()
    one, two = (cr.prepare(model(), train, seed=seed).parameters["0.weight"] for seed in (0, 1))
    assert (one != two).all()


def test_a_lost_memory_would_be_found() -> None:
    """The check can fail: a momentum that is forgotten at the cut makes other numbers."""
    settings = SETTINGS["momentum, odd batches"]
    train, test = flowers()
    cut = cr.fit(model(), train, validation=test, epochs=3, seed=1, **settings)
    for name in [name for name in cut.arrays if name.startswith("optimizer/")]:
        cut.arrays[name] = np.zeros_like(cut.arrays[name])
    with pytest.raises(AssertionError):
        same_bits(whole(**settings), cut.fit(train, validation=test, epochs=EPOCHS))


@pytest.mark.parametrize("name", SETTINGS)
def test_cut_into_calls(name: str) -> None:
    train, test = flowers()
    run = cr.prepare(model(), train, seed=1, **SETTINGS[name])
    for epochs in (2, 3, EPOCHS):
        run.fit(train, epochs=epochs, validation=test)
    same_bits(whole(**SETTINGS[name]), run)


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "scheduled"])
def test_saved_loaded_and_gone_on_with(name: str, tmp_path: Path) -> None:
    train, test = flowers()
    run = cr.fit(model(), train, validation=test, epochs=2, seed=1, **SETTINGS[name])
    again = cr.load(run.save(tmp_path / "one")).fit(train, validation=test, epochs=4)
    again = cr.load(again.save(tmp_path / "two")).fit(train, validation=test, epochs=EPOCHS)
    same_bits(whole(**SETTINGS[name]), again)


class StopAfter(Callback):
    """Stops after some steps, in the middle of an epoch if it comes so, or as Ctrl-C would."""

    def __init__(self, steps: int, how: str) -> None:
        self.steps, self.how = steps, how

    def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
        if records[-1]["step"] >= self.steps:
            self.steps = 10**9
            match self.how:
                case "stop":
                    training.stop("enough")
                case "raise":
                    raise KeyboardInterrupt
                case "signal":
                    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("how", ["stop", "raise", "signal"])
@pytest.mark.parametrize("steps", [1, 5, 18, 40])
def test_cut_in_the_middle_of_an_epoch(how: str, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 0.0)  # one step a call, so that any step can be the last
    settings: dict[str, Any] = {"batch_size": 7, "optimizer": cr.optimizers.Adam(0.02)}
    train, test = flowers()
    run = cr.fit(model(), train, validation=test, epochs=EPOCHS, seed=1, callbacks=[StopAfter(steps, how)], **settings)
    assert int(run.arrays["step"]) == len(run.history) == steps
    assert run.stopped == ("enough" if how == "stop" else "interrupted")
    assert run.history.samples == run.epoch * len(train) + run.offset
    assert 0 < run.evaluate(test)["accuracy"] < 1
    again = cr.load(run.save(tmp_path))
    assert (again.epoch, again.offset, again.stopped) == (run.epoch, run.offset, run.stopped)
    for resumed in (run, again):
        resumed.fit(train, validation=test, epochs=EPOCHS)
        assert resumed.stopped == ""
        same_bits(whole(**settings), resumed)


def test_how_many_steps_a_call_takes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 0.0)
    one_by_one = whole(batch_size=4)
    monkeypatch.setattr(loop, "_SECONDS_PER_CALL", 1e9)
    same_bits(one_by_one, whole(batch_size=4))


def test_random_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    """A step that draws noise: new noise in each step, the same noise in a resumed run."""
    unit = cr.Chain(cr.Dense(1), name="unit")

    @cr.step
    def noisy(state: Any, batch: Any) -> dict[str, cr.Node]:
        noise = state.normal(batch["x"].shape)
        state.descend(graph.sum(state.apply(unit, batch["x"] + noise) ** 2), unit, cr.optimizers.SGD(0.01))
        return {"noise": graph.sum(noise)}

    data = {"x": np.ones((6, 2), np.float32)}
    run = cr.fit(noisy, data, epochs=4, batch_size=4)
    noise = run.history.steps["noise"]
    assert len(set(noise.tolist())) == len(noise) == 8
    half = cr.load(cr.fit(noisy, data, epochs=2, batch_size=4).save(tmp_path), step=noisy)
    same_bits(run, half.fit(data, epochs=4))


def test_a_callback_goes_on_where_it_was(tmp_path: Path) -> None:
    """Patience that is half used up is half used up after a load; and it is handed over once, not again and again."""
    train, test = flowers()
    settings: dict[str, Any] = {"optimizer": cr.optimizers.SGD(0.0)}  # nothing can become better
    stop = StopWithoutImprovement(patience=6)
    uncut = cr.fit(model(), train, validation=test, epochs=20, callbacks=[stop], **settings)
    assert (uncut.epoch, uncut.stopped) == (7, "validation_loss has not improved for 6 epochs")
    run = cr.fit(model(), train, validation=test, epochs=3, callbacks=[StopWithoutImprovement(6)], **settings)
    again = cr.load(run.save(tmp_path))
    stop = StopWithoutImprovement(patience=6)
    for epochs in (5, 20):
        again.fit(train, validation=test, epochs=epochs, callbacks=[stop])
    assert (again.epoch, again.stopped) == (uncut.epoch, uncut.stopped)
