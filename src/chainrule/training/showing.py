"""Where progress is shown: a terminal, a notebook, a log; all have lines that stay, the first two one that passes."""

from __future__ import annotations

import html
import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

#: So many lines a notebook shows; those before them are left out.
_MOST_LINES = 40


class Display(Protocol):
    """Something to show progress on."""

    @property
    def width(self) -> int | None:
        """How many columns there are; None: as many as are wanted."""

    @property
    def passes(self) -> bool:
        """Whether there is a line that is rewritten."""

    def keep(self, lines: Sequence[str]) -> None:
        """Show lines that stay."""

    def passing(self, line: str) -> None:
        """Show a line until there is another one."""


class Plain:
    """A file, a pipe, a log: lines that stay, without a control character; nothing that passes."""

    width: int | None = None
    passes = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def keep(self, lines: Sequence[str]) -> None:
        """Write them."""
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()

    def passing(self, line: str) -> None:
        """Write nothing: what passes would stay."""


class Terminal:
    """A terminal: the last line is rewritten, and never longer than one."""

    passes = True

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def width(self) -> int | None:
        """The columns there are now; the last one is left free, since some terminals break the line behind it."""
        return max(20, shutil.get_terminal_size((80, 24)).columns - 1)

    def keep(self, lines: Sequence[str]) -> None:
        """Write them in the place of what passes."""
        self._stream.write("\r\033[K" + "".join(f"{line}\n" for line in lines))
        self._stream.flush()

    def passing(self, line: str) -> None:
        """Rewrite the line."""
        self._stream.write(f"\r\033[K{line[: self.width]}")
        self._stream.flush()


class Notebook:
    """A notebook: one output that is put in the place of itself, with the last lines, however many there were."""

    width: int | None = None
    passes = True

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None
        self._lines: list[str] = []

    def keep(self, lines: Sequence[str]) -> None:
        """Show them below the others."""
        self._lines += lines
        self._show([])

    def passing(self, line: str) -> None:
        """Show the line below those that stay."""
        self._show([line])

    def _show(self, more: Sequence[str]) -> None:
        left_out = ["…"] if len(self._lines) > _MOST_LINES else []
        shown = Text("\n".join([*self._lines[:2], *left_out, *self._lines[2:][2 - _MOST_LINES :], *more]))
        if self._handle is None:
            self._handle = self._display(shown, display_id=True)
        else:
            self._handle.update(shown)


class Text:
    """Text of one width of letters, as a notebook shows it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<pre style="line-height: 1.3">{html.escape(self.text)}</pre>'


def display_for(stream: TextIO | None) -> Display:
    """A notebook, if this is one and no stream is given; else what the stream is, or the standard errors are."""
    if stream is None and (display := _notebook()) is not None:
        return Notebook(display)
    stream = sys.stderr if stream is None else stream
    return Terminal(stream) if is_terminal(stream) else Plain(stream)


def is_watched() -> bool:
    """Whether there is somebody who sees progress: at a terminal, or in a notebook."""
    return sys.stderr.isatty() or _notebook() is not None


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can rewrite a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _notebook() -> Any:
    """What shows an object in a notebook; None if this is none. IPython is asked only where it is there already."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None and hasattr(module, "get_ipython") else None
    # In a terminal IPython has no kernel.
    return None if getattr(shell, "kernel", None) is None else importlib.import_module("IPython.display").display
