"""Metrics of how far predictions are from targets that are numbers; of several outputs, the mean is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.metrics.metric import OfNumbers
from chainrule.metrics.reading import Floats, Numbers


@dataclass(frozen=True)
class MeanAbsoluteError(OfNumbers):
    """Σᵢ wᵢ·|yᵢ - tᵢ| / Σᵢ wᵢ, in the units of the targets. Equal to `sklearn.metrics.mean_absolute_error`.

    >>> MeanAbsoluteError()([3.0, 5.0], [2.0, 5.0])
    0.5
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "mean_absolute_error"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        return numbers.mean(np.abs(numbers.predictions - numbers.targets))


@dataclass(frozen=True)
class MeanSquaredError(OfNumbers):
    """Σᵢ wᵢ·(yᵢ - tᵢ)² / Σᵢ wᵢ. Equal to `sklearn.metrics.mean_squared_error`.

    >>> MeanSquaredError()([3.0, 5.0], [1.0, 5.0])
    2.0
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "mean_squared_error"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        return numbers.mean((numbers.predictions - numbers.targets) ** 2)


@dataclass(frozen=True)
class RootMeanSquaredError(OfNumbers):
    """The root of the mean squared error, in the units of the targets; of several outputs, the mean of their roots.

    Equal to `sklearn.metrics.root_mean_squared_error`.

    >>> RootMeanSquaredError()([3.0, 5.0], [1.0, 3.0])
    2.0
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "root_mean_squared_error"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        roots: Floats = np.sqrt(numbers.mean((numbers.predictions - numbers.targets) ** 2))
        return roots


@dataclass(frozen=True)
class MedianAbsoluteError(OfNumbers):
    """What half of the samples are off by less than; where the half lies between two of them, their mean.

    Equal to `sklearn.metrics.median_absolute_error`.

    >>> MedianAbsoluteError()([1.0, 2.0, 3.0], [1.5, 2.0, 9.0])
    0.5
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "median_absolute_error"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        errors = np.abs(numbers.predictions - numbers.targets)
        return np.array([_median(column, numbers.weights) for column in errors.T])


@dataclass(frozen=True)
class MeanAbsolutePercentageError(OfNumbers):
    """Σᵢ wᵢ·|yᵢ - tᵢ| / |tᵢ| / Σᵢ wᵢ, as a part of 1; enormous where a target is 0.

    Equal to `sklearn.metrics.mean_absolute_percentage_error`.

    >>> MeanAbsolutePercentageError()([10.0, 20.0], [11.0, 20.0])
    0.05
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "mean_absolute_percentage_error"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        least = np.finfo(np.float64).eps
        return numbers.mean(np.abs(numbers.predictions - numbers.targets) / np.maximum(np.abs(numbers.targets), least))


@dataclass(frozen=True)
class MaxError(OfNumbers):
    """What the worst sample is off by. Equal to `sklearn.metrics.max_error`, which takes one output and no weights.

    >>> MaxError()([1.0, 2.0, 3.0], [1.5, 2.0, 9.0])
    6.0
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "max_error"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        worst: Floats = np.abs(numbers.predictions - numbers.targets).max(axis=0)
        return worst


@dataclass(frozen=True)
class R2(OfNumbers):
    """1 - Σᵢ wᵢ·(yᵢ - tᵢ)² / Σᵢ wᵢ·(tᵢ - t̄)²: 1 is perfect, 0 is no better than always saying the mean t̄.

    An output whose targets are all the same gives 1 if they are predicted exactly, and otherwise 0; a single sample
    gives NaN. Equal to `sklearn.metrics.r2_score`.

    Differs from: scikit-learn, where rounding may make weighted targets that are all the same look different, and the
    number enormous.

    >>> R2()([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    0.5
    """

    upwards: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """What it is called."""
        return "r2"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        if len(numbers.targets) < 2:
            return np.array([np.nan])
        spread = numbers.mean((numbers.targets - numbers.mean(numbers.targets)) ** 2)
        return _explained(numbers, numbers.mean((numbers.predictions - numbers.targets) ** 2), spread)


@dataclass(frozen=True)
class ExplainedVariance(OfNumbers):
    """1 - Var(t - y) / Var(t): as R², but an error that is always the same costs nothing.

    An output whose targets are all the same gives 1 if the errors are too, and otherwise 0. Equal to
    `sklearn.metrics.explained_variance_score`.

    >>> ExplainedVariance()([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    1.0
    """

    upwards: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """What it is called."""
        return "explained_variance"

    def of(self, numbers: Numbers) -> Floats:
        """An output each."""
        error = numbers.targets - numbers.predictions
        spread = numbers.mean((numbers.targets - numbers.mean(numbers.targets)) ** 2)
        left = np.where(_same(error), 0.0, numbers.mean((error - numbers.mean(error)) ** 2))
        return _explained(numbers, left, spread)


def _explained(numbers: Numbers, left: Floats, spread: Floats) -> Floats:
    flat = _same(numbers.targets) | (spread == 0)
    return np.where(flat, np.where(left == 0, 1.0, 0.0), 1 - left / np.where(flat, 1.0, spread))


def _same(values: Floats) -> NDArray[np.bool_]:
    """Whether all samples have the same: rounding may give them a tiny spread, to divide by which means nothing."""
    same: NDArray[np.bool_] = (values == values[:1]).all(axis=0)
    return same


def _median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values, kind="stable")
    values, upto = values[order], np.cumsum(weights[order])
    half, rounding = upto[-1] / 2, 1e-12 * upto[-1]  # weights of 0.1 do not sum to 1
    place = int(np.searchsorted(upto, half - rounding))  # the first sample up to which half of the weight lies
    is_between = upto[place] <= half + rounding and place + 1 < len(values)
    return float((values[place] + values[place + 1]) / 2 if is_between else values[place])
