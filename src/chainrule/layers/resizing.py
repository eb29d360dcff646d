"""Images and sequences made larger, without anything learned."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope, one_input
from chainrule.layers.windows import Padding, Sizes, Windowed, explicit, padded


@dataclass(frozen=True, repr=False)
class _Upsample(Windowed):
    size: Sizes = 2
    _: KW_ONLY
    interpolation: str = "nearest"

    smooth: ClassVar[str] = "bilinear"

    def __post_init__(self) -> None:
        self._check("size")
        if self.interpolation not in ("nearest", self.smooth):
            raise ConfigurationError(
                f"{type(self).__name__}: interpolation is 'nearest' or '{self.smooth}', not {self.interpolation!r}"
            )

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> the same, with more places."""
        x = one_input(inputs)
        lengths, sizes = self._places(x), self._each(self.size)
        larger = tuple(length * size for length, size in zip(lengths, sizes, strict=True))
        if self.interpolation == "nearest":
            apart = graph.broadcast(x, [2 * axis + 2 for axis in range(len(sizes))], sizes)
            return graph.reshape(apart, (x.shape[0], *larger, x.shape[-1]))
        letters = "bxyzc"[: len(sizes) + 1] + "c"
        for axis, (length, size) in enumerate(zip(lengths, sizes, strict=True), 1):
            letter = letters[axis]
            between = graph.constant(between_places(length, size), x.dtype)
            x = graph.contract(x, between, f"{letters},{letter}n->{letters.replace(letter, 'n')}")
        return x


def between_places(length: int, size: int) -> NDArray[Any]:
    """What each of length·size places takes from each of the first ones: (length, length·size).

    >>> between_places(2, 2)
    array([[1.  , 0.75, 0.25, 0.  ],
           [0.  , 0.25, 0.75, 1.  ]])
    """
    # Places are the middles of their elements; beyond the first and the last middle the image stays as it is there.
    at = np.clip((np.arange(length * size) + 0.5) / size - 0.5, 0, length - 1)
    return np.maximum(1.0 - np.abs(at[None, :] - np.arange(length)[:, None]), 0.0)


@dataclass(frozen=True, repr=False)
class Upsample2D(_Upsample):
    """An image that is ``size`` times as high and as wide: (batch, h, w, channels) -> (batch, s·h, s·w, channels).

    ``size`` is a number, or a pair (height, width). ``interpolation`` is "nearest", which repeats each element, or
    "bilinear", which goes evenly from the middle of one element to that of the next.

    >>> Upsample2D(2, interpolation="bilinear")
    Upsample2D(interpolation='bilinear')

    Differs from: PyTorch's align_corners=True, which puts the first and last elements at the very border.
    """


@dataclass(frozen=True, repr=False)
class Upsample1D(_Upsample):
    """A sequence that is ``size`` times as long: (batch, n, channels) -> (batch, s·n, channels).

    ``interpolation`` is "nearest" or "linear"; all else is as in `Upsample2D`.

    >>> Upsample1D(3)
    Upsample1D(size=3)
    """

    dimensions: ClassVar[int] = 1
    smooth: ClassVar[str] = "linear"


@dataclass(frozen=True, repr=False)
class _Pad(Windowed):
    padding: Padding = 1
    value: float = 0.0

    def __post_init__(self) -> None:
        self._check_padding(self.padding, ())
        check_range(type(self).__name__, "value", self.value, -math.inf, math.inf)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> the same, with borders."""
        x = one_input(inputs)
        axes = range(len(self._places(x)))
        return padded(x, [explicit(self.padding, axis) for axis in axes], self.value)


@dataclass(frozen=True, repr=False)
class Pad2D(_Pad):
    """Borders around an image: ``padding`` rows and columns of ``value`` on each side, as numbers for `Conv2D` say.

    Convolutions pad by themselves; this is for borders that are not 0, or that several layers share.

    >>> Pad2D(((1, 2), (0, 0)))
    Pad2D(padding=((1, 2), (0, 0)))
    """


@dataclass(frozen=True, repr=False)
class Pad1D(_Pad):
    """Borders around a sequence (batch, length, channels), as in `Pad2D`.

    >>> Pad1D(((2, 0),))
    Pad1D(padding=((2, 0),))
    """

    dimensions: ClassVar[int] = 1
