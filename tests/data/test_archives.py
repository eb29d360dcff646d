from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data.archives import read_idx, read_npz
from chainrule.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array: np.ndarray, code: int = 8) -> bytes:
    big = array.astype(array.dtype.newbyteorder(">"))
    return struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape) + big.tobytes()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


@pytest.mark.tiny
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_are_read_plain_and_gzipped(tmp_path: Path, pack: Any) -> None:
    array = read_idx(write(tmp_path, pack(idx(IMAGES))))
    assert array.dtype == np.uint8
    assert (array == IMAGES).all()


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, np.uint8), (9, np.int8), (11, np.int16), (12, np.int32), (13, np.float32), (14, np.float64)]
)
def test_every_dtype_of_idx_comes_in_the_machine_s_own_order(tmp_path: Path, code: int, dtype: Any) -> None:
    array = read_idx(write(tmp_path, idx(np.array([1, -2, 3]).astype(dtype), code)))
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert (array == np.array([1, -2, 3]).astype(dtype)).all()


WHOLE = idx(IMAGES)
DAMAGED = [
    (b"", "not an idx file"),
    (b"PK\x03\x04", "not an idx file \\(it begins with 50 4b 03 04"),
    (b"\0\0\x0a\x01", "not an idx file"),
    (b"\0\0\x08\x00", "not an idx file"),
    (b"\0\0\x08\xff" + b"\0" * 2000, "not an idx file"),
    (WHOLE[:7], "cut short within its header"),
    (WHOLE[:-1], "cut short, 23 of 24 bytes"),
    (WHOLE + b"\0", "goes on after the 24 bytes"),
    (struct.pack(">HBB2I", 0, 8, 2, 2**32 - 1, 2**32 - 1), "18,446,744,065,119,617,025 bytes; up to"),
]


@pytest.mark.parametrize(("content", "message"), DAMAGED)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_damaged_idx_files_are_refused(tmp_path: Path, content: bytes, message: str, pack: Any) -> None:
    with pytest.raises(DataError, match=message):
        read_idx(write(tmp_path, pack(content)))


def test_a_promise_alone_takes_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path, struct.pack(">HBB1I", 0, 8, 1, 2**31) + b"few")
    tracemalloc.start()
    with pytest.raises(DataError, match="cut short, 3 of 2,147,483,648 bytes"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("cut", [3, 12, 40])
def test_cut_gzip_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(DataError, match="fetch it again"):
        read_idx(write(tmp_path, gzip.compress(WHOLE)[:cut]))


def test_gzip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(WHOLE))
    packed[-6] ^= 1
    with pytest.raises(DataError, match="damaged or cut short"):
        read_idx(write(tmp_path, bytes(packed)))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for read in (read_idx, read_npz):
        with pytest.raises(DataError, match="no such file"):
            read(tmp_path / "none")
        with pytest.raises(DataError, match="not a file"):
            read(tmp_path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_arrays_come_back(tmp_path: Path, save: Any) -> None:
    arrays = {
        "a": IMAGES,
        "b": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "c": np.array(3.5),
        "d": np.array(["one", "three"]),
        "e": np.zeros((0, 4), np.float32),
        "f": np.array([1, 2], dtype=">i4"),
    }
    save(tmp_path / "file.npz", **arrays)
    read = read_npz(tmp_path / "file.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].shape == array.shape
        assert read[name].dtype == array.dtype
        assert (read[name] == array).all()


def npy(header: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\x01\x00" else "<I", len(text)) + text + body


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name + ".npy", content)
    return buffer.getvalue()


def objects() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([print], dtype=object), allow_pickle=True)
    return buffer.getvalue()


HOSTILE = [
    (b"", "not a whole .npz file"),
    (b"PK\x03\x04 and so on", "not a whole .npz file"),
    (archive(), "there are no arrays"),
    (archive(x=b"plain text"), "array 'x': its header is damaged"),
    (archive(x=b"\x93NUMPY\x01\x00\xff"), "array 'x': its header is damaged"),
    (archive(x=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)", b"")), "its header is damaged"),
    (archive(x=npy("__import__('os').abort()")), "its header is damaged"),
    (archive(x=npy("{'descr': 'nonsense', 'fortran_order': False, 'shape': (2,)}")), "its header is damaged"),
    (archive(x=npy("(" * 5000)), "its header is damaged"),
    (archive(x=npy(" " * 20_000)), "its header is damaged"),
    (archive(x=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-2,)}", b"")), r"names the shape \(-2,\)"),
    (archive(x=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", b"\0" * 15)), "cut short, 15 of 16"),
    (archive(x=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}", b"\0" * 17)), "goes on after the 16"),
    (
        archive(x=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 99999999)}")),
        "79,999,998,400,000,008 bytes; up to",
    ),
    (archive(x=npy("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", b"\0" * 8, b"\x09\x00")), "version"),
    (archive(x=objects()), "array 'x': holds Python objects, which could run code"),
]


@pytest.mark.parametrize(("content", "message"), HOSTILE, ids=[message for _, message in HOSTILE])
def test_hostile_npz_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_npz(write(tmp_path, content))


def test_arrays_share_one_bound(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", a=np.zeros(6, np.uint8), b=np.zeros(6, np.uint8))
    assert len(read_npz(tmp_path / "file.npz", maximum=12)) == 2
    with pytest.raises(DataError, match="array 'b': shape \\(6,\\) of uint8 takes 6 bytes; up to 5 are read"):
        read_npz(tmp_path / "file.npz", maximum=11)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    size = 50_000_000
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},)}}"
    path = write(tmp_path, archive(x=npy(header, bytes(size))))
    assert path.stat().st_size < 100_000
    with pytest.raises(DataError, match="takes 50,000,000 bytes; up to 1,000,000 are read"):
        read_npz(path, maximum=1_000_000)


def test_every_cut_of_a_file_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "file.npz", x=IMAGES)
    whole = (tmp_path / "file.npz").read_bytes()
    for cut in range(0, len(whole), 7):
        with pytest.raises(DataError):
            read_npz(write(tmp_path, whole[:cut]))


def test_every_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "file.npz", x=IMAGES)
    whole = (tmp_path / "file.npz").read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        try:
            read = read_npz(write(tmp_path, bytes(damaged)))
        except DataError:
            continue
        assert all((array == IMAGES).all() for array in read.values())


def test_a_member_named_twice_is_refused(tmp_path: Path) -> None:
    member = npy("{'descr': '|u1', 'fortran_order': False, 'shape': ()}", b"\0")
    with zipfile.ZipFile(tmp_path / "file", "w") as file:
        file.writestr("x.npy", member)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("x.npy", member)
    with pytest.raises(DataError, match="array 'x': is there twice"):
        read_npz(tmp_path / "file")
