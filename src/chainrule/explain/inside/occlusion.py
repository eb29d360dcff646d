"""Occlusion: a patch is laid over a sample, place by place, and the output is watched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from chainrule.data import Dataset
from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError
from chainrule.explain.inside.saliency import at_least
from chainrule.explain.inside.shapes import images_of
from chainrule.explain.inside.view import Output, chosen_units, outputs, samples_seen

if TYPE_CHECKING:
    from chainrule.run import Run

#: So many covered images are made at a time.
_AT_ONCE = 64


def occlusion(
    run: Run,
    inputs: Dataset | ArrayLike,
    output: Output = None,
    *,
    patch: int | None = None,
    stride: int | None = None,
    value: float = 0.0,
) -> Array:
    """How much the output falls where a patch covers the image, S(x) − S(covered): (samples, height, width).

    A square of ``patch`` pixels, a quarter of the smaller side if nothing is said, goes over the image in steps of
    ``stride``, a quarter of the patch if nothing is said, and makes all channels there ``value``, in the units that the
    network sees: 0 is black. Each pixel has the mean over all squares that cover it. S is as in `saliency`. This asks
    no gradient, so that it sees what a flat activation hides.

    Raises `DataError` where the samples are no images, `ConfigurationError` for a patch larger than the image, or a
    stride that would leave pixels uncovered.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits")
    >>> run = cr.fit(cr.Chain(cr.Dense(16, cr.relu), cr.Dense(10)), train, epochs=1)
    >>> occlusion(run, test.inputs[:2], patch=3).shape
    (2, 8, 8)

    Reference: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", 2014.
    """
    height, width, channels = images_of(run, "occlusion")
    size = max(1, min(height, width) // 4) if patch is None else patch
    at_least("patch", size)
    step = max(1, size // 4) if stride is None else stride
    at_least("stride", step)
    if size > min(height, width):
        raise ConfigurationError(f"a patch of {size}×{size} is larger than the image, which is {height}×{width}")
    if step > size:
        raise ConfigurationError(f"a stride of {step} leaves pixels between patches of {size}×{size} uncovered")
    seen = samples_seen(run, inputs)
    units = chosen_units(run, seen, output)
    places = [(top, left) for top in _starts(height, size, step) for left in _starts(width, size, step)]
    drops = np.zeros((len(seen), height, width), np.float64)
    counts = np.zeros((height, width))
    for top, left in places:
        counts[top : top + size, left : left + size] += 1
    whole = _scores(outputs(run, seen), units)
    for sample, image in enumerate(seen):
        for begin in range(0, len(places), _AT_ONCE):
            some = places[begin : begin + _AT_ONCE]
            covered = np.repeat(image.reshape(1, height, width, channels), len(some), axis=0)
            for number, (top, left) in enumerate(some):
                covered[number, top : top + size, left : left + size] = value
            found = _scores(outputs(run, covered.reshape(-1, *image.shape)), np.repeat(units[sample], len(some)))
            for (top, left), score in zip(some, found, strict=True):
                drops[sample, top : top + size, left : left + size] += whole[sample] - score
    return np.asarray(drops / counts, seen.dtype)


def _scores(found: Array, units: Array) -> Array:
    means = found.reshape(len(found), -1, found.shape[-1]).mean(1, dtype=np.float64)
    scores: Array = means[np.arange(len(found)), units]
    return scores


def _starts(length: int, size: int, stride: int) -> list[int]:
    """Where squares begin; the last reaches the end."""
    return sorted({*range(0, length - size + 1, stride), length - size})
