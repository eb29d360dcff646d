"""Batch, mini-batch and stochastic gradient descent: one mechanism, and an honest count of what was done."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.data import epoch_order
from chainrule.engines.reference import ReferenceEngine
from chainrule.training import build_gradients
from tests.training.making import flowers, line, model

SGD = cr.optimizers.SGD


def by_hand(data: cr.data.Dataset, batch_size: int, epochs: int, rate: float, seed: int, start: Any) -> tuple[Any, Any]:
    """Descent on half the squared error of a linear unit, in NumPy, in the order that the seed gives."""
    (w, b), x, y = start, data.inputs, data.targets
    assert y is not None
    for epoch in range(epochs):
        order = epoch_order(seed, epoch, len(data))
        for first in range(0, len(data), batch_size):
            rows = order[first : first + batch_size]
            error = x[rows] @ w + b - y[rows]
            w, b = w - rate * x[rows].T @ error / len(rows), b - rate * error.mean(0)
    return w, b


@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 64, None])
def test_every_form_is_the_textbooks(batch_size: int | None) -> None:
    """1 is stochastic, all samples is batch descent; 3 leaves a smaller last batch of 1 in each epoch."""
    data = line(10)
    settings: dict[str, Any] = {"loss": cr.losses.half_squared_error, "optimizer": SGD(0.1), "dtype": "float64"}
    unit = cr.Chain(cr.Dense(1))
    before = cr.prepare(unit, data, seed=3, **settings).parameters
    run = cr.fit(unit, data, batch_size=batch_size, epochs=4, seed=3, **settings)
    w, b = by_hand(data, batch_size or 10, 4, 0.1, 3, (before["0.weight"], before["0.bias"]))
    np.testing.assert_allclose(run.parameters["0.weight"], w, rtol=1e-12)
    np.testing.assert_allclose(run.parameters["0.bias"], b, rtol=1e-12)


@pytest.mark.parametrize(("batch_size", "steps", "sizes"), [
    (1, 10, [1] * 10), (3, 4, [3, 3, 3, 1]), (5, 2, [5, 5]), (10, 1, [10]), (64, 1, [10]), (None, 1, [10]),
])  # fmt: skip
def test_epochs_iterations_and_samples_are_counted_honestly(
    batch_size: int | None, steps: int, sizes: list[int]
) -> None:
    run = cr.fit(cr.Chain(cr.Dense(1)), line(10), batch_size=batch_size, epochs=3, optimizer=SGD(0.01))
    assert run.epoch == 3
    assert len(run.history) == int(run.arrays["step"]) == 3 * steps
    assert run.history.samples == 30
    assert run.history.steps["samples"].tolist() == sizes * 3
    assert run.history.steps["step"].tolist() == list(range(1, 3 * steps + 1))
    assert run.history.steps["epoch"].tolist() == [epoch for epoch in (1, 2, 3) for _ in sizes]
    for number, record in enumerate(run.history.epochs, 1):
        assert (record["epoch"], record["steps"], record["samples"]) == (number, steps, 10)


def test_every_sample_is_seen_once_in_each_epoch() -> None:
    """The step records the sample that it saw: over an epoch every one of them, in another order each time."""
    unit = cr.Chain(cr.Dense(1))

    @cr.step
    def look(state: Any, batch: Any) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(unit, batch["x"]) ** 2), unit, SGD(0.001))
        return {"seen": graph.sum(batch["x"])}

    data = {"x": np.arange(7, dtype=np.float32)[:, None]}
    seen = cr.fit(look, data, batch_size=1, epochs=3).history.steps["seen"].reshape(3, 7)
    for epoch in range(3):
        assert sorted(seen[epoch]) == list(range(7))
        np.testing.assert_array_equal(seen[epoch], epoch_order(0, epoch, 7))
    assert (seen[0] != seen[1]).any()
    still = cr.fit(look, data, batch_size=1, epochs=2, shuffle=False).history.steps["seen"]
    assert still.tolist() == [*range(7), *range(7)]


def test_the_gradient_of_a_batch_is_the_mean_over_its_samples() -> None:
    """The per-sample gradients, made by vectorizing the graph of one sample, and their mean."""
    train, _ = flowers()
    run = cr.prepare(model(), train, dtype="float64")
    spec, arrays = run._data(train)
    ((_, whole),) = build_gradients(run.step, spec, 16)
    ((_, single),) = build_gradients(run.step, spec, 1)
    given = {**run.numbers, **run.arrays, "seed": np.uint32(0)}
    given |= {f"data/{name}": array for name, array in arrays.items()}
    batch = {f"batch/{name}": arrays[name][:16] for name in spec.arrays}
    together = run_graph(whole, {**given, **batch})
    many = graph.vectorize(single, list(batch), 16)
    each = run_graph(many, {**given, **{name: rows[:, None] for name, rows in batch.items()}})
    for name, array in together.items():
        np.testing.assert_allclose(each[name].mean(0), array, rtol=1e-12, atol=1e-15)
        assert each[name].shape == (16, *array.shape)
    assert each["gradient/0.weight"].std(0).max() > 0


def run_graph(whole: graph.Graph, arrays: dict[str, Any]) -> dict[str, Any]:
    program = ReferenceEngine().compile(graph.verify(whole))
    return program.run({name: np.asarray(arrays[name], node.dtype) for name, node in whole.inputs.items()})


def test_weights_weigh_samples_in_training_and_in_evaluation() -> None:
    """A sample of weight 2 counts as if it were there twice, and one of weight 0 as if it were not there."""
    data = line(10)
    weights = np.array([2.0, 0.0] + [1.0] * 8)
    weighted = cr.data.Dataset(data.inputs, data.targets, weights)
    repeated = data.subset([0, 0, *range(2, 10)])
    settings: dict[str, Any] = {"batch_size": None, "epochs": 5, "dtype": "float64", "optimizer": SGD(0.1)}
    one = cr.fit(cr.Chain(cr.Dense(1)), weighted, **settings)
    two = cr.fit(cr.Chain(cr.Dense(1)), repeated, **settings)
    np.testing.assert_allclose(one.parameters["0.weight"], two.parameters["0.weight"], rtol=1e-12)
    np.testing.assert_allclose(one.history.steps["loss"], two.history.steps["loss"], rtol=1e-12)
    assert one.evaluate(weighted)["loss"] == pytest.approx(two.evaluate(repeated)["loss"], rel=1e-12)


def test_accuracy_is_weighed_as_the_loss_is() -> None:
    train, _ = flowers()
    weights = np.linspace(0.1, 1, len(train))
    data = cr.data.Dataset(train.inputs, train.targets, weights, train.classes)
    run = cr.fit(model(), data, epochs=1, batch_size=None, optimizer=SGD(0.0))
    right = run.predict(train.inputs) == np.asarray(train.classes)[train.targets]
    assert run.history.steps["accuracy"][0] == pytest.approx(np.average(right, weights=weights), rel=1e-6)
    assert run.evaluate(data)["accuracy"] == pytest.approx(np.average(right, weights=weights), rel=1e-6)


@pytest.mark.tiny
def test_an_epochs_numbers_are_means_over_its_samples() -> None:
    run = cr.fit(cr.Chain(cr.Dense(1)), line(10), batch_size=3, epochs=2, optimizer=SGD(0.05))
    steps = run.history.steps
    for number, record in enumerate(run.history.epochs, 1):
        rows = steps["epoch"] == number
        for name in ("loss", "gradient_norm"):
            assert record[name] == pytest.approx(np.average(steps[name][rows], weights=steps["samples"][rows]))
        assert record["seconds"] == pytest.approx(steps["seconds"][rows].sum())
        assert record["samples_per_second"] == pytest.approx(10 / record["seconds"])
        assert record["learning_rate"] == 0.05


def test_history_has_the_columns_it_promises() -> None:
    train, test = flowers()
    run = cr.fit(model(), train, validation=test, epochs=2)
    assert list(run.history.steps) == [
        "step", "epoch", "samples", "loss", "accuracy", "gradient_norm", "learning_rate", "seconds",
    ]  # fmt: skip
    assert list(run.history.epochs[0]) == [
        "epoch", "steps", "samples", "loss", "accuracy", "gradient_norm", "learning_rate", "seconds",
        "samples_per_second", "validation_loss", "validation_accuracy",
    ]  # fmt: skip
    assert run.history.epochs[-1]["validation_accuracy"] == run.evaluate(test)["accuracy"]
    assert all(math.isfinite(value) for record in run.history.epochs for value in record.values())


def test_the_recorded_gradient_norm_is_that_of_all_parameters() -> None:
    data = line(10)
    run = cr.fit(
        cr.Chain(cr.Dense(1)), data, batch_size=None, epochs=1, dtype="float64", loss=cr.losses.half_squared_error
    )
    start = cr.prepare(cr.Chain(cr.Dense(1)), data, dtype="float64").parameters
    error = data.inputs @ start["0.weight"] + start["0.bias"] - data.targets
    slopes = np.concatenate([(data.inputs.T @ error / 10).ravel(), error.mean(0)])
    assert run.history.steps["gradient_norm"][0] == pytest.approx(np.linalg.norm(slopes), rel=1e-12)
    assert run.history.steps["loss"][0] == pytest.approx((error**2).mean() / 2, rel=1e-12)
