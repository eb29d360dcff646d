"""How good samples are that a network has made: judged by what a classifier makes of them, all of them together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import DataError

Floats = NDArray[np.float64]


def inception_score(probabilities: ArrayLike) -> float:
    """exp(mean KL(p(y|x) ‖ p(y))): from 1, for samples that are no class or all one, to the number of classes.

    ``probabilities``, (samples, classes), are what a classifier of the real classes says of the samples: sure of each,
    and of all classes together, is what is high. p(y) is their mean. A generator that draws one good sample of each
    class has all of it, so look at `frechet_distance` too.

    Raises `DataError` for what are no probabilities.

    >>> round(inception_score([[1.0, 0.0], [0.0, 1.0]]), 6), round(inception_score([[0.5, 0.5], [0.5, 0.5]]), 6)
    (2.0, 1.0)

    Reference: T. Salimans et al., "Improved techniques for training GANs", 2016.

    Differs from: the paper, whose classifier is an Inception network and whose score is the mean over ten parts.
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or not len(p) or not (p >= 0).all() or not np.allclose(p.sum(axis=1), 1, atol=1e-4):
        raise DataError(f"inception_score takes probabilities, (samples, classes), rows of sum 1, not {list(p.shape)}")
    # Where p is 0 its term is, too.
    ratio = np.divide(p, p.mean(axis=0), out=np.ones_like(p), where=p > 0)
    return float(np.exp(np.mean(np.sum(p * np.log(ratio), axis=1))))


def frechet_distance(features: ArrayLike, others: ArrayLike) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2·(Σ₁·Σ₂)^½): how far two clouds of points are apart, if both were normal.

    ``features`` and ``others`` are (samples, n), such as what the last layer but one of a classifier gives for samples
    that were made and for real ones; μ and Σ are their means and covariances. It is 0 for the same cloud, and grows
    where samples are bad, and where they are too few of a kind. With few samples it is too large: compare what was
    measured with as many.

    Raises `DataError` for fewer than two samples or unlike features.

    >>> round(frechet_distance([[0.0], [2.0]], [[3.0], [5.0]]), 6)
    9.0

    Reference: M. Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
    2017; D. Dowson and B. Landau, "The Fréchet distance between multivariate normal distributions", 1982.

    Differs from: the Fréchet inception distance, whose features are those of an Inception network.
    """
    one, two = np.asarray(features, np.float64), np.asarray(others, np.float64)
    if one.ndim != 2 or two.ndim != 2 or one.shape[1:] != two.shape[1:] or min(len(one), len(two)) < 2:
        raise DataError(
            f"frechet_distance takes features, (samples, n), of two or more samples each, not {list(one.shape)} and "
            f"{list(two.shape)}"
        )
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise DataError("frechet_distance: the features are not all finite")
    apart = one.mean(axis=0) - two.mean(axis=0)
    first, second = _covariance(one), _covariance(two)
    values, axes = np.linalg.eigh(first)
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    # tr (Σ₁Σ₂)^½ is that of the symmetric Σ₁^½ Σ₂ Σ₁^½, whose eigenvalues are never below 0 but for rounding.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(max(apart @ apart + np.trace(first) + np.trace(second) - 2 * shared, 0.0))


def _covariance(x: Floats) -> Floats:
    centred = x - x.mean(axis=0)
    found: Floats = centred.T @ centred / (len(x) - 1)
    return found
