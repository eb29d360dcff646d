"""Metrics of a run: evaluated over whole sets, recorded while it trains, watched by callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, DataError
from chainrule.training import StopAtLoss, StopWithoutImprovement
from chainrule.training.callbacks import rises
from tests.training.making import flowers, line, model

NAMES = ["f1", "f1_per_class", "roc_auc", "top_2", "log_loss", "average_precision", "confusions"]


def confusions(targets: Any, outputs: Any, weights: Any) -> float:
    return float(np.sum(outputs.argmax(axis=1) != targets))


def cut(data: Any, chosen: Any) -> Any:
    """Some of the samples."""
    weights = None if data.weights is None else data.weights[chosen]
    return cr.data.Dataset(data.inputs[chosen], data.targets[chosen], weights, data.classes, data.preparation)


def weighted() -> Any:
    _, test = flowers()
    weights = cr.keys.Key(3).uniform((len(test),)).astype(np.float32)
    weights[0] = 0.0
    return cr.data.Dataset(test.inputs, test.targets, weights, test.classes, test.preparation)


@pytest.fixture(scope="module")
def run() -> cr.Run:
    return cr.fit(model(), flowers()[0], epochs=4)


METRICS: list[Any] = [*NAMES[:-1], confusions]


def test_they_are_those_of_the_outputs_of_the_whole_set(run: cr.Run) -> None:
    data: Any
    for data in (flowers()[1], weighted()):
        found = run.evaluate(data, metrics=METRICS)
        assert {name: found[name] for name in ("loss", "accuracy")} == run.evaluate(data)
        said = run.probabilities(data.inputs)
        for metric in (cr.metrics.f1, cr.metrics.roc_auc, cr.metrics.TopK(2), cr.metrics.average_precision):
            assert found[metric.name] == pytest.approx(metric(data.targets, said, data.weights))
        each: Any = cr.metrics.F1("per_class")(data.targets, said, data.weights)
        for name, value in zip(data.classes, each, strict=True):
            assert found[f"f1_per_class[{name}]"] == pytest.approx(value)
        assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)
        assert found["confusions"] == confusions(data.targets, said, None)
        assert run.evaluate(data, metrics=["accuracy"])["accuracy"] == pytest.approx(found["accuracy"])
        assert list(found)[:3] == ["loss", "accuracy", "f1"]


def test_how_the_set_is_cut_changes_nothing(run: cr.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one block or in many, from memory or as a stream."""
    data = weighted()
    whole, matrix = run.evaluate(data, metrics=METRICS), run.confusion(data)
    monkeypatch.setattr("chainrule.training.measuring.CHUNK", 7)
    stream = cr.data.stream(
        lambda epoch: (cut(data, slice(n, n + 5)) for n in range(0, 30, 5)), classes=data.classes
    ).prepared_as(data)
    for other in (data, stream):
        found = run.evaluate(other, metrics=METRICS)
        assert list(found) == list(whole)
        np.testing.assert_allclose(list(found.values()), list(whole.values()), rtol=1e-6)
        np.testing.assert_allclose(run.confusion(other).counts, matrix.counts)


def test_the_mean_of_batches_would_be_another_number(run: cr.Run) -> None:
    """What this is for: the F1 of a set is not the mean of those of its parts."""
    _, test = flowers()
    parts = [cut(test, slice(n, n + 5)) for n in range(0, 30, 5)]
    mean = np.mean([run.evaluate(part, metrics=["f1"])["f1"] for part in parts])
    assert abs(mean - run.evaluate(test, metrics=["f1"])["f1"]) > 1e-3


def test_a_regression_is_measured_in_its_own_units() -> None:
    near: Any = line(200, "float32")
    targets = 1000 * near.targets + 5000
    preparation = cr.data.Preparation(target=cr.data.Scaling.standardize(targets))
    data: Any = cr.data.Dataset(near.inputs, targets, None, None, preparation)
    run = cr.fit(cr.Chain(cr.Dense(1)), data, epochs=3)
    found = run.evaluate(data, metrics=["mean_absolute_error", "root_mean_squared_error", "r2"])
    error = run.predict(data.inputs).astype(np.float64) - data.targets
    assert found["mean_absolute_error"] == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert found["root_mean_squared_error"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-5)
    assert 0.9 < found["r2"] < 1
    assert found["root_mean_squared_error"] > 10
    raw = cr.metrics.Custom(lambda t, o, w: np.abs(o).max(), on="outputs", called="largest")
    assert run.evaluate(data, metrics=[raw])["largest"] == pytest.approx(np.abs(run.outputs(data.inputs)).max())


def test_one_unit_for_two_classes() -> None:
    train: Any = flowers()[0]
    chosen = train.labels != 2
    targets, names = train.targets[chosen], train.classes[:2]
    two = cr.data.Dataset(train.inputs[chosen], targets, None, names, train.preparation)
    run = cr.fit(cr.Chain(cr.Dense(1)), two, loss=cr.losses.binary_cross_entropy, epochs=5)
    found = run.evaluate(two, metrics=["f1", "roc_auc", "log_loss"])
    assert found["roc_auc"] > 0.95
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)
    assert np.trace(run.confusion(two).counts) == round(found["accuracy"] * len(two))


