"""@cr.step: a step of one's own, with several models, losses, optimizers, inputs and outputs, and shared weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError, DataError, ShapeError
from chainrule.keys import Key
from chainrule.training import Batch, DataSpec, StepState, build_step

SGD = cr.optimizers.SGD
X = Key(0, "x").normal((6, 3))
DATA = {"x": X}


def linear(name: str, units: int = 1) -> cr.Chain:
    return cr.Chain(cr.Dense(units, bias=False), name=name)


def fit(function: Any, data: Any = None, **settings: Any) -> cr.Run:
    return cr.fit(
        cr.step(function),
        DATA if data is None else data,
        **{"epochs": 1, "batch_size": None, "dtype": "float64"} | settings,
    )


def starts(function: Any) -> dict[str, Any]:
    return cr.prepare(cr.step(function), DATA, dtype="float64", batch_size=None).parameters


def test_the_usual_step_written_by_hand_is_the_usual_step() -> None:
    train, test = cr.data.load("iris")
    model = cr.Chain(cr.Dense(5, cr.tanh), cr.Dense(3))

    @cr.step
    def plain(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        loss = cr.losses.cross_entropy(state.apply(model, batch.inputs), batch.targets)
        state.descend(loss, model, SGD(0.1, momentum=0.9))
        return {"loss": loss}

    @plain.evaluation
    def measure(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        outputs = state.apply(model, batch.inputs)
        return {"accuracy": cr.metrics.correct(outputs, batch.targets)}

    usual = cr.fit(model, train, epochs=3, optimizer=SGD(0.1, momentum=0.9))
    own = cr.fit(plain, train, epochs=3)
    for path, array in usual.parameters.items():
        np.testing.assert_array_equal(own.parameters[path], array)
    assert own.evaluate(test)["accuracy"] == usual.evaluate(test)["accuracy"]


def test_the_second_loss_sees_the_first_update_and_is_not_differentiated_through_it() -> None:
    """a is updated by the first loss; the second loss, of b, uses the new a as it is: no gradient flows into the move.

    The numbers are those of NumPy, where nothing could flow: ∂/∂b of Σ(x·a'·b)², at a' = a - η·∂/∂a Σ(x·a)².
    """
    one, two = linear("one", 2), linear("two")

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        first = graph.sum(state.apply(one, batch["x"]) ** 2)
        state.descend(first, one, SGD(0.01))
        second = graph.sum(state.apply(two, state.apply(one, batch["x"])) ** 2)
        state.descend(second, two, SGD(0.02))
        return {"first": first, "second": second}

    start = starts(step)
    a, b = start["one.0.weight"], start["two.0.weight"]
    run = fit(step)
    moved = a - 0.01 * 2 * X.T @ (X @ a)
    np.testing.assert_allclose(run.parameters["one.0.weight"], moved, rtol=1e-12)
    slope = 2 * (X @ moved).T @ (X @ moved @ b)
    np.testing.assert_allclose(run.parameters["two.0.weight"], b - 0.02 * slope, rtol=1e-12)
    assert run.history.steps["second"][0] == pytest.approx(((X @ moved @ b) ** 2).sum(), rel=1e-12)


def test_a_second_descent_of_the_same_model_starts_from_the_first() -> None:
    """θ' = θ - η·f'(θ), θ'' = θ' - η·g'(θ'): the slope of g at θ', not that of g(θ - η·f'(θ)) in θ."""
    one = linear("one")

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(one, batch["x"]) ** 2), one, SGD(0.01))
        state.descend(graph.sum(state.apply(one, batch["x"])), one, SGD(0.05, momentum=0.5))
        return {}

    a = starts(step)["one.0.weight"]
    run = fit(step)
    moved = a - 0.01 * 2 * X.T @ (X @ a)
    np.testing.assert_allclose(run.parameters["one.0.weight"], moved - 0.05 * X.sum(0)[:, None], rtol=1e-12)
    assert sorted(run.numbers.values()) == [0.01, 0.05, 0.5]


def test_without_the_stop_the_second_slope_would_be_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check above can fail: if new parameters let gradients pass, a loss that is taken of the first model and of
    the second at once also pulls at what the first moved by."""
    one, two = linear("one", 2), linear("two")

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(two, state.apply(one, batch["x"])) ** 2), one, SGD(0.01))
        state.descend(graph.sum(state.apply(two, state.apply(one, batch["x"])) ** 2), two, SGD(0.02))
        return {}

    right = fit(step).parameters["two.0.weight"]
    monkeypatch.setattr(graph, "stop_gradient", lambda x: x)
    assert abs(fit(step).parameters["two.0.weight"] - right).max() > 1e-6


def test_a_loss_from_before_the_update_is_refused() -> None:
    one, two = linear("one"), linear("two")

    def stale(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        y = state.apply(one, batch["x"])
        state.descend(graph.sum(y**2), one, SGD(0.1))
        state.descend(graph.sum(y), one, SGD(0.1))
        return {}

    with pytest.raises(
        ConfigurationError, match=r"the loss was computed before one.0.weight was updated.*apply the model"
    ):
        fit(stale)

    def foreign(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        y = state.apply(one, batch["x"])
        state.apply(two, batch["x"])
        state.descend(graph.sum(y), two, SGD(0.1))
        return {}

    with pytest.raises(ConfigurationError, match=r"does not depend on any of the parameters two.0.weight"):
        fit(foreign)


def test_shared_weights_have_one_array_and_the_sum_of_both_gradients() -> None:
    twin = linear("twin")
    pair = {"left": X, "right": X[::-1].copy() * 2}

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        loss = graph.sum(state.apply(twin, batch["left"]) ** 2) + graph.sum(state.apply(twin, batch["right"]))
        state.descend(loss, twin, SGD(0.01))
        return {"loss": loss}

    w = cr.prepare(cr.step(step), pair, dtype="float64", batch_size=None).parameters["twin.0.weight"]
    run = fit(step, pair)
    slope = 2 * X.T @ (X @ w) + 2 * X.sum(0)[:, None]
    assert list(run.parameters) == ["twin.0.weight"]
    np.testing.assert_allclose(run.parameters["twin.0.weight"], w - 0.01 * slope, rtol=1e-12)


def test_a_shared_part_of_two_models_is_learned_by_both() -> None:
    shared = cr.Dense(2, bias=False)
    one, two = (
        cr.Chain(shared, cr.Dense(1, bias=False), name="one"),
        cr.Chain(shared, cr.Dense(1, bias=False), name="two"),
    )

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        loss = graph.sum(state.apply(one, batch["x"]) ** 2) + graph.sum(state.apply(two, batch["x"]) ** 2)
        state.descend(loss, [one, two], SGD(0.01))
        return {"loss": loss}

    run = fit(step, epochs=30)
    assert sorted(run.parameters) == ["one.0.weight", "one.1.weight", "two.1.weight"]
    assert run.history.steps["loss"][-1] < 0.2 * run.history.steps["loss"][0]
    # The shared part stands where the step met it first, also where the second model is applied alone.
    p = run.parameters
    np.testing.assert_allclose(run.apply(two, X), X @ p["one.0.weight"] @ p["two.1.weight"], rtol=1e-12)


def test_arrays_of_any_kind_and_number_come_in() -> None:
    """Pictures in bytes, labels, masks and floats, under names of one's own; what comes out is by name too."""
    model = cr.Chain(cr.Flatten(), cr.Dense(2), name="model")
    data = {
        "picture": Key(0).bits(6 * 8).astype(np.uint8).reshape(6, 4, 2), "label": np.arange(6) % 2,
        "known": np.array([True, False] * 3), "weight": np.ones(6, np.float16),
    }  # fmt: skip

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        assert (batch["picture"].dtype, batch["known"].dtype, batch["weight"].dtype) == ("uint8", "bool", "float64")
        assert len(batch) == batch["label"].shape[0]
        assert "label" in batch
        assert "other" not in batch
        outputs = state.apply(model, graph.cast(batch["picture"], state.dtype) / 255.0)
        each = cr.losses.cross_entropy.per_sample(outputs, batch["label"])
        loss = graph.sum(graph.select(batch["known"], each * batch["weight"], 0.0))
        state.descend(loss, model, SGD(0.1))
        return {"loss": loss, "known": graph.sum(graph.cast(batch["known"], "int32"))}

    run = fit(step, data, epochs=2)
    assert run.history.steps["known"].tolist() == [3, 3]
    assert run.spec is not None
    assert run.spec.arrays["weight"] == ((), "float32")


def test_evaluation_says_what_is_measured_and_means_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    model = linear("model")

    @cr.step
    def down(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(model, batch["x"]) ** 2), model, SGD(0.0))
        return {}

    run = cr.fit(down, DATA, epochs=1, dtype="float64")
    with pytest.raises(ConfigurationError, match=r"give it a function with @down\.evaluation"):
        run.evaluate(DATA)

    @down.evaluation
    def measure(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        return {"square": graph.sum(state.apply(model, batch["x"]) ** 2, 1)}

    expected = ((X @ run.parameters["model.0.weight"]) ** 2).mean()
    assert run.evaluate(DATA)["square"] == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr("chainrule.training.measuring.CHUNK", 4)  # 6 samples in chunks of 4 and 2
    assert run.evaluate(DATA)["square"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", ["scalar", "rows", "number"])
def test_a_measure_that_is_not_one_number_a_sample_is_refused(shape: str) -> None:
    model = linear("model")

    @cr.step
    def down(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(model, batch["x"]) ** 2), model, SGD(0.0))
        return {}

    @down.evaluation
    def measure(state: StepState, batch: Batch) -> Any:
        y = state.apply(model, batch["x"])
        return {"it": graph.sum(y) if shape == "scalar" else y if shape == "rows" else 3.0}

    with pytest.raises(ConfigurationError, match="'it' is measured as"):
        cr.fit(down, DATA, epochs=1, dtype="float64").evaluate(DATA)


def test_applying_one_model_again_and_again_compiles_once() -> None:
    model = linear("model")

    @cr.step
    def down(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(model, batch["x"]) ** 2), model, SGD(0.1))
        return {}

    run = cr.fit(down, DATA, epochs=1)
    first = run.apply(model, X)
    for _ in range(5):
        np.testing.assert_array_equal(run.apply(model, X), first)
    assert len(run._measures) == 1
    other = linear("other")
    with pytest.raises(
        ConfigurationError, match=r"learned nothing for parameters/other.0.weight: the model is not part"
    ):
        run.apply(other, X)


