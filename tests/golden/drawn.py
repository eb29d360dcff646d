"""Small whole numbers that depend on a name alone: operands that the arrays' script and the tests each make anew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST = 4


def drawn(name: str, shape: Sequence[int]) -> NDArray[Any]:
    """Whole numbers from -4 to 4, as float64: sums of their products are exact in any order, so that 1e-10 is 0."""
    count = prod(shape)
    words = hashlib.shake_256(name.encode()).digest(2 * count)
    numbers = np.frombuffer(words, "<u2").astype(np.int64) % (2 * _LARGEST + 1) - _LARGEST
    return numbers.reshape(shape).astype(np.float64)
