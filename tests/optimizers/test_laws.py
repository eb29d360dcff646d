"""Every optimizer, alone and put together, held to the same laws: it goes down, keeps its state, repeats its bits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import NotFiniteError
from chainrule.optimizers import SGD, Accumulate, Compose, Groups, Optimizer, Rprop, Tree, UpdateScope
from tests.optimizers.making import ALONE, SETTINGS, descend, ones, parabola, rosenbrock, slower
from tests.training.making import line, same_bits


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_down_a_parabola(name: str) -> None:
    _, steps = descend(SETTINGS[name], parabola, 400, engine="reference")
    assert steps["loss"][-1] < 0.3 * steps["loss"][0]
    assert steps["loss"].max() < 1.2 * steps["loss"][0]


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_down_the_valley_of_rosenbrock(name: str) -> None:
    _, steps = descend(SETTINGS[name], rosenbrock, 600, engine="reference")
    assert steps["loss"][0] == pytest.approx(24.2)
    assert steps["loss"][-1] < 4.2
    assert np.isfinite(steps["loss"]).all()


def test_momentum_goes_further_than_plain_descent_in_the_valley() -> None:
    plain, momentum = (
        descend(optimizer, rosenbrock, 1000)[1]["loss"][-1] for optimizer in (SGD(0.0005), SGD(0.0005, momentum=0.9))
    )
    assert momentum < plain / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SETTINGS)
def test_its_state_keeps_shape_and_dtype(name: str, dtype: str) -> None:
    run, _ = descend(SETTINGS[name], parabola, 1, dtype, "reference")
    before = {path: (array.shape, array.dtype.name) for path, array in run.arrays.items()}
    run.fit(ones(1, dtype), epochs=6)
    assert {path: (array.shape, array.dtype.name) for path, array in run.arrays.items()} == before
    for path, (shape, kind) in before.items():
        counts = path == "step" or path.rpartition("/")[2] in ("batches", "taken", "batches2", "taken2")
        assert (shape, kind) == (
            ((), "int32") if counts else ((), dtype) if path.endswith("_product") else ((2,), dtype)
        )
        assert np.isfinite(run.arrays[path]).all()
    assert int(run.arrays["step"]) == 6


@pytest.mark.parametrize("name", SETTINGS)
def test_a_step_that_is_not_finite_leaves_everything_as_it_was(name: str) -> None:
    run, _ = descend(SETTINGS[name], rosenbrock, 5, engine="reference")
    before = {path: array.tobytes() for path, array in run.arrays.items()}
    with pytest.raises(NotFiniteError, match="step 6 is not finite"):
        run.fit({"one": np.array([np.nan])}, epochs=8)
    assert {path: array.tobytes() for path, array in run.arrays.items()} == before


@pytest.mark.parametrize("name", SETTINGS)
def test_twice_the_same_bits_and_both_engines_agree(name: str) -> None:
    first, steps = descend(SETTINGS[name], rosenbrock, 60)
    same_bits(first, descend(SETTINGS[name], rosenbrock, 60)[0])
    _, reference = descend(SETTINGS[name], rosenbrock, 60, engine="reference")
    for what in ("x", "y", "loss", "gradient_norm"):
        np.testing.assert_allclose(steps[what], reference[what], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", SETTINGS)
def test_saved_loaded_and_gone_on_with(name: str, tmp_path: Path) -> None:
    data = line(12)
    optimizer = SETTINGS[name]
    if isinstance(optimizer, Groups):
        optimizer = Groups({"*.bias": SGD(0.001)}, otherwise=optimizer.groups[0][1])
    settings: dict[str, Any] = {"optimizer": optimizer, "batch_size": 5, "dtype": "float64", "engine": "reference"}
    model = cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(1))
    whole = cr.fit(model, data, epochs=4, **settings)
    half = cr.fit(model, data, epochs=2, **settings).save(tmp_path / "run")
    custom = [slower] if name == "scheduled" else []
    again = cr.load(half, engine="reference", custom=custom)
    assert again.optimizer == optimizer
    same_bits(whole, again.fit(data, epochs=4))


# ---- numbers ----


def numbers(optimizer: Optimizer) -> Iterator[str]:
    """The settings of an optimizer that are numbers at run time."""
    for setting in dataclasses.fields(optimizer):
        begins = setting.name == "learning_rate" and setting.type == "float"
        if isinstance(getattr(optimizer, setting.name), float) and not begins:
            yield setting.name


def flat(value: float) -> Callable[[cr.Node], cr.Node]:
    return lambda step: 0.0 * step + value


@pytest.mark.parametrize("name", ALONE)
def test_each_number_may_be_a_schedule(name: str) -> None:
    optimizer = ALONE[name]
    schedules = {setting: flat(getattr(optimizer, setting)) for setting in numbers(optimizer)}
    assert schedules
    expected, _ = descend(optimizer, rosenbrock, 10, engine="reference")
    if name in ("plain", "RMSprop", "RMSprop, centred", "Lion"):  # what is absent at 0 is there for a schedule
        schedules = {setting: schedule for setting, schedule in schedules.items() if getattr(optimizer, setting)}
    run, _ = descend(dataclasses.replace(optimizer, **schedules), rosenbrock, 10, engine="reference")
    assert set(run.numbers) == {f"numbers/{setting}.scale" for setting in schedules}
    np.testing.assert_allclose(run.parameters["place"], expected.parameters["place"], rtol=1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_no_number_is_baked_in(name: str) -> None:
    run, _ = descend(SETTINGS[name], rosenbrock, 1, engine="reference")
    programs = [*run._programs.values()]
    idle = {"kept short"}  # a point is no unit with incoming weights
    assert len(set(run.numbers) - set(programs[0].graph.inputs)) == (name in idle)
    assert run.numbers or name == "scheduled"
    for number in run.numbers:
        run.numbers[number] = 0.5 * run.numbers[number]
    run.fit(ones(1), epochs=3)
    assert [*run._programs.values()] == programs


# ---- accumulation ----


def check_accumulation(optimizer: Optimizer, accumulated: Optimizer) -> None:
    """Four batches of 3 are one batch of 12."""
    data = line(12)
    settings: dict[str, Any] = {"shuffle": False, "dtype": "float64", "engine": "reference", "epochs": 5}
    model = cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(1))
    once = cr.fit(model, data, optimizer=optimizer, batch_size=12, **settings)
    often = cr.fit(model, data, optimizer=accumulated, batch_size=3, **settings)
    assert len(often.history) == 4 * len(once.history)
    for path, array in once.parameters.items():
        np.testing.assert_allclose(often.parameters[path], array, rtol=1e-9, atol=1e-12)
    for name, array in once.arrays.items():
        if name.startswith("optimizer/"):
            np.testing.assert_allclose(often.arrays[name], array, rtol=1e-8, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ALONE)
def test_batches_that_are_gathered_are_one_large_batch(name: str) -> None:
    check_accumulation(ALONE[name], Accumulate(4, ALONE[name]))


def test_gathering_three_of_four_is_found() -> None:
    with pytest.raises(AssertionError):
        check_accumulation(ALONE["Adam"], Accumulate(3, ALONE["Adam"]))


def test_accumulation_of_what_was_accumulated_is_one_of_their_product() -> None:
    check_accumulation(ALONE["Adam"], Accumulate(2, Accumulate(2, ALONE["Adam"])))


# ---- the laws can fail ----


class Leak(SGD):
    """Descent that keeps its memory beside the scope, past the guard against what is not finite."""

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        return {path: 1e-3 * direction for path, direction in directions.items()}


def test_an_optimizer_that_goes_uphill_is_found() -> None:
    _, steps = descend(Leak(0.1), parabola, 50, engine="reference")
    assert steps["loss"][-1] > steps["loss"][0]


def test_a_memory_that_is_lost_is_found(tmp_path: Path) -> None:
    data = line(12)
    settings: dict[str, Any] = {"optimizer": Rprop(), "batch_size": 5, "dtype": "float64", "engine": "reference"}
    whole = cr.fit(cr.Chain(cr.Dense(1)), data, epochs=4, **settings)
    half = cr.fit(cr.Chain(cr.Dense(1)), data, epochs=2, **settings)
    half.arrays["optimizer/step/0.weight"] = np.full_like(half.arrays["optimizer/step/0.weight"], 0.01)
    with pytest.raises(AssertionError):
        same_bits(whole, half.fit(data, epochs=4))


def test_an_empty_composition_leaves_gradients_as_they_are() -> None:
    one, _ = descend(Compose(Compose(), SGD(0.001)), rosenbrock, 5, engine="reference")
    other, _ = descend(SGD(0.001), rosenbrock, 5, engine="reference")
    np.testing.assert_array_equal(one.parameters["place"], other.parameters["place"])
