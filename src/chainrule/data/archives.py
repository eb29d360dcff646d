"""Arrays from .npz and idx files, whose headers are checked before any memory is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError

MAXIMUM_BYTES = 4 << 30
_CHUNK = 1 << 20
_MAXIMUM_HEADER = 10_000
_IDX_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


class _Stream(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def read_npz(path: str | Path, maximum: int = MAXIMUM_BYTES) -> dict[str, NDArray[Any]]:
    """Every array of a .npz file by name; nothing in it is ever unpickled.

    Raises DataError, naming file and array, for a damaged file, an array of Python objects, and arrays that
    would take more than ``maximum`` bytes together.
    """
    import zipfile
    import zlib

    path = _file(path)
    arrays: dict[str, NDArray[Any]] = {}
    left = maximum
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > 1000:
                raise DataError(f"{path.name}: {len(members):,} arrays; up to 1,000 are read")
            for member in members:
                name = member.filename.removesuffix(".npy")
                what = f"{path.name}, array {name!r}"
                if name in arrays:
                    raise DataError(f"{what}: is there twice")
                with archive.open(member) as stream:
                    arrays[name] = _read_npy(stream, what, left)
                left -= arrays[name].nbytes
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise DataError(f"{path.name}: not a whole .npz file ({error}); write it anew with numpy.savez") from error
    if not arrays:
        raise DataError(f"{path.name}: there are no arrays in it")
    return arrays


def _read_npy(stream: _Stream, what: str, maximum: int) -> NDArray[Any]:
    shape, fortran, dtype = npy_header(stream, what)
    if dtype.hasobject:
        raise DataError(f"{what}: holds Python objects, which could run code when read; save numbers or texts only")
    values = _read_array(stream, shape, dtype, what, maximum)
    return values.reshape(shape[::-1]).T if fortran else values.reshape(shape)


def npy_header(stream: _Stream, what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran's order, and dtype, as a .npy file or member begins with them."""
    from tokenize import TokenError

    from numpy.lib import format as npy

    readers: dict[tuple[int, int], Callable[..., Any]] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    try:
        version = npy.read_magic(stream)
        if version not in readers:
            raise DataError(f"{what}: is of format version {version}, which is not read")
        shape, fortran, dtype = readers[version](stream, max_header_size=_MAXIMUM_HEADER)
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise DataError(f"{what}: its header is damaged ({error!s:.100})") from error
    return shape, fortran, dtype


def read_idx(path: str | Path, maximum: int = MAXIMUM_BYTES) -> NDArray[Any]:
    """The array of an idx file, gzipped or not: the form in which MNIST is published.

    Raises DataError for another kind of file, one that is cut short or goes on after its end, and an array of
    more than ``maximum`` bytes.
    """
    import gzip
    import zlib

    path = _file(path)
    try:
        with path.open("rb") as plain:
            gzipped = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if not gzipped:
                return _read_idx(plain, path.name, maximum)
            with gzip.GzipFile(fileobj=plain) as stream:
                return _read_idx(stream, path.name, maximum)
    except (gzip.BadGzipFile, zlib.error, EOFError, OSError) as error:
        raise DataError(f"{path.name}: damaged or cut short ({error}); fetch it again") from error


def _read_idx(stream: _Stream, name: str, maximum: int) -> NDArray[Any]:
    shape, dtype = idx_header(stream, name)
    return _read_array(stream, shape, dtype, name, maximum).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def idx_header(stream: _Stream, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype, as an idx file begins with them."""
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\x00\x00" or head[2] not in _IDX_DTYPES or not 1 <= head[3] <= 8:
        raise DataError(f"{name}: not an idx file (it begins with {head.hex(' ')}, not with 00 00 08 01 or alike)")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise DataError(f"{name}: cut short within its header; fetch it again")
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    return shape, np.dtype(_IDX_DTYPES[head[2]])


def _read_array(stream: _Stream, shape: tuple[int, ...], dtype: np.dtype[Any], what: str, maximum: int) -> NDArray[Any]:
    """Exactly the bytes that the header promises, in pieces, so that a promise alone takes no memory."""
    if any(size < 0 for size in shape):
        raise DataError(f"{what}: its header names the shape {shape}")
    expected = dtype.itemsize
    for size in shape:
        expected *= size
    if expected > maximum:
        raise DataError(f"{what}: shape {shape} of {dtype} takes {expected:,} bytes; up to {maximum:,} are read")
    pieces = bytearray()
    while len(pieces) < expected:
        piece = stream.read(min(_CHUNK, expected - len(pieces)))
        if not piece:
            raise DataError(f"{what}: cut short, {len(pieces):,} of {expected:,} bytes are there; fetch it again")
        pieces += piece
    if stream.read(1):
        raise DataError(f"{what}: goes on after the {expected:,} bytes that its header promises")
    if dtype.itemsize == 0:
        return np.zeros(int(np.prod(shape, dtype=np.int64)), dtype=dtype)
    return np.frombuffer(pieces, dtype=dtype)


def _file(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: not a file")
    return path
