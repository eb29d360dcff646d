"""Targets, outputs and weights as the metrics count them: checked, in float64, and without what counts for nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import DataError

Floats = NDArray[np.float64]


class Answers(NamedTuple):
    """What is said of samples with classes."""

    labels: NDArray[np.int64]
    #: The class that is said.
    chosen: NDArray[np.int64]
    #: A number a class, (samples, classes); None where only the classes themselves are known.
    scores: NDArray[np.floating[Any]] | None
    weights: Floats
    classes: int
    #: Who asks, for messages.
    name: str

    def needed_scores(self) -> NDArray[np.floating[Any]]:
        """The scores; `DataError` where there are none."""
        if self.scores is None:
            raise DataError(f"{self.name} needs a score a class, (samples, classes), and the outputs are classes")
        return self.scores

    def counts(self) -> Floats:
        """The weight of the samples of class i for which class j is said, (classes, classes)."""
        places = self.labels * self.classes + self.chosen
        found: Floats = np.bincount(places, self.weights, minlength=self.classes**2).astype(np.float64)
        return found.reshape(self.classes, self.classes)


class Numbers(NamedTuple):
    """Targets and predictions, (samples, outputs) each."""

    targets: Floats
    predictions: Floats
    weights: Floats

    def mean(self, values: Floats) -> Floats:
        """Σᵢ wᵢ·vᵢ / Σᵢ wᵢ over the samples, an output each."""
        means: Floats = np.average(values, axis=0, weights=self.weights)
        return means


def read_classes(name: str, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None) -> Answers | None:
    """Labels and answers; None where an output is not finite, so that nothing can be said."""
    outputs = np.asarray(outputs)
    kind = outputs.dtype.kind
    if kind not in "fiub" or outputs.ndim not in (1, 2) or (kind in "iub" and outputs.ndim > 1):
        raise DataError(
            f"{name}: outputs are a score a class, (samples, classes), or classes, integers (samples,), and these are "
            f"{outputs.dtype}{list(outputs.shape)}"
        )
    labels = _labels(name, np.asarray(targets), outputs)
    kept, counted = _weights(name, weights, len(labels), len(outputs))
    labels, outputs = labels[kept], outputs[kept]
    if kind in "iub":
        chosen = outputs.astype(np.int64)
        if chosen.min() < 0:
            raise DataError(f"{name}: classes count from 0, and one of the outputs is {chosen.min()}")
        return Answers(labels, chosen, None, counted, int(max(labels.max(), chosen.max(), 1)) + 1, name)
    if not np.isfinite(outputs).all():
        return None
    if outputs.ndim == 1 or outputs.shape[1] == 1:
        second = outputs.reshape(-1)
        scores, chosen = np.stack([1 - second, second], axis=1), (second > 0.5).astype(np.int64)
    else:
        scores, chosen = outputs, outputs.argmax(axis=1)
    if labels.max() >= scores.shape[1]:
        raise DataError(f"{name}: a target is class {labels.max()}, and the outputs tell {scores.shape[1]} apart")
    return Answers(labels, chosen, scores, counted, scores.shape[1], name)


def read_numbers(name: str, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None) -> Numbers | None:
    """Targets and predictions; None where a prediction is not finite, so that nothing can be said."""
    wanted, found = np.asarray(targets), np.asarray(outputs)
    for what, array in (("targets", wanted), ("outputs", found)):
        if array.dtype.kind not in "fiub" or not array.ndim:
            raise DataError(f"{name}: {what} are numbers, (samples, …), and these are {array.dtype}{list(array.shape)}")
    kept, counted = _weights(name, weights, len(wanted), len(found))
    flat = [array.reshape(len(array), -1).astype(np.float64) for array in (wanted, found)]
    if flat[0].shape != flat[1].shape or not flat[0].size:
        raise DataError(
            f"{name}: the targets are {list(wanted.shape)} and the outputs {list(found.shape)}; they must be the same"
        )
    if not np.isfinite(flat[0]).all():
        raise DataError(f"{name}: a target is NaN or infinite")
    read = Numbers(flat[0][kept], flat[1][kept], counted)
    return read if np.isfinite(read.predictions).all() else None


def _labels(name: str, targets: NDArray[Any], outputs: NDArray[Any]) -> NDArray[np.int64]:
    if targets.dtype.kind in "iub" and targets.ndim == 1:
        labels = targets.astype(np.int64)
        if len(labels) and labels.min() < 0:
            raise DataError(f"{name}: labels count from 0, and one of the targets is {labels.min()}")
        return labels
    if targets.dtype.kind != "f" or not np.isfinite(targets).all():
        raise DataError(f"{name}: a target is neither a label nor a finite number ({targets.dtype})")
    single = targets.ndim == 1 or targets.shape[1:] == (1,)
    if single and (outputs.ndim == 1 or outputs.shape[1] == 1):
        return (targets.reshape(-1) > 0.5).astype(np.int64)
    if targets.ndim == 2 and not single:
        largest: NDArray[np.int64] = targets.argmax(axis=1).astype(np.int64)
        return largest
    raise DataError(
        f"{name}: targets are labels, integers (samples,), or a number a class, and these are "
        f"{targets.dtype}{list(targets.shape)}; {name} is a metric of classes"
    )


def _weights(
    name: str, weights: ArrayLike | None, targets: int, outputs: int
) -> tuple[NDArray[np.bool_] | slice, Floats]:
    """Which samples count, and by how much."""
    if targets != outputs:
        raise DataError(f"{name}: there are {targets:,} targets, and outputs of {outputs:,} samples")
    if not targets:
        raise DataError(f"{name}: there are no samples, so there is nothing to measure")
    if weights is None:
        return slice(None), np.ones(targets)
    counted = np.asarray(weights, np.float64)
    if counted.shape != (targets,):
        raise DataError(f"{name}: the weights are {list(counted.shape)}, and there is one a sample: [{targets}]")
    if not np.isfinite(counted).all() or counted.min() < 0:
        raise DataError(f"{name}: a weight is negative, NaN or infinite")
    kept = counted > 0
    if not kept.any():
        raise DataError(f"{name}: all weights are 0, so no sample counts and there is nothing to measure")
    return kept, counted[kept]
