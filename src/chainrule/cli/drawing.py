"""Samples that are pictures, drawn with letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.screen import shows, width

_BLOCKS, _LETTERS = " ░▒▓█", " .:*#"
_SMALL, _SMALL_COLUMNS, _LARGE_COLUMNS = 12, 14, 25
_GAP = 2


def is_picture(shape: Sequence[int]) -> bool:
    """Whether a sample of this shape can be drawn: height and width, and one or three colours."""
    return len(shape) in (2, 3) and min(shape[:2]) >= 4 and (len(shape) == 2 or shape[2] in (1, 3))


def draw(sample: NDArray[Any], shape: Sequence[int], low: float, high: float) -> list[str]:
    """One sample as lines of shades, from blank at ``low`` to full at ``high``; a letter is twice as high as wide.

    >>> draw(np.eye(4), (4, 4), 0.0, 1.0)[0].rstrip() != ""
    True
    """
    picture = np.asarray(sample, np.float64).reshape(shape)
    if picture.ndim == 3:
        picture = picture.mean(axis=2)
    columns = _SMALL_COLUMNS if picture.shape[1] <= _SMALL else _LARGE_COLUMNS
    rows = max(1, round(columns / 2 * picture.shape[0] / picture.shape[1]))
    shades = _BLOCKS if shows(_BLOCKS) else _LETTERS
    level = (_resample(_resample(picture, rows).T, columns).T - low) / ((high - low) or 1.0)
    index = np.clip((level * len(shades)).astype(int), 0, len(shades) - 1)
    return ["".join(shades[place] for place in row) for row in index]


def side_by_side(pictures: Sequence[Sequence[str]], captions: Sequence[Sequence[str]]) -> list[str]:
    """Pictures in rows as wide as the terminal, each over its caption, without the rows that are blank in all."""
    inked = [row for picture in pictures for row, line in enumerate(picture) if line.strip()]
    pictures = [picture[min(inked, default=0) : max(inked, default=0) + 1] for picture in pictures]
    columns = max(len(line) for picture in pictures for line in picture)
    columns = max([columns, *(len(line) for caption in captions for line in caption)])
    fit = max(1, (width() + _GAP) // (columns + _GAP))
    lines: list[str] = []
    captioned = [[*picture, *caption] for picture, caption in zip(pictures, captions, strict=True)]
    for start in range(0, len(pictures), fit):
        blocks = captioned[start : start + fit]
        height = max(map(len, blocks))
        blocks = [[*block, *[""] * (height - len(block))] for block in blocks]
        lines += [(" " * _GAP).join(f"{line:{columns}}" for line in row).rstrip() for row in zip(*blocks, strict=True)]
        lines.append("")
    return lines[:-1]


def _resample(picture: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """The means of ``rows`` equal slices along the first axis, whole points or not."""
    count = len(picture)
    heights = np.concatenate([np.zeros((1, picture.shape[1])), np.cumsum(picture, axis=0)])
    edges = np.linspace(0, count, rows + 1)
    below = np.minimum(edges.astype(int), count - 1)
    at = heights[below] + (edges - below)[:, None] * picture[below]
    means: NDArray[np.float64] = np.diff(at, axis=0) * (rows / count)
    return means
