"""Metrics of the order of scores, whatever threshold is chosen later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ConfigurationError
from chainrule.metrics.counting import Averaged
from chainrule.metrics.metric import Value
from chainrule.metrics.reading import Answers, Floats, read_classes


class Thresholds(NamedTuple):
    """For each score that occurs, from the largest down: what is said to be positive with it as the threshold."""

    scores: Floats
    #: The weight of the positive samples among them, and of the negative ones.
    true: Floats
    false: Floats


def thresholds(positive: NDArray[np.bool_], scores: NDArray[Any], weights: Floats) -> Thresholds:
    """Samples of equal score come together: between them no threshold tells apart."""
    order = np.argsort(-scores, kind="stable")
    scores, positive, weights = scores[order], positive[order], weights[order]
    last = np.append(np.nonzero(np.diff(scores))[0], len(scores) - 1)
    true, false = (np.cumsum(np.where(chosen, weights, 0.0))[last] for chosen in (positive, ~positive))
    return Thresholds(scores[last].astype(np.float64), true, false)


@dataclass(frozen=True)
class _Ranking(Averaged):
    """A metric of the scores of each class against the rest; "macro" leaves out what is not defined."""

    def of_one(self, found: Thresholds) -> float:
        """That of one class; NaN where nothing can be said."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it measures")

    def of(self, answers: Answers) -> Value:
        """The number, or one a class."""
        scores, classes = answers.needed_scores(), answers.classes
        average = self.chosen_average(classes)
        is_of = answers.labels[:, None] == np.arange(classes)
        if average == "micro":
            return self.of_one(thresholds(is_of.ravel(), scores.ravel(), np.repeat(answers.weights, classes)))
        if average == "binary":
            return self.of_one(thresholds(is_of[:, 1], scores[:, 1], answers.weights))
        each = np.array([self.of_one(thresholds(is_of[:, k], scores[:, k], answers.weights)) for k in range(classes)])
        if average == "per_class":
            return each
        there = ~np.isnan(each)
        if not there.any():
            return float("nan")
        share = answers.weights @ is_of
        return float(np.average(each[there], weights=share[there] if average == "weighted" else None))


@dataclass(frozen=True)
class ROCAUC(_Ranking):
    """The area under the receiver operating characteristic: how probably a sample of a class is scored above another.

    Equal scores count half. ``average`` as in `Averaged`: with more than two classes each stands against the rest. NaN
    for a class of which all samples are, or none; "macro" leaves those out.

    Equal to `sklearn.metrics.roc_auc_score`, with ``multi_class="ovr"`` for more than two classes.

    Source: J. Hanley and B. McNeil, "The meaning and use of the area under a receiver operating characteristic (ROC)
    curve", 1982.

    Differs from: scikit-learn, which refuses classes that never occur, and gives the area for two classes alone where
    "macro" asks for the mean of both.

    >>> ROCAUC()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """

    _called: ClassVar[str] = "roc_auc"

    def of_one(self, found: Thresholds) -> float:
        """Σ over thresholds of a trapezium each."""
        if not found.true[-1] or not found.false[-1]:
            return float("nan")
        true, false = np.append(0.0, found.true), np.append(0.0, found.false)
        area = np.sum(np.diff(false) * (true[1:] + true[:-1])) / 2
        return float(area / (found.true[-1] * found.false[-1]))


@dataclass(frozen=True)
class AveragePrecision(_Ranking):
    """Σₙ (Rₙ - Rₙ₋₁)·Pₙ over the thresholds n, with Rₙ recall and Pₙ precision: the area under their curve, in steps.

    ``average`` as in `Averaged`. NaN for a class that never occurs; "macro" leaves it out.

    Equal to `sklearn.metrics.average_precision_score`.

    Differs from: scikit-learn, which gives 0 for a class that never occurs.

    >>> round(AveragePrecision()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """

    _called: ClassVar[str] = "average_precision"

    def of_one(self, found: Thresholds) -> float:
        """The sum over thresholds."""
        if not found.true[-1]:
            return float("nan")
        precision = found.true / (found.true + found.false)
        return float(np.sum(np.diff(found.true, prepend=0.0) * precision) / found.true[-1])


def roc_curve(
    targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None = None, positive: int = 1
) -> tuple[Floats, Floats, Floats]:
    """The part of the others that is taken for class ``positive``, the part of it that is found, and the threshold.

    Three arrays, from the highest threshold (∞: nothing is taken for it) down to the lowest score; with a point at
    each score that occurs. Equal to `sklearn.metrics.roc_curve` with ``drop_intermediate=False``.

    >>> false, true, at = roc_curve([0, 1], [0.2, 0.7])
    >>> false.tolist(), true.tolist(), at.tolist()
    ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [inf, 0.7, 0.2])
    """
    found = _of_one_class("roc_curve", targets, outputs, weights, positive)
    with np.errstate(invalid="ignore"):
        false, true = found.false / found.false[-1], found.true / found.true[-1]
    return np.append(0.0, false), np.append(0.0, true), np.append(np.inf, found.scores)


def precision_recall_curve(
    targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None = None, positive: int = 1
) -> tuple[Floats, Floats, Floats]:
    """Precision and recall of class ``positive``, and the threshold, from the highest score that occurs to the lowest.

    The points are those of `sklearn.metrics.precision_recall_curve`, in the order of `roc_curve`, without its last
    one, which no threshold gives.

    >>> precision, recall, at = precision_recall_curve([0, 1], [0.2, 0.7])
    >>> precision.tolist(), recall.tolist(), at.tolist()
    ([1.0, 0.5], [1.0, 1.0], [0.7, 0.2])
    """
    found = _of_one_class("precision_recall_curve", targets, outputs, weights, positive)
    with np.errstate(invalid="ignore"):
        return found.true / (found.true + found.false), found.true / found.true[-1], found.scores


def _of_one_class(
    name: str, targets: ArrayLike, outputs: ArrayLike, weights: ArrayLike | None, positive: int
) -> Thresholds:
    answers = read_classes(name, targets, outputs, weights)
    if answers is None:
        nothing = np.array([np.nan])
        return Thresholds(nothing, nothing, nothing)
    if not 0 <= positive < answers.classes:
        raise ConfigurationError(f"{name}: positive is a class from 0 to {answers.classes - 1}, not {positive}")
    return thresholds(answers.labels == positive, answers.needed_scores()[:, positive], answers.weights)
