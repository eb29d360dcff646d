from __future__ import annotations

import random
from pathlib import Path

import pytest

from chainrule.data.text import TextFile
from chainrule.errors import DataError


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
def test_pieces_of_any_size_are_the_same_text(tmp_path: Path, size: int) -> None:
    text = "a\r\nè\r語\n😀\r\r\n" * 5 + "\r"
    path = tmp_path / "notes.txt"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    file = TextFile(path)
    assert "".join(file.pieces(max(size, 3))) == expected
    assert "".join(line + "\n" for _, line in file.lines()) == expected


@pytest.mark.tiny
def test_mixed_encodings_are_named_by_file_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    good = "唐詩三百首\n".encode()
    path.write_bytes(good + "明月".encode("gb18030"))
    for size in (3, 5, 1 << 20):
        with pytest.raises(DataError, match=rf"notes\.txt, byte {len(good)}: .* is no UTF-8 .*two were mixed"):
            list(TextFile(path).pieces(size))


def test_the_byte_that_is_named_is_where_python_stops_too(tmp_path: Path) -> None:
    path, draw = tmp_path / "x.txt", random.Random(0)
    for _ in range(200):
        raw = ("aé語😀" * draw.randrange(1, 4)).encode() + bytes(
            draw.randrange(1, 256) for _ in range(draw.randrange(8))
        )
        path.write_bytes(raw)
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            with pytest.raises(DataError, match=rf"byte {error.start}:"):
                list(TextFile(path).pieces(draw.randrange(3, 9)))
        else:
            TextFile(path).read()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", r"x\.txt: the file is empty"),
        (b"ab\0c", r"x\.txt, byte 2: a zero byte"),
        ("hé".encode("utf-16"), r"x\.txt, byte 0: the file says that it is UTF-16.*iconv"),
        ("é".encode()[:1], r"x\.txt, byte 0: c3 is no UTF-8 \(unexpected end of data\)"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=message):
        TextFile(path).read()


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "growing.txt"
    path.write_text("abc\n" * 100)
    pieces = TextFile(path).pieces(40)
    next(pieces)
    path.write_text("abc\n" * 20)
    with pytest.raises(DataError, match=r"was 400 bytes long, and ended after 80 while it was read"):
        list(pieces)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        TextFile(tmp_path / "none.txt")
    with pytest.raises(DataError, match="not a file"):
        TextFile(tmp_path)
