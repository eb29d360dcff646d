"""Image files of which a part is missing or has changed: never taken for whole."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from chainrule.data import images, read_image
from chainrule.errors import DataError
from tests.data.pictures import photos, pixels

KINDS: dict[str, dict[str, Any]] = {
    "png": {},
    "png in full": {"compress_level": 0},
    "jpeg": {},
    "jpeg by steps": {"progressive": True},
    "bmp": {},
    "gif": {},
    "webp": {},
    "webp without loss": {"lossless": True},
}
#: Of so many bytes at the end nothing is missed: what fills up a row, and what says that there is no more.
WITHOUT_PIXELS = {"bmp": 3, "gif": 2}


def written(name: str) -> bytes:
    image = Image.fromarray(pixels(9, 7, 3))
    file = io.BytesIO()
    (image.convert("P") if name == "gif" else image).save(file, name.partition(" ")[0], **KINDS[name])
    return file.getvalue()


def refused(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    try:
        read_image(path)
    except DataError as error:
        return str(error).startswith(f"{path}: is ")
    return False


@pytest.mark.parametrize("name", KINDS)
def test_a_file_cut_at_any_place_is_refused(name: str, tmp_path: Path) -> None:
    whole, path = written(name), tmp_path / "a"
    assert not refused(path, whole)
    pixels_of_all = read_image(path)
    passed = [place for place in range(len(whole)) if not refused(path, whole[:place])]
    assert len(whole) - min(passed, default=len(whole)) <= WITHOUT_PIXELS.get(name, 0)
    for place in passed:
        path.write_bytes(whole[:place])
        np.testing.assert_array_equal(read_image(path), pixels_of_all)


@pytest.mark.parametrize("name", ["png", "png in full"])
def test_no_byte_of_a_png_changes_unseen(name: str, tmp_path: Path) -> None:
    whole = written(name)
    for place in range(len(whole)):
        changed = whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :]
        assert refused(tmp_path / "a.png", changed), f"byte {place} of {len(whole)}"


def test_pixels_overwritten_by_zeros_are_seen(tmp_path: Path) -> None:
    """They inflate as before, to as many pixels."""
    whole, path = written("png in full"), tmp_path / "a.png"
    start = whole.index(b"IDAT") + 4
    path.write_bytes(whole[: start + 60] + bytes(40) + whole[start + 100 :])
    with pytest.raises(DataError, match=r"a\.png: is damaged or cut short .*the sum of a chunk, 'IDAT'"):
        read_image(path)


def test_what_follows_the_pixels_counts_too(tmp_path: Path) -> None:
    told = PngInfo()
    told.add(b"naMe", b"stripes", after_idat=True)
    path = tmp_path / "a.png"
    Image.fromarray(pixels(9, 7)).save(path, pnginfo=told)
    whole = path.read_bytes()
    assert not refused(path, whole + b"anything"), "after the last chunk the file has ended"
    assert refused(path, whole.replace(b"stripes", b"strikes"))
    assert refused(path, whole[:-1])


def test_a_chunk_that_claims_4_gb_takes_no_memory(tmp_path: Path) -> None:
    whole, body = written("png"), b"\0" * 50
    claim = struct.pack(">I", 0xFFFFFFFF) + b"zero" + body + struct.pack(">I", zlib.crc32(b"zero" + body))
    path = tmp_path / "a.png"
    path.write_bytes(whole[:-12] + claim)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"damaged or cut short \(the file ends before its last chunk"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_in_a_folder_it_is_named_and_left_out_only_when_asked(tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    damaged = folder / "dog" / "3.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-16] + bytes(4) + whole[-12:])
    with pytest.raises(DataError, match=r"3\.png: is damaged .*skip_damaged=True"):
        images(folder)
    found = images(folder, skip_damaged=True)
    assert len(found) == 9
    assert "1 damaged file left out" in found.note
    assert str(damaged) in found.note


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"pipe\.png: not a file"):
        read_image(tmp_path / "pipe.png")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    with pytest.raises(DataError, match=r"circle\.png: cannot be read \(Too many levels of symbolic links"):
        read_image(tmp_path / "circle.png")
    with pytest.raises(DataError, match=r"in-a-file\.png: no such file"):
        read_image(tmp_path / "pipe.png" / "in-a-file.png")
    with pytest.raises(DataError, match=r"cannot be read .*null"):
        read_image("a\0b.png")
