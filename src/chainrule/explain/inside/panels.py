"""What is found inside, as pictures: tiles with words below them, and points in a plane. Arrays of colours, no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule.explain.inside.colours import Pixels, laid_over, shades, signs, strongest
from chainrule.explain.inside.embedding import Embedding
from chainrule.explain.inside.shapes import enlarged

if TYPE_CHECKING:
    from chainrule.engines.protocol import Array

#: So many tiles are shown at most, and so many points.
MOST_TILES, MOST_POINTS = 32, 500


@dataclass(frozen=True)
class Tiles:
    """Pictures side by side: ``images`` are (height, width, 3) each, with a word for each below it."""

    name: str
    title: str
    images: tuple[Pixels, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Points:
    """Samples in a plane, (points, 2), each with the number of its class, or none where there are no classes."""

    name: str
    title: str
    points: NDArray[np.float64]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]


Panel = Tiles | Points


def tiles(name: str, title: str, images: Pixels, words: Sequence[str]) -> Tiles:
    """Tiles, the first of them where they are many, which the title then says."""
    count = len(images)
    told = f"{title}: the first {MOST_TILES} of {count}" if count > MOST_TILES else title
    return Tiles(name, told, tuple(images[:MOST_TILES]), tuple(words[:MOST_TILES]))


def kernel_tiles(kernels: Array, layer: str) -> Tiles:
    """Filters (channels, height, width, channels in): in colour where they see colours, else orange and blue."""
    flat = kernels if kernels.ndim == 4 else kernels[:, None]  # along a sequence: one row
    words = [str(number) for number in range(len(flat))]
    if flat.shape[-1] == 3:
        return tiles("filters", f"filters of {layer}, in colours", shades(flat, together=True), words)
    seen = flat[..., 0] if flat.shape[-1] == 1 else flat.mean(axis=-1)
    mean = "" if flat.shape[-1] == 1 else ", the mean over what comes in"
    return tiles("filters", f"filters of {layer}{mean}", signs(seen, together=True), words)


def map_tiles(maps: Array, layer: str) -> Tiles:
    """Feature maps of one sample, (height, width, channels) or (length, channels): from black for the least of all."""
    channels = np.moveaxis(maps if maps.ndim == 3 else maps[None], -1, 0)
    words = [str(number) for number in range(len(channels))]
    return tiles("features", f"feature maps of {layer}", shades(channels[..., None], together=True), words)


def sign_tiles(name: str, title: str, maps: Array, words: Sequence[str]) -> Tiles:
    """Maps of samples, (samples, height, width) or with channels, of which the strongest shows."""
    return tiles(name, title, signs(strongest(maps) if maps.ndim == 4 else maps), words)


def heat_tiles(name: str, title: str, images: Array, maps: Array, words: Sequence[str]) -> Tiles:
    """Maps of 0 and more, (samples, rows, columns), over their images, (samples, height, width, channels)."""
    height, width = images.shape[1:3]
    return tiles(name, title, laid_over(shades(images), enlarged(maps, (height, width))), words)


def image_tiles(name: str, title: str, images: Array, words: Sequence[str]) -> Tiles:
    """Images, (samples, height, width, channels), as they are."""
    return tiles(name, title, shades(images), words)


def points(found: Embedding, labels: Array | None, classes: tuple[str, ...] | None) -> Points:
    """A map of samples."""
    how = "t-SNE" if found.method == "t-sne" else f"PCA, {found.explained.sum():.0%} of the variance"
    title = f"{len(found.points)} samples by layer {found.layer} ({how})"
    kept = None if labels is None or classes is None else np.asarray(labels, np.int64)
    return Points("map", title, found.points, kept, classes or ())
