"""scikit-learn: the network's own partial_fit, a batch a call."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.speed.network import Activation, Dense
from benchmarks.speed.workload import Array, Given, Workload

DTYPE = "float32"


def refuses(workload: Workload, **options: Any) -> str:
    """Why it cannot do this workload, or nothing."""
    kinds = {type(layer) for layer, _ in workload.layers}
    if not kinds <= {Dense, Activation}:
        others = sorted(kind.__name__ for kind in kinds - {Dense, Activation})
        return f"it has dense layers alone, and no {', '.join(others)}"
    if not isinstance(workload.network[-1], Dense):
        return "its regression has a linear last layer only"
    if workload.outputs == (2,):
        return "of two classes it makes one unit"
    return ""


def network(given: Given) -> Any:
    """The classifier of a workload, with the parameters given."""
    workload = given.workload
    kind = workload.update.kind
    (hidden,) = {layer.kind for layer in workload.network if isinstance(layer, Activation)}
    model = MLPClassifier(
        hidden_layer_sizes=[layer.units for layer in workload.network if isinstance(layer, Dense)][:-1],
        activation={"relu": "relu", "sigmoid": "logistic"}[hidden],
        solver="adam" if kind == "adam" else "sgd",
        alpha=0.0,
        batch_size=workload.batch,
        learning_rate_init=workload.update.rate,
        momentum=0.9 if kind == "momentum" else 0.0,
        nesterovs_momentum=False,
    )
    few = slice(workload.batch)
    model.partial_fit(given.inputs[few], given.labels[few], classes=np.unique(given.labels))
    own = [array for pair in zip(model.coefs_, model.intercepts_, strict=True) for array in pair]
    for array, first in zip(own, given.parameters, strict=True):
        array[...] = first
    del model._optimizer  # made anew by the next call: nothing is left of the step above
    return model


class Runner:
    """A classifier in training."""

    def __init__(self, given: Given, *, threads: int = 1) -> None:
        self.limits = threadpool_limits(threads, user_api="blas")
        self.model, self.inputs, self.labels = network(given), given.inputs, given.labels

    def order(self, indices: Array) -> Array:
        """Indices as they are."""
        return indices

    def run(self, order: Array) -> list[float]:
        """Step after step."""
        losses = []
        for index in order:
            self.model.partial_fit(self.inputs[index], self.labels[index])
            losses.append(self.model.loss_)
        return losses
