"""What is written to the terminal: coloured there, and plain text everywhere else."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TextIO

from chainrule.metrics.confusion import Piece as Piece
from chainrule.metrics.confusion import share as share

_WIDEST = 100


def prepare_streams() -> None:
    """Lines leave at once and in order; a letter that the terminal does not know never ends the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            with contextlib.suppress(ValueError, OSError):
                reconfigure(errors="replace", line_buffering=True)


def say(*pieces: Piece, error: bool = False) -> None:
    """Write one line, or several with line feeds in them; styles count on a terminal only."""
    stream = sys.stderr if error else sys.stdout
    if coloured(stream) and any(isinstance(piece, tuple) for piece in pieces):
        from rich.console import Console
        from rich.text import Text

        Console(file=stream, highlight=False).print(Text.assemble(*pieces), soft_wrap=True)
    else:
        print(*(piece if isinstance(piece, str) else piece[0] for piece in pieces), sep="", file=stream)


def say_all(lines: Sequence[str | Sequence[Piece]]) -> None:
    """Write several lines, each a text or a list of pieces."""
    for line in lines:
        say(*([line] if isinstance(line, str) else line))


def say_entry(name: str, *paragraphs: str) -> None:
    """Write paragraphs under a name in the margin, wrapped to the width of the terminal."""
    margin = " " * 10
    for number, paragraph in enumerate(paragraphs):
        lines = textwrap.wrap(
            paragraph, width() - len(margin), break_long_words=False, break_on_hyphens=False, subsequent_indent="  "
        )
        for place, line in enumerate(lines):
            say(*([(f"{name:9} ", "bold"), line] if number == place == 0 else [margin, line]))


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """Text wrapped to the terminal's width; commands and paths stay whole."""
    lines = [
        textwrap.fill(
            line,
            width(),
            initial_indent=first if number == 0 else rest,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for number, line in enumerate(text.split("\n"))
    ]
    return "\n".join(lines)


def width() -> int:
    """How many columns there are to write in: 80 where nobody says."""
    columns = shutil.get_terminal_size((80, 24)).columns
    return max(40, min(columns, _WIDEST))


def coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def shows(letters: str) -> bool:
    """Whether the encoding of the output has these letters."""
    try:
        letters.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def figure(value: float) -> str:
    """A measured number with four significant digits, whole thousands written out.

    >>> figure(0.012345), figure(3.0), figure(68213.7), figure(1.5e-9), figure(2.5e12)
    ('0.01235', '3', '68,214', '1.5e-09', '2.5e+12')
    """
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.4g}"
