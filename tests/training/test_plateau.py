"""Reduce on plateau: when, by how much, of which number; and that it is saved with the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError
from chainrule.optimizers import SGD, Compose, Groups, Optimizer, Rprop, Scale
from chainrule.optimizers.schedules import Cosine, Step
from chainrule.training import ReduceOnPlateau
from tests.training.making import line, same_bits

SETTINGS: dict[str, Any] = {"batch_size": 12, "dtype": "float64", "engine": "reference"}


def train(optimizer: Optimizer, epochs: int, *callbacks: cr.Callback, **other: Any) -> cr.Run:
    return cr.fit(
        cr.Chain(cr.Dense(1)), line(12), optimizer=optimizer, epochs=epochs, callbacks=callbacks, **SETTINGS | other
    )


def told(callback: ReduceOnPlateau, losses: list[float], optimizer: Optimizer | None = None) -> list[float]:
    """The learning rate after each of some epochs whose losses are these."""
    run = cr.prepare(cr.Chain(cr.Dense(1)), line(12), optimizer=optimizer or SGD(1.0), **SETTINGS)
    callback.on_start(run)
    rates = []
    for loss in losses:
        callback.on_epoch(run, {"loss": loss, "accuracy": loss, "learning_rate": 0.5})
        rates.append(next(iter(run.numbers.values())))
    return rates


def test_it_reduces_when_nothing_becomes_better() -> None:
    assert told(ReduceOnPlateau(0.5, 2), [3, 2, 2, 2, 2, 2, 1, 1]) == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25]
    assert told(ReduceOnPlateau(0.5, 1, least=0.5), [3, 2.6, 2.4]) == [1, 0.5, 0.5]
    assert told(ReduceOnPlateau(0.5, 1), [3, float("nan"), 2]) == [1, 0.5, 0.5]


def test_it_waits_after_a_reduction() -> None:
    assert told(ReduceOnPlateau(0.5, 1, cooldown=2), [3, 3, 3, 3, 3, 3]) == [1, 0.5, 0.5, 0.5, 0.25, 0.25]


def test_it_stops_at_the_minimum_and_never_raises() -> None:
    assert told(ReduceOnPlateau(0.1, 1, minimum=0.05), [3] * 5) == [1, 0.1, 0.05, 0.05, 0.05]
    assert told(ReduceOnPlateau(0.1, 1, minimum=2.0), [3] * 3) == [1, 1, 1]


def test_more_accuracy_is_better_and_upwards_says_so_of_anything() -> None:
    assert told(ReduceOnPlateau(0.5, 1, "accuracy"), [0.1, 0.2, 0.3]) == [1, 1, 1]
    assert told(ReduceOnPlateau(0.5, 1, "accuracy"), [0.3, 0.2, 0.1]) == [1, 0.5, 0.25]
    assert told(ReduceOnPlateau(0.5, 1, upwards=True), [0.3, 0.2, 0.1]) == [1, 0.5, 0.25]


def test_a_schedule_is_reduced_as_a_whole_and_nothing_compiles_anew() -> None:
    schedule = Cosine(0.01, 40)
    again = train(SGD(schedule), 6)
    again.fit(line(12), epochs=12, callbacks=[ReduceOnPlateau(0.5, 3, upwards=True)])  # a loss that falls is no better
    assert len(again._programs) == 1
    expected = schedule.values(12)
    expected[10:] *= 0.5
    np.testing.assert_allclose(again.history.steps["learning_rate"], expected, rtol=1e-14)


def test_the_minimum_of_a_schedule_is_of_what_it_gives() -> None:
    run = cr.prepare(cr.Chain(cr.Dense(1)), line(12), optimizer=SGD(Cosine(0.5, 40)), **SETTINGS)
    callback = ReduceOnPlateau(0.1, 1, minimum=0.2)
    callback.on_start(run)
    for _ in range(2):
        callback.on_epoch(run, {"loss": 1.0, "learning_rate": 0.5})
    assert run.numbers["numbers/learning_rate.scale"] == pytest.approx(0.4)
    assert run.numbers["numbers/learning_rate.initial"] == 0.5


def test_every_group_is_reduced_and_other_numbers_are_not() -> None:
    run = train(Groups({"*.bias": SGD(0.01)}, otherwise=SGD(0.02, momentum=0.5)), 1)
    run.fit(line(12), epochs=3, callbacks=[ReduceOnPlateau(0.5, 1, upwards=True)])
    assert run.numbers == {
        "numbers/*.bias.learning_rate": 0.005, "numbers/momentum": 0.5, "numbers/learning_rate": 0.01,
    }  # fmt: skip


def test_another_number_can_be_named_and_a_schedule_s_own_is_not_meant() -> None:
    optimizer = Compose(SGD(Step(0.01, 0.9, every=2)), Scale(1.0))
    run = train(optimizer, 3, ReduceOnPlateau(0.5, 2, number="factor", upwards=True))
    assert run.numbers["numbers/factor"] == 0.5
    assert run.numbers["numbers/learning_rate.factor"] == 0.9
    with pytest.raises(ConfigurationError, match=r"no number 'learning_rate'.*Scale\(1.0\)"):
        train(Rprop(), 3, ReduceOnPlateau())


@pytest.mark.parametrize("optimizer", [SGD(0.01), SGD(Cosine(0.01, 40))], ids=["number", "schedule"])
def test_saved_and_gone_on_with_it_ends_with_the_same_bits(optimizer: Optimizer, tmp_path: Path) -> None:
    def callback() -> ReduceOnPlateau:
        return ReduceOnPlateau(0.5, 3, cooldown=1, upwards=True)

    whole = train(optimizer, 20, callback(), batch_size=5)
    rates = whole.history.steps["learning_rate"]
    assert rates[-1] < 0.2 * rates[0]
    half = train(optimizer, 9, callback(), batch_size=5).save(tmp_path / "run")
    same_bits(whole, cr.load(half, engine="reference").fit(line(12), epochs=20, callbacks=[callback()]))
    fresh = cr.load(half, engine="reference")
    fresh.restore_callbacks({})  # sabotage: what it remembers is lost
    with pytest.raises(AssertionError):
        same_bits(whole, fresh.fit(line(12), epochs=20, callbacks=[callback()]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"factor": 1.0}, "factor is a number between 0 and 1, not 1.0"),
        ({"patience": 0}, "patience is 1 or more"),
        ({"minimum": -1.0}, "minimum is a number of 0 or more"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ReduceOnPlateau(**settings)


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ReduceOnPlateau watches 'f1', and an epoch records loss"):
        train(SGD(0.01), 1, ReduceOnPlateau(monitor="f1"))
