"""A network in words: small descriptors of layers, which each peer maps to layers of its own.

Shapes are those of a sample, channels last. A layer lists what it learns in the order and the layout that all peers are
given it in; a peer whose library keeps it in another layout turns it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """An array that is learned. It starts with normal numbers whose variance is a gain / ``inputs``, or as a value."""

    shape: Shape
    inputs: int = 0
    start: float = 0.0


@dataclass(frozen=True)
class Layer:
    """What each descriptor says of itself; as it stands here, of one that learns nothing and keeps the shape."""

    def parameters(self, shape: Shape) -> list[Parameter]:
        """What it learns, given samples of this shape."""
        return []

    def output(self, shape: Shape) -> Shape:
        """The shape of what comes out."""
        return shape

    def products(self, shape: Shape) -> int:
        """Multiplications of the matrix products of a sample, forward."""
        return 0

    def operations(self, shape: Shape, reached: bool) -> int:
        """Operations of the matrix products of a sample, forward and backward.

        A multiplication and an addition, for the outputs, for the gradients of the weights, and for those of the
        inputs, if these are ``reached`` by a gradient: data are not.
        """
        return 2 * self.products(shape) * (3 if reached else 2)


Network = tuple[Layer, ...]


@dataclass(frozen=True)
class Dense(Layer):
    """x·W + b along the last axis: weight (inputs, units), bias."""

    units: int

    def parameters(self, shape: Shape) -> list[Parameter]:
        return [Parameter((shape[-1], self.units), shape[-1]), Parameter((self.units,))]

    def output(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units)

    def products(self, shape: Shape) -> int:
        return math.prod(shape) * self.units


@dataclass(frozen=True)
class Convolution(Layer):
    """A square kernel over (height, width, channels), padded by kernel // 2 on all sides: weight (kernel, kernel,
    channels in, channels), and a bias if there is one.

    Taps that see the padding are counted as operations, as papers on networks count them.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    bias: bool = True

    def parameters(self, shape: Shape) -> list[Parameter]:
        inputs = self.kernel**2 * shape[-1]
        weight = Parameter((self.kernel, self.kernel, shape[-1], self.channels), inputs)
        return [weight, *([Parameter((self.channels,))] if self.bias else [])]

    def output(self, shape: Shape) -> Shape:
        height, width = ((size - 1) // self.stride + 1 for size in shape[:2])
        return height, width, self.channels

    def products(self, shape: Shape) -> int:
        return math.prod(self.output(shape)) * self.kernel**2 * shape[-1]


@dataclass(frozen=True)
class MaxPool(Layer):
    """The largest of each square of (height, width), side by side."""

    size: int = 2

    def output(self, shape: Shape) -> Shape:
        return shape[0] // self.size, shape[1] // self.size, shape[2]


@dataclass(frozen=True)
class Normalization(Layer):
    """Mean 0 and variance 1 of each feature over the batch, or of each place over its features: scale, shift."""

    over: Literal["batch", "features"] = "batch"

    def parameters(self, shape: Shape) -> list[Parameter]:
        return [Parameter(shape[-1:], start=1.0), Parameter(shape[-1:])]


@dataclass(frozen=True)
class Activation(Layer):
    """An elementwise function; gelu is the form with tanh."""

    kind: Literal["relu", "sigmoid", "gelu"]


@dataclass(frozen=True)
class Dropout(Layer):
    """Elements left out in training, the others divided by 1 - rate."""

    rate: float


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes in one, in the order (height, width, channels)."""

    def output(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


@dataclass(frozen=True)
class GlobalAverage(Layer):
    """The mean of each channel over all places."""

    def output(self, shape: Shape) -> Shape:
        return shape[-1:]


@dataclass(frozen=True)
class Embedding(Layer):
    """A row of numbers for each symbol: (time,) -> (time, width)."""

    symbols: int
    width: int

    def parameters(self, shape: Shape) -> list[Parameter]:
        return [Parameter((self.symbols, self.width), self.width)]

    def output(self, shape: Shape) -> Shape:
        return (*shape, self.width)


@dataclass(frozen=True)
class Positions(Layer):
    """A row of numbers added at each of ``length`` places: (length, width)."""

    length: int

    def parameters(self, shape: Shape) -> list[Parameter]:
        return [Parameter((self.length, shape[-1]), shape[-1])]


@dataclass(frozen=True)
class _Recurrent(Layer):
    """Gates of a sum of what comes in and of what came out before; the output of each step, or of the last.

    weight (inputs, gates, units), bias, recurrent weight (units, gates, units).
    """

    units: int
    each: bool = False

    gates: ClassVar[int]
    biases: ClassVar[int]

    def parameters(self, shape: Shape) -> list[Parameter]:
        return [
            Parameter((shape[-1], self.gates, self.units), shape[-1]),
            Parameter((self.biases, self.units)),
            Parameter((self.units, self.gates, self.units), self.units),
        ]

    def output(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.units) if self.each else (self.units,)

    def operations(self, shape: Shape, reached: bool) -> int:
        time, inputs = shape
        outside, inside = (2 * time * size * self.gates * self.units for size in (inputs, self.units))
        return outside * (3 if reached else 2) + inside * 3


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """Gates input, forget, cell, output; one bias a gate."""

    gates = 4
    biases = 4


@dataclass(frozen=True)
class GRU(_Recurrent):
    """Gates reset, update, new; one bias a gate, and a fourth of what is reset: n = tanh(a + r·(h·U + b₃))."""

    gates = 3
    biases = 4


@dataclass(frozen=True)
class Attention(Layer):
    """Scaled dot products of several heads, each place seeing itself and those before it.

    weight (width, 3·width) of queries, keys and values, each head after head, bias; output weight (width, width), bias.
    """

    heads: int

    def parameters(self, shape: Shape) -> list[Parameter]:
        width = shape[-1]
        return [
            *(Parameter((width, 3 * width), width), Parameter((3 * width,))),
            *(Parameter((width, width), width), Parameter((width,))),
        ]

    def products(self, shape: Shape) -> int:
        time, width = shape
        return 4 * time * width * width + 2 * time * time * width


@dataclass(frozen=True)
class Residual(Layer):
    """F(x) + P(x): the parameters of F, the ``block``, then those of P, the ``projection``; without one P(x) is x."""

    block: Network
    projection: Network = ()

    def parameters(self, shape: Shape) -> list[Parameter]:
        return [*parameters(self.block, shape), *parameters(self.projection, shape)]

    def output(self, shape: Shape) -> Shape:
        return output(self.block, shape)

    def operations(self, shape: Shape, reached: bool) -> int:
        return operations(self.block, shape, reached) + operations(self.projection, shape, reached)


# ---- of a whole network ---------------------------------------------------------------------------------------------


def walk(network: Network, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Each layer with the shape that comes in."""
    for layer in network:
        yield layer, shape
        shape = layer.output(shape)


def output(network: Network, shape: Shape) -> Shape:
    """The shape of what comes out."""
    for layer in network:
        shape = layer.output(shape)
    return shape


def parameters(network: Network, shape: Shape) -> list[Parameter]:
    """What is learned, layer after layer."""
    return [parameter for layer, given in walk(network, shape) for parameter in layer.parameters(given)]


def operations(network: Network, shape: Shape, reached: bool = False) -> int:
    """Operations of a sample, forward and backward, see `Layer.operations`."""
    total = 0
    for layer, given in walk(network, shape):
        total += layer.operations(given, reached)
        reached = reached or bool(layer.parameters(given))
    return total


def everywhere(network: Network, shape: Shape) -> Iterator[tuple[Layer, Shape]]:
    """Each layer with the shape that comes in, and after it those inside of it, in the order of their parameters."""
    for layer, given in walk(network, shape):
        yield layer, given
        if isinstance(layer, Residual):
            yield from everywhere(layer.block, given)
            yield from everywhere(layer.projection, given)


def without_dropout(network: Network) -> Network:
    """The same network, all elements kept."""
    return tuple(
        Residual(without_dropout(layer.block), without_dropout(layer.projection))
        if isinstance(layer, Residual)
        else layer
        for layer in network
        if not isinstance(layer, Dropout)
    )


# ---- networks that several rows share -------------------------------------------------------------------------------


def stack(
    units: Sequence[int],
    hidden: Literal["relu", "sigmoid"] = "relu",
    *,
    normalized: bool = False,
    dropout: float = 0.0,
) -> Network:
    """Dense layers; each but the last is normalized, goes through an activation and through dropout."""
    layers: list[Layer] = []
    for size in units[:-1]:
        layers += [Dense(size), *([Normalization()] if normalized else []), Activation(hidden)]
        layers += [Dropout(dropout)] if dropout else []
    return (*layers, Dense(units[-1]))


def residual_block(channels: int, stride: int = 1) -> Network:
    """Two convolutions, normalized, with a shortcut, which is a 1×1 convolution where the image is halved."""
    first = (Convolution(channels, 3, stride, bias=False), Normalization(), Activation("relu"))
    second = (Convolution(channels, 3, bias=False), Normalization())
    shortcut = (Convolution(channels, 1, stride, bias=False), Normalization()) if stride > 1 else ()
    return Residual((*first, *second), shortcut), Activation("relu")


def transformer_block(width: int, heads: int) -> Network:
    """Attention and a dense layer of four times the width within, each normalized first, with a shortcut around."""
    first = Normalization("features")
    inside = (first, Dense(4 * width), Activation("gelu"), Dense(width))
    return Residual((first, Attention(heads))), Residual(inside)
