"""Numbers as colours, and colours as the bytes of a small PNG file: no library is needed for either."""

from __future__ import annotations

import base64
import math
import struct
import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pixels = NDArray[np.uint8]

#: What speaks for, and what speaks against: told apart by those who do not see red or green.
FOR, AGAINST = (194, 87, 12), (31, 95, 191)
#: A picture in a page has at most so many pixels a side.
LARGEST = 64


def shades(images: ArrayLike, *, together: bool = False) -> Pixels:
    """Images, (images, height, width, 1 or 3), as RGB, from black for the least to white for the largest number.

    Each has the whole range, or, ``together``, one range serves all.

    >>> shades([[[[0.0], [1.0], [3.0]]]])[0, 0, :, 0].tolist()
    [0, 85, 255]
    """
    values = _finite(images)
    axes = None if together else (1, 2, 3)
    low, high = values.min(axis=axes, keepdims=True), values.max(axis=axes, keepdims=True)
    found = _bytes(255 * (values - low) / np.where(high > low, high - low, 1.0))
    return np.repeat(found, 3, axis=3) if found.shape[3] == 1 else found


def signs(maps: ArrayLike, *, together: bool = False) -> Pixels:
    """Maps, (maps, height, width), as RGB: white for 0, orange above it and blue below.

    Each has its largest size as the full colour, or, ``together``, one serves all.

    >>> signs([[[0.0, 2.0, -2.0]]])[0, 0].tolist()
    [[255, 255, 255], [194, 87, 12], [31, 95, 191]]
    """
    values = _finite(maps)
    largest = np.abs(values).max(axis=None if together else (1, 2), keepdims=True)
    part = (values / np.where(largest > 0, largest, 1.0))[..., None]
    ends = np.where(part >= 0, np.array(FOR), np.array(AGAINST))
    return _bytes(255 + np.abs(part) * (ends - 255.0))


def laid_over(images: Pixels, maps: ArrayLike) -> Pixels:
    """Images, (images, height, width, 3), under maps of 0 and more, (images, height, width): orange by their size.

    >>> laid_over(np.zeros((1, 1, 2, 3), np.uint8), [[[0.0, 1.0]]])[0, 0].tolist()
    [[0, 0, 0], [155, 70, 10]]
    """
    values = np.maximum(_finite(maps), 0)
    largest = values.max(axis=(1, 2), keepdims=True)
    part = 0.8 * (values / np.where(largest > 0, largest, 1.0))[..., None]
    return _bytes(images * (1 - part) + part * np.array(FOR))


def strongest(maps: ArrayLike) -> NDArray[np.float64]:
    """Maps with channels, (…, channels), by the number that is largest in size at each place: (…)."""
    values = _finite(maps)
    chosen = np.abs(values).argmax(axis=-1)[..., None]
    found: NDArray[np.float64] = np.take_along_axis(values, chosen, axis=-1)[..., 0]
    return found


def shrunk(image: Pixels, largest: int = LARGEST) -> Pixels:
    """An image, (height, width, 3), of at most so many pixels a side: means of squares.

    >>> shrunk(np.zeros((100, 300, 3), np.uint8)).shape
    (20, 60, 3)
    """
    step = math.ceil(max(image.shape[:2]) / largest)
    if step <= 1:
        return image
    height, width = (math.ceil(size / step) for size in image.shape[:2])
    added = [(0, count * step - size) for count, size in zip((height, width), image.shape[:2], strict=True)]
    squares = np.pad(image, [*added, (0, 0)], mode="edge").reshape(height, step, width, step, 3)
    return _bytes(squares.mean(axis=(1, 3)))


def png(image: Pixels) -> bytes:
    """An image, (height, width, 3), as a PNG file."""
    height, width, _ = image.shape
    grey = bool((image == image[:, :, :1]).all())
    rows = image[:, :, :1] if grey else image
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    told = (struct.pack(">I", len(b)) + a + b + struct.pack(">I", zlib.crc32(a + b)) for a, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def data_uri(image: Pixels) -> str:
    """An image as an address that holds the whole of it, for a page that stands alone."""
    return f"data:image/png;base64,{base64.b64encode(png(shrunk(image))).decode()}"


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    return np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _bytes(values: NDArray[np.float64]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
