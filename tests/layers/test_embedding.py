"""Embeddings: rows of a table, and bags of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph
from chainrule.keys import Key
from chainrule.layers import Record, Scope
from tests.layers.test_laws import Array, run

INDICES = np.array([[1, 3, 3], [0, 4, 2]])
ENGINES = [ReferenceEngine(), NativeEngine(cores=1)]


def found(layer: Any, engine: Any, dtype: str = "int32", weights: Array | None = None) -> dict[str, Array]:
    with Build() as opened:
        scope = Scope(record := Record("float64"))
        given = [graph.input("x", (2, 3), dtype)]
        given += [graph.input("weights", (2, 3), "float64")] * (weights is not None)
        y = scope.apply(layer, *given, name="")
        (slope,) = gradients(graph.sum(y**2), [record.values["parameters/weight"]])
        whole = Graph.of({"y": y, "slope": slope}, opened)
    arrays: dict[str, Array] = {"x": INDICES.astype(dtype), "parameters/weight": Key(0).normal((5, 2))}
    return run(whole, arrays | ({} if weights is None else {"weights": weights}), engine)


@pytest.mark.parametrize("engine", ENGINES, ids=["reference", "native"])
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32", "float64"])
def test_an_embedding_is_rows_of_its_table(dtype: str, engine: Any) -> None:
    table = Key(0).normal((5, 2))
    outputs = found(cr.Embedding(5, 2), engine, dtype)
    np.testing.assert_array_equal(outputs["y"], table[INDICES])
    expected = np.zeros((5, 2))
    np.add.at(expected, INDICES, 2 * table[INDICES])
    np.testing.assert_allclose(outputs["slope"], expected, rtol=1e-14)


@pytest.mark.parametrize("engine", ENGINES, ids=["reference", "native"])
def test_a_bag_is_the_weighted_sum_or_mean_of_its_rows(engine: Any) -> None:
    table, weights = Key(0).normal((5, 2)), Key(1).uniform((2, 3), 0.1, 1.0)
    for given in (None, weights):
        share = np.ones((2, 3)) if given is None else given
        total = np.einsum("bn,bnu->bu", share, table[INDICES])
        outputs = found(cr.EmbeddingBag(5, 2, "sum"), engine, weights=given)
        np.testing.assert_allclose(outputs["y"], total, rtol=1e-13)
        outputs = found(cr.EmbeddingBag(5, 2), engine, weights=given)
        np.testing.assert_allclose(outputs["y"], total / share.sum(1, keepdims=True), rtol=1e-13)


def test_a_masked_bag_leaves_out_what_fills_up_and_one_of_none_is_zero() -> None:
    table = Key(0).normal((5, 2))
    y = found(cr.Masked(cr.EmbeddingBag(5, 2), padding=3), ReferenceEngine())["y"]
    np.testing.assert_allclose(y, [table[1], table[[0, 4, 2]].mean(0)], rtol=1e-14)
    none = np.zeros((2, 3))
    outputs = found(cr.EmbeddingBag(5, 2), ReferenceEngine(), weights=none)
    assert not outputs["y"].any()
    assert np.isfinite(outputs["slope"]).all()


def test_a_model_with_an_embedding_learns_is_saved_and_says_what_it_is(tmp_path: Path) -> None:
    """Whether a 3 stands before a 5, of words of eight symbols: a bag cannot say, a recurrence can."""
    x = np.floor(Key(0).uniform((512, 6), 0, 8)).astype(np.int32)
    x[:, [1, 4]] = np.where(np.arange(512)[:, None] % 2, [3, 5], [5, 3])
    x = np.where((x == 3) | (x == 5), np.where(np.isin(np.arange(6), [1, 4]), x, 0), x)
    data = cr.data.from_arrays(x, np.arange(512) % 2)
    model = cr.Chain(cr.Embedding(8, 4), cr.GRU(8), cr.Dense(2))
    trained = cr.fit(model, data, epochs=12, optimizer=cr.optimizers.Adam(0.02))
    assert trained.evaluate(data)["accuracy"] > 0.99
    trained.save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run")
    assert loaded.model == model
    np.testing.assert_array_equal(loaded.outputs(data.inputs), trained.outputs(data.inputs))
    text = str(trained.summary())
    assert "GRU" in text
    assert "Embedding" in text
    bag = cr.fit(cr.Chain(cr.EmbeddingBag(8, 4), cr.Dense(2)), data, epochs=4, optimizer=cr.optimizers.Adam(0.02))
    assert bag.evaluate(data)["accuracy"] < 0.7
