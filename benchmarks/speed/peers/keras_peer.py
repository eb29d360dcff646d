"""Keras on JAX: its own fit over the samples in their order, for the record."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

from benchmarks.speed.network import Activation, Dense, Dropout, Layer, Normalization
from benchmarks.speed.workload import EPSILON, KEPT, Array, Given, Workload

DTYPE = "float32"


#: From descriptors to layers.
LAYERS: dict[type[Layer], Callable[[Any], Any]] = {
    Dense: lambda layer: keras.layers.Dense(layer.units),
    Normalization: lambda layer: keras.layers.BatchNormalization(momentum=KEPT, epsilon=EPSILON),
    Activation: lambda layer: keras.layers.Activation(layer.kind),
    Dropout: lambda layer: keras.layers.Dropout(layer.rate),
}


def network(given: Given) -> Any:
    """The network of a workload, with the parameters given."""
    workload = given.workload
    layers: list[Any] = [keras.Input(workload.shape), *(LAYERS[type(layer)](layer) for layer in workload.network)]
    model = keras.Sequential(layers)
    for variable, array in zip(model.trainable_variables, given.parameters, strict=True):
        variable.assign(array)
    rate = workload.update.rate
    if workload.update.kind == "adam":
        optimizer: Any = keras.optimizers.Adam(rate, epsilon=1e-8)
    else:
        optimizer = keras.optimizers.SGD(rate, momentum=0.9 if workload.update.kind == "momentum" else 0.0)
    loss: Any = "mean_squared_error"
    if workload.loss == "cross_entropy":
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


def refuses(workload: Workload, **options: Any) -> str:
    """Why it does not do this workload, or nothing."""
    plain = workload.is_plain and not workload.update.clip
    return "" if plain else "it stands here for the record, by plainer rows"


class Runner:
    """A model in training."""

    def __init__(self, given: Given) -> None:
        self.model, self.given = network(given), given
        self.targets = given.labels if given.workload.loss == "cross_entropy" else given.inputs

    def order(self, indices: Array) -> Any:
        """The samples in their order: what fit takes."""
        rows = indices.ravel()
        return self.given.inputs[rows], self.targets[rows]

    def run(self, order: Any) -> list[float]:
        """One call of fit; it tells the running mean of the losses, from which each is found again."""
        means: list[float] = []

        keep = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: means.append(float(logs["loss"])))
        few = len(order[0]) <= 100 * self.given.workload.batch
        inputs, targets = order
        size = self.given.workload.batch
        self.model.fit(
            inputs, targets, batch_size=size, shuffle=False, verbose=0, callbacks=[keep] if few else [], epochs=1
        )
        sums = np.array(means) * np.arange(1, len(means) + 1)
        return list(np.diff(sums, prepend=0.0))
