"""Pooling: what a window sees as one number, channel by channel."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np

from chainrule import graph
from chainrule.errors import DtypeError, ShapeError
from chainrule.graph import FLOATS, Node
from chainrule.graph.composites import maximum, mean, ne
from chainrule.layers.masking import mask_of, where
from chainrule.layers.scope import Scope, one_input
from chainrule.layers.windows import Padding, Sizes, Windowed, padded, seen


@dataclass(frozen=True, repr=False)
class _Pool(Windowed):
    size: Sizes = 2
    _: KW_ONLY
    stride: Sizes | None = None
    padding: Padding = "valid"
    dilation: Sizes = 1

    def __post_init__(self) -> None:
        self._check("size")
        self._check("dilation")
        if self.stride is not None:
            self._check("stride")
        self._check_padding(self.padding, ("same", "valid"))

    def _windows(self, x: Node, value: float) -> tuple[Node, tuple[int, ...], list[np.ndarray[Any, Any]]]:
        """The windows of x, the axes that they add, and how many elements each sees along each axis."""
        lengths = self._places(x)
        stride = self.size if self.stride is None else self.stride
        borders = self._borders(self.padding, lengths, self.size, stride, self.dilation, "window")
        sizes, strides, dilations = (self._each(each) for each in (self.size, stride, self.dilation))
        counts = [seen(*each) for each in zip(lengths, borders, sizes, strides, dilations, strict=True)]
        for axis, (count, border) in enumerate(zip(counts, borders, strict=True)):
            if not count.all():
                raise ShapeError(
                    f"window {int(np.argmin(count))} along the {self._axis(axis)} sees nothing but padding: a window "
                    f"of {sizes[axis]} over {lengths[axis]} elements with {border[0]} before them and {border[1]} after"
                )
        windows = graph.window(padded(x, borders, value), range(1, len(sizes) + 1), sizes, strides, dilations)
        return windows, tuple(range(x.rank, windows.rank)), counts


class _MaxPool(_Pool):
    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> the same, with fewer places."""
        windows, axes, _ = self._windows(one_input(inputs), -math.inf)
        return graph.max(windows, axes)


class _AveragePool(_Pool):
    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> the same, with fewer places."""
        x = one_input(inputs)
        windows, axes, counts = self._windows(x, 0.0)
        total = graph.sum(windows, axes)
        if all((count == count[0]).all() for count in counts):
            return total / float(math.prod(int(count[0]) for count in counts))
        share = 1.0 / reduce(np.multiply, np.ix_(*counts))
        places = graph.constant(share, x.dtype)
        return total * graph.broadcast(places, (0, total.rank - 1), (total.shape[0], total.shape[-1]))


@dataclass(frozen=True, repr=False)
class MaxPool2D(_MaxPool):
    """The largest value of each window of an image, channel by channel.

    x is (batch, height, width, channels); ``size`` is the window's, a number or a pair (height, width), and ``stride``
    how far it goes, its own size if none is given: windows side by side. What no whole window reaches at the end is
    left out; with ``padding="same"`` it is seen by a window that is cut off. Padding, which may be given as for
    `Conv2D`, never is the largest. Where values are equal, the gradient goes to the first of them.

    Raises `ShapeError` where the window is larger than the padded image, or sees nothing but padding.

    >>> MaxPool2D(3, stride=2)
    MaxPool2D(size=3, stride=2)

    Reference: M. Ranzato et al., "Unsupervised learning of invariant feature hierarchies", 2007.
    """


@dataclass(frozen=True, repr=False)
class MaxPool1D(_MaxPool):
    """The largest value of each window of a sequence (batch, length, channels); all else is as in `MaxPool2D`.

    >>> MaxPool1D(4)
    MaxPool1D(size=4)
    """

    dimensions: ClassVar[int] = 1


@dataclass(frozen=True, repr=False)
class AveragePool2D(_AveragePool):
    """The mean of each window of an image, channel by channel; the settings are those of `MaxPool2D`.

    Padding does not count: a window at the border is the mean of what it sees of the image.

    Differs from: PyTorch, which counts padding as zeros unless it is told not to (count_include_pad).

    >>> AveragePool2D(2)
    AveragePool2D()

    Reference: Y. LeCun et al., "Handwritten digit recognition with a back-propagation network", 1990.
    """


@dataclass(frozen=True, repr=False)
class AveragePool1D(_AveragePool):
    """The mean of each window of a sequence (batch, length, channels); all else is as in `AveragePool2D`.

    >>> AveragePool1D(4)
    AveragePool1D(size=4)
    """

    dimensions: ClassVar[int] = 1


@dataclass(frozen=True)
class GlobalAveragePool:
    """The mean of each channel over all places: (batch, …, channels) -> (batch, channels).

    In `Masked`, steps that are padding are left out; a sequence of nothing else gives 0.

    >>> GlobalAveragePool()
    GlobalAveragePool()

    Reference: M. Lin, Q. Chen and S. Yan, "Network in network", 2014.
    """

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> (batch, channels)."""
        x = _placed(one_input(inputs))
        mask = mask_of(scope, x) if x.rank == 3 else None
        if mask is None:
            return mean(x, tuple(range(1, x.rank - 1)))
        count = graph.sum(graph.cast(mask, x.dtype), 1)
        total = graph.sum(where(mask, x), 1)
        return total / graph.broadcast(maximum(count, 1.0), [1], [x.shape[2]])


@dataclass(frozen=True)
class GlobalMaxPool:
    """The largest value of each channel over all places: (batch, …, channels) -> (batch, channels).

    In `Masked`, steps that are padding are left out; a sequence of nothing else gives 0.

    >>> GlobalMaxPool()
    GlobalMaxPool()
    """

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> (batch, channels)."""
        x = _placed(one_input(inputs))
        mask = mask_of(scope, x) if x.rank == 3 else None
        if mask is None:
            return graph.max(x, tuple(range(1, x.rank - 1)))
        largest = graph.max(where(mask, x, -math.inf), 1)
        some = graph.broadcast(ne(graph.max(graph.cast(mask, "int32"), 1), 0), [1], [x.shape[2]])
        return graph.select(some, largest, 0.0)


def _placed(x: Node) -> Node:
    if x.rank < 3:
        raise ShapeError(f"wants (batch, places…, channels), such as images, and got {list(x.shape)}")
    if x.dtype not in FLOATS:
        raise DtypeError(f"wants floats, and got {x.dtype}; use graph.cast")
    return x
