"""Choosing the next symbol from logits: by temperature, among the k most probable, or in the nucleus."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ConfigurationError
from chainrule.keys import Key

#: What a sum of probabilities may lack by rounding, and still be all of them.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Sampling:
    """How a symbol is drawn from logits z: with p = softmax(z/τ), among those that are left.

    ``temperature`` τ below 1 prefers what is probable, above 1 it evens out; at 0 the most probable is taken.
    ``top_k`` leaves the k most probable, ``top_p`` then the nucleus: the fewest most probable whose sum is p or more.
    Of symbols that are equally probable the first counts as more so.

    >>> Sampling(top_k=2).probabilities([0.0, 1.0, 1.0, -1.0]).tolist()
    [0.0, 0.5, 0.5, 0.0]
    >>> Sampling(temperature=0).probabilities([0.0, 1.0, 1.0, -1.0]).tolist()
    [0.0, 1.0, 0.0, 0.0]

    Reference: A. Holtzman et al., "The curious case of neural text degeneration", 2020 (nucleus); A. Fan, M. Lewis and
    Y. Dauphin, "Hierarchical neural story generation", 2018 (top-k).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not _is_number(self.temperature) or not 0 <= self.temperature < float("inf"):
            raise ConfigurationError(f"temperature is a number of 0 or more, not {self.temperature!r}")
        if self.top_k is not None and (type(self.top_k) is not int or self.top_k < 1):
            raise ConfigurationError(f"top_k is a whole number above 0, not {self.top_k!r}")
        if self.top_p is not None and (not _is_number(self.top_p) or not 0 < self.top_p <= 1):
            raise ConfigurationError(f"top_p is a number above 0, up to 1, not {self.top_p!r}")

    def probabilities(self, logits: ArrayLike, never: Collection[int] = ()) -> NDArray[np.float64]:
        """The probability of each symbol, (symbols,), of logits (symbols,); those in ``never`` are not drawn."""
        z = np.array(logits, np.float64)
        z[list(never)] = -np.inf
        order = np.argsort(-z, kind="stable")
        if self.temperature == 0:
            best: NDArray[np.float64] = np.eye(1, len(z), int(order[0]))[0]
            return best
        p: NDArray[np.float64] = np.exp((z - z[order[0]]) / self.temperature)
        if self.top_k is not None:
            p[order[self.top_k :]] = 0.0
        p /= p.sum()
        if self.top_p is not None:
            reached = np.searchsorted(np.cumsum(p[order]), self.top_p - ROUNDING)
            p[order[reached + 1 :]] = 0.0
            p /= p.sum()
        return p

    def draw(self, logits: ArrayLike, key: Key, never: Collection[int] = ()) -> int:
        """The number of a symbol, by the key."""
        return self.choose(logits, float(key.uniform(())), never)

    def choose(self, logits: ArrayLike, number: float, never: Collection[int] = ()) -> int:
        """The first symbol at which the sum of probabilities is above a number from 0 to 1."""
        p = self.probabilities(logits, never)
        found = int(np.searchsorted(np.cumsum(p), number, side="right"))
        return min(found, int(np.flatnonzero(p)[-1]))  # a sum of probabilities may end a little below 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
