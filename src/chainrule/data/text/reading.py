"""Text files: UTF-8 that is checked, read in pieces, and refused by file and byte where it is something else."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from chainrule.errors import ConfigurationError, DataError

_PIECE = 1 << 20
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32", codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip


class TextFile:
    """A text file in UTF-8, with whatever ends of lines; a mark at its beginning is left out.

    With ``start`` and ``stop`` it is the part of the file between these bytes; `divide` makes such parts. What is
    written behind its end later is not read.

    Raises DataError, naming file and byte (counted from 0), for what is not UTF-8 or holds a zero byte, and for a file
    that is empty, gone, or becomes shorter while it is read.
    """

    def __init__(self, path: str | Path, start: int = 0, stop: int | None = None) -> None:
        self.path, self.start = Path(path), start
        self.name = self.path.name
        if not self.path.is_file():
            raise DataError(f"{self.path}: {'not a file' if self.path.exists() else 'no such file'}")
        whole = self._whole = self.path.stat().st_size
        if not whole:
            raise DataError(f"{self.name}: the file is empty")
        self.stop = whole if stop is None else stop
        if not 0 <= self.start < self.stop <= whole:
            raise DataError(f"{self.name}: there is no part from byte {start:,} to {stop:,} of its {whole:,}")
        self.bytes = self.stop - self.start

    def divide(self, fraction: float, most: int | None = None) -> tuple[TextFile, TextFile]:
        """What comes first, and the end: ``fraction`` of the bytes, ``most`` of them at most. It begins with a line."""
        if not 0 < fraction < 1:
            raise ConfigurationError(f"{self.name}: fraction is a part of the text, between 0 and 1, not {fraction!r}")
        wanted = min(max(round(self.bytes * fraction), 1), self.bytes if most is None else most)
        cut = self._line_after(self.stop - wanted)
        if not self.start < cut < self.stop:
            raise DataError(f"{self.name}: {self.bytes:,} bytes are too few to set {wanted:,} of them apart")
        return TextFile(self.path, self.start, cut), TextFile(self.path, cut, self.stop)

    def _line_after(self, place: int) -> int:
        """Where the first line from a byte on begins; where no more begin, the first character."""
        with self.path.open("rb") as file:
            file.seek(place)
            near = file.read(min(self.stop - place, _PIECE))
        end = near.find(b"\n") + 1
        if 0 < end < self.stop - place:
            return place + end
        return place + next((n for n, byte in enumerate(near) if byte & 0xC0 != 0x80), len(near))

    def pieces(self, size: int = _PIECE) -> Iterator[str]:
        """The text, ``size`` bytes of the file at a time; no character is cut in two."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        done, carriage = self.start, False
        try:
            with self.path.open("rb", buffering=0) as file:
                file.seek(done)
                while raw := file.read(min(size, self.stop - done)):
                    if not done:
                        self._refuse_mark(raw)
                    text = self._decoded(decoder, raw, done)
                    text = text.removeprefix("\ufeff") if not done else text
                    done += len(raw)
                    # An end of line of two characters may stand where two pieces meet.
                    text, carriage = ("\r" if carriage else "") + text, False
                    if text.endswith("\r"):
                        text, carriage = text[:-1], True
                    if text := text.replace("\r\n", "\n").replace("\r", "\n"):
                        yield text
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        if done < self.stop:
            raise DataError(
                f"{self.name}: was {self._whole:,} bytes long, and ended after {done:,} while it was read; "
                "something else is writing it. Try again when that is done"
            )
        self._decoded(decoder, b"", done, final=True)
        if carriage:
            yield "\n"

    def read(self) -> str:
        """The whole text."""
        return "".join(self.pieces())

    def lines(self) -> Iterator[tuple[str, str]]:
        """Each line without its end, and its place in words."""
        rest, number = "", 0
        for piece in self.pieces():
            *whole, rest = (rest + piece).split("\n")
            for line in whole:
                number += 1
                yield f"{self.name}, line {number:,}", line
        if rest:
            yield f"{self.name}, line {number + 1:,}", rest

    def _decoded(self, decoder: codecs.IncrementalDecoder, raw: bytes, done: int, *, final: bool = False) -> str:
        if (zero := raw.find(b"\0")) >= 0:
            raise DataError(f"{self.name}, byte {done + zero:,}: a zero byte; this is no text file")
        try:
            return decoder.decode(raw, final)
        except UnicodeDecodeError as error:
            # What the decoder looks at begins with the bytes that it kept from the piece before.
            at = done - (len(error.object) - len(raw)) + error.start
            found = error.object[error.start : error.start + 4].hex(" ")
            raise DataError(
                f"{self.name}, byte {at:,}: {found} is no UTF-8 ({error.reason}), and what stands before it is. Either "
                f"the file is in another encoding, or two were mixed in it. Convert it, or the part from there on: "
                f"iconv -f GB18030 -t UTF-8 {self.name} (or another for GB18030)"
            ) from None

    def _refuse_mark(self, raw: bytes) -> None:
        for mark, encoding in _MARKS.items():
            if raw.startswith(mark):
                raise DataError(
                    f"{self.name}, byte 0: the file says that it is {encoding}, and UTF-8 is read; convert it: "
                    f"iconv -f {encoding} -t UTF-8 {self.name}"
                )
