"""Metrics of how good probabilities are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.metrics.metric import OfClasses
from chainrule.metrics.reading import Answers


@dataclass(frozen=True)
class LogLoss(OfClasses):
    """-Σᵢ wᵢ·log pᵢ / Σᵢ wᵢ, with pᵢ the probability that is given to the class of sample i.

    pᵢ is taken as no nearer to 0 and 1 than the rounding ε of the dtype of the outputs, so that a sure mistake costs
    36 in float64 and 16 in float32. Raises `DataError` for outputs that are no probabilities.

    Equal to `sklearn.metrics.log_loss`.

    >>> round(LogLoss()([1, 0], [[0.1, 0.9], [0.8, 0.2]]), 4)
    0.1643
    """

    upwards: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What it is called."""
        return "log_loss"

    def of(self, answers: Answers) -> float:
        """The mean over the samples."""
        given = _probabilities(answers)[np.arange(len(answers.labels)), answers.labels]
        smallest = np.finfo(given.dtype).eps
        return float(np.average(-np.log(np.clip(given, smallest, 1 - smallest)), weights=answers.weights))


@dataclass(frozen=True)
class BrierScore(OfClasses):
    """The mean of Σₖ (pₖ - tₖ)², with pₖ the probability of class k and tₖ 1 for the right one and else 0.

    For two classes half of it, which is (p - t)² of the second. Raises `DataError` for outputs that are no
    probabilities. Equal to `sklearn.metrics.brier_score_loss`.

    Source: G. Brier, "Verification of forecasts expressed in terms of probability", 1950.

    >>> round(BrierScore()([1, 0], [0.9, 0.2]), 4)
    0.025
    """

    upwards: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """What it is called."""
        return "brier_score"

    def of(self, answers: Answers) -> float:
        """The mean over the samples."""
        wanted = answers.labels[:, None] == np.arange(answers.classes)
        each = ((_probabilities(answers).astype(np.float64) - wanted) ** 2).sum(axis=1)
        return float(np.average(each, weights=answers.weights)) * (0.5 if answers.classes == 2 else 1.0)


def _probabilities(answers: Answers) -> NDArray[np.floating[Any]]:
    scores = answers.needed_scores()
    low, high = float(scores.min()), float(scores.max())
    if low < 0 or high > 1:
        raise DataError(
            f"{answers.name} is of probabilities, from 0 to 1, and the outputs go from {low:g} to {high:g}; a loss on "
            "logits, such as cross_entropy, makes a run give probabilities"
        )
    sums = scores.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1)))
    if abs(float(sums[worst]) - 1) > 1e-3:
        raise DataError(
            f"{answers.name} is of probabilities, and those of a sample sum to 1; for sample {worst} of those that "
            f"count it is {float(sums[worst]):g}"
        )
    return scores
