"""CSV files as rows of text: the delimiter found, the header checked, every row as long as the header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from chainrule.data.cells import number
from chainrule.errors import DataError

MAXIMUM_BYTES = 1 << 30
MAXIMUM_COLUMNS = 10_000
DELIMITERS = (",", ";", "\t")

Row = tuple[str, list[str]]


class CsvFile:
    """A CSV file with a header line, in UTF-8, separated by commas, semicolons or tabs.

    ``columns`` are the names in the header; ``rows()`` reads the file anew each time, so that it is never in
    memory whole, and gives each row with its place in words. Raises DataError, naming file and line.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self._check_size()
        self._delimiter = self._sniff()
        header = next(self._raw(), None)
        if header is None or not any(cell.strip() for cell in header[1]):
            raise DataError(f"{self.name}: the file is empty; a first line with the names of the columns was expected")
        self.columns = tuple(cell.strip() for cell in header[1])
        self._check_header()

    def rows(self) -> Iterator[Row]:
        """Each row that is not blank, as (place, cells)."""
        lines = self._raw()
        next(lines)
        count = 0
        for line, cells in lines:
            if not cells or (len(cells) == 1 < len(self.columns) and not cells[0].strip()):
                continue
            count += 1
            place = f"{self.name}, row {count} (line {line})"
            if len(cells) != len(self.columns):
                raise DataError(
                    f"{place}: {len(cells)} cells, but the header names {len(self.columns)} columns; a missing "
                    "or extra delimiter, or a text with a delimiter that is not in quotes"
                )
            yield place, cells

    def _raw(self) -> Iterator[tuple[int, list[str]]]:
        import csv

        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(self._lines(file), delimiter=self._delimiter, strict=True)
                try:
                    for cells in reader:
                        yield reader.line_num, cells
                except csv.Error as error:
                    raise DataError(f"{self.name}, line {reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name}: not a UTF-8 text file ({error.reason}); save it as CSV in UTF-8") from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from error

    def _lines(self, file: TextIO) -> Iterator[str]:
        for position, line in enumerate(file, start=1):
            if "\0" in line:
                raise DataError(f"{self.name}, line {position}: a zero byte; this is no text file")
            yield line

    def _check_size(self) -> None:
        if not self.path.exists():
            raise DataError(f"{self.path}: no such file")
        if not self.path.is_file():
            raise DataError(f"{self.path}: not a file")
        size = self.path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise DataError(
                f"{self.name}: {size:,} bytes; CSV files up to {MAXIMUM_BYTES:,} bytes are read. "
                "Split it, or convert it to .npz"
            )

    def _sniff(self) -> str:
        """The delimiter that is most frequent in the header, outside quotes."""
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                header = file.readline(1 << 20)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name}: not a UTF-8 text file ({error.reason}); save it as CSV in UTF-8") from error
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror or error})") from error
        outside = "".join(header.split('"')[::2])
        return max(DELIMITERS, key=outside.count)

    def _check_header(self) -> None:
        names = self.columns
        if len(names) > MAXIMUM_COLUMNS:
            raise DataError(f"{self.name}: {len(names):,} columns; up to {MAXIMUM_COLUMNS:,} are read")
        if "" in names:
            position = names.index("") + 1
            raise DataError(
                f"{self.name}: column {position} has no name. Name it, or, if it is an index that was "
                "written along, write the file without it"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"{self.name}: two columns are named {twice[0]!r}; give each its own name")
        if all(number(name) is not None for name in names):
            raise DataError(
                f"{self.name}: the first line holds numbers ({', '.join(names[:5])}), not the names of "
                "columns; add a line of names above it"
            )
