"""The learning-rate finder: what it suggests trains well, a hundred times that does not; nothing else changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, NotFiniteError
from chainrule.explain.learning_rate import find_learning_rate, smooth
from chainrule.optimizers import SGD, Accumulate, Adam, ClipGlobalNorm, Compose, Groups, Optimizer, Rprop
from chainrule.optimizers.schedules import Cosine, Warmup
from tests.training.making import line, same_bits


def digits() -> tuple[cr.data.Dataset, cr.data.Dataset]:
    return cr.data.load("digits")


def model() -> cr.Chain:
    return cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10))


def accuracy(optimizer: Optimizer) -> float:
    train, test = digits()
    try:
        return cr.fit(model(), train, optimizer=optimizer, epochs=8).evaluate(test)["accuracy"]
    except NotFiniteError:
        return 0.0


@pytest.mark.parametrize("kind", [SGD, Adam, lambda rate: SGD(rate, momentum=0.9)], ids=["SGD", "Adam", "momentum"])
def test_what_it_suggests_trains_well_and_a_hundred_times_that_does_not(kind: Any) -> None:
    train, _ = digits()
    found = cr.prepare(model(), train, optimizer=kind(0.5)).find_learning_rate(train)
    assert accuracy(kind(found.suggestion)) > 0.94
    assert accuracy(kind(100 * found.suggestion)) < 0.5


def test_the_rates_grow_by_one_factor_in_one_program() -> None:
    train, _ = digits()
    run = cr.prepare(model(), train, optimizer=SGD(0.5))
    found = find_learning_rate(run, train, lowest=1e-4, highest=1e-1, steps=60)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-4, 1e-1, 60), rtol=1e-6)
    assert len(found.losses) == len(found.smoothed) == 60
    assert f"a quarter of {4 * found.suggestion:.2g}" in found.reason


def everything(run: cr.Run) -> Any:
    return copy.deepcopy((run.arrays, run.numbers, run.epoch, run.offset, run.seed, run.stopped, run.source))


@pytest.mark.parametrize("trained", [0, 3])
def test_the_run_is_left_as_it_is_and_the_same_seed_finds_the_same(trained: int) -> None:
    train, _ = digits()
    settings: dict[str, Any] = {"optimizer": Adam(Warmup(10, Cosine(0.002, 200))), "batch_size": 64}
    run = cr.prepare(model(), train, **settings)
    if trained:
        run.fit(train, epochs=trained)
    before, history = everything(run), len(run.history)
    first, second = run.find_learning_rate(train), run.find_learning_rate(train)
    assert first.losses.tobytes() == second.losses.tobytes()
    assert (first.suggestion, str(first)) == (second.suggestion, str(second))
    np.testing.assert_equal(everything(run), before)
    assert len(run.history) == history
    same_bits(run.fit(train, epochs=trained + 2), cr.fit(model(), train, epochs=trained + 2, **settings))
    other = cr.prepare(model(), train, **settings, seed=1).find_learning_rate(train)
    assert other.losses.tobytes() != first.losses.tobytes()


def test_rates_of_groups_keep_their_ratio_and_what_stands_still_stands() -> None:
    train, _ = digits()
    groups = Groups({"0.*": SGD(0.0), "*.bias": SGD(0.1)}, otherwise=Compose(ClipGlobalNorm(5.0), SGD(0.4)))
    run = cr.prepare(model(), train, optimizer=groups)
    seen: dict[str, Any] = {}
    original = cr.Run.fit

    def spying(self: cr.Run, *args: Any, **settings: Any) -> cr.Run:
        seen["run"] = self
        return original(self, *args, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cr.Run, "fit", spying)
        found = run.find_learning_rate(train)
    steps = seen["run"].history.steps
    np.testing.assert_array_equal(steps["0.*.learning_rate"], 0.0)
    np.testing.assert_allclose(4 * steps["*.bias.learning_rate"], steps["learning_rate"], rtol=1e-6)
    np.testing.assert_array_equal(found.rates, steps["learning_rate"][: len(found.rates)])
    assert np.array_equal(seen["run"].parameters["0.weight"], run.parameters["0.weight"])


def test_a_step_of_ones_own_and_gathered_batches_have_rates_too() -> None:
    train, _ = digits()
    one = model()

    @cr.step
    def own(state: Any, batch: Any) -> dict[str, cr.Node]:
        value = cr.losses.weighted_mean(
            cr.losses.cross_entropy.per_sample(state.apply(one, batch.inputs), batch.targets)
        )
        state.descend(value, one, Accumulate(2, SGD(0.1)))
        return {"entropy": value}

    run = cr.prepare(own, train)
    found = run.find_learning_rate(train, monitor="entropy")
    assert 0.005 < found.suggestion < 1.0
    with pytest.raises(ConfigurationError, match=r"the step records no 'loss'.*entropy"):
        run.find_learning_rate(train)


def test_a_loss_that_explodes_ends_it() -> None:
    data = line(40)
    run = cr.prepare(cr.Chain(cr.Dense(1)), data, optimizer=SGD(0.1), dtype="float64", batch_size=8)
    found = run.find_learning_rate(data, highest=1e9)
    assert len(found.rates) < 200
    assert "explodes" in found.reason
    assert np.isfinite(found.losses).all()


def test_what_cannot_be_found_is_said() -> None:
    train, _ = digits()
    with pytest.raises(ConfigurationError, match="no learning rate that is one number for all weights: Rprop"):
        cr.prepare(model(), train, optimizer=Rprop()).find_learning_rate(train)
    run = cr.prepare(model(), train, optimizer=SGD(0.1))
    with pytest.raises(ConfigurationError, match=r"the loss did not fall, from a rate of 5 .* give a smaller lowest"):
        run.find_learning_rate(train, lowest=5.0)
    with pytest.raises(ConfigurationError, match="the loss did not fall"):
        run.find_learning_rate(train, lowest=1e-12, highest=1e-10)
    with pytest.raises(ConfigurationError, match=r"these are 1.0 and 0.1"):
        run.find_learning_rate(train, lowest=1.0, highest=0.1)
    with pytest.raises(ConfigurationError, match="steps is a whole number of 20 or more"):
        run.find_learning_rate(train, steps=3)


def test_smoothing_keeps_what_is_flat_and_stays_in_place() -> None:
    np.testing.assert_allclose(smooth(np.full(100, 3.0), 100), 3.0)
    peak = smooth(np.eye(101)[50], 100)
    assert np.argmax(peak) == 50
    np.testing.assert_allclose(peak, peak[::-1])


def test_it_draws_itself(tmp_path: Path) -> None:
    train, _ = digits()
    found = cr.prepare(model(), train, optimizer=SGD(0.1)).find_learning_rate(train, steps=100)
    assert f"▲ {found.suggestion:.3g}" in str(found)
    assert str(found).splitlines()[-1].startswith(f"{found.suggestion:.2g}: a quarter of")
    assert found.plot(tmp_path / "rate.png").read_bytes().startswith(b"\x89PNG")
