"""What combines with any optimizer: decay, norms, averages, noise, accumulation, groups; and its order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError
from chainrule.optimizers import (
    SGD,
    Accumulate,
    Adam,
    AdamDirection,
    AdamW,
    AdaptiveClip,
    Averaging,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Compose,
    Descend,
    Downhill,
    Groups,
    MaxNorm,
    Momentum,
    Noise,
    Optimizer,
    Rprop,
    Scale,
    Tree,
    UpdateScope,
    WeightDecay,
)  # fmt: skip
from tests.optimizers.making import ALONE, START, descend, ones, parabola, rosenbrock, rosenbrock_slope
from tests.optimizers.three import GRADIENTS, PARAMETERS, length, made_of, run_with, same
from tests.training.making import line, same_bits

# ---- decay and norms ----


def test_decay_is_for_weights_alone() -> None:
    same(made_of(WeightDecay(0.1)), {**GRADIENTS, "weight": GRADIENTS["weight"] + 0.1 * PARAMETERS["weight"]})
    everything = made_of(WeightDecay(0.1, biases=True))
    same(everything, {name: g + 0.1 * PARAMETERS[name] for name, g in GRADIENTS.items()})


def test_where_decay_stands_says_which_it_is() -> None:
    coupled, decoupled = Compose(WeightDecay(0.1), Adam()), Compose(AdamDirection(), WeightDecay(0.1), Descend(0.001))
    first, second = run_with(coupled, steps=3), run_with(decoupled, steps=3)
    same(second.parameters, run_with(AdamW(weight_decay=0.1), steps=3).parameters)
    assert np.abs(first.parameters["weight"] - second.parameters["weight"]).max() > 1e-5
    np.testing.assert_array_equal(first.parameters["bias"], second.parameters["bias"])


def test_coupled_decay_is_a_penalty_on_the_loss() -> None:
    """The gradient of λ/2·‖w‖², and biases left out of both."""
    data, settings = line(12), {"dtype": "float64", "engine": "reference", "epochs": 3}
    model = cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(1))
    decay = cr.fit(model, data, optimizer=Compose(WeightDecay(0.1), Adam()), **settings)  # type: ignore[arg-type]
    penalty = cr.fit(model, data, optimizer=Adam(), regularizer=cr.regularizers.L2(0.1), **settings)  # type: ignore[arg-type]
    same(decay.parameters, penalty.parameters)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_unit_s_weights_are_longer_than_the_largest_norm(dtype: str) -> None:
    plain = run_with(SGD(0.1), dtype=dtype).parameters
    kept = run_with(Compose(SGD(0.1), MaxNorm(1.0)), dtype=dtype).parameters
    before, after = (np.linalg.norm(parameters["weight"], axis=0) for parameters in (plain, kept))
    assert (before > 1.0).any()
    assert (before < 1.0).any()
    np.testing.assert_allclose(after, np.minimum(before, 1.0), rtol=1e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(kept["weight"][:, before < 1.0], plain["weight"][:, before < 1.0])
    np.testing.assert_array_equal(kept["bias"], plain["bias"])


def test_a_scale_that_is_a_schedule() -> None:
    run, found = descend(Compose(SGD(0.001), Scale(lambda step: step * 0.5)), rosenbrock, 3)
    assert list(run.numbers) == ["numbers/learning_rate", "numbers/factor.scale"]
    p = np.array(START)
    for step in range(3):
        np.testing.assert_allclose([found["x"][step], found["y"][step]], p, rtol=1e-12)
        p = p - 0.001 * 0.5 * step * rosenbrock_slope(p)


# ---- averages ----


def test_the_average_of_weights_is_its_formula() -> None:
    run, found = descend(Compose(SGD(0.001), Averaging(0.8)), rosenbrock, 30)
    places = np.stack([found["x"], found["y"]], 1)
    average = np.array(START)
    for place in [*places[1:], run.parameters["place"]]:
        average = 0.8 * average + 0.2 * place
    np.testing.assert_allclose(run.averaged().parameters["place"], average, rtol=1e-12)
    np.testing.assert_array_equal(found["x"], descend(SGD(0.001), rosenbrock, 30)[1]["x"])


def test_a_schedule_makes_it_the_plain_mean() -> None:
    run, found = descend(Compose(SGD(0.001), Averaging(lambda step: step / (step + 1.0))), rosenbrock, 20)
    places = np.stack([found["x"], found["y"]], 1)[1:]
    mean = np.mean([*places, run.parameters["place"]], axis=0)
    np.testing.assert_allclose(run.averaged().parameters["place"], mean, rtol=1e-10)


def test_a_run_with_averaged_weights_evaluates_predicts_saves_and_goes_on(tmp_path: Path) -> None:
    train, test = cr.data.load("iris")
    optimizer = Compose(SGD(0.3, momentum=0.5), Averaging(0.98))
    run = cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, optimizer=optimizer, epochs=10, batch_size=4)
    before = {name: array.copy() for name, array in run.arrays.items()}
    averaged = run.averaged()
    assert averaged.evaluate(test)["loss"] != run.evaluate(test)["loss"]
    assert averaged.evaluate(train)["loss"] < run.evaluate(train)["loss"]  # at this learning rate the last jumps about
    loaded = cr.load(averaged.save(tmp_path / "run"))
    np.testing.assert_array_equal(loaded.predict(test.inputs), averaged.predict(test.inputs))
    averaged.fit(train, epochs=11)
    assert averaged.epoch == 11
    assert len(run.history) < len(averaged.history)
    for name, array in run.arrays.items():
        assert array.tobytes() == before[name].tobytes(), name


def test_before_the_first_step_the_average_is_the_weights() -> None:
    train, _ = cr.data.load("iris")
    optimizer = Accumulate(1000, Compose(SGD(0.1), Averaging(0.9)))
    run = cr.prepare(cr.Chain(cr.Dense(3)), train, optimizer=optimizer, engine="reference")
    same(run.averaged().parameters, run.parameters)
    run.fit(train, epochs=1)  # nothing is due yet
    same(run.averaged().parameters, run.parameters)


def test_without_averaging_there_is_no_average() -> None:
    with pytest.raises(ConfigurationError, match=r"no weights are averaged in this run; put Averaging into its opt"):
        descend(SGD(0.1), parabola, 1)[0].averaged()


# ---- noise ----


def test_noise_has_its_deviation_and_depends_on_the_seed_and_the_step_alone() -> None:
    zeros = {name: np.zeros_like(g) for name, g in GRADIENTS.items()}
    noisy = Compose(Noise(0.5), SGD(1.0))
    one, again, other = (run_with(noisy, zeros, 200, seed=seed) for seed in (0, 0, 1))
    same_bits(one, again)
    steps = one.parameters["weight"] - PARAMETERS["weight"]  # 20 sums of 200 numbers of deviation 0.5
    assert np.std(steps) == pytest.approx(0.5 * np.sqrt(200), rel=0.4)
    assert (one.parameters["weight"] != other.parameters["weight"]).all()
    both = run_with(Compose(Noise(0.5), Noise(0.5), SGD(1.0)), zeros).parameters["weight"] - PARAMETERS["weight"]
    single = run_with(noisy, zeros).parameters["weight"] - PARAMETERS["weight"]
    assert np.abs(both - 2 * single).min() > 0  # the second noise is not the first once more


# ---- accumulation ----


def test_between_the_steps_nothing_moves() -> None:
    run, _ = descend(Accumulate(3, Adam(0.02)), rosenbrock, 1, engine="reference")
    kept: list[dict[str, bytes]] = []
    for steps in range(1, 8):
        run.fit(ones(1), epochs=steps)
        gathering = ("step", "optimizer/batches", "optimizer/gathered/place")
        kept.append({name: array.tobytes() for name, array in run.arrays.items() if name not in gathering})
        assert int(run.arrays["optimizer/taken"]) == steps // 3
    assert kept[0] == kept[1] != kept[2] == kept[3] == kept[4] != kept[5] == kept[6]


def test_a_schedule_within_sees_the_steps_that_are_taken() -> None:
    _, steps = descend(Accumulate(2, SGD(lambda step: 0.001 * (step + 1.0))), parabola, 6)
    np.testing.assert_allclose(steps["learning_rate"], [0.001, 0.001, 0.002, 0.002, 0.003, 0.003])


def test_how_many_batches_are_gathered_is_a_number_at_run_time() -> None:
    run, _ = descend(Accumulate(4, SGD(0.001)), parabola, 1, engine="reference")
    run.numbers["numbers/batches"] = 1.0
    before = run.parameters["place"]
    run.fit(ones(1), epochs=2)
    assert (run.parameters["place"] != before).all()
    assert len(run._programs) == 1


def test_clipping_stands_outside_or_inside_of_accumulation() -> None:
    """Outside it clips each batch, inside their mean."""
    model, data = cr.Chain(cr.Dense(1)), line(12)
    settings: dict[str, Any] = {
        "batch_size": 3,
        "dtype": "float64",
        "engine": "reference",
        "epochs": 1,
        "shuffle": False,
    }
    start = cr.prepare(model, data, dtype="float64", engine="reference").parameters
    inside = cr.fit(model, data, optimizer=Accumulate(4, Compose(ClipGlobalNorm(0.1), SGD(1.0))), **settings).parameters
    assert length({name: inside[name] - start[name] for name in start}) == pytest.approx(0.1)
    outside = cr.fit(
        model, data, optimizer=Compose(ClipGlobalNorm(0.1), Accumulate(4, SGD(1.0))), **settings
    ).parameters
    assert length({name: outside[name] - start[name] for name in start}) < 0.0999


# ---- groups ----


def test_each_group_has_its_own_update_memory_and_numbers() -> None:
    groups = Groups({"bias": SGD(0.5), "s*": SGD(0.0)}, otherwise=SGD(0.1, momentum=0.9))
    run = run_with(groups, steps=2)
    same(run.parameters, {
        "weight": PARAMETERS["weight"] - 0.1 * (1 + 1.9) * GRADIENTS["weight"],
        "bias": PARAMETERS["bias"] - 0.5 * 2 * GRADIENTS["bias"],
        "scale": PARAMETERS["scale"],
    })  # fmt: skip
    assert run.numbers == {
        "numbers/bias.learning_rate": 0.5, "numbers/s*.learning_rate": 0.0,
        "numbers/learning_rate": 0.1, "numbers/momentum": 0.9,
    }  # fmt: skip
    assert [name for name in run.arrays if name.startswith("optimizer/")] == ["optimizer/velocity/weight"]
    assert run.history.steps["bias.learning_rate"][0] == 0.5
    assert run.history.steps["learning_rate"][0] == 0.1


def test_two_groups_of_one_kind_do_not_share() -> None:
    one = run_with(Groups({"weight": Adam(0.1), "*": Adam(0.01)}), steps=3)
    assert one.numbers["numbers/weight.learning_rate"] == 0.1
    assert one.numbers["numbers/*.learning_rate"] == 0.01
    for path, rate in (("weight", 0.1), ("bias", 0.01)):
        np.testing.assert_array_equal(one.parameters[path], run_with(Adam(rate), steps=3).parameters[path])


def test_a_group_may_be_left_as_it_is_and_the_first_pattern_counts() -> None:
    clipped = made_of(Groups({"weight": Compose(), "*": ClipValue(0.1)}))
    same(clipped, {name: g if name == "weight" else np.clip(g, -0.1, 0.1) for name, g in GRADIENTS.items()})


def test_the_global_norm_after_groups_is_still_over_all() -> None:
    found = made_of(Compose(Groups({"bias": Scale(2.0)}, otherwise=Compose()), ClipGlobalNorm(1.0)))
    assert length(found) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            Groups({"*.biass": SGD(0.1)}, otherwise=SGD(0.1)),
            r"'\*.biass' fits no parameter that is left; there are weight",
        ),
        (Groups({"*": SGD(0.1), "bias": SGD(0.1)}), r"'bias' fits no parameter that is left"),
        (Groups({"bias": SGD(0.1)}), "nothing is said for weight, scale; give otherwise="),
    ],
)
def test_groups_that_fit_nothing_or_not_all_are_refused(groups: Groups, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run_with(groups)


# ---- order ----


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (Compose(MaxNorm(3.0), SGD(0.1)), "looks at where a step leads, so it stands after what descends"),
        (Compose(Averaging(), SGD(0.1)), "so it stands after what descends"),
        (Compose(Momentum(0.9), Averaging()), "says so by descends = True"),
        (Compose(SGD(0.1), WeightDecay(0.1)), "is for gradients, so it stands before what descends"),
        (Compose(Adam(), SGD(0.1)), r"Descend\(learning_rate=0.1\) is for gradients"),
        (Compose(Compose(Rprop()), Groups({"*": WeightDecay(0.1)}), Downhill()), "is for gradients"),
    ],
)  # fmt: skip
def test_an_order_that_means_something_else_is_refused(optimizer: Optimizer, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run_with(optimizer)


def test_a_bundle_of_what_comes_after_may_stand_after() -> None:
    run_with(Compose(Accumulate(1, Adam()), Compose(MaxNorm(3.0), Averaging())))
    run_with(Compose(Groups({"*": SGD(0.1)}), Averaging()))

    class Own:
        descends = True

        def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
            return {path: -0.1 * direction for path, direction in directions.items()}

    run_with(Compose(Own(), MaxNorm(3.0)))


# ---- all with all ----

AROUND: dict[str, Callable[[Optimizer], Optimizer]] = {
    "clipped, averaged": lambda inner: Compose(ClipGlobalNorm(2.0), inner, Averaging(0.9)),
    "everything": lambda inner: Compose(
        Noise(1e-3), ClipValue(5.0), ClipNorm(4.0), AdaptiveClip(10.0), WeightDecay(1e-4),
        Groups({"*.bias": SGD(0.001)}, otherwise=inner), Scale(lambda step: (step + 1.0) / (step + 2.0)), MaxNorm(5.0),
        Averaging(0.9),
    ),
    "gathered": lambda inner: Accumulate(2, Compose(WeightDecay(1e-4), inner, MaxNorm(5.0))),
}  # fmt: skip


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", ALONE)
def test_each_goes_down_with_all_around_it(name: str, around: str) -> None:
    model = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(1))
    settings: dict[str, Any] = {"optimizer": AROUND[around](ALONE[name]), "batch_size": 12, "engine": "reference"}
    run = cr.fit(model, line(12, "float32"), epochs=60, **settings)
    losses = run.history.steps["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["momentum", "Rprop", "RMSprop, both", "AMSGrad", "NAdam", "Lion with decay"])
def test_both_engines_agree_with_all_around(name: str) -> None:
    model, data = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(1)), line(12)
    settings: dict[str, Any] = {"optimizer": AROUND["everything"](ALONE[name]), "batch_size": 5, "dtype": "float64"}
    one, other = (cr.fit(model, data, epochs=4, engine=engine, **settings) for engine in ("native", "reference"))
    for path, array in other.arrays.items():
        np.testing.assert_allclose(one.arrays[path], array, rtol=1e-8, atol=1e-10, err_msg=path)
