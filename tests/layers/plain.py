"""Convolution and pooling in plain NumPy, a loop for each place: what the layers of images are held to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pairs = Sequence[tuple[int, int]]


def patches(x: Array, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """Place by place: where it is, and what a window of this size sees there, (batch, taps…, channels)."""
    spans = [d * (k - 1) + 1 for k, d in zip(size, dilation, strict=True)]
    counts = [(n - r) // s + 1 for n, r, s in zip(x.shape[1:-1], spans, stride, strict=True)]
    for place in itertools.product(*map(range, counts)):
        cuts = [slice(p * s, p * s + r, d) for p, s, r, d in zip(place, stride, spans, dilation, strict=True)]
        yield counts, place, x[(slice(None), *cuts)]


def convolved(
    x: Array, w: Array, padding: Pairs, stride: Sequence[int], dilation: Sequence[int] | None = None, groups: int = 1
) -> Array:
    count = w.ndim - 2
    around = np.pad(x, [(0, 0), *padding, (0, 0)])
    inside, outside = w.shape[-2], w.shape[-1] // groups
    y: Array = np.zeros(0)
    for counts, place, seen in patches(around, w.shape[:count], stride, dilation or (1,) * count):
        y = np.zeros((len(x), *counts, w.shape[-1])) if not y.size else y
        for g in range(groups):
            part = w[..., g * outside : (g + 1) * outside]
            flat = seen[..., g * inside : (g + 1) * inside].reshape(len(x), -1)
            y[(slice(None), *place, slice(g * outside, (g + 1) * outside))] = flat @ part.reshape(-1, outside)
    return y


def pooled(
    x: Array, function: Callable[..., Any], padding: Pairs, size: Sequence[int], stride: Sequence[int],
    dilation: Sequence[int] | None = None,
) -> Array:  # fmt: skip
    """``function`` (np.nanmax, np.nanmean) of each window; what is padded is NaN, which it leaves out."""
    around = np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=np.nan)
    y: Array = np.zeros(0)
    for counts, place, seen in patches(around, size, stride, dilation or (1,) * len(size)):
        y = np.zeros((len(x), *counts, x.shape[-1])) if not y.size else y
        y[(slice(None), *place)] = function(seen, axis=tuple(range(1, 1 + len(size))))
    return y


def laid_down(x: Array, w: Array, cut: Pairs, stride: Sequence[int], whole: Sequence[int], groups: int = 1) -> Array:
    """A transposed convolution: each place of x adds its kernel to an output of ``whole`` places, which is then cut."""
    inside, outside = w.shape[-2], w.shape[-1] // groups
    y: Array = np.zeros((len(x), *whole, w.shape[-1]))
    every: Any = slice(None)
    for place in itertools.product(*map(range, x.shape[1:-1])):
        for tap in itertools.product(*map(range, w.shape[:-2])):
            at = tuple(p * s + t for p, s, t in zip(place, stride, tap, strict=True))
            for g in range(groups):
                taken = slice(g * outside, (g + 1) * outside)
                seen: Array = x[(every, *place)][:, g * inside : (g + 1) * inside]
                y[(every, *at)][:, taken] += seen @ w[tap][:, taken]
    kept = [slice(low, n - high) for n, (low, high) in zip(whole, cut, strict=True)]
    return y[(every, *kept)]


def between(x: Array, axis: int, size: int) -> Array:
    """``size`` places for each along an axis, from the middle of one to the middle of the next."""
    count = x.shape[axis]
    places, middles = (np.arange(count * size) + 0.5) / size, np.arange(count) + 0.5
    return np.apply_along_axis(lambda line: np.interp(places, middles, line), axis, x)
