"""A digit on a photo of paper, found, and brought into the form of MNIST's digits.

In turn: the paper's brightness, which a shadow makes uneven, is fitted by a smooth surface and divided out; ink is what
differs from it by more than Otsu's threshold; specks and what only touches the photo's edge go; what stays is scaled to
20 of 28 pixels, and put so that its centre of mass is in the middle.

Reference: N. Otsu, "A threshold selection method from gray-level histograms", 1979; Y. LeCun, L. Bottou, Y. Bengio and
P. Haffner, "Gradient-based learning applied to document recognition", 1998 (section III.A, the form of the digits).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError

#: A photo is made so small, in pixels of its longer side, before the digit is looked for.
_SIDE = 160
_BOX, _FORM = 20, 28  # MNIST's digits fill 20 of 28 pixels
_LEAST = 0.12  # ink that differs less from the paper, as a part of its brightness, is none
_SPECK = 0.08  # a piece with less ink than this part of the largest is a speck
_BLOCKS = 16

Grey = NDArray[np.float64]


def as_digit(photo: NDArray[np.uint8], height: int = _FORM, width: int = _FORM) -> NDArray[np.uint8]:
    """The digit on a grey photo (h, w) as uint8 (height, width): light ink, 0 … 255, on black, centred by its mass.

    Ink may be darker or lighter than the paper. Raises DataError where nothing is written.
    """
    small = _made_small(np.asarray(photo, np.uint8))
    ink = _ink(small)
    threshold = otsu(ink)
    if threshold < _LEAST / 2 or ink.max() < _LEAST:
        raise DataError("there is no ink on the paper that could be a digit; its digit has to be darker, or lighter")
    there = _without_specks(ink > threshold, ink)
    # Half-covered pixels stay half grey: what lies next to ink keeps its share.
    shade = np.clip(ink / np.median(ink[there]), 0.0, 1.0) * _widened(there)
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    cut = shade[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return _centred(cut, height, width)


def otsu(values: Grey) -> float:
    """The threshold that divides values into two groups of the least variance within each.

    >>> bool(0.1 < otsu(np.array([0.0, 0.1, 0.05, 0.9, 1.0])) < 0.9)
    True
    """
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = total / below - (total[-1] - total) / above
        between = np.nan_to_num(below * above * apart**2)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float(middles[best].mean())


def _made_small(photo: NDArray[np.uint8]) -> Grey:
    from PIL import Image

    image = Image.fromarray(photo)
    scale = _SIDE / max(photo.shape)
    if scale < 1:
        size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
        image = image.resize(size, Image.Resampling.BOX)
    return np.asarray(image, np.float64)


def _ink(photo: Grey) -> Grey:
    """How much each pixel differs from the paper, as a part of its brightness: ink is positive, dark or light."""
    surface = _paper(photo)
    relative = (surface - photo) / np.maximum(surface, 16.0)
    if abs(relative.min()) > abs(relative.max()) and -relative.min() > _LEAST:
        # Light on dark: a part of the brightness says little where the ground is black.
        relative = (photo - surface) / np.maximum(255.0 - surface, 16.0)
    # Noise of paper and camera would count as ink in a sum: a mean of three by three is what a stroke is at least.
    wide = np.pad(relative, 1, mode="edge")
    height, width = relative.shape
    smooth = sum(wide[y : y + height, x : x + width] for y in range(3) for x in range(3)) / 9
    return np.maximum(smooth if max(photo.shape) >= 3 * _FORM else relative, 0.0)


def _paper(photo: Grey) -> Grey:
    """The brightness of the paper at each pixel: a surface of second degree through the medians of blocks.

    The fit is made anew without what lies far from it: blocks that are full of ink.
    """
    height, width = photo.shape
    down, right = (np.linspace(-1.0, 1.0, length) for length in (height, width))
    rows, columns = (np.array_split(np.arange(length), min(_BLOCKS, length)) for length in (height, width))
    points, values = [], []
    for row in rows:
        for column in columns:
            points.append((down[row].mean(), right[column].mean()))
            values.append(np.median(photo[row[0] : row[-1] + 1, column[0] : column[-1] + 1]))
    y, x = np.array(points).T
    brightness = np.array(values)
    kept = np.ones(len(brightness), np.bool_)
    terms = _terms(y, x)
    for _ in range(8):
        fitted = np.linalg.lstsq(terms[kept], brightness[kept], rcond=None)[0]
        apart = brightness - terms @ fitted
        spread = 1.5 * np.median(np.abs(apart[kept])) + 2.0
        now = np.abs(apart - np.median(apart[kept])) <= 2.5 * spread
        if now.sum() < 12 or (now == kept).all():
            break
        kept = now
    surface: Grey = (_terms(*(part.ravel() for part in np.meshgrid(down, right, indexing="ij"))) @ fitted).reshape(
        photo.shape
    )
    return np.clip(surface, 0.0, 255.0)


def _terms(y: Grey, x: Grey) -> Grey:
    return np.stack([np.ones_like(y), y, x, y * y, y * x, x * x], axis=1)


def _without_specks(there: NDArray[np.bool_], ink: Grey) -> NDArray[np.bool_]:
    """The large pieces of ink; of those that touch the edge of the photo, only where there are no others."""
    number = pieces(there)
    count = int(number.max())
    weight = np.bincount(number.ravel(), ink.ravel(), count + 1)
    weight[0] = 0.0
    edge = np.zeros(count + 1, np.bool_)
    edge[np.unique(np.concatenate([number[0], number[-1], number[:, 0], number[:, -1]]))] = True
    inner = weight * ~edge
    if inner.max() > 0.2 * weight.max():
        weight = inner
    chosen: NDArray[np.bool_] = (weight > _SPECK * weight.max())[number]
    return chosen


def pieces(there: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The number of the piece that each pixel belongs to, from 1, neighbours in eight directions; 0 where none is.

    >>> pieces(np.array([[True, False, True], [False, False, True]])).tolist()
    [[1, 0, 2], [0, 0, 2]]
    """
    height, width = there.shape
    number = np.zeros((height + 2, width + 2), np.int64)
    number[1:-1, 1:-1] = np.where(there, np.arange(1, there.size + 1).reshape(there.shape), 0)
    while True:  # each takes the smallest number around it, until nothing changes
        before = number.copy()
        masked = np.where(number > 0, number, there.size + 1)
        around = masked.copy()
        for axis in (0, 1):
            around = np.minimum(around, np.minimum(np.roll(around, 1, axis), np.roll(around, -1, axis)))
        number = np.where(number > 0, around, 0)
        if (number == before).all():
            break
    return np.unique(np.append(0, number[1:-1, 1:-1]), return_inverse=True)[1][1:].reshape(there.shape)


def _widened(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """These pixels and their neighbours."""
    wide = np.pad(there, 1)
    for axis in (0, 1):
        wide = wide | np.roll(wide, 1, axis) | np.roll(wide, -1, axis)
    return wide[1:-1, 1:-1]


def _centred(cut: Grey, height: int, width: int) -> NDArray[np.uint8]:
    """A digit scaled to MNIST's part of the form, its centre of mass in the middle, to a whole pixel."""
    from PIL import Image

    box = max(1, round(_BOX / _FORM * min(height, width)))
    scale = box / max(cut.shape)
    size = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
    image = Image.fromarray((255.0 * cut).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    digit = np.asarray(image, np.float64)
    digit = digit * (255.0 / max(digit.max(), 1.0))
    mass = max(digit.sum(), 1e-9)
    found = np.zeros((height, width), np.uint8)
    places = []
    for axis, length in enumerate((height, width)):
        middle = (digit.sum(axis=1 - axis) @ np.arange(digit.shape[axis])) / mass
        start = round((length - 1) / 2 - middle)
        places.append(min(max(start, 0), length - digit.shape[axis]))
    top, left = places
    found[top : top + digit.shape[0], left : left + digit.shape[1]] = digit.round()
    return found
