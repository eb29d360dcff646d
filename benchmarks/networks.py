"""Training steps of larger networks, written with the op list alone: what the engines are measured with.

Each function gives the graph of one step and the first values of its inputs. Outputs that are named like an input are
that input's next value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node, scope
from chainrule.graph.composites import mean, sqrt

Array = NDArray[Any]
EPSILON = 1e-5


@dataclass
class Network:
    """A step being written: its parameters, with their first values, and what else it is given."""

    seed: int = 0
    parameters: dict[str, Node] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    def parameter(self, name: str, *shape: int, fan_in: int = 0) -> Node:
        """A parameter: normal, with variance 2/fan_in; ones for a scale, zeros for the rest."""
        random = np.random.default_rng([self.seed, len(self.parameters)])
        if fan_in:
            self.arrays[name] = random.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        else:
            self.arrays[name] = np.full(shape, float(name.endswith("scale")), np.float32)
        self.parameters[name] = g.input(name, shape)
        return self.parameters[name]

    def given(self, name: str, array: Array) -> Node:
        """Something that the step is given: data, labels."""
        self.arrays[name] = array
        return g.input(name, array.shape, array.dtype.name)

    def dense(self, name: str, x: Node, units: int) -> Node:
        """x·W + b along the last axis."""
        w = self.parameter(f"{name}.weight", x.shape[-1], units, fan_in=x.shape[-1])
        b = self.parameter(f"{name}.bias", units)
        letters = "bthd"[: x.rank - 1]
        return g.contract(x, w, f"{letters}i,io->{letters}o") + _along_last(b, x.shape[:-1])

    def convolution(self, name: str, x: Node, channels: int, stride: int = 1, size: int = 3) -> Node:
        """A square kernel over (batch, height, width, channels), padded so that a stride of 1 keeps the size."""
        around = size // 2
        w = self.parameter(f"{name}.weight", size, size, x.shape[3], channels, fan_in=size * size * x.shape[3])
        padded = g.pad(x, [0, around, around, 0], [0, around, around, 0])
        return g.contract(g.window(padded, [1, 2], [size, size], [stride, stride]), w, "bhwcij,ijco->bhwo")

    def normalized(self, name: str, x: Node, axes: Sequence[int]) -> Node:
        """(x − mean)/√(variance + ε)·scale + shift, the mean over some axes: of the batch, or of a layer."""
        centered = x - g.broadcast_like(mean(x, axes), x, axes)
        inverse = g.power(mean(centered * centered, axes) + EPSILON, -0.5)
        scale, shift = self.parameter(f"{name}.scale", x.shape[-1]), self.parameter(f"{name}.shift", x.shape[-1])
        normal = centered * g.broadcast_like(inverse, x, axes)
        return normal * _along_last(scale, x.shape[:-1]) + _along_last(shift, x.shape[:-1])


def _along_last(x: Node, shape: Sequence[int]) -> Node:
    return g.broadcast(x, range(len(shape)), shape)


def relu(x: Node) -> Node:
    """max(x, 0)."""
    return g.select(g.le(x, 0), 0, x)


def cross_entropy(logits: Node, labels: Node) -> Node:
    """The mean of −log softmax(logits)[label], over all axes but the last."""
    last = logits.rank - 1
    highest = g.stop_gradient(g.max(logits, last))
    total = g.log(g.sum(g.exp(logits - g.broadcast_like(highest, logits, last)), last)) + highest
    return mean(total - g.gather(logits, labels, axis=last, batch=last))


def momentum(network: Network, loss: Node, rate: float = 0.1, decay: float = 0.9) -> dict[str, Node]:
    """v ← decay·v + gradient; p ← p − rate·v."""
    outputs = {"loss": loss}
    names = list(network.parameters)
    for name, slope in zip(names, gradients(loss, list(network.parameters.values())), strict=True):
        old = network.given(f"velocity/{name}", np.zeros(slope.shape, np.float32))
        outputs[f"velocity/{name}"] = velocity = old * decay + slope
        step = network.given("rate", np.asarray(rate, np.float32))
        outputs[name] = network.parameters[name] - velocity * g.broadcast_to(step, slope.shape)
    return outputs


def adam(network: Network, loss: Node, rate: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999) -> dict[str, Node]:
    """Adam, its corrections for the start included."""
    outputs = {"loss": loss}
    step = network.given("step", np.zeros((), np.float32)) + 1
    outputs["step"] = step
    # βᵗ as an exponential, since a power has a fixed exponent.
    first, second = (1 - g.exp(step * float(np.log(beta))) for beta in (beta1, beta2))
    factor = network.given("rate", np.asarray(rate, np.float32)) * sqrt(second) / first
    names = list(network.parameters)
    for name, slope in zip(names, gradients(loss, list(network.parameters.values())), strict=True):
        m, v = (network.given(f"{kind}/{name}", np.zeros(slope.shape, np.float32)) for kind in ("m", "v"))
        outputs[f"m/{name}"] = m = m * beta1 + slope * (1 - beta1)
        outputs[f"v/{name}"] = v = v * beta2 + slope * slope * (1 - beta2)
        outputs[name] = network.parameters[name] - m / (sqrt(v) + 1e-8) * g.broadcast_to(factor, slope.shape)
    return outputs


Step = tuple[Graph, dict[str, Array]]
Update = Callable[[Network, Node], dict[str, Node]]


def perceptron(batch: int = 32, sizes: Sequence[int] = (784, 300, 10), update: Update = momentum) -> Step:
    """Dense layers with a sigmoid in between."""
    random = np.random.default_rng(0)
    network = Network()
    with Build() as build:
        x = network.given("x", random.random((batch, sizes[0]), np.float32))
        labels = network.given("labels", random.integers(0, sizes[-1], batch, np.int32))
        for place, units in enumerate(sizes[1:]):
            with scope(str(place)):
                x = network.dense(f"{place}", x, units)
                x = g.sigmoid(x) if place < len(sizes) - 2 else x
        return Graph.of(update(network, cross_entropy(x, labels)), build), network.arrays


def residual(batch: int = 32, blocks: int = 3, widths: Sequence[int] = (16, 32, 64), size: int = 32) -> Step:
    """A residual network for small images: 6·blocks + 2 layers, batch normalization after each convolution."""
    random = np.random.default_rng(0)
    network = Network()
    over_batch = (0, 1, 2)
    with Build() as build:
        images = network.given("x", random.integers(0, 256, (batch, size, size, 3), np.uint8))
        labels = network.given("labels", random.integers(0, 10, batch, np.int32))
        x = g.cast(images, "float32") * (1 / 255) - 0.5
        x = relu(network.normalized("first", network.convolution("first", x, widths[0]), over_batch))
        for stage, width in enumerate(widths):
            for block in range(blocks):
                name, stride = f"{stage}.{block}", 2 if stage and not block else 1
                with scope(name):
                    y = network.normalized(f"{name}.a", network.convolution(f"{name}.a", x, width, stride), over_batch)
                    y = network.normalized(f"{name}.b", network.convolution(f"{name}.b", relu(y), width), over_batch)
                    if stride == 2:
                        # The way past the block: every second pixel, and zeros for the channels that are new.
                        more = width - x.shape[3]
                        x = g.pad(x[:, ::2, ::2], [0, 0, 0, more // 2], [0, 0, 0, more - more // 2])
                    x = relu(x + y)
        logits = network.dense("last", mean(x, (1, 2)), 10)
        return Graph.of(momentum(network, cross_entropy(logits, labels)), build), network.arrays


def transformer(
    batch: int = 16, length: int = 64, layers: int = 4, width: int = 128, heads: int = 4, symbols: int = 96
) -> Step:
    """A language model on characters: causal attention, layer normalization first, four times the width within."""
    random = np.random.default_rng(0)
    network = Network()
    with Build() as build:
        symbols_in = network.given("x", random.integers(0, symbols, (batch, length), np.int32))
        labels = network.given("labels", random.integers(0, symbols, (batch, length), np.int32))
        table = network.parameter("table", symbols, width, fan_in=width)
        places = network.parameter("places", length, width, fan_in=width)
        x = g.gather(table, symbols_in) + g.broadcast(places, [0], [batch])
        for layer in range(layers):
            with scope(str(layer)):
                x = x + _attention(network, f"{layer}.attention", network.normalized(f"{layer}.first", x, (2,)), heads)
                inside = network.dense(f"{layer}.in", network.normalized(f"{layer}.second", x, (2,)), 4 * width)
                gelu = inside * 0.5 * (1 + g.erf(inside * 0.5**0.5))
                x = x + network.dense(f"{layer}.out", gelu, width)
        logits = network.dense("last", network.normalized("last", x, (2,)), symbols)
        return Graph.of(adam(network, cross_entropy(logits, labels)), build), network.arrays


def _attention(network: Network, name: str, x: Node, heads: int) -> Node:
    batch, length, width = x.shape
    size = width // heads
    q, k, v = (g.reshape(network.dense(f"{name}.{part}", x, width), (batch, length, heads, size)) for part in "qkv")
    scores = g.contract(q, k, "bqhd,bkhd->bhqk") * size**-0.5
    row, column = (g.broadcast(g.iota(length, "int32"), [1 - axis], [length]) for axis in (0, 1))
    later = g.broadcast(g.lt(row, column), [0, 1], [batch, heads])
    scores = g.select(later, -1e9, scores)
    parts = g.exp(scores - g.broadcast_like(g.stop_gradient(g.max(scores, 3)), scores, 3))
    weights = parts / g.broadcast_like(g.sum(parts, 3), parts, 3)
    mixed = g.reshape(g.contract(weights, v, "bhqk,bkhd->bqhd"), (batch, length, width))
    return network.dense(f"{name}.mixed", mixed, width)


STEPS: dict[str, Callable[[], Step]] = {
    "perceptron": perceptron,
    "residual": residual,
    "transformer": transformer,
}
