"""Learners by populations: they keep the best, repeat their bits, go on where they were, and need no derivative."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import step_function
from chainrule.keys import Key
from chainrule.optimizers import (
    SGD,
    Accumulate,
    Adam,
    ArithmeticCrossover,
    Averaging,
    ClipGlobalNorm,
    Compose,
    EvolutionGradient,
    EvolutionStrategy,
    GeneticAlgorithm,
    Groups,
    Mutation,
    Optimizer,
    Roulette,
    Tournament,
    UpdateScope,
    schedules,
)
from chainrule.optimizers.populations import losses_at
from tests.optimizers.making import Array, descend, ones, parabola, rosenbrock
from tests.optimizers.test_breeding import drawn
from tests.training.making import flowers, model, same_bits

LEARNERS: dict[str, Optimizer] = {
    "genetic": GeneticAlgorithm(20),
    "roulette, arithmetic": GeneticAlgorithm(
        12, Roulette(), ArithmeticCrossover(0.8), Mutation(0.3, schedules.Exponential(0.4, 0.99)), elite=1
    ),
    "evolution strategy": EvolutionStrategy(0.05, 20),
    "its estimate, with momentum": Compose(
        EvolutionGradient(20, schedules.InverseTime(0.1, 0.01)), ClipGlobalNorm(5.0), SGD(0.02, momentum=0.5),
        Averaging(0.9),
    ),
    "grouped": Groups({"pl*": EvolutionStrategy(0.05, 20)}, otherwise=Adam()),
}  # fmt: skip


def xor() -> cr.data.Dataset:
    return cr.data.from_arrays(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), ["no", "yes", "yes", "no"])


# ---- the losses of a population ----


def test_the_loss_of_each_member_is_the_one_it_has_alone() -> None:
    train, _ = flowers()
    data = train.subset(np.arange(0, 120, 7))
    other = cr.Chain(cr.Dense(6, cr.tanh), cr.Dropout(0.5), cr.Dense(3))
    shapes = {"0.weight": (4, 6), "0.bias": (6,), "2.weight": (6, 3), "2.bias": (3,)}
    members = {path: Key(1, path).normal((6, *shape)) for path, shape in shapes.items()}
    found: list[Node] = []

    @dataclasses.dataclass(frozen=True)
    class Asking:
        def apply(self, scope: UpdateScope, directions: Any, parameters: Any) -> Any:
            population = {path: graph.constant(array) for path, array in members.items()}
            found.append(losses_at(scope, population, parameters))
            return directions

    @cr.step
    def ask(state: Any, batch: Any) -> dict[str, Node]:
        loss = cr.losses.cross_entropy(state.apply(other, batch.inputs), batch.targets)
        state.descend(loss, other, Compose(Asking(), SGD(0.0)))
        return {"loss": loss, **{str(n): found[-1][n] for n in range(6)}}

    together = cr.fit(ask, data, batch_size=None, epochs=1, dtype="float64", engine="reference").history.steps
    for n in range(6):  # the same seed and step, so the same units are dropped
        alone = cr.prepare(ask, data, batch_size=None, dtype="float64", engine="reference")
        alone.set_parameters({path: array[n] for path, array in members.items()})
        assert alone.fit(data, epochs=1).history.steps["loss"][0] == pytest.approx(together[str(n)][0], rel=1e-12)


def test_a_member_whose_loss_is_not_finite_is_the_worst() -> None:
    # The logarithm of what is below 0 is not a number: members there are never chosen, and nothing stops.
    run, steps = descend(GeneticAlgorithm(30, Roulette()), lambda p: graph.log(p[1]) ** 2 + p[0] ** 2, 60)
    assert steps["loss"][-1] < 0.01 < steps["loss"][0]
    assert run.parameters["place"][1] > 0


# ---- a genetic algorithm ----


def test_a_generation_is_what_it_says() -> None:
    optimizer = GeneticAlgorithm(7, mutation=Mutation(1.0, 0.2), elite=3)
    run, _ = descend(optimizer, parabola, 1, engine="reference")
    for generation in range(2, 30):
        before = np.concatenate([run.parameters["place"][None], run.arrays["optimizer/population/place"]])
        losses = before[:, 0] ** 2 + 10 * before[:, 1] ** 2
        ranked = np.argsort(losses, kind="stable")
        run.fit(ones(1), epochs=generation)
        after = run.arrays["optimizer/population/place"]
        assert after.shape == (6, 2)
        np.testing.assert_allclose(run.parameters["place"], before[ranked[0]], rtol=1e-14)
        np.testing.assert_array_equal(after[:2], before[ranked[1:3]])
        assert all((child != before).any(1).all() for child in after[2:])  # the others are born now


@pytest.mark.parametrize("ground", [parabola, rosenbrock])
@pytest.mark.parametrize("name", ["genetic", "roulette, arithmetic"])
def test_the_best_is_never_lost(name: str, ground: Callable[[Node], Node]) -> None:
    _, steps = descend(LEARNERS[name], ground, 300, engine="reference")
    assert (np.diff(steps["loss"]) <= 1e-13 * steps["loss"][:-1]).all()
    assert steps["loss"][-1] < 0.2 * steps["loss"][0]
    same = np.diff(steps["loss"]) == 0  # where none was better, the parameters stay to the bit
    assert 5 < same.sum() < 299
    np.testing.assert_array_equal(np.diff(steps["x"])[same], 0)


def test_without_keeping_the_best_it_is_lost() -> None:
    class Forgetting(GeneticAlgorithm):
        def apply(self, scope: UpdateScope, directions: Any, parameters: Any) -> Any:
            moves = super().apply(scope, directions, parameters)
            child = {path: scope.record.values[f"optimizer/population/{path}"][-1] for path in parameters}
            return {path: child[path] - parameters[path] for path in moves}

    _, steps = descend(Forgetting(20), parabola, 50, engine="reference")
    assert (np.diff(steps["loss"]) > 0).any()


def test_members_begin_as_the_layers_draw_them_each_for_itself() -> None:
    layer = cr.Dense(5, weight=cr.initializers.Uniform(0.5), bias_start=cr.initializers.Constant(0.25))
    run = cr.prepare(cr.Chain(layer, cr.Dense(3)), flowers()[0], optimizer=GeneticAlgorithm(40))
    weights, biases = (run.arrays[f"optimizer/population/0.{name}"] for name in ("weight", "bias"))
    assert (weights.shape, biases.shape, weights.dtype.name) == ((39, 4, 5), (39, 5), "float32")
    assert 0.49 < abs(weights).max() <= 0.5
    assert len(np.unique(weights)) > 770
    assert (biases == 0.25).all()


def test_what_is_put_in_the_place_of_parameters_takes_part() -> None:
    run, _ = descend(GeneticAlgorithm(10), parabola, 3)
    run.set_parameters({"place": np.array([0.0, 0.0])})
    run.fit(ones(1), epochs=20)
    assert (run.parameters["place"] == 0).all()
    assert run.history.steps["loss"][3] == run.history.steps["loss"][-1] == 0


# ---- an evolution strategy ----


def estimate(ground: Callable[[Node], Node], count: int, deviation: float, at: Array) -> tuple[Array, Array]:
    """The estimated gradient, and the noise of half of the members."""

    def build(scope: UpdateScope, place: Node) -> dict[str, Node]:
        scope = dataclasses.replace(scope, loss=ground(place))
        found = EvolutionGradient(count, deviation).apply(scope, {"p": place}, {"p": place})
        scope.record.draws.clear()
        noise = scope.normal("noise", "p", graph.full((count // 2, 2), 0, "float64"))
        return {"gradient": found["p"], "noise": noise}

    found = drawn(build, place=at)
    return found["gradient"], found["noise"]


def test_the_estimate_is_the_paper_s_formula() -> None:
    at = np.array([1.0, -0.5])
    found, noise = estimate(parabola, 10, 0.3, at)
    every = np.concatenate([noise, -noise])
    losses = [x**2 + 10 * y**2 for x, y in at + 0.3 * every]
    shaped = np.argsort(np.argsort(losses)) / 9 - 0.5
    np.testing.assert_allclose(found, shaped @ every / (10 * 0.3), rtol=1e-12)


def test_many_members_see_the_direction_of_the_gradient() -> None:
    for at in (np.array([1.0, -0.5]), np.array([-3.0, 0.1])):
        found, _ = estimate(parabola, 4000, 0.01, at)
        slope = np.array([2 * at[0], 20 * at[1]])
        assert found @ slope / np.linalg.norm(found) / np.linalg.norm(slope) > 0.995


def test_only_the_order_of_the_losses_counts_and_level_ground_gives_none() -> None:
    at = np.array([1.0, -0.5])
    one = estimate(parabola, 40, 0.1, at)[0]
    np.testing.assert_array_equal(one, estimate(lambda p: graph.exp(parabola(p)), 40, 0.1, at)[0])
    assert (estimate(lambda p: 0.0 * p[0], 40, 0.1, at)[0] == 0).all()


# ---- what all of them keep ----


@pytest.mark.parametrize("name", LEARNERS)
def test_it_goes_down(name: str) -> None:
    for ground, bar in ((parabola, 0.05), (rosenbrock, 0.2)):
        _, steps = descend(LEARNERS[name], ground, 400, engine="reference")
        assert steps["loss"][-1] < bar * steps["loss"][0]
        assert "gradient_norm" not in steps  # nobody asks for a gradient, so none is computed


@pytest.mark.parametrize("name", LEARNERS)
def test_twice_the_same_bits_and_both_engines_agree(name: str) -> None:
    first, steps = descend(LEARNERS[name], rosenbrock, 40)
    same_bits(first, descend(LEARNERS[name], rosenbrock, 40)[0])
    _, reference = descend(LEARNERS[name], rosenbrock, 40, engine="reference")
    for what in ("x", "y", "loss"):
        np.testing.assert_allclose(steps[what], reference[what], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "grouped"])
def test_saved_loaded_and_gone_on_with(name: str, tmp_path: Path) -> None:
    train, test = flowers()
    settings: dict[str, Any] = {"optimizer": LEARNERS[name], "batch_size": 50}
    whole = cr.fit(model(), train, validation=test, epochs=6, **settings)
    half = cr.fit(model(), train, validation=test, epochs=6, steps=8, **settings)  # in the middle of an epoch
    half.save(tmp_path / "half")
    again = cr.load(tmp_path / "half")
    assert again.optimizer == LEARNERS[name]
    same_bits(whole, again.fit(train, validation=test, epochs=6))
    other = cr.fit(model(), train, validation=test, epochs=6, seed=1, **settings)
    assert not np.array_equal(other.parameters["0.weight"], whole.parameters["0.weight"])


def test_the_run_predicts_by_its_parameters_which_are_the_best_or_the_mean() -> None:
    train, test = flowers()
    for optimizer in (GeneticAlgorithm(40), EvolutionStrategy()):
        run = cr.fit(model(), train, batch_size=None, optimizer=optimizer, epochs=150)
        assert run.evaluate(test)["accuracy"] > 0.9
        assert (run.predict(test.inputs) == np.array(train.classes)[test.targets]).mean() > 0.9


def test_numbers_are_inputs_and_schedules_are_recorded() -> None:
    run, steps = descend(GeneticAlgorithm(8), parabola, 12, engine="reference")
    assert run.numbers["numbers/mutation.rate"] == 0.1
    np.testing.assert_allclose(steps["mutation.deviation"], 0.5 / (1 + 0.01 * np.arange(12)))
    run.numbers["numbers/mutation.rate"] = 0.0
    run.numbers["numbers/crossover.rate"] = 0.0
    run.fit(ones(1), epochs=60)  # nothing new is born any more: only what was there is chosen again
    assert len(np.unique(run.arrays["optimizer/population/place"], axis=0)) < 4


def test_units_without_a_derivative_learn_xor() -> None:
    stepping = cr.Chain(cr.Dense(4, step_function), cr.Dense(2))
    run = cr.fit(stepping, xor(), batch_size=None, optimizer=GeneticAlgorithm(60), epochs=100)
    assert run.evaluate(xor())["accuracy"] == 1.0


def test_a_gradient_beside_is_computed_and_recorded() -> None:
    mixed = Groups({"0.*": EvolutionStrategy(0.02, 20)}, otherwise=Adam(0.02))
    run = cr.fit(model(), flowers()[0], optimizer=mixed, epochs=2)
    assert (run.history.steps["gradient_norm"] > 0).all()


# ---- what is refused ----


def test_stopping_by_a_gradient_that_nobody_computes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="StopAtGradient: this optimizer learns without gradients"):
        cr.fit(model(), flowers()[0], optimizer=EvolutionStrategy(), epochs=1,
               callbacks=[cr.training.StopAtGradient(0.1)])  # fmt: skip


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeneticAlgorithm(1), "GeneticAlgorithm: population is a whole number of 2 or more, not 1"),
        (lambda: GeneticAlgorithm(10, elite=10), "elite is a whole number from 1 to below the population, 10"),
        (lambda: GeneticAlgorithm(10, elite=0), "so that the best stays and others are born, not 0"),
        (lambda: GeneticAlgorithm(10, selection=Tournament), "selection is an object with choose"),  # type: ignore[arg-type]
        (lambda: GeneticAlgorithm(10, crossover=Mutation()), "crossover is an object with cross"),  # type: ignore[arg-type]
        (lambda: GeneticAlgorithm(popsize=10), "the name is population, not popsize"),  # type: ignore[call-arg]
        (lambda: EvolutionStrategy(population=9), "population is an even number, as its members come in pairs, not 9"),
        (lambda: EvolutionStrategy(deviation=0.0), "deviation is a number above 0"),
        (lambda: EvolutionStrategy(-1.0), "EvolutionStrategy: learning_rate is a number from 0"),
        (lambda: EvolutionGradient(sigma=0.1), "the name is deviation, not sigma"),  # type: ignore[call-arg]
    ],
)
def test_what_means_nothing_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_after_a_descent_there_is_no_place_for_it() -> None:
    for late in (GeneticAlgorithm(8), EvolutionGradient(8)):
        with pytest.raises(ConfigurationError, match="stands before what descends"):
            descend(Compose(SGD(0.1), late), parabola, 1)


def test_what_would_be_lost_is_refused() -> None:
    for late in (GeneticAlgorithm(8), EvolutionStrategy(population=8)):
        for optimizer in (Compose(ClipGlobalNorm(1.0), late), Accumulate(2, late)):
            with pytest.raises(ConfigurationError, match="asks for no gradient, so what stands before it"):
                descend(optimizer, parabola, 1)
    descend(Compose(Compose(), GeneticAlgorithm(8)), parabola, 1, engine="reference")


def test_a_population_wants_a_loss() -> None:
    with pytest.raises(ConfigurationError, match="is judged by the loss of a descent"):
        drawn(lambda scope, p: losses_at(scope, {"p": p}, {"p": p}), p=np.zeros((3, 2)))
