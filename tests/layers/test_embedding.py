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
from chainrule.errors import DataError
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


def test_an_index_out_of_range_is_told_before_a_step_is_taken() -> None:
    x = np.array([[0, 1, 2], [3, 4, 1]])
    labels = np.array([0, 1])
    model = cr.Chain(cr.Masked(cr.Chain(cr.Embedding(5, 2), cr.SimpleRNN(3))), cr.Dense(2))
    run = cr.fit(model, cr.data.from_arrays(x, labels), epochs=1, engine="reference")
    for bad, told in ((5, "row 1, place 2: 5 is no index of its 5 symbols, which are whole numbers from 0 to 4"),
                      (-1, "row 1, place 2: -1 is no"), (2.5, "row 1, place 2: 2.5 is no index")):  # fmt: skip
        wrong = x.astype(np.float32)
        wrong[1, 2] = bad
        data = cr.data.from_arrays(wrong, labels)
        with pytest.raises(DataError, match=told):
            cr.prepare(model, data, engine="reference")
        with pytest.raises(DataError, match=told):
            run.fit(data, epochs=2)
        with pytest.raises(DataError, match=told):
            run.evaluate(data)
        with pytest.raises(DataError, match=told):
            run.outputs(wrong)
    scaled = cr.data.from_arrays(x, labels).standardize()
    with pytest.raises(DataError, match="the data are scaled, and EmbeddingBag wants indices as they are"):
        cr.prepare(cr.Chain(cr.Parallel(cr.EmbeddingBag(5, 2), cr.EmbeddingBag(5, 3)), cr.Dense(2)), scaled)


@pytest.mark.parametrize("lazy", [False, True])
def test_lazy_adam_moves_the_rows_that_a_batch_meets_and_no_others(lazy: bool) -> None:
    """The first batch meets symbols 0 to 3, the second 0 and 1 alone; beside PyTorch's formula in NumPy."""
    x = np.array([[0, 1], [2, 3], [0, 1], [1, 0]])
    data = cr.data.from_arrays(x, np.array([0, 1, 1, 0]))
    model = cr.Chain(cr.EmbeddingBag(5, 2), cr.Dense(2))
    settings: dict[str, Any] = {"batch_size": 2, "shuffle": False, "dtype": "float64", "engine": "reference"}
    run = cr.prepare(model, data, optimizer=cr.optimizers.Adam(0.1, lazy=lazy), **settings)
    first = run.parameters["0.weight"].copy()
    run.fit(data, steps=1)
    once = run.parameters["0.weight"].copy()
    means = run.arrays["optimizer/mean/0.weight"].copy()
    run.fit(data, steps=2)
    twice = run.parameters["0.weight"]
    assert (once[:4] != first[:4]).all()
    assert (once[4] == first[4]).all()
    assert (twice[:2] != once[:2]).all()
    assert (twice[2:4] == once[2:4]).all() == lazy
    assert (run.arrays["optimizer/mean/0.weight"][2:4] == means[2:4]).all() == lazy
    # The rows that both met are moved as by Adam.
    usual = cr.fit(model, data, optimizer=cr.optimizers.Adam(0.1), steps=2, **settings)
    np.testing.assert_array_equal(twice[:2], usual.parameters["0.weight"][:2])
    np.testing.assert_array_equal(run.parameters["1.bias"], usual.parameters["1.bias"])


def test_plain_descent_and_adagrad_leave_rows_alone_that_are_not_met() -> None:
    data = cr.data.from_arrays(np.array([[0, 1], [1, 2]]), np.array([0, 1]))
    for optimizer in (cr.optimizers.SGD(0.1), cr.optimizers.AdaGrad(0.1)):
        run = cr.prepare(cr.Chain(cr.EmbeddingBag(6, 2), cr.Dense(2)), data, optimizer=optimizer)
        first = run.parameters["0.weight"].copy()
        run.fit(data, epochs=3)
        moved = (run.parameters["0.weight"] != first).any(1)
        np.testing.assert_array_equal(moved, [True, True, True, False, False, False])
