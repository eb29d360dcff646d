"""Pictures as PNG files, drawn by matplotlib, which is an extra; it opens no window and needs no screen.

Importing this module raises `MissingExtraError` where matplotlib is not installed: before the work, not after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from chainrule.errors import DataError, MissingExtraError

try:
    from matplotlib.figure import Figure
except ImportError:
    raise MissingExtraError("matplotlib", "plot", "drawing a picture") from None


def figure(width: float = 8.0, height: float = 5.0) -> Figure:
    """An empty figure, in inches; ``figure().subplots()`` gives axes, and `save_picture` writes it.

    >>> figure().subplots(1, 2).shape
    (2,)
    """
    # A figure of its own, not pyplot's: no global state, no window, whatever backend is set.
    return Figure(figsize=(width, height), layout="constrained")


def save_picture(drawn: Figure, path: str | Path) -> Path:
    """Write a figure as a PNG file, with the folders above it, and give its place."""
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    drawn.savefig(place, dpi=120, format="png")
    return place


def image_rows(rows: Mapping[str, ArrayLike], shape: tuple[int, int], path: str | Path) -> Path:
    """Write images in rows, each row under its name: arrays (images, height·width), light on dark as they are.

    Raises `DataError` for rows whose images do not have this shape.
    """
    found: dict[str, Any] = {}
    for name, images in rows.items():
        array = np.asarray(images)
        if array.ndim < 2 or array[0].size != shape[0] * shape[1]:
            raise DataError(f"{name}: images of {shape[0]}×{shape[1]} were expected, not {list(array.shape)}")
        found[name] = array.reshape(-1, *shape)
    columns = max(len(images) for images in found.values())
    drawn = figure(0.7 * columns + 1.2, 0.78 * len(found))
    grid = drawn.subplots(len(found), columns, squeeze=False)
    for (name, images), places in zip(found.items(), grid, strict=True):
        places[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
        for column, axes in enumerate(places):
            axes.set_xticks([])
            axes.set_yticks([])
            if column < len(images):
                axes.imshow(images[column], cmap="gray")
            else:
                axes.set_visible(False)
    return save_picture(drawn, path)
