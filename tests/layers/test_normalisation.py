"""Batch and layer normalisation against arrays of another framework, over steps, and on any number of cores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ShapeError
from chainrule.gradients import pull_back
from chainrule.graph import Build, Graph
from chainrule.layers import Record, Scope

Array = NDArray[Any]
GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> dict[str, Array]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def stepped(layer: cr.BatchNorm, shape: tuple[int, ...], training: bool) -> Graph:
    """The output, the gradients of Σ cotangent·output, and the new state, of one step."""
    with Build() as opened:
        record = Record("float64")
        x = graph.input("x", shape, "float64")
        y = Scope(record, training=training).apply(layer, x, name="n")
        wanted = {"x": x} | {path: graph.input(f"parameters/n.{path}", (x.shape[-1],), "float64") for path in SCALED}
        slopes = pull_back({y: graph.input("cotangent", shape, "float64")}, list(wanted.values()))
        outputs = {"value": y} | {f"d:{path}": slope for path, slope in zip(wanted, slopes, strict=True)}
        outputs |= {name: record.values[name] for name in record.declared if name.startswith("state/") and training}
        return Graph.of(outputs, opened)


SCALED = ("scale", "shift")


def check_batch_norm(case: str, layer: cr.BatchNorm) -> None:
    """Three training steps, and a prediction after them."""
    arrays = {key.partition("/")[2]: array for key, array in golden("batch_norm").items() if key.startswith(f"{case}/")}
    state = {"mean": np.zeros(3), "variance": np.ones(3)}
    for step in ("0", "1", "2", "predicted"):
        x, training = arrays[f"{step}/x"], step != "predicted"
        given = {f"parameters/n.{path}": arrays[path] for path in SCALED}
        given |= {f"state/n.{path}": array for path, array in state.items()}
        given |= {"x": x, "cotangent": arrays[f"{step}/cotangent"]}
        whole = stepped(layer, x.shape, training)
        found = ReferenceEngine().compile(whole).run({name: given[name] for name in whole.inputs})
        if training:
            state = {path: found.pop(f"state/n.{path}") for path in state}
        for path, array in {**found, **(state if training else {})}.items():
            np.testing.assert_allclose(
                array, arrays[f"{step}/{path}"], rtol=1e-10, atol=1e-12, err_msg=f"{step} {path}"
            )


@pytest.mark.parametrize("case", ["rows", "pictures"])
def test_batch_normalisation_is_that_of_another_framework(case: str) -> None:
    check_batch_norm(case, cr.BatchNorm(momentum=0.9, epsilon=1e-5))
    with pytest.raises(AssertionError):
        check_batch_norm(case, cr.BatchNorm(momentum=0.99, epsilon=1e-5))
    with pytest.raises(AssertionError):
        check_batch_norm(case, cr.BatchNorm(momentum=0.9, epsilon=1e-3))


def test_layer_normalisation_is_that_of_another_framework() -> None:
    arrays = {key.partition("/")[2]: array for key, array in golden("layer_norm").items()}
    with Build():
        record = Record("float64")
        x = graph.input("x", arrays["x"].shape, "float64")
        y = Scope(record).apply(cr.LayerNorm(), x, name="")
        wrt = [x, *(record.values[f"parameters/{path}"] for path in SCALED)]
        slopes = pull_back({y: graph.constant(arrays["cotangent"], "float64")}, wrt)
    whole = Graph(dict(zip(("value", "d:x", "d:weight", "d:bias"), (y, *slopes), strict=True)))
    given = {"x": arrays["x"], "parameters/scale": arrays["weight"], "parameters/shift": arrays["bias"]}
    for name, found in ReferenceEngine().compile(whole).run(given).items():
        np.testing.assert_allclose(found, arrays[name], rtol=1e-10, atol=1e-12, err_msg=name)


def test_prediction_is_by_what_was_seen_and_changes_nothing() -> None:
    train, test = cr.data.load("iris")
    model = cr.Chain(cr.Dense(8, bias=False), cr.BatchNorm(), cr.tanh, cr.Dense(3))
    run = cr.fit(model, train, epochs=20, engine="reference")
    before = {name: array.copy() for name, array in run.arrays.items()}
    assert run.evaluate(test)["accuracy"] > 0.9
    # One sample has a prediction, and it is the one that it has among others.
    together = run.outputs(test.inputs)
    np.testing.assert_allclose(run.outputs(test.inputs[:1]), together[:1], rtol=1e-5)
    assert all(array.tobytes() == run.arrays[name].tobytes() for name, array in before.items())
    assert run.check(train, samples=8).passed
    assert "BatchNorm" in run.summary()
    assert "WeightNoise" in cr.prepare(cr.Chain(cr.WeightNoise(cr.Dense(3), 0.1)), train).summary()


def test_a_last_batch_of_one_sample_is_refused_before_the_first_step() -> None:
    train, _ = cr.data.load("iris")
    model = cr.Chain(cr.Dense(8), cr.BatchNorm(), cr.Dense(3))
    few = train.subset(np.arange(0, 120, 8)[:13])
    with pytest.raises(ShapeError, match=r"layer 1 \(BatchNorm.*one sample has no variance"):
        cr.prepare(model, few, batch_size=4)
    with pytest.raises(ShapeError, match="one sample has no variance"):
        cr.prepare(model, few, batch_size=1)
    cr.prepare(model, few, batch_size=5)
