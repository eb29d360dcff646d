"""Pictures as PNG files, drawn by matplotlib, which is an extra; it opens no window and needs no screen.

Importing this module raises `MissingExtraError` where matplotlib is not installed: before the work, not after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def image_rows(named: Mapping[str, ArrayLike], shape: tuple[int, int], path: str | Path, columns: int = 12) -> Path:
    """Write images in rows of at most ``columns``, their name beside them: each array is (images, height·width).

    Raises `DataError` for images that do not have this shape.
    """
    rows: list[tuple[str, NDArray[Any]]] = []
    for name, images in named.items():
        array = np.asarray(images)
        if array.ndim < 2 or len(array) == 0 or array[0].size != shape[0] * shape[1]:
            raise DataError(f"{name}: images of {shape[0]}×{shape[1]} were expected, not {list(array.shape)}")
        array = array.reshape(-1, *shape)
        for start in range(0, len(array), columns):
            rows.append(("" if start else name, array[start : start + columns]))
    width = max(len(images) for _, images in rows)
    drawn = figure(0.7 * width + 1.2, 0.78 * len(rows))
    for (name, images), places in zip(rows, drawn.subplots(len(rows), width, squeeze=False), strict=True):
        places[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for column, axes in enumerate(places):
            axes.set(xticks=[], yticks=[], visible=column < len(images))
            if column < len(images):
                axes.imshow(images[column], cmap="gray")
    return save_picture(drawn, path)
