"""A workload in words that every peer can build from, and the arrays that all of them are given alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
#: Batch normalization, the same for all: what is added to the variance, and how much of a running mean is kept.
EPSILON, KEPT = 1e-5, 0.9
SAMPLES = 60_000


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
    """A stack of dense layers and its training.

    ``hidden`` is the activation between, ``output`` that of the last layer ("" for logits); ``normalized`` puts batch
    normalization before each hidden activation, and ``dropout`` follows it. ``bar`` and ``aim`` are ratios to the
    best peer of the same run.
    """

    name: str
    sizes: tuple[int, ...]
    update: Update
    batch: int
    bar: float
    aim: float
    hidden: Literal["relu", "sigmoid"] = "relu"
    output: Literal["", "sigmoid"] = ""
    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    normalized: bool = False
    dropout: float = 0.0
    data: Literal["digits", "points"] = "digits"

    @property
    def operations(self) -> int:
        """Operations of the matrix products of a step: forward, to the weights, and to all inputs but the data."""
        products = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the parameters: each layer's weight (inputs, units), bias, and, if normalized, scale, shift."""
        found: list[tuple[int, ...]] = []
        for place, (inputs, units) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            found += [(inputs, units), (units,)]
            if self.normalized and place < len(self.sizes) - 2:
                found += [(units,), (units,)]
        return found

    def without_dropout(self) -> Workload:
        """The same, so that the losses of all peers can be compared number by number."""
        return replace(self, dropout=0.0)

    def __str__(self) -> str:
        extra = " + batch norm" * self.normalized + f" + dropout {self.dropout}" * (self.dropout > 0)
        update = {"plain": "plain descent", "momentum": "momentum", "adam": "Adam"}[self.update.kind]
        update += ", global norm clipped" * (self.update.clip > 0) + ", cosine schedule" * (self.update.cosine > 0)
        return f"{'-'.join(map(str, self.sizes))} {self.hidden}{extra}, {update}, batch {self.batch}"


@dataclass(frozen=True)
class Given:
    """What every peer starts from: the same data, and the same first parameters in the order of `Workload.shapes`."""

    workload: Workload
    inputs: Array
    labels: Array
    parameters: list[Array]

    @property
    def layers(self) -> list[list[Array]]:
        """The parameters, layer by layer."""
        starts = [place for place, array in enumerate(self.parameters) if array.ndim == 2]
        return [self.parameters[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]


def first_parameters(workload: Workload) -> list[Array]:
    """Weights of variance 2/(inputs) before ReLU and 1/(inputs) otherwise; biases and shifts 0, scales 1."""
    random = np.random.default_rng(7)
    gain = 2.0 if workload.hidden == "relu" else 1.0
    found: list[Array] = []
    for place, shape in enumerate(workload.shapes):
        if len(shape) == 2:
            found.append((random.standard_normal(shape) * math.sqrt(gain / shape[0])).astype(np.float32))
        else:
            is_scale = len(workload.shapes[place - 1]) == 1 and len(workload.shapes[place - 2]) == 2
            found.append(np.full(shape, float(workload.normalized and is_scale), np.float32))
    return found


def batches(workload: Workload, samples: int, steps: int, seed: int = 0) -> Array:
    """The indices of many steps, (steps, batch), epoch after epoch in a new order; the same for every peer."""
    random = np.random.default_rng([11, seed])
    wanted = steps * workload.batch
    orders: list[Array] = []
    while sum(map(len, orders)) < wanted:
        orders.append(random.permutation(samples))
    return np.concatenate(orders)[:wanted].reshape(steps, workload.batch).astype(np.int32)


def write_data(folder: Path, kinds: Sequence[str]) -> str:
    """The data of these kinds as files that each process reads; says where they came from."""
    source = ""
    if "digits" in kinds:
        images, labels, source = _digits()
        np.save(folder / "digits-uint8.npy", images)
        np.save(folder / "digits-float32.npy", images.astype(np.float32) / np.float32(255))
        np.save(folder / "digits-labels.npy", labels)
    if "points" in kinds:
        random = np.random.default_rng(3)
        points = random.standard_normal((4096, 20)).astype(np.float32)
        np.save(folder / "points-float32.npy", points)
        np.save(folder / "points-labels.npy", (np.sin(points[:, 0]) + points[:, 1] * points[:, 2] > 0).astype(np.int32))
    return source


def read(folder: Path, workload: Workload, dtype: str = "float32") -> Given:
    """What `write_data` wrote, in the dtype that a peer is fastest with, if it is there in that."""
    path = folder / f"{workload.data}-{dtype}.npy"
    inputs = np.load(path if path.exists() else folder / f"{workload.data}-float32.npy")
    return Given(workload, inputs, np.load(folder / f"{workload.data}-labels.npy"), first_parameters(workload))


def _digits() -> tuple[Array, Array, str]:
    import chainrule as cr

    try:
        train, _ = cr.data.load("mnist")
    except cr.errors.ChainruleError:
        # The time of a step depends on the shapes alone; what is learned from noise still has to be alike for all.
        random = np.random.default_rng(5)
        images = random.integers(0, 256, (SAMPLES, 784), np.uint8)
        return images, random.integers(0, 10, SAMPLES, np.int32), "random numbers of MNIST's shapes (MNIST is not here)"
    assert train.labels is not None
    return np.ascontiguousarray(train.inputs.reshape(len(train), -1)), np.asarray(train.labels), "MNIST"
