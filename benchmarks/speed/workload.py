"""A workload in words that every peer can build from, and the parameters and batches that all of them are given."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed import network as networks
from benchmarks.speed.network import Activation, Dense, Dropout, Layer, Network, Normalization, Parameter, Shape

Array = NDArray[Any]
#: Normalization, the same for all: what is added to the variance, and how much of a running mean is kept.
EPSILON, KEPT = 1e-5, 0.9


@dataclass(frozen=True)
class Update:
    """How parameters move: plain descent, momentum 0.9, or Adam with its usual numbers."""

    kind: Literal["plain", "momentum", "adam"]
    rate: float
    #: The global norm to which gradients are clipped, and the steps in which a cosine takes the rate to 0; 0 for none.
    clip: float = 0.0
    cosine: int = 0


@dataclass(frozen=True)
class Workload:
    """A network and its training.

    ``shape`` is that of a sample, ``words`` say the network in short. With cross-entropy, the targets are a label for
    each place of the logits; with the squared error, the inputs themselves. ``bar`` and ``aim`` are ratios to the best
    peer of the same run, ``compared`` how many of the first losses have to be alike.
    """

    name: str
    words: str
    shape: Shape
    network: Network
    update: Update
    batch: int
    bar: float
    aim: float
    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    data: Literal["digits", "points", "images", "text"] = "digits"
    compared: int = 100

    @property
    def operations(self) -> int:
        """Operations of the matrix products of a step: forward, to the weights, and to all inputs but the data."""
        return self.batch * networks.operations(self.network, self.shape)

    @property
    def parameters(self) -> list[Parameter]:
        """What is learned, in the order that all peers are given it in."""
        return networks.parameters(self.network, self.shape)

    @property
    def layers(self) -> list[tuple[Layer, Shape]]:
        """Each layer with the shape that comes in, those inside of others too."""
        return list(networks.everywhere(self.network, self.shape))

    @property
    def is_plain(self) -> bool:
        """Whether it is a stack of dense layers: the rows that all libraries have, and those for the record."""
        return all(isinstance(layer, Dense | Normalization | Activation | Dropout) for layer, _ in self.layers)

    @property
    def outputs(self) -> Shape:
        """The shape of what comes out for a sample."""
        return networks.output(self.network, self.shape)

    def without_dropout(self) -> Workload:
        """The same, so that the losses of all peers can be compared number by number."""
        return replace(self, network=networks.without_dropout(self.network))

    def __str__(self) -> str:
        update = {"plain": "plain descent", "momentum": "momentum", "adam": "Adam"}[self.update.kind]
        update += ", global norm clipped" * (self.update.clip > 0) + ", cosine schedule" * (self.update.cosine > 0)
        return f"{self.words}, {update}, batch {self.batch}"


@dataclass(frozen=True)
class Given:
    """What every peer starts from: the same data, and the same first parameters in the order of the workload's."""

    workload: Workload
    inputs: Array
    labels: Array
    parameters: list[Array]


def first_parameters(workload: Workload) -> list[Array]:
    """Weights of variance 2/(inputs) in a network of ReLU and 1/(inputs) otherwise; biases and shifts 0, scales 1."""
    random = np.random.default_rng(7)
    gain = 2.0 if any(layer == Activation("relu") for layer, _ in workload.layers) else 1.0
    return [
        (random.standard_normal(p.shape) * math.sqrt(gain / p.inputs)).astype(np.float32)
        if p.inputs
        else np.full(p.shape, p.start, np.float32)
        for p in workload.parameters
    ]


def batches(workload: Workload, samples: int, steps: int, seed: int = 0) -> Array:
    """The indices of many steps, (steps, batch), epoch after epoch in a new order; the same for every peer."""
    random = np.random.default_rng([11, seed])
    wanted = steps * workload.batch
    orders: list[Array] = []
    while sum(map(len, orders)) < wanted:
        orders.append(random.permutation(samples))
    return np.concatenate(orders)[:wanted].reshape(steps, workload.batch).astype(np.int32)


def missing(workload: Workload, known: Collection[type[Layer]]) -> str:
    """Why a peer that knows these descriptors cannot build the network, or nothing."""
    names = sorted({type(layer).__name__ for layer, _ in workload.layers if type(layer) not in known})
    return f"it is not written here for {', '.join(names)}" if names else ""
