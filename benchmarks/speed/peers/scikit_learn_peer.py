"""scikit-learn: the network's own partial_fit, a batch a call."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks.speed.workload import Array, Given, Workload

DTYPE = "float32"


def refuses(workload: Workload) -> str:
    """Why it cannot do this workload, or nothing."""
    if workload.normalized or workload.dropout:
        return "it has no batch normalization or dropout"
    if workload.output:
        return "its regression has a linear last layer only"
    if workload.sizes[-1] == 2:
        return "of two classes it makes one unit"
    return ""


def network(given: Given) -> Any:
    """The classifier of a workload, with the parameters given."""
    workload = given.workload
    kind = workload.update.kind
    model = MLPClassifier(
        hidden_layer_sizes=workload.sizes[1:-1],
        activation={"relu": "relu", "sigmoid": "logistic"}[workload.hidden],
        solver="adam" if kind == "adam" else "sgd",
        alpha=0.0,
        batch_size=workload.batch,
        learning_rate_init=workload.update.rate,
        momentum=0.9 if kind == "momentum" else 0.0,
        nesterovs_momentum=False,
    )
    few = slice(workload.batch)
    model.partial_fit(given.inputs[few], given.labels[few], classes=np.unique(given.labels))
    for (weight, bias), to_weight, to_bias in zip(given.layers, model.coefs_, model.intercepts_, strict=True):
        to_weight[...], to_bias[...] = weight, bias
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
