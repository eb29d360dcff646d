"""Transposed convolutions: what comes back through a convolution, as a layer that makes images larger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from chainrule import graph
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import composite
from chainrule.layers.convolution import PLACES, TAPS, Convolution, grouped
from chainrule.layers.windows import Sizes, explicit, span


@composite
def transposed_convolution(
    x: Node,
    weight: Node,
    strides: tuple[int, ...],
    borders: tuple[tuple[int, int], ...],
    dilations: tuple[int, ...],
    lengths: tuple[int, ...],
    groups: int = 1,
) -> Node:
    """fold(contract(x, weight)) of these lengths, without its borders: the adjoint of `convolution` by its input.

    >>> x, weight = graph.input("x", (1, 3, 4)), graph.input("w", (3, 4, 2))
    >>> transposed_convolution(x, weight, (2,), ((1, 1),), (1,), (7,)).shape
    (1, 5, 2)
    """
    count = len(strides)
    axes = range(1, count + 1)
    spread, kernel, letters, out = grouped(x, weight, count, groups)
    places, taps = PLACES[:count], TAPS[:count]
    inside, shared, outside = letters
    terms = f"b{places}{shared}{inside},{taps}{inside}{shared}{outside}->b{places}{shared}{outside}{taps}"
    product = graph.contract(spread, kernel, terms)
    y = graph.fold(product, axes, weight.shape[:count], strides, dilations, lengths)
    y = graph.reshape(y, (*y.shape[: count + 1], out))
    if not any(map(any, borders)):
        return y
    starts = [0, *(low for low, _ in borders), 0]
    stops = [y.shape[0], *(length - high for length, (_, high) in zip(lengths, borders, strict=True)), out]
    return graph.slice(y, starts, stops)


@dataclass(frozen=True, repr=False)
class _Transposed(Convolution):
    output_padding: Sizes = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("output_padding", 0)
        more, strides = self._each(self.output_padding), self._each(self.stride)
        name = type(self).__name__
        if any(rest >= stride for rest, stride in zip(more, strides, strict=True)):
            raise ConfigurationError(
                f"{name}: output_padding is what a stride leaves over, so it is below the stride {self.stride}, "
                f"not {self.output_padding}"
            )
        if any(more) and self.padding == "same":
            raise ConfigurationError(
                f'{name}: padding "same" says how large the output is, so it has no output_padding; give padding in '
                "numbers"
            )

    def _product(self, x: Node, weight: Node, lengths: tuple[int, ...], groups: int) -> Node:
        borders, whole = [], []
        for axis, length in enumerate(lengths):
            stride, more = self._each(self.stride)[axis], self._each(self.output_padding)[axis]
            reach = span(self._each(self.kernel)[axis], self._each(self.dilation)[axis])
            low = high = 0
            if self.padding == "same":
                # Whatever the stride leaves unseen at the end of each output is there, and is zero.
                low, more = max(reach - stride, 0) // 2, max(stride - reach, 0)
                high = max(reach - stride, 0) - low
            elif self.padding != "valid":
                low, high = explicit(self.padding, axis)
            made = (length - 1) * stride + reach + more
            if made - low - high < 1:
                raise ShapeError(
                    f"{self._axis(axis)} ({length} − 1)·{stride} + {reach} + {more} − {low} − {high} is "
                    f"{made - low - high}: the padding leaves nothing of what the kernel makes"
                )
            borders.append((low, high))
            whole.append(made)
        strides, dilations = self._each(self.stride), self._each(self.dilation)
        return transposed_convolution(x, weight, strides, tuple(borders), dilations, tuple(whole), groups)


@dataclass(frozen=True, repr=False)
class ConvTranspose2D(_Transposed):
    """A convolution the other way round: each place of the image lays down the kernel, times its value.

    y[b, s·i + d·k - p, s·j + d·l - p, o] gathers x[b, i, j, c]·W[k, l, c, o], summed over whatever meets at one place,
    and over the channels c; with s = ``stride``, d = ``dilation``, p from ``padding``; then come bias and activation.
    It is what gives the gradient of `Conv2D` by its input. x is (batch, height, width, channels), ``weight`` W is
    (kernel height, kernel width, channels in / groups, ``channels``).

    ``padding`` is what is cut off the borders: "same" makes each axis ``stride`` times as long, "valid" cuts nothing:
    (n - 1)·s + d·(kernel - 1) + 1; numbers are as for `Conv2D`. ``output_padding``, below the stride, is how much is
    left at the end beyond that, to say which of the sizes is meant that a stride makes equal.

    Raises `ShapeError` where the padding leaves nothing, or the channels do not divide into groups.

    Differs from: PyTorch, whose weight is (in, out / groups, height, width) and which has no "same". Keras, whose
    weight is (height, width, out, in), and whose "valid" gives n·s where the kernel is smaller than the stride.

    >>> ConvTranspose2D(16, 4, stride=2)
    ConvTranspose2D(channels=16, kernel=4, stride=2)

    Reference: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", 2016.
    """


@dataclass(frozen=True, repr=False)
class ConvTranspose1D(_Transposed):
    """A convolution the other way round along a sequence (batch, length, channels), as in `ConvTranspose2D`.

    >>> ConvTranspose1D(16, 4, stride=2)
    ConvTranspose1D(channels=16, kernel=4, stride=2)
    """

    dimensions: ClassVar[int] = 1
