"""The order of the samples in an epoch, and its division into batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ConfigurationError
from chainrule.keys import Key

Indices = NDArray[np.int32]


def epoch_order(seed: int, epoch: int, samples: int, shuffle: bool = True) -> Indices:
    """The samples 0 … samples − 1 in the order of an epoch, int32: a function of (seed, epoch) alone.

    So a run that is cut and resumed meets the samples in the order it would have met them.

    >>> epoch_order(0, 1, 5).tolist() == epoch_order(0, 1, 5).tolist() != epoch_order(0, 2, 5).tolist()
    True
    """
    if samples < 1 or samples >= 2**31:
        raise ConfigurationError(f"samples={samples}: 1 to 2³¹ − 1 of them can be put in order")
    if not shuffle:
        return np.arange(samples, dtype=np.int32)
    return Key(seed).child("epoch").child(epoch).permutation(samples).astype(np.int32)


def batches(order: ArrayLike, batch_size: int) -> tuple[Indices, Indices]:
    """An order cut into full batches, int32 (steps, batch_size), and the last, smaller one, maybe empty.

    >>> full, last = batches(np.arange(7), 3)
    >>> full.tolist(), last.tolist()
    ([[0, 1, 2], [3, 4, 5]], [6])
    """
    if batch_size < 1:
        raise ConfigurationError(f"batch_size={batch_size}: a batch holds one sample or more")
    indices = np.asarray(order, dtype=np.int32)
    full = len(indices) // batch_size * batch_size
    return indices[:full].reshape(-1, batch_size), indices[full:]
