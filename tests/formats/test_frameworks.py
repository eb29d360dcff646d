"""Weights in the order of other frameworks: there and back, and what each gate is; values are in tests/golden."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.formats.frameworks import from_keras, from_pytorch, to_keras, to_pytorch
from chainrule.graph import Build, Graph
from chainrule.keys import Key
from chainrule.layers import Record, Scope
from tests.layers.test_laws import run

Array = NDArray[Any]
LAYERS: dict[str, Any] = {
    "Dense": cr.Dense(3), "LayerNorm": cr.LayerNorm(), "Embedding": cr.Embedding(5, 4),
    "SimpleRNN": cr.SimpleRNN(3), "LSTM": cr.LSTM(3), "GRU": cr.GRU(3), "LSTM without bias": cr.LSTM(3, bias=False),
    "Bidirectional": cr.Bidirectional(cr.GRU(3)), "MultiHeadAttention": cr.MultiHeadAttention(2),
    "TransformerEncoder": cr.TransformerEncoder(2, 6),
}  # fmt: skip


def parameters(layer: Any) -> dict[str, Array]:
    indices = isinstance(layer, cr.Embedding)
    with Build():
        record = Record("float64")
        Scope(record).apply(
            layer, graph.input("x", (2, 3) if indices else (2, 3, 4), "int32" if indices else "float64"), name=""
        )
    return {path.partition("/")[2]: Key(0, path).normal(d.shape) for path, d in record.declared.items()}


@pytest.mark.parametrize("name", LAYERS)
def test_there_and_back_is_the_same(name: str) -> None:
    layer, given = LAYERS[name], parameters(LAYERS[name])
    back = from_pytorch(layer, to_pytorch(layer, given))
    assert set(back) == set(given)
    for path, array in given.items():
        np.testing.assert_array_equal(back[path], array, err_msg=path)


@pytest.mark.parametrize(
    "layer", [cr.SimpleRNN(3), cr.LSTM(3), cr.GRU(3), cr.GRU(3, reset_after=False), cr.LSTM(3, bias=False)]
)
def test_there_and_back_by_keras_is_the_same(layer: Any) -> None:
    given = parameters(layer)
    back = from_keras(layer, to_keras(layer, given))
    assert set(back) == set(given)
    for path, array in given.items():
        np.testing.assert_array_equal(back[path], array, err_msg=path)


def test_a_gru_of_keras_is_computed_as_keras_says() -> None:
    """Its gates are update, reset, new, and its two biases two rows."""
    kernel, past, bias = Key(0, "k").normal((4, 9)), Key(0, "r").normal((3, 9)), Key(0, "b").normal((2, 9))
    x, h = Key(0, "x").normal((2, 1, 4)), Key(0, "h").normal((2, 3))
    own, inner = x[:, 0] @ kernel + bias[0], h @ past + bias[1]
    update, reset = (1 / (1 + np.exp(-(own[:, g : g + 3] + inner[:, g : g + 3]))) for g in (0, 3))
    new = np.tanh(own[:, 6:] + reset * inner[:, 6:])
    layer = cr.GRU(3)
    with Build() as opened:
        record = Record("float64")
        y = Scope(record).apply(
            layer, graph.input("x", (2, 1, 4), "float64"), graph.input("h", (2, 3), "float64"), name=""
        )
        whole = Graph.of({"y": y}, opened)
    arrays = {f"parameters/{path}": array for path, array in from_keras(layer, [kernel, past, bias]).items()}
    np.testing.assert_allclose(run(whole, arrays | {"x": x, "h": h})["y"], update * h + (1 - update) * new, rtol=1e-12)


def of(function: Any, *given: Any) -> Any:
    """Call with what the types would not allow."""
    return function(*given)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: from_pytorch(cr.Dense(3), {"bias": np.ones(3)}), ConfigurationError,
         "Dense: there is no weight; there are bias"),
        (lambda: from_pytorch(cr.Flatten(), {}), ConfigurationError, "PyTorch's order is known of SimpleRNN, LSTM"),
        (lambda: to_pytorch(cr.LSTM(3, peepholes=True), {}), ConfigurationError, "PyTorch has no LSTM with peepholes"),
        (lambda: from_pytorch(cr.GRU(3, reset_after=False), {}), ConfigurationError, "resets before the product"),
        (lambda: from_pytorch(cr.LSTM(4), {"weight_ih_l0": np.ones((12, 2))}), ShapeError,
         "4 gates of 4 units are 16 columns, and these are 12"),
        (lambda: from_keras(cr.LSTM(3), [np.ones((2, 12))]), ShapeError, "3 arrays were expected"),
        (lambda: of(from_keras, cr.Dense(3), []), ConfigurationError, "SimpleRNN, LSTM and GRU, and this is Dense"),
        (lambda: to_keras(cr.LSTM(3, peepholes=True), parameters(cr.LSTM(3))), ConfigurationError, "Keras has no LSTM"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
