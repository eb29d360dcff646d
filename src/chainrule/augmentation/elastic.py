"""Images bent as by an unsteady hand: elastic distortion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.augmentation.maps import Geometric, SamplingMap
from chainrule.graph import Node
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope


@dataclass(frozen=True)
class Elastic(Geometric):
    """Each pixel displaced by a smooth random field: d = α·G(σ) * U(-1, 1), down and right.

    U are random numbers, spread evenly, one a pixel; * G(σ) smooths them by a Gaussian of deviation σ = ``sigma``
    pixels; α = ``alpha`` is the strength. In the middle of an image the displacement has a deviation of about
    0.16·α/σ pixels (1.4 for 34 and 4); towards the edges it fades, as nothing lies behind them.

    The field belongs to the pixels of the new image: among others that move pixels, it is as if this one came last.

    >>> Elastic(34, 4).sigma
    4

    Reference: P. Simard, D. Steinkraus and J. Platt, "Best practices for convolutional neural networks applied to
    visual document analysis", 2003.
    """

    alpha: float = 34.0
    sigma: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("Elastic", "alpha", self.alpha, 0.0, math.inf)
        check_range("Elastic", "sigma", self.sigma, 0.01, math.inf)

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with the image bent."""
        return places.displaced(self._field(scope, "down", places.shape), self._field(scope, "right", places.shape))

    def _field(self, scope: Scope, name: str, shape: tuple[int, int, int]) -> Node:
        field = self.alpha * (2.0 * scope.uniform(name, shape) - 1.0)
        rows, columns = (graph.constant(gaussian(length, self.sigma), scope.dtype) for length in shape[1:])
        return graph.contract(graph.contract(field, rows, "bhw,hk->bkw"), columns, "bkw,wl->bkl")


def gaussian(length: int, sigma: float) -> NDArray[np.float64]:
    """The matrix that smooths a row of so many numbers by a Gaussian of sum 1; what lies outside is 0.

    >>> gaussian(5, 1.0)[2].round(3).tolist()
    [0.054, 0.242, 0.399, 0.242, 0.054]
    """
    reach = int(4 * sigma) + 1
    steps = np.arange(-reach, reach + 1)
    whole = float(np.exp(-0.5 * (steps / sigma) ** 2).sum())
    apart = np.subtract.outer(np.arange(length), np.arange(length))
    found: NDArray[np.float64] = np.where(np.abs(apart) <= reach, np.exp(-0.5 * (apart / sigma) ** 2), 0.0) / whole
    return found
