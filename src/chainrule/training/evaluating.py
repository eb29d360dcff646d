"""Evaluation: what a step measures of each sample as means, and metrics of the outputs of the whole set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from chainrule.data import Dataset, Stream
from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError, DataError
from chainrule.graph import FLOATS, Node, scope
from chainrule.layers.scope import AnyLayer
from chainrule.losses import Loss
from chainrule.metrics import Metric
from chainrule.metrics.metric import OfClasses, OfNumbers
from chainrule.training.batch import Batch
from chainrule.training.feeding import Data
from chainrule.training.step import StepFunction, StepState

#: A list of metrics: objects, names, or functions of one's own of (targets, probabilities, weights).
Metrics: TypeAlias = Sequence[Metric | str | Callable[..., Any]]

#: What a measure may give beside numbers a sample, for metrics to read.
_OUTPUTS = ("outputs", "probabilities")


def with_outputs(measure: StepFunction, model: AnyLayer, loss: Loss, wanted: Sequence[str]) -> StepFunction:
    """A measure that gives the outputs of the model too: in one graph, so that they are computed once."""

    def both(state: StepState, batch: Batch) -> dict[str, Node]:
        logs, outputs = dict(measure(state, batch)), state.apply(model, batch.inputs)
        with scope("predict", absolute=True):
            found = {"outputs": outputs, "probabilities": loss.probabilities(outputs)}
        return logs | {name: found[name] for name in wanted}

    return both


def means(rows: Mapping[str, Array], weights: Array | None) -> dict[str, float]:
    """The weighted mean of each number a sample, in float64; outputs are no such numbers."""
    if weights is not None and not weights.any():
        raise DataError("all weights are 0, so no sample counts and there is nothing to take the mean of")
    rows = {name: row for name, row in rows.items() if row.ndim == 1 or name not in _OUTPUTS}
    for name, row in rows.items():
        if row.ndim != 1:
            raise ConfigurationError(f"{name!r} is measured as {list(row.shape)}: one number a sample is wanted")
    return {name: float(np.average(row.astype(np.float64), weights=weights)) for name, row in rows.items()}


def measured(
    metrics: Sequence[Metric],
    rows: Mapping[str, Array],
    given: Mapping[str, Array],
    restored: Callable[[Array], Array],
    classes: Sequence[str] | None,
) -> dict[str, float]:
    """Each metric of the whole set, under its name; predictions of numbers are ``restored`` to their own units."""
    found: dict[str, float] = {}
    for metric in metrics:
        outputs = said_of(rows, metric.on, metric.name)
        if "targets" not in given:
            raise DataError(f"{metric.name} needs targets, and the data have none")
        if metric.on == "probabilities" and classes is None and given["targets"].dtype.name in FLOATS:
            outputs = restored(outputs.astype(np.float64))
        value = metric(given["targets"], outputs, given.get("weights"))
        if isinstance(value, np.ndarray):
            names = classes if classes is not None and len(classes) == len(value) else range(len(value))
            found |= {f"{metric.name}[{name}]": float(one) for name, one in zip(names, value, strict=True)}
        else:
            found[metric.name] = value
    return found


def said_of(rows: Mapping[str, Array], name: str, who: str) -> Array:
    """The outputs that a metric is a function of."""
    if name not in rows:
        raise ConfigurationError(
            f"{who} is of {name}, and this step does not give them: let the function of its evaluation give "
            f'"{name}" too, (batch, …)'
        )
    return rows[name]


def refuse_other_metrics(metrics: Sequence[Metric], data: Data, supervised: bool) -> None:
    """Raise for a metric of classes where the targets are numbers, and the other way round: before anything is done."""
    whole = data.head if isinstance(data, Stream) else data
    if not supervised or not isinstance(whole, Dataset) or whole.targets is None:
        return
    for metric in metrics:
        if whole.symbolic:
            raise ConfigurationError(
                f"{metric.name} is of one target a sample, and these are a symbol to each position; the loss says how "
                "well they are told, in nats (divided by log 2, in bits)"
            )
        if isinstance(metric, OfNumbers) and whole.labels is not None:
            raise ConfigurationError(
                f"{metric.name} is a metric of numbers, and the targets are classes; for those there are accuracy, "
                "f1, roc_auc, log_loss and more"
            )
        if isinstance(metric, OfClasses) and whole.labels is None and data.classes is None:  # type: ignore[union-attr]
            raise ConfigurationError(
                f"{metric.name} is a metric of classes, and the targets are numbers; for those there are "
                "mean_absolute_error, root_mean_squared_error, r2 and more"
            )
