"""Penalties: their values, their gradients, what they leave alone, and how they travel with a run."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph, regularizers
from chainrule.engines.native import NativeEngine
from chainrule.engines.protocol import Program
from chainrule.errors import ConfigurationError, RunFileError
from chainrule.graph import Graph, Node
from chainrule.optimizers import SGD
from chainrule.regularizers import L1, L2, ElasticNet

MODEL = cr.Chain(cr.Dense(4, bias=False), cr.BatchNorm(), cr.tanh, cr.Dense(3))
prepare: Any = functools.partial(cr.prepare, engine="reference", dtype="float64", batch_size=20)

#: What is added to the loss, and its slope, for an array of weights.
CASES: dict[str, tuple[Any, Any, Any]] = {
    "L1": (L1(0.01), lambda w: 0.01 * np.abs(w).sum(), lambda w: 0.01 * np.sign(w)),
    "L2": (L2(0.01), lambda w: 0.005 * (w**2).sum(), lambda w: 0.01 * w),
    "ElasticNet": (
        ElasticNet(0.01, 0.02),
        lambda w: 0.01 * np.abs(w).sum() + 0.01 * (w**2).sum(),
        lambda w: 0.01 * np.sign(w) + 0.02 * w,
    ),
}


def flowers() -> cr.data.Dataset:
    return cr.data.load("iris")[0]


def moved(regularizer: Any, *, steps: int = 1) -> cr.Run:
    """A run after one step of plain descent on all samples."""
    run: cr.Run = prepare(MODEL, flowers(), regularizer=regularizer, optimizer=SGD(0.5), shuffle=False)
    return run.fit(flowers().subset(np.arange(20)), epochs=steps)


def check_step(name: str) -> None:
    regularizer, value, slope = CASES[name]
    first = prepare(MODEL, flowers(), regularizer=regularizer).parameters
    without, with_it = moved(None), moved(regularizer)
    weights = [path for path in first if path.endswith("weight")]
    expected = sum(value(first[path]) for path in weights)
    np.testing.assert_allclose(with_it.history.steps["penalty"], [expected], rtol=1e-12)
    np.testing.assert_array_equal(with_it.history.steps["loss"], without.history.steps["loss"])
    for path, array in with_it.parameters.items():
        pulled = 0.5 * slope(first[path]) if path in weights else 0.0
        np.testing.assert_allclose(array, without.parameters[path] - pulled, rtol=1e-12, atol=1e-15, err_msg=path)


@pytest.mark.tiny
@pytest.mark.parametrize("name", CASES)
def test_a_step_goes_down_the_sum_and_leaves_biases_scales_and_shifts_alone(name: str) -> None:
    check_step(name)


def test_a_penalty_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regularizers, "_half_squares", lambda w: graph.sum(w**2))
    with pytest.raises(AssertionError):
        check_step("L2")
    monkeypatch.undo()
    monkeypatch.setattr(regularizers, "is_weight", lambda path: True)
    with pytest.raises(AssertionError):
        check_step("L1")


def test_biases_are_penalised_where_that_is_asked_for() -> None:
    first = prepare(MODEL, flowers()).parameters
    run = moved(L2(0.1, biases=True))
    expected = 0.05 * sum((array**2).sum() for array in first.values())
    np.testing.assert_allclose(run.history.steps["penalty"], [expected], rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_check_and_the_derivation_include_the_penalty(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    regularizer, value, _ = CASES[name]
    data = flowers()
    model = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3))
    run = prepare(model, data, regularizer=regularizer)
    assert run.check(data, samples=6).passed
    plain = prepare(model, data).explain(data, 3, "0.weight[1,2]")
    found = run.explain(data, 3, "0.weight[1,2]")
    penalty = sum(value(run.parameters[path]) for path in ("0.weight", "1.weight"))
    np.testing.assert_allclose(found.loss, plain.loss + penalty, rtol=1e-12)
    assert found.count > plain.count
    assert abs(found.difference) < 1e-9


def test_another_rate_is_the_same_program(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = NativeEngine(cores=1)
    graphs = []
    whole = NativeEngine.compile

    def compile(self: NativeEngine, graph: Graph) -> Program:
        graphs.append(graph)
        return whole(self, graph)

    monkeypatch.setattr(NativeEngine, "compile", compile)
    few = flowers().subset(np.arange(0, 100, 5))
    run = cr.fit(MODEL, few, regularizer=ElasticNet(0.1, 0.2), epochs=1, batch_size=20, engine=engine)
    assert len(graphs) == 1
    assert run.numbers["numbers/penalty.l1"] == 0.1
    before = run.history.steps["penalty"][-1]
    run.numbers |= {"numbers/penalty.l1": 0.0, "numbers/penalty.l2": 0.0}
    run.fit(few, epochs=2)
    assert len(graphs) == 1
    assert run.history.steps["penalty"][-1] == 0 < before
    other = cr.prepare(MODEL, few, regularizer=ElasticNet(0.3, 0.4), batch_size=20, engine=engine)
    assert graphs[-1].outputs == graphs[0].outputs, "a run with another rate is the same graph"
    assert other.numbers["numbers/penalty.l1"] == 0.3


def test_a_rate_may_be_a_schedule() -> None:
    def growing(step: Node) -> Node:
        return 0.1 * step

    run = moved(L2(growing), steps=3)
    assert run.history.steps["penalty"][0] == 0 < run.history.steps["penalty"][1]
    scaled = {name: value for name, value in run.numbers.items() if "penalty" in name}
    assert scaled == {"numbers/penalty.rate.scale": 1.0}, "the rate itself is no number"


def test_it_is_saved_with_a_run_and_the_run_goes_on_alike(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"batch_size": 20, "engine": "reference"}
    regularizer = ElasticNet(0.01, 0.02, biases=True)
    at_once = cr.fit(MODEL, flowers(), regularizer=regularizer, epochs=2, **settings)
    cr.fit(MODEL, flowers(), regularizer=regularizer, epochs=1, **settings).save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run", engine="reference")
    assert loaded.regularizer == regularizer
    loaded.fit(flowers(), epochs=2)
    assert all(loaded.arrays[name].tobytes() == array.tobytes() for name, array in at_once.arrays.items())
    np.testing.assert_array_equal(loaded.history.steps["penalty"], at_once.history.steps["penalty"])
    text = (tmp_path / "run" / "run.toml").read_text()
    (tmp_path / "run" / "run.toml").write_text(text.replace('type = "ElasticNet"', 'type = "Constant"').replace(
        "biases = true\nl1 = 0.01\nl2 = 0.02", "value = 1.0"))  # fmt: skip
    with pytest.raises(RunFileError):
        cr.load(tmp_path / "run")


def test_it_serves_a_step_of_ones_own() -> None:
    one, two = cr.Chain(cr.Dense(4, cr.tanh), name="one"), cr.Chain(cr.Dense(3), name="two")

    @cr.step
    def mine(state: cr.training.StepState, batch: cr.training.Batch) -> dict[str, Node]:
        loss = cr.losses.cross_entropy(state.apply(two, state.apply(one, batch.inputs)), batch.targets)
        penalty = state.penalty(one, L1(0.25)) + state.penalty(two, L2(0.5))
        state.descend(loss + penalty, [one, two], SGD(0.1))
        return {"loss": loss, "penalty": penalty}

    run = prepare(mine, flowers())
    assert {name for name in run.numbers if "penalty" in name} == {"numbers/penalty.rate", "numbers/penalty2.rate"}
    first = run.parameters
    run.fit(flowers().subset(np.arange(20)), epochs=1)
    expected = 0.25 * np.abs(first["one.0.weight"]).sum() + 0.25 * (first["two.0.weight"] ** 2).sum()
    np.testing.assert_allclose(run.history.steps["penalty"], [expected], rtol=1e-12)


def test_few_weights_remain_under_l1() -> None:
    train = flowers()
    noise = np.concatenate([train.inputs, np.zeros((len(train), 6))], axis=1)
    data = cr.data.from_arrays(noise + 0.0, train.targets)
    model = cr.Chain(cr.Dense(3, weight=cr.initializers.Uniform(0.3)))
    settings: dict[str, Any] = {"epochs": 60, "optimizer": SGD(0.05), "batch_size": 30, "dtype": "float64"}
    found = {name: cr.fit(model, data, regularizer=reg, **settings).parameters["0.weight"][4:] for name, reg in
             (("none", None), ("l1", L1(0.05)))}  # fmt: skip
    assert np.abs(found["l1"]).max() < 0.01 < np.abs(found["none"]).mean()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(-0.1), "L1: rate is a number from 0 .*, not -0.1"),
        (lambda: L2(float("nan")), "L2: rate"),
        (lambda: ElasticNet(0.1, float("inf")), "ElasticNet: l2"),
        (lambda: L2("0.1"), "L2: rate"),  # type: ignore[arg-type]
        (lambda: prepare(MODEL, flowers(), regularizer=0.1), r"such as L2\(1e-4\), not 0.1"),
        (lambda: prepare(MODEL, flowers(), regularizer=L2), r"such as L2\(1e-4\), not <class"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_model_without_weights_is_refused() -> None:
    data = cr.data.from_arrays(flowers().inputs, flowers().inputs)
    with pytest.raises(ConfigurationError, match=r"L2 has nothing to penalise: of 0\.scale, 0\.shift none is"):
        prepare(cr.Chain(cr.BatchNorm()), data, regularizer=L2(0.1))