def test_parameters_can_be_recorded_and_punished() -> None:
    """state.parameters gives nodes: here for a penalty on the weights."""
    model = linear("model")

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        y = state.apply(model, batch["x"])
        (weight,) = state.parameters(model).values()
        loss = graph.sum(y) * 0.0 + graph.sum(weight**2)
        state.descend(loss, model, SGD(0.25))
        return {"size": graph.sum(weight**2)}

    sizes = fit(step, epochs=3).history.steps["size"]
    np.testing.assert_allclose(sizes[1:], sizes[:-1] / 4, rtol=1e-12)


# ---- what does not fit ----


def bad(kind: str) -> Any:
    one, other = linear("one"), linear("one")

    def step(state: StepState, batch: Batch) -> Any:
        y = state.apply(one, batch["y" if kind == "array" else "x"])
        match kind:
            case "never":
                return {"loss": graph.sum(y)}
            case "twins":
                state.apply(other, batch["x"])
            case "unknown":
                state.parameters(other)
            case "vector":
                state.descend(y, one, SGD(0.1))
            case "nothing":
                state.descend(graph.sum(y), [], SGD(0.1))
        state.descend(graph.sum(y), one, SGD(0.1))
        return {"loss": y} if kind == "record" else {"loss": 3.0} if kind == "number" else {}

    return step


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("never", ConfigurationError, "the step step never descends, so it would learn nothing"),
        ("twins", ConfigurationError, "two models of this step are called 'one', so their parameters would share"),
        ("unknown", ConfigurationError, "the model 'one' has not been applied in this step"),
        ("vector", ShapeError, "a descent wants a scalar loss"),
        ("nothing", ConfigurationError, "there is nothing to learn"),
        ("record", ConfigurationError, "records 'loss' as <.*>; it must be a scalar node"),
        ("number", ConfigurationError, "records 'loss' as 3.0; it must be a scalar node"),
        ("array", ConfigurationError, "the data has no array 'y'; it has x"),
    ],
)  # fmt: skip
def test_a_step_that_makes_no_sense_is_refused(kind: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit(bad(kind))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({}, DataError, "the arrays hold one row a sample"),
        ({"x": X, "y": X[:3]}, DataError, "as many as each other"),
        ({"x": X[:0]}, DataError, "and some"),
        ({"x": np.array(["a", "b"])}, DataError, "encode texts first"),
        ({"x": np.array(1.0)}, ShapeError, "x is one number; give an array with one row a sample"),
        ([X], DataError, "data is a Dataset or a dictionary of arrays, not list"),
        (X, DataError, "data is a Dataset or a dictionary of arrays, not ndarray"),
        ({"x": X * 1j}, DataError, "a network works on numbers"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_fed_is_refused(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fit(bad("fine"), data)


def test_a_step_is_built_once_for_each_batch_size() -> None:
    built: list[int] = []
    model = linear("model")

    def step(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        built.append(len(batch))
        state.descend(graph.sum(state.apply(model, batch["x"]) ** 2), model, SGD(0.1))
        return {}

    fit(step, epochs=5, batch_size=4)
    assert built == [4, 2]


@pytest.mark.tiny
def test_a_step_is_one_graph_that_verifies() -> None:
    model = cr.Chain(cr.Dense(3, cr.relu), cr.Dense(1))

    @cr.step
    def down(state: StepState, batch: Batch) -> dict[str, cr.Node]:
        loss = cr.losses.mean_squared_error(state.apply(model, batch["x"]), batch["y"])
        state.descend(loss, model, cr.optimizers.Adam())
        return {"loss": loss}

    built = build_step(down, DataSpec(100, {"x": ((3,), "float32"), "y": ((1,), "float32")}), 8)
    graph.verify(built.graph)
    assert built.graph.inputs["batch/indices"].shape == (8,)
    assert built.graph.inputs["data/x"].shape == (100, 3)
    assert built.logs == ("loss", "gradient_norm", "finite")
    state = set(built.declared) | {"step"}
    assert state <= set(built.graph.outputs)
    assert {built.graph.outputs[name].shape == built.graph.inputs[name].shape for name in state} == {True}
    paths = {str(origin) for origin in built.graph.origins.values()}
    assert {"0", "1", "0 (backward)", "1 (backward)", "optimizer (update)"} <= paths
