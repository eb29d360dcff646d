"""The op list is closed: networks that it never heard of are written as layers outside the package, and learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.initializers import Constant, Glorot, He
from chainrule.keys import Key


@dataclass(frozen=True)
class Convolution:
    """y = relu(Σ over the window and the channels of x·w + b), with zeros around the picture."""

    channels: int
    size: int = 3

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        (x,) = inputs  # (batch, height, width, channels)
        around = [0, self.size // 2, self.size // 2, 0]
        seen = graph.window(graph.pad(x, around, around), [1, 2], [self.size, self.size])
        weight = scope.parameter("weight", (self.size, self.size, x.shape[3], self.channels), He())
        y = graph.contract(seen, weight, "bhwckl,klco->bhwo")
        bias = scope.parameter("bias", (self.channels,), Constant(0.0))
        return cr.relu(y + graph.broadcast_to(bias, y.shape))


@dataclass(frozen=True)
class Pooling:
    """The largest of each 2×2."""

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        return graph.max(graph.window(inputs[0], [1, 2], [2, 2], [2, 2]), [-2, -1])


@dataclass(frozen=True)
class Attention:
    """softmax(QKᵀ/√d)·V for the last place of a sequence, (batch, time, features) -> (batch, units)."""

    units: int

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        (x,) = inputs
        time = x.shape[1]
        query, key, value = (
            scope.apply(cr.Dense(self.units, bias=False), part, name=name)
            for name, part in (("query", x[:, time - 1]), ("key", x[:, : time - 1]), ("value", x[:, : time - 1]))
        )
        scores = graph.contract(query, key, "bd,btd->bt") / self.units**0.5
        return graph.contract(cr.softmax(scores), value, "bt,btd->bd")


@dataclass(frozen=True)
class LSTM:
    """A long short-term memory, (batch, time, features) -> (batch, units): the state after the last step."""

    units: int

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        (x,) = inputs
        batch, units = x.shape[0], self.units
        w = scope.parameter("input_weight", (x.shape[2], 4 * units), Glorot())
        u = scope.parameter("state_weight", (units, 4 * units), Glorot())
        b = scope.parameter("bias", (4 * units,), Constant(0.5))

        def cell(carries: list[cr.Node], slices: list[cr.Node]) -> tuple[list[cr.Node], list[cr.Node]]:
            h, c = carries
            z = slices[0] @ w + h @ u + graph.broadcast_to(b, (batch, 4 * units))
            i, f, g, o = (z[:, n * units : (n + 1) * units] for n in range(4))
            c = cr.sigmoid(f) * c + cr.sigmoid(i) * cr.tanh(g)
            return [cr.sigmoid(o) * cr.tanh(c), c], []

        start = graph.full((batch, units), 0, x.dtype)
        (h, _), _ = graph.scan(cell, [start, start], [graph.transpose(x, [1, 0, 2])])
        return h


def recall(count: int, seed: str) -> cr.data.Dataset:
    """Four keys, each with a digit, in any order, and then a key that is asked for: its digit is the answer."""
    key = Key(0, seed)
    order = np.argsort(key.child("order").uniform((count, 4)), axis=1)
    digits = (key.child("digits").uniform((count, 4)) * 5).astype(int)
    asked = (key.child("asked").uniform((count,)) * 4).astype(int)
    x = np.zeros((count, 5, 9), np.float32)
    rows, places = np.ogrid[:count, :4]
    x[rows, places, order] = 1
    x[rows, places, 4 + digits] = 1
    x[np.arange(count), 4, asked] = 1
    answer = digits[np.arange(count), np.argmax(order == asked[:, None], axis=1)]
    return cr.data.from_arrays(x, answer)


def first_and_last(count: int, seed: str) -> cr.data.Dataset:
    """Eight bits: are the first and the last the same?"""
    bits = (Key(0, seed).uniform((count, 8, 1)) < 0.5).astype(np.float32)
    return cr.data.from_arrays(bits * 2 - 1, (bits[:, 0, 0] == bits[:, -1, 0]).astype(int))


def test_a_convolutional_network_learns_digits() -> None:
    """97.5 % of the test digits after 6 epochs."""
    train, test = cr.data.load("digits", images=True)
    model = cr.Chain(Convolution(8), Pooling(), Convolution(16), Pooling(), cr.Flatten(), cr.Dense(10))
    run = cr.fit(model, train, epochs=6)
    shapes = [layer.output[1:] for layer in run.layers if layer.depth == 1]
    assert shapes[:4] == [(8, 8, 8), (4, 4, 8), (4, 4, 16), (2, 2, 16)]
    assert run.evaluate(test)["accuracy"] >= 0.97
    assert run.check(test, samples=3).passed


def test_an_attention_block_learns_to_recall() -> None:
    """Every one of 500 new sequences; a guess would get one in five."""
    run = cr.fit(
        cr.Chain(Attention(16), cr.Dense(5)),
        recall(1500, "train"),
        epochs=15,
        optimizer=cr.optimizers.Adam(0.02),
    )
    assert run.evaluate(recall(500, "test"))["accuracy"] >= 0.99
    assert sorted(run.parameters) == ["0.key.weight", "0.query.weight", "0.value.weight", "1.bias", "1.weight"]
    assert run.check(recall(4, "check")).passed


def test_without_attention_the_recall_is_not_learned() -> None:
    """The task asks for attention: the mean over time, in its place, does not know which digit belongs to which key."""

    def mean(x: cr.Node) -> cr.Node:
        return graph.sum(x, 1) / float(x.shape[1])

    run = cr.fit(
        cr.Chain(mean, cr.Dense(32, cr.relu), cr.Dense(5)),
        recall(1500, "train"),
        epochs=15,
        optimizer=cr.optimizers.Adam(0.02),
    )
    assert run.evaluate(recall(500, "test"))["accuracy"] < 0.7


def test_an_lstm_learns_to_remember() -> None:
    """All of 300 new sequences: the first of eight bits has to be kept until the last."""
    run = cr.fit(
        cr.Chain(LSTM(8), cr.Dense(1)),
        first_and_last(600, "train"),
        loss=cr.losses.binary_cross_entropy,
        epochs=25,
        optimizer=cr.optimizers.Adam(0.03),
    )
    assert run.evaluate(first_and_last(300, "test"))["accuracy"] >= 0.99
    assert run.check(first_and_last(4, "check")).passed


@pytest.mark.parametrize("layer", [Convolution(3), Attention(4), LSTM(3)])
def test_such_a_layer_is_saved_and_loaded(layer: object, tmp_path: object) -> None:
    data = (
        cr.data.load("digits", images=True)[0].subset(range(40)) if isinstance(layer, Convolution) else recall(40, "s")
    )
    last = [cr.Flatten()] if isinstance(layer, Convolution) else []
    assert data.classes is not None
    run = cr.fit(cr.Chain(layer, *last, cr.Dense(len(data.classes))), data, epochs=1)  # type: ignore[arg-type]
    again = cr.load(run.save(str(tmp_path)), custom=[type(layer)])
    np.testing.assert_array_equal(again.outputs(data.inputs), run.outputs(data.inputs))
