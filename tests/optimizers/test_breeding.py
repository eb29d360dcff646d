"""Selection, crossover and mutation keep their laws: by χ² on many draws, or exactly where they are exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.graph import Build, Graph, Node
from chainrule.layers.scope import Record
from chainrule.optimizers import (
    ArithmeticCrossover,
    Crossover,
    Mutation,
    Roulette,
    Selection,
    Tournament,
    UniformCrossover,
    UpdateScope,
    schedules,
)
from chainrule.optimizers.populations import centred_ranks, order
from tests.optimizers.making import Array

#: χ² is above this with a probability of 1e-5, by degrees of freedom.
CRITICAL = {1: 19.5, 2: 23.0, 3: 25.9, 4: 28.5, 5: 30.9, 9: 39.3}


def drawn(
    build: Callable[..., Mapping[str, Node] | Node], step: int = 0, seed: int = 0, **arrays: Any
) -> dict[str, Array]:
    """What nodes give that are built in the scope of an update, of arrays by name."""
    given = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    with Build() as building:
        record, number = Record("float64"), graph.input("step", (), "int32")
        record.seed = graph.random_bits(graph.input("seed", (), "uint32"), graph.cast(number, "uint32"), "step")
        scope = UpdateScope(record, "", number, {})
        made = build(scope, **{name: graph.input(name, array.shape, "float64") for name, array in given.items()})
        outputs = {"found": made} if isinstance(made, Node) else dict(made)
    program = ReferenceEngine().compile(Graph.of(outputs, building))
    fed: dict[str, Any] = {**given, "step": np.int32(step), "seed": np.uint32(seed)}
    fed |= {name: np.asarray(value, program.graph.inputs[name].dtype) for name, value in scope.numbers.items()
            if name in program.graph.inputs}  # fmt: skip
    return program.run({name: fed[name] for name in program.graph.inputs})


def chi_square(found: Array, expected: Array) -> float:
    assert found.sum() == pytest.approx(expected.sum())
    assert (found[expected == 0] == 0).all()
    some = expected > 0
    return float(((found - expected)[some] ** 2 / expected[some]).sum())


# ---- order ----


def test_the_order_begins_with_the_best_and_of_equal_ones_with_the_first() -> None:
    losses = [3.0, 1.0, np.inf, 1.0, -2.0, np.inf, 3.0]
    assert drawn(lambda scope, x: order(x), x=losses)["found"].tolist() == [4, 1, 3, 0, 6, 2, 5]


def test_ranks_are_centred_and_equal_losses_share_theirs() -> None:
    found = drawn(lambda scope, x: centred_ranks(x), x=[3.0, 1.0, np.inf, 1.0, -2.0])["found"]
    np.testing.assert_allclose(found, [0.25, -0.125, 0.5, -0.125, -0.5])
    assert (drawn(lambda scope, x: centred_ranks(x), x=np.full(6, 7.0))["found"] == 0).all()


# ---- selection ----

COUNT = 20_000


def chosen(selection: Selection, losses: Any, seed: int = 0) -> Array:
    """How often each member is chosen."""
    picks = drawn(lambda scope, losses: selection.choose(scope, losses, COUNT), seed=seed, losses=losses)["found"]
    assert picks.dtype == np.int32
    return np.bincount(picks, minlength=len(losses))


def tournament_law(losses: Any, size: int) -> Array:
    better = np.argsort(np.argsort(losses))
    n = len(losses)
    return np.asarray(((n - better) ** size - (n - better - 1) ** size) / n**size)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_tournaments_are_won_as_often_as_the_formula_says(size: int) -> None:
    losses = [0.3, -1.0, 5.0, 0.2, np.inf, 0.25]
    law = tournament_law(losses, size)
    assert law.sum() == pytest.approx(1.0)
    for seed in (0, 1):
        assert chi_square(chosen(Tournament(size), losses, seed), COUNT * law) < CRITICAL[5]
    # The law of another size is told apart.
    assert chi_square(chosen(Tournament(size), losses), COUNT * tournament_law(losses, size + 1)) > CRITICAL[5]


def test_two_parents_are_drawn_for_themselves() -> None:
    picks = drawn(lambda scope, losses: Tournament(1).choose(scope, losses, COUNT), losses=[0.0, 1.0])["found"]
    pairs = np.bincount(2 * picks[::2] + picks[1::2], minlength=4)
    assert chi_square(pairs, np.full(4, COUNT / 8)) < CRITICAL[3]


def test_the_wheel_stops_in_proportion_to_fitness() -> None:
    losses = [4.0, 1.0, 8.0, 2.0, np.inf]
    law = np.array([4.0, 7.0, 0.0, 6.0, 0.0]) / 17
    for seed in (0, 1):
        assert chi_square(chosen(Roulette(), losses, seed), COUNT * law) < CRITICAL[2]
    ranked = COUNT * np.array([2.0, 4.0, 0.0, 3.0, 0.0]) / 9  # by places in the order it would be another law
    assert chi_square(chosen(Roulette(), losses), ranked) > CRITICAL[2]
    np.testing.assert_array_equal(chosen(Roulette(), losses), chosen(Roulette(), np.array(losses) - 64.0))


@pytest.mark.parametrize("loss", [-3.0, 0.0, 2.0, np.inf])
def test_where_all_are_equal_the_wheel_is_fair(loss: float) -> None:
    assert chi_square(chosen(Roulette(), np.full(5, loss)), np.full(5, COUNT / 5)) < CRITICAL[4]


# ---- crossover ----

CHILDREN = 8000
PARENTS = {
    "a": np.zeros((CHILDREN, 3, 2)),
    "b": np.zeros((CHILDREN, 4)),
    "a2": np.ones((CHILDREN, 3, 2)),
    "b2": np.ones((CHILDREN, 4)),
}


def crossed(crossover: Crossover, **arrays: Any) -> dict[str, Array]:
    def build(scope: UpdateScope, a: Node, b: Node, a2: Node, b2: Node) -> dict[str, Node]:
        return crossover.cross(scope, {"a": a, "b": b}, {"a": a2, "b": b2})

    return drawn(build, **(arrays or PARENTS))


@pytest.mark.parametrize(("rate", "share"), [(1.0, 0.5), (0.7, 0.25), (0.0, 0.5)])
def test_each_weight_is_of_one_parent(rate: float, share: float) -> None:
    found = crossed(UniformCrossover(rate, share))
    genes = np.concatenate([found["a"].reshape(CHILDREN, -1), found["b"]], 1)
    assert set(np.unique(genes)) <= {0.0, 1.0}
    counts = np.bincount(genes.sum(1).astype(int), minlength=11)
    binomial = np.array([np.prod([(10 - j) / (j + 1) for j in range(k)]) for k in range(11)])
    law = rate * binomial * share ** np.arange(11) * (1 - share) ** (10 - np.arange(11))
    law[0] += 1 - rate  # not crossed: all of the first parent
    few = CHILDREN * law < 8  # classes that are too rare to be counted by themselves
    grouped = [np.append(one[~few], one[few].sum()) for one in (counts, CHILDREN * law)]
    assert chi_square(*grouped) < CRITICAL[9]
    if rate:
        every = genes.mean(0)  # and each place as often as any other
        assert abs(every - rate * share).max() < 5 * np.sqrt(0.25 / CHILDREN)


def test_a_child_lies_on_the_line_between_its_parents() -> None:
    random = np.random.default_rng(0)
    arrays = {name: random.standard_normal(array.shape) for name, array in PARENTS.items()}
    found = crossed(ArithmeticCrossover(0.75), **arrays)
    part = ((found["b"] - arrays["b2"]) / (arrays["b"] - arrays["b2"]))[:, :1]
    for path in ("a", "b"):  # one part for the whole child
        x, y = (arrays[name].reshape(CHILDREN, -1) for name in (path, f"{path}2"))
        np.testing.assert_allclose(found[path].reshape(CHILDREN, -1), part * x + (1 - part) * y, atol=1e-12)
    kept = (found["b"] == arrays["b"]).all(1)
    assert abs(kept.mean() - 0.25) < 5 * np.sqrt(0.1875 / CHILDREN)
    tenths = np.bincount((part[~kept, 0] * 10).astype(int), minlength=10)
    assert chi_square(tenths, np.full(10, (~kept).sum() / 10)) < CRITICAL[9]


# ---- mutation ----


def mutated(mutation: Mutation, step: int = 0) -> Array:
    found = drawn(lambda scope, a: mutation.mutate(scope, {"a": a}), step=step, a=np.full((CHILDREN, 10), 3.0))
    return np.asarray(found["a"] - 3.0)


def test_so_many_weights_are_changed_by_so_much() -> None:
    change = mutated(Mutation(0.2, 0.5))
    hit = change != 0
    assert abs(hit.mean() - 0.2) < 5 * np.sqrt(0.16 / change.size)
    assert abs(hit.mean(0) - 0.2).max() < 5 * np.sqrt(0.16 / CHILDREN)
    noise = change[hit] / 0.5
    assert abs(noise.mean()) < 5 / np.sqrt(noise.size)
    assert abs(noise.std() - 1) < 5 / np.sqrt(2 * noise.size)
    assert not mutated(Mutation(0.0, 0.5)).any()
    assert (mutated(Mutation(1.0, 0.5)) != 0).all()


def test_it_decays() -> None:
    for step, deviation in ((0, 0.5), (100, 0.25), (900, 0.05)):
        change = mutated(Mutation(0.5), step)
        assert change[change != 0].std() == pytest.approx(deviation, rel=0.02)
    halved = Mutation(1.0, schedules.Exponential(1.0, 0.5, 10))
    assert mutated(halved, 30).std() == pytest.approx(0.125, rel=0.02)


# ---- what is refused ----


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Tournament(0), "Tournament: size is a whole number above 0, not 0"),
        (lambda: Tournament(2.5), "size is a whole number"),  # type: ignore[arg-type]
        (lambda: UniformCrossover(1.5), "UniformCrossover: rate is a probability, a number from 0 to 1, not 1.5"),
        (lambda: UniformCrossover(share=-0.1), "share is a probability"),
        (lambda: ArithmeticCrossover("all"), "ArithmeticCrossover: rate is a probability"),  # type: ignore[arg-type]
        (lambda: Mutation(2), "Mutation: rate is a probability"),
        (lambda: Mutation(0.1, -1.0), "Mutation: deviation is a number from 0"),
        (lambda: Mutation(0.1, sigma=1.0), "Mutation: the name is deviation, not sigma"),  # type: ignore[call-arg]
    ],
)
def test_what_means_nothing_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
