"""Early stopping with the best weights restored: at every end, and going on as if there had been none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import NotFiniteError
from chainrule.training import Callback, OnEpoch, StopWithoutImprovement
from tests.training.making import flowers, model, same_bits

#: A rate at which the loss goes up and down, so that the last epoch is not the best.
WILD = cr.optimizers.SGD(learning_rate=1.5, momentum=0.9)


class Watch(Callback):
    """Keeps the parameters and the validation loss of each epoch."""

    def __init__(self) -> None:
        self.parameters: list[dict[str, Any]] = []
        self.losses: list[float] = []

    def on_epoch(self, training: Any, record: dict[str, Any]) -> None:
        self.parameters.append(training.parameters)
        self.losses.append(record["validation_loss"])


def wild(epochs: int, *callbacks: Callback, engine: str = "native") -> cr.Run:
    train, test = flowers()
    return cr.fit(
        model(), train, validation=test, epochs=epochs, optimizer=WILD, callbacks=callbacks, batch_size=8,
        engine=engine, progress=False,
    )  # fmt: skip


def equal(first: dict[str, Any], second: dict[str, Any]) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("patience", [3, 50])
def test_the_run_ends_with_what_its_best_epoch_had(patience: int, engine: str) -> None:
    """Stopped by the callback or at the end of the epochs; without `restore_best` it ends with the last."""
    watch, stop = Watch(), StopWithoutImprovement(patience, restore_best=True)
    run = wild(12, watch, stop, engine=engine)
    best = int(np.argmin(watch.losses))
    assert best < run.epoch - 1
    assert equal(run.parameters, watch.parameters[best])
    assert run.evaluate(flowers()[1])["loss"] == watch.losses[best]
    if patience == 3:
        assert run.stopped.endswith(f"3 epochs; the parameters are those of epoch {best + 1}")
    watch = Watch()
    assert equal(wild(12, watch, StopWithoutImprovement(patience), engine=engine).parameters, watch.parameters[-1])


def test_a_cut_changes_nothing(tmp_path: Path) -> None:
    """Two fits, or a save and a load between them, end with the bits of one: parameters, memory and history."""
    train, test = flowers()
    whole = wild(12, StopWithoutImprovement(50, restore_best=True))
    again: list[cr.Run] = []
    stop = StopWithoutImprovement(50, restore_best=True)
    run = wild(7, stop)
    assert run.history.epochs[-1]["validation_loss"] != stop.best  # otherwise nothing is put aside
    again.append(cr.load(run.save(tmp_path / "first")))
    again[0].fit(train, validation=test, epochs=12, callbacks=[StopWithoutImprovement(50, restore_best=True)])
    again.append(run.fit(train, validation=test, epochs=12, callbacks=[stop]))
    for other in again:
        same_bits(whole, other)
    after = [cr.load(one.save(tmp_path / "end")) for one in (whole, *again)]
    for one in after:
        one.fit(train, validation=test, epochs=13)  # goes on from the best: without the callback, what is aside stays
    same_bits(after[0], after[1])
    same_bits(after[0], after[2])


def test_a_save_within_a_training_holds_both(tmp_path: Path) -> None:
    """As a kill leaves it: the folder has the parameters of then, and the best are there when it ends."""
    train, test = flowers()
    save = OnEpoch(lambda run, record: record["epoch"] == 7 and run.save(tmp_path / "killed"))  # type: ignore[attr-defined]
    whole = wild(12, StopWithoutImprovement(50, restore_best=True), save)
    run = cr.load(tmp_path / "killed")
    run.fit(train, validation=test, epochs=12, callbacks=[StopWithoutImprovement(50, restore_best=True)])
    same_bits(whole, run)


def test_a_layer_state_is_restored_with_the_parameters() -> None:
    """Running statistics belong to the parameters that they were gathered with."""

    class Counting:
        def apply(self, scope: Any, *inputs: cr.Node) -> cr.Node:
            count = scope.state("count", (), cr.initializers.Constant(0.0))
            scope.update("count", count + 1.0)
            return inputs[0]

    seen: list[float] = []
    look = OnEpoch(lambda run, record: seen.append(float(run.arrays["state/1.count"])))
    stop = StopWithoutImprovement(50, restore_best=True)
    train, test = flowers()
    chain = cr.Chain(cr.Dense(6, cr.tanh), Counting(), cr.Dense(3))
    run = cr.fit(chain, train, validation=test, epochs=12, optimizer=WILD, callbacks=[look, stop], progress=False)
    assert 0 < stop.best_epoch < 12
    assert float(run.arrays["state/1.count"]) == seen[stop.best_epoch - 1] < seen[-1]


def test_parameters_that_were_put_in_by_hand_are_not_put_aside() -> None:
    stop = StopWithoutImprovement(50, restore_best=True)
    run = wild(6, stop)
    train, test = flowers()
    own = {name: np.full_like(array, 0.1) for name, array in run.parameters.items()}
    run.set_parameters(own)
    start: list[dict[str, Any]] = []

    class Look(Callback):
        def on_start(self, training: Any) -> None:
            start.append(training.parameters)

    run.fit(train, validation=test, epochs=7, callbacks=[stop, Look()])
    assert equal(start[0], own)
    other = cr.fit(cr.Chain(cr.Dense(3)), train, validation=test, epochs=2, callbacks=[stop], progress=False)
    assert other.parameters["0.weight"].shape == (4, 3)  # what was kept of another run is forgotten


def test_a_step_that_is_not_finite_leaves_what_was_before_it() -> None:
    """As the error says; the best are still kept."""
    watch, stop = Watch(), StopWithoutImprovement(50, restore_best=True)

    def spoil(run: Any, record: dict[str, Any]) -> None:
        if record["epoch"] == 6:
            run.set_parameters({"0.weight": np.full((4, 6), np.nan)})

    with pytest.raises(NotFiniteError) as caught:
        wild(12, watch, stop, OnEpoch(spoil))
    assert np.isnan(caught.value.run.parameters["0.weight"]).all()
