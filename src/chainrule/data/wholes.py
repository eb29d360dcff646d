"""Arrays read piece by piece, memory-mapped or not, and the arrays of an .npz file as memory maps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.chunks import Piece
from chainrule.data.dataset import Dataset
from chainrule.data.image_files import ImageFiles
from chainrule.errors import DataError, StreamError

Order = Callable[[int], NDArray[np.int32]]

_BYTES, _ROWS = 1 << 20, 4096
_STORED, _LOCAL_HEADER = 0, 30


class Whole:
    """All the data as one chunk: of its arrays, only the rows that are wanted are read.

    ``rows`` are those of the chunk that count as the data, all if none are given: a part of arrays that are nowhere
    copied.

    >>> whole = Whole((np.arange(6.0).reshape(3, 2), np.arange(3)))
    >>> [chunk[0].tolist() for _, chunk, _ in whole.pieces(0, 1)]
    [[[2.0, 3.0], [4.0, 5.0]]]
    """

    def __init__(self, chunk: Any, rows: NDArray[Any] | None = None) -> None:
        if isinstance(chunk, Dataset):
            chunk = (chunk.inputs, chunk.targets, chunk.weights)
        self._names = tuple(chunk) if isinstance(chunk, Mapping) else None
        parts = chunk.values() if isinstance(chunk, Mapping) else chunk if isinstance(chunk, tuple) else (chunk,)
        self.parts: list[Any] = [None if part is None else _rows(part) for part in parts]
        lengths = [part.shape[0] if part.ndim else 0 for part in self.parts if part is not None]
        if not lengths or len(set(lengths)) > 1 or not lengths[0]:
            raise DataError(f"the arrays hold one row a sample, as many as each other, and some: {lengths}")
        self.rows = rows
        self._samples = lengths[0] if rows is None else len(rows)
        bytes_a_row = sum(part.nbytes // len(part) for part in self.parts if part is not None)
        self._piece = max(1, min(_ROWS, _BYTES // max(bytes_a_row, 1)))

    def __len__(self) -> int:
        return self._samples

    def pieces(self, epoch: int, start: int = 0, order: Order | None = None) -> Generator[Piece]:
        """The samples from place ``start`` of the epoch on, in its order."""
        places = None if order is None else order(epoch)
        for first in range(start, self._samples, self._piece):
            last = min(first + self._piece, self._samples)
            rows = np.arange(first, last) if places is None else places[first:last]
            chosen: Any = slice(first, last) if places is None else rows
            where = f"samples {first:,} to {last - 1:,} of epoch {epoch}"
            try:
                found = self._at(chosen)
            except DataError as error:
                raise StreamError(f"{where}: {error}") from error
            yield where, found, rows

    def sample(self, row: int) -> Any:
        """One sample, as a chunk."""
        return self._at(slice(row, row + 1))

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """The targets where they are whole numbers from 0 on, one a sample."""
        found = self.parts[1] if self._names is None and len(self.parts) > 1 else None
        if found is None or found.ndim != 1 or found.dtype.kind not in "iu" or found.min() < 0:
            return None
        return np.asarray(found if self.rows is None else found[self.rows], np.int32)

    @property
    def weights(self) -> NDArray[Any] | None:
        """How much each sample counts, if it is said."""
        found = self.parts[2] if self._names is None and len(self.parts) > 2 else None
        return found if found is None or self.rows is None else np.asarray(found[self.rows])

    def chosen(self, rows: NDArray[Any]) -> Whole:
        """A part of these data, by the places of its samples."""
        parts = tuple(self.parts) if self._names is None else dict(zip(self._names, self.parts, strict=True))
        return Whole(parts, rows if self.rows is None else self.rows[rows])

    def _at(self, rows: Any) -> Any:
        rows = rows if self.rows is None else self.rows[rows]
        parts = [None if part is None else part[rows] for part in self.parts]
        return tuple(parts) if self._names is None else dict(zip(self._names, parts, strict=True))


def _rows(part: Any) -> Any:
    """An array, or what stands in the place of one and reads rows when they are asked for."""
    return part if isinstance(part, ImageFiles) else np.asarray(part)


def map_idx(path: str | Path) -> NDArray[Any]:
    """The array of an idx file, mapped into memory: only what is looked at is read. It is read-only.

    The file must not be gzipped. Numbers of more than one byte are as the file has them, the highest byte first.
    Raises DataError for another kind of file, and for one that is not as long as it says.
    """
    from chainrule.data.archives import idx_header

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            raise DataError(f"{path.name}: is gzipped, and cannot be mapped; unpack it with gunzip")
        file.seek(0)
        shape, dtype = idx_header(file, path.name)
        offset = file.tell()
    size = dtype.itemsize * int(np.prod(shape, dtype=object))
    if path.stat().st_size != offset + size:
        raise DataError(f"{path.name}: is {path.stat().st_size:,} bytes, and its header promises {offset + size:,}")
    return np.asarray(np.memmap(path, dtype, "r", offset, shape)) if size else np.empty(shape, dtype)


def map_npz(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file by name, mapped into memory: only what is looked at is read. They are read-only.

    numpy.load cannot do this for .npz; for a .npy file there is ``numpy.load(path, mmap_mode="r")``. The file has to
    be written by numpy.savez: what numpy.savez_compressed writes can only be read whole.

    Raises DataError for a file that is compressed, damaged or holds Python objects.
    """
    import struct
    import zipfile

    from chainrule.data.archives import npy_header

    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    found: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                what = f"{path.name}, array {name!r}"
                if member.compress_type != _STORED or member.flag_bits & 1:
                    raise DataError(f"{what}: is compressed, and cannot be mapped; write the file with numpy.savez")
                file.seek(member.header_offset)
                head = file.read(_LOCAL_HEADER)
                if len(head) < _LOCAL_HEADER or head[:4] != b"PK\x03\x04":
                    raise DataError(f"{what}: is not where the file's list says; write the file anew")
                start = member.header_offset + _LOCAL_HEADER + sum(struct.unpack("<HH", head[26:30]))
                file.seek(start)
                shape, fortran, dtype = npy_header(file, what)
                offset = file.tell()
                size = dtype.itemsize * int(np.prod(shape, dtype=object))
                if dtype.hasobject or min(shape, default=0) < 0 or offset - start + size != member.file_size:
                    raise DataError(f"{what}: holds Python objects, or is damaged; write it anew with numpy.savez")
                order: Any = "F" if fortran else "C"
                found[name] = (
                    np.asarray(np.memmap(path, dtype, "r", offset, shape, order)) if size else np.empty(shape, dtype)
                )
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError, struct.error) as error:
        raise DataError(f"{path.name}: not a whole .npz file ({error}); write it anew with numpy.savez") from error
    if not found:
        raise DataError(f"{path.name}: there are no arrays in it")
    return found
