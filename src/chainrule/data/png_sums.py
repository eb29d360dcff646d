"""The sums by which a PNG file says whether it is whole."""

from __future__ import annotations

import zlib
from typing import BinaryIO

_SIGNATURE = 8
_LAST = b"IEND"
_AT_ONCE = 1 << 20


def check_sums(file: BinaryIO) -> None:
    """Raise ValueError if a chunk of a PNG file is missing or has changed; the file stays at the place where it is.

    Pillow decodes pixels without looking at their chunks' sums, and takes what inflates to the right length for whole.
    Its ``verify`` looks at them, but on an image that has then to be opened anew, which for small ones costs more than
    the sums themselves.
    """
    place = file.tell()
    file.seek(_SIGNATURE)
    kind = b""
    while kind != _LAST:
        kind = _check_chunk(file)
    file.seek(place)


def _check_chunk(file: BinaryIO) -> bytes:
    head = file.read(8)
    left, kind = int.from_bytes(head[:4], "big"), head[4:]
    total = zlib.crc32(kind)
    while left and (part := file.read(min(left, _AT_ONCE))):  # a length may claim 4 GB
        total, left = zlib.crc32(part, total), left - len(part)
    stored = file.read(4)
    if len(stored) < 4:
        raise ValueError("the file ends before its last chunk")
    if stored != total.to_bytes(4, "big"):
        raise ValueError(f"the sum of a chunk, {kind.decode('latin-1')!r}, is not that of its bytes")
    return kind
