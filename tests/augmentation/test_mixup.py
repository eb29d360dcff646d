"""Mixup: its mixtures, its partners, the distribution of its shares, and what it does to losses and weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.augmentation import Mixup, Samples, symmetric_beta
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.graph import Build, Graph, Node
from chainrule.layers import Record, Scope

Array = NDArray[Any]


def scope_at(step: int = 0, dtype: str = "float64") -> Scope:
    key = graph.random_bits(graph.constant(np.uint32(0)), graph.constant(np.uint32(step)), "step")
    return Scope(Record(dtype, seed=key), "augmentation")


def run(**nodes: Node) -> dict[str, Array]:
    return ReferenceEngine().compile(graph.verify(Graph(nodes))).run({})


def shares(alpha: float, count: int = 200_000, dtype: str = "float64", step: int = 0) -> Array:
    return run(y=symmetric_beta(scope_at(step, dtype), "share", (count,), alpha))["y"]


def distance(found: Array, alpha: float) -> float:
    """The largest distance of the shares from Beta(α, α) as a distribution: Kolmogorov's and Smirnov's statistic."""
    # By its own integral, on a grid that is dense at both ends: x = sin² t makes the density a smooth one.
    t = np.linspace(0, math.pi / 2, 400_001)[1:-1]
    density = (np.sin(t) * np.cos(t)) ** (2 * alpha - 1)
    total = np.cumsum(density)
    places = np.sort(found)
    known = np.interp(np.arcsin(np.sqrt(places)), t, (total - 0.5 * density) / total[-1])
    steps = np.arange(1, len(places) + 1) / len(places)
    return float(np.abs(steps - known).max())


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.4, 0.5, 1.0, 2.0, 7.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shares_are_of_the_distribution_beta(alpha: float, dtype: str) -> None:
    found = shares(alpha, dtype=dtype).astype(np.float64)
    assert found.min() >= 0
    assert found.max() <= 1
    error = 4 / math.sqrt(len(found))
    assert abs(found.mean() - 0.5) < 0.5 * error
    # 1/(4·(2α + 1)), and the fourth moment, which tells the tails.
    np.testing.assert_allclose(found.var(), 1 / (4 * (2 * alpha + 1)), rtol=0.02)
    fourth = 3 * 1 / (16 * (2 * alpha + 1) * (2 * alpha + 3))
    np.testing.assert_allclose(((found - 0.5) ** 4).mean(), fourth, rtol=0.03)
    # One in a thousand of right samplers is further away than 1.95/√n. Below 0.5 the density has no bound at the ends,
    # where a grid cannot follow.
    if alpha >= 0.5:
        assert distance(found, alpha) < 1.95 / math.sqrt(len(found))
        assert distance(found, alpha * 1.1) > 1.95 / math.sqrt(len(found))


def test_shares_are_of_the_distribution_where_it_piles_up_at_the_ends() -> None:
    """For small α, P(λ < x) = x^α/(α·B(α, α))·(1 + O(x)) near 0."""
    for alpha in (0.1, 0.2, 0.4):
        found = shares(alpha)
        beta = math.gamma(alpha) ** 2 / math.gamma(2 * alpha)
        for x in (1e-2, 1e-4, 1e-6):
            expected = x**alpha / alpha / beta
            for side in (found, 1 - found):
                assert abs((side < x).mean() - expected) < 0.02 * expected + 4 * math.sqrt(expected / len(found))


def test_small_alpha_neither_overflows_nor_is_undefined() -> None:
    for dtype in ("float32", "float64"):
        found = shares(0.001, 10_000, dtype)
        assert np.isfinite(found).all()
        assert ((found == 0) | (found == 1)).mean() > 0.9


def mixed(step: int = 0, size: int = 6, weights: Array | None = None) -> tuple[Array, list[tuple[Array, Array]], Array]:
    x = np.eye(size)
    labels = np.arange(size, dtype=np.int32)
    with Build():
        given = None if weights is None else graph.constant(weights, "float64")
        samples = Samples(graph.constant(x, "float64"), ((graph.constant(labels, "int32"), given),))
        found = Mixup(0.5).apply(scope_at(step), samples)
        share = symmetric_beta(scope_at(step), "share", (size,), 0.5)
        nodes = {"x": found.inputs, "share": share}
        for place, (targets, weight) in enumerate(found.goals):
            assert weight is not None
            nodes |= {f"t{place}": targets, f"w{place}": weight}
        arrays = run(**nodes)
    goals = [(arrays[f"t{place}"], arrays[f"w{place}"]) for place in range(len(found.goals))]
    return arrays["x"], goals, arrays["share"]


def test_inputs_and_goals_are_mixed_alike() -> None:
    turns = set()
    for step in range(12):
        x, goals, share = mixed(step)
        (own, first), (other, second) = goals
        np.testing.assert_array_equal(own, np.arange(6))
        assert sorted(other) == list(range(6)), "each is partner once"
        assert (other != own).all()
        turns.add(int(other[0]))
        np.testing.assert_array_equal(first, share)
        np.testing.assert_array_equal(second, 1 - share)
        expected = share[:, None] * np.eye(6) + (1 - share)[:, None] * np.eye(6)[other]
        np.testing.assert_allclose(x, expected, rtol=1e-14)
    assert len(turns) > 2
    weights = np.array([1.0, 0, 2, 3, 1, 1])
    _, goals, share = mixed(3, weights=weights)
    np.testing.assert_allclose(goals[0][1], share * weights)
    np.testing.assert_allclose(goals[1][1], (1 - share) * weights[goals[1][0]])


def test_a_batch_of_one_stays_as_it_is() -> None:
    samples = Samples(graph.input("x", (1, 3)), ((graph.input("t", (1,), "int32"), None),))
    assert Mixup(1.0).apply(scope_at(), samples) is samples


def test_the_loss_of_two_goals_is_that_of_mixed_targets() -> None:
    data, _ = cr.data.load("iris")
    data = data.subset(np.arange(0, 120, 6))
    model = cr.Chain(cr.Dense(3))
    settings: dict[str, Any] = {"batch_size": 20, "shuffle": False, "engine": "reference", "dtype": "float64"}
    run = cr.prepare(model, data, augmentation=Mixup(0.4), **settings)
    first = run.parameters
    run.fit(data, epochs=1)
    with Build():
        key = graph.random_bits(graph.constant(np.uint32(0)), graph.constant(np.uint32(0)), "step")
        rows = graph.constant(np.eye(3)[data.targets], "float64")
        x = (data.inputs.astype(np.float64) - data.preparation.shift) * data.preparation.scale
        samples = Samples(graph.constant(x, "float64"), ((rows, None),))
        found = Mixup(0.4).apply(Scope(Record("float64", seed=key), "augmentation"), samples)
        (one, share), (two, rest) = found.goals
        assert share is not None
        assert rest is not None
        wide = graph.broadcast(share, [1], [3])
        got = run_nodes(found.inputs, wide * one + (1 - wide) * two)
    z = got["x"] @ first["0.weight"] + first["0.bias"]
    expected = -(got["t"] * (z - np.log(np.exp(z).sum(-1, keepdims=True)))).sum(-1).mean()
    np.testing.assert_allclose(run.history.steps["loss"], [expected], rtol=1e-6)


def run_nodes(x: Node, t: Node) -> dict[str, Array]:
    return run(x=x, t=t)


@pytest.mark.parametrize("kind", ["labels", "one unit", "numbers", "pictures", "weights"])
def test_any_targets_can_be_mixed_on_both_engines(kind: str) -> None:
    train, test = cr.data.load("iris")
    model: Any = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3))
    loss: Any = None
    if kind == "one unit":
        train = cr.data.from_arrays(train.inputs, (train.targets == 0).astype(np.int32))  # type: ignore[union-attr]
        model, loss = cr.Chain(cr.Dense(1)), cr.losses.binary_cross_entropy
    elif kind == "numbers":
        train = cr.data.from_arrays(train.inputs, train.inputs)
        model = cr.Chain(cr.Dense(4))
    elif kind == "pictures":
        train = cr.data.from_arrays(train.inputs.reshape(-1, 2, 2), train.targets)
        model = cr.Chain(cr.Flatten(), cr.Dense(3))
    elif kind == "weights":
        train = train.weigh_classes({train.classes[0]: 2.5})  # type: ignore[index]
    settings: dict[str, Any] = {"augmentation": Mixup(0.3), "loss": loss, "epochs": 2, "batch_size": 16}
    native, reference = (
        cr.fit(model, train, dtype="float64", engine=engine, **settings) for engine in ("native", "reference")
    )
    for name, array in native.arrays.items():
        np.testing.assert_allclose(array, reference.arrays[name], rtol=1e-9, atol=1e-10, err_msg=name)
    assert reference.check(train, samples=6).passed
    del test


def test_only_training_is_augmented_and_a_run_keeps_it(tmp_path: Path) -> None:
    train, test = cr.data.load("iris")
    model = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3))
    run = cr.fit(model, train, augmentation=Mixup(0.2), epochs=40, engine="reference")
    assert run.evaluate(test)["accuracy"] > 0.9
    plain = cr.prepare(model, train, engine="reference")
    plain.set_parameters(run.parameters)
    assert plain.evaluate(test) == run.evaluate(test)
    run.save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run", engine="reference")
    assert loaded.augmentation == Mixup(0.2)
    loaded.fit(train, epochs=41)
    run.fit(train, epochs=41)
    assert all(loaded.arrays[name].tobytes() == array.tobytes() for name, array in run.arrays.items())


def test_one_of_ones_own_serves_inputs_alone() -> None:
    class Doubled:
        def apply(self, scope: Scope, samples: Samples) -> Samples:
            return Samples(2 * samples.inputs, samples.goals)

    train, _ = cr.data.load("iris")
    model = cr.Chain(cr.Dense(3, bias=False))
    settings: dict[str, Any] = {"epochs": 1, "engine": "reference", "dtype": "float64", "shuffle": False}
    one = cr.fit(model, train, augmentation=Doubled(), **settings)
    assert train.preparation is not None
    doubled = train.prepared_as(train)
    scaled = cr.data.from_arrays(2 * (doubled.inputs - doubled.preparation.shift) * doubled.preparation.scale,
                                 doubled.targets)  # fmt: skip
    two = cr.fit(model, scaled, **settings)
    np.testing.assert_allclose(one.parameters["0.weight"], two.parameters["0.weight"], rtol=1e-5)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "0.2", True])
def test_a_setting_without_meaning_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Mixup: alpha is a number from 0\.001 upwards, not"):
        Mixup(value)


def test_what_is_no_augmentation_is_refused() -> None:
    train, _ = cr.data.load("iris")
    for wrong in (0.2, Mixup):
        with pytest.raises(ConfigurationError, match=r"augmentation is one of chainrule.augmentation, such as Mixup"):
            cr.prepare(cr.Chain(cr.Dense(3)), train, augmentation=wrong)  # type: ignore[arg-type]
