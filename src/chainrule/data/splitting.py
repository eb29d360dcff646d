"""Dividing samples into a training and a test part, the same way each time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ConfigurationError, DataError
from chainrule.keys import Key

Indices = NDArray[np.int64]


def split_indices(
    samples: int, fraction: float, seed: int, labels: NDArray[Any] | None = None
) -> tuple[Indices, Indices]:
    """The indices of the training part and of the test part, each in rising order.

    The test part holds ``fraction`` of the samples, rounded, at least one; with labels, every class gives its
    share (largest remainders first) and keeps at least one sample for training.
    """
    if not 0.0 < fraction < 1.0:
        raise ConfigurationError(f"fraction={fraction}: a part of the samples was expected, between 0 and 1, as 0.2")
    if samples < 2:
        raise DataError(f"{samples} sample cannot be split into a training and a test part; two or more are needed")
    wanted = min(max(round(samples * fraction), 1), samples - 1)
    key = Key(seed).child("split")
    if labels is None:
        order = key.permutation(samples)
        return np.sort(order[wanted:]), np.sort(order[:wanted])
    counts = np.bincount(labels)
    taken = _shares(counts, wanted)
    test = []
    for label in np.flatnonzero(taken):
        members = np.flatnonzero(labels == label)
        test.append(members[key.child(int(label)).permutation(len(members))[: taken[label]]])
    chosen = np.zeros(samples, dtype=np.bool_)
    chosen[np.concatenate(test)] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _shares(counts: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    most = np.maximum(counts - 1, 0)
    if not most.any():
        raise DataError("every class has a single sample, so none can be set apart for a test")
    exact: NDArray[np.float64] = counts * (wanted / counts.sum())
    taken: NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64), most)
    while taken.sum() < min(wanted, int(most.sum())):
        remainder = np.where(taken < most, exact - taken, -np.inf)
        taken[int(np.argmax(remainder))] += 1
    return taken
