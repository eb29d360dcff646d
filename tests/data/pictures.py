"""Image files to be read: a folder a class, and each kind of bad file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule.keys import Key

pytest.importorskip("PIL")
from PIL import Image


def pixels(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return (Key(seed).uniform(shape) * 256).astype(np.uint8)


def save(path: Path, array: NDArray[np.uint8], **settings: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **settings)  # type: ignore[arg-type]
    return path


def photos(folder: Path, classes: str = "cat dog", each: int = 5, shape: tuple[int, ...] = (8, 6, 3)) -> Path:
    """A folder of PNG files, one folder a class; the class is seen in the brightness."""
    for label, name in enumerate(classes.split()):
        for number in range(each):
            save(folder / name / f"{number}.png", pixels(*shape, seed=10 * label + number) // 2 + 100 * (label % 2))
    return folder


def claim_of_size(path: Path, width: int, height: int) -> Path:
    """A PNG of some bytes that says it has this size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path