def test_they_are_recorded_for_the_validation_data(tmp_path: Path) -> None:
    train, test = flowers()
    run = cr.fit(model(), train, validation=test, metrics=METRICS, epochs=3)
    last = run.history.epochs[-1]
    for name, value in run.evaluate(test, metrics=METRICS).items():
        assert last[f"validation_{name}"] == value
    again = cr.load(run.save(tmp_path))
    assert again.history.epochs == run.history.epochs
    plain = cr.fit(model(), train, validation=test, epochs=3)
    assert all(np.array_equal(plain.parameters[name], array) for name, array in run.parameters.items())
    with pytest.raises(ConfigurationError, match="metrics are measured on validation data"):
        run.fit(train, epochs=4, metrics=["f1"])


@pytest.mark.parametrize(
    ("column", "up"),
    [
        ("validation_f1", True), ("validation_confusions", False), ("validation_log_loss", False),
        ("validation_near", True), ("accuracy", True), ("validation_f1_per_class[setosa]", True), ("loss", False),
        ("validation_inaccuracy_of_the_whole", False), ("validation_r2", True),
    ],
)  # fmt: skip
def test_the_direction_belongs_to_the_metric(column: str, up: bool) -> None:
    run = cr.prepare(model(), flowers()[0])
    run.metrics = (cr.metrics.Custom(confusions), cr.metrics.Custom(confusions, upwards=True, called="near"))
    assert rises(run, column) is up
    assert rises(run, column, upwards=not up) is not up


def test_a_callback_watches_a_metric() -> None:
    train, test = flowers()
    settings: dict[str, Any] = {"validation": test, "metrics": ["f1", confusions], "epochs": 60, "progress": False}
    stop = StopWithoutImprovement(5, monitor="validation_f1", restore_best=True)
    run = cr.fit(model(), train, callbacks=[stop], **settings)
    values = [record["validation_f1"] for record in run.history.epochs]
    assert run.epoch < 60
    assert run.evaluate(test, metrics=["f1"])["f1"] == max(values) == -stop.best
    run = cr.fit(model(), train, callbacks=[StopAtLoss(0.95, monitor="validation_f1")], **settings)
    assert run.history.epochs[-1]["validation_f1"] >= 0.95
    run = cr.fit(model(), train, callbacks=[StopAtLoss(1, monitor="validation_confusions")], **settings)
    assert run.history.epochs[-1]["validation_confusions"] <= 1 < run.history.epochs[0]["validation_confusions"]


def test_a_step_of_ones_own_measures_what_it_gives() -> None:
    train, test = flowers()
    net = model()

    @cr.step
    def own(state: Any, batch: Any) -> dict[str, cr.Node]:
        loss = cr.losses.cross_entropy(state.apply(net, batch.inputs), batch.targets)
        state.descend(loss, net, cr.optimizers.SGD(0.1))
        return {"loss": loss}

    @own.evaluation
    def _(state: Any, batch: Any) -> dict[str, cr.Node]:
        outputs = state.apply(net, batch.inputs)
        return {
            "sharpness": cr.losses.cross_entropy.per_sample(outputs, batch.targets),
            "probabilities": cr.softmax(outputs),
        }

    run = cr.fit(own, train, epochs=3)
    assert list(run.evaluate(test)) == ["sharpness"]
    found = run.evaluate(test, metrics=["f1", "log_loss"])
    assert found["log_loss"] == pytest.approx(found["sharpness"], rel=1e-5)
    with pytest.raises(ConfigurationError, match="is of outputs, and this step does not give them"):
        run.evaluate(test, metrics=[cr.metrics.Custom(confusions, on="outputs")])
    assert run.confusion(test).counts.sum() == len(test)


def test_what_does_not_fit_is_said_before_anything_is_done(run: cr.Run) -> None:
    train, test = flowers()
    numbers = line(20, "float32")
    with pytest.raises(ConfigurationError, match="r2 is a metric of numbers, and the targets are classes"):
        cr.fit(model(), train, validation=test, metrics=["r2"])
    with pytest.raises(ConfigurationError, match="f1 is a metric of classes, and the targets are numbers"):
        cr.fit(cr.Chain(cr.Dense(1)), numbers, validation=numbers, metrics=["f1"])
    with pytest.raises(DataError, match="a confusion matrix is of classes"):
        cr.fit(cr.Chain(cr.Dense(1)), numbers, epochs=1).confusion(numbers)
    with pytest.raises(ConfigurationError, match="there is no metric 'f3x'"):
        run.evaluate(test, metrics=["f3x"])
    with pytest.raises(ConfigurationError, match="two classes, and there are 3"):
        run.evaluate(test, metrics=["f1_binary"])
