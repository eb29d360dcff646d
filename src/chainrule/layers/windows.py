"""What layers with a sliding window have in common: sizes an axis, padding, and the arithmetic that refuses."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import FLOATS, Node

#: A whole number for every axis, or one an axis.
Sizes = int | tuple[int, ...]
#: "same", "valid", a number for every border, or one entry an axis: a number, or a pair (low, high).
Padding = str | int | tuple[int | tuple[int, int], ...]
Borders = list[tuple[int, int]]
_AXES = {1: ("length",), 2: ("height", "width")}
_KINDS = {1: "sequence", 2: "image"}


class Windowed:
    """A layer whose windows slide along ``dimensions`` axes between the batch and the channels."""

    dimensions: ClassVar[int] = 2

    def __repr__(self) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value != field.default:
                shown.append(f"{field.name}={getattr(value, '__name__', None) or repr(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _check(self, name: str, lowest: int = 1) -> None:
        """Refuse a setting that is neither a whole number nor one an axis; keep a list as a tuple."""
        value = getattr(self, name)
        entries = tuple(value) if isinstance(value, list | tuple) else (value,) * self.dimensions
        if len(entries) != self.dimensions or not all(is_whole(entry, lowest) for entry in entries):
            least = "above 0" if lowest else "of 0 or more"
            each = f", or one an axis ({', '.join(_AXES[self.dimensions])})"
            raise ConfigurationError(f"{type(self).__name__}: {name} is a whole number {least}{each}, not {value!r}")
        if isinstance(value, list | tuple):
            object.__setattr__(self, name, entries)

    def _check_padding(self, value: Any, names: Sequence[str]) -> None:
        if isinstance(value, str) and value in names:
            return
        entries = value if isinstance(value, list | tuple) else (value,) * self.dimensions
        pairs = [tuple(entry) if isinstance(entry, list | tuple) else (entry, entry) for entry in entries]
        if len(pairs) != self.dimensions or not all(len(pair) == 2 and all(map(is_whole, pair)) for pair in pairs):
            named = "".join(f'"{name}", ' for name in names)
            example = "((2, 0),)" if self.dimensions == 1 else "((1, 2), (1, 2))"
            raise ConfigurationError(
                f"{type(self).__name__}: padding is {named}a whole number of 0 or more, or one entry an axis "
                f"({', '.join(_AXES[self.dimensions])}), each a number or a pair (low, high) as in {example}; "
                f"not {value!r}"
            )
        if isinstance(value, list | tuple):
            kept = tuple(tuple(entry) if isinstance(entry, list | tuple) else entry for entry in value)
            object.__setattr__(self, "padding", kept)

    def _each(self, value: Sizes) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else (value,) * self.dimensions

    def _axis(self, number: int) -> str:
        return _AXES[self.dimensions][number]

    def _places(self, x: Node) -> tuple[int, ...]:
        """The lengths of the axes that windows slide along; anything but (batch, …, channels) of floats is refused."""
        axes = _AXES[self.dimensions]
        if x.rank != self.dimensions + 2:
            raise ShapeError(
                f"wants (batch, {', '.join(axes)}, channels), and got {list(x.shape)}{self._advice(x.shape)}"
            )
        if x.dtype not in FLOATS:
            raise DtypeError(f"wants floats, and got {x.dtype}; use graph.cast")
        return x.shape[1:-1]

    def _advice(self, shape: Sequence[int]) -> str:
        grey: tuple[int, ...] = ()
        if len(shape) == self.dimensions + 1:
            grey = (*shape[1:], 1)
        elif len(shape) == 2 and self.dimensions == 2 and round(shape[1] ** 0.5) ** 2 == shape[1]:
            grey = (round(shape[1] ** 0.5),) * 2 + (1,)
        if not grey:
            return ""
        what = "grey images" if self.dimensions == 2 else "sequences of one channel"
        return f": for {what} of {'×'.join(map(str, grey[:-1]))}, put Reshape({grey}) before it"

    def _borders(
        self, padding: Padding, lengths: Sequence[int], sizes: Sizes, strides: Sizes, dilations: Sizes, what: str
    ) -> Borders:
        """The elements added before and after along each axis; a window that does not fit is refused."""
        found: Borders = []
        spans = [span(size, by) for size, by in zip(self._each(sizes), self._each(dilations), strict=True)]
        for axis, (length, reach, stride) in enumerate(zip(lengths, spans, self._each(strides), strict=True)):
            if padding == "same":
                missing = max((-(-length // stride) - 1) * stride + reach - length, 0)
                low, high = missing // 2, missing - missing // 2
            elif padding == "valid":
                low = high = 0
            elif padding == "causal":
                low, high = reach - 1, 0
            else:
                low, high = explicit(padding, axis)
            if length + low + high < reach:
                added = f"2·{low}" if low == high else f"{low} + {high}"
                size, by = self._each(sizes)[axis], self._each(dilations)[axis]
                spread = f" ({reach} = {by}·({size} − 1) + 1, by the dilation {by})" if by > 1 and size > 1 else ""
                raise ShapeError(
                    f"{self._axis(axis)} {length} + {added} − {reach} is negative{spread}: "
                    f"the {what} is larger than the {_KINDS[self.dimensions]}"
                )
            found.append((low, high))
        return found


def explicit(padding: Padding, axis: int) -> tuple[int, int]:
    """The two borders of an axis that padding gives in numbers."""
    assert not isinstance(padding, str)
    entry = padding if isinstance(padding, int) else padding[axis]
    return (entry, entry) if isinstance(entry, int) else entry


def span(size: int, dilation: int) -> int:
    """From the first element that a window sees to the last.

    >>> span(3, 2)
    5
    """
    return dilation * (size - 1) + 1


def is_whole(value: Any, lowest: int = 0) -> bool:
    """Whether it is a whole number, and not too small."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def padded(x: Node, borders: Borders, value: float = 0.0) -> Node:
    """x with borders of one value along the axes between the first and the last."""
    if not any(map(any, borders)):
        return x
    low, high = ([0, *(pair[side] for pair in borders), 0] for side in (0, 1))
    return graph.pad(x, low, high, value=value)


def seen(length: int, border: tuple[int, int], size: int, stride: int, dilation: int) -> np.ndarray[Any, Any]:
    """How many elements that are no padding each window sees along one axis.

    >>> seen(4, (1, 1), 3, 1, 1).tolist()
    [2, 3, 3, 2]
    """
    low, high = border
    count = (length + low + high - span(size, dilation)) // stride + 1
    places = np.arange(count)[:, None] * stride + np.arange(size)[None] * dilation - low
    return np.asarray(((places >= 0) & (places < length)).sum(1))
