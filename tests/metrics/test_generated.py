"""What samples are worth that a network has made: closed forms, and what each number is to tell."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.errors import DataError
from chainrule.metrics import frechet_distance, inception_score


@pytest.mark.tiny
def test_the_score_goes_from_one_to_the_number_of_classes() -> None:
    sure, unsure = np.eye(5)[np.arange(100) % 5], np.full((100, 5), 0.2)
    assert inception_score(sure) == pytest.approx(5)
    assert inception_score(unsure) == pytest.approx(1)
    assert inception_score(sure[:1].repeat(100, axis=0)) == pytest.approx(1)
    assert inception_score(np.eye(5)[np.arange(100) % 2]) == pytest.approx(2)
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    assert inception_score(p) == pytest.approx(np.exp(np.mean(np.sum(p * np.log(p / p.mean(axis=0)), axis=1))))


@pytest.mark.tiny
def test_the_distance_of_clouds_is_its_closed_form() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, first + np.array([3, 0, 4, 0])) == pytest.approx(25)
    # About a common middle, scaling by s moves each deviation σ to s·σ: Σ(1 - s)²·σ².
    centred = first - first.mean(axis=0)
    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * np.trace(np.cov(first.T)))
    # Covariances that do not commute, against the square root by eigenvectors of their product.
    second = rng.normal(size=(400, 4)) @ rng.normal(size=(4, 4)) + 1
    one, two = np.cov(first.T), np.cov(second.T)
    root = np.sqrt(np.linalg.eigvals(one @ two).real).sum()
    apart = first.mean(axis=0) - second.mean(axis=0)
    wanted = apart @ apart + np.trace(one) + np.trace(two) - 2 * root
    assert frechet_distance(first, second) == pytest.approx(wanted)
    assert frechet_distance(second, first) == pytest.approx(wanted)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(DataError, match=r"takes probabilities, .*, not \[3\]"):
        inception_score([0.2, 0.3, 0.5])
    with pytest.raises(DataError, match="takes probabilities"):
        inception_score([[0.5, 0.2]])
    with pytest.raises(DataError, match=r"not \[1, 2\] and \[3, 2\]"):
        frechet_distance(np.zeros((1, 2)), np.zeros((3, 2)))
    with pytest.raises(DataError, match="not all finite"):
        frechet_distance(np.full((3, 2), np.nan), np.zeros((3, 2)))
