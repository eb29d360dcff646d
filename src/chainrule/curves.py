"""Curves, drawn with letters for a terminal, or by matplotlib, an extra, as a picture."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import DataError, MissingExtraError

Floats = NDArray[np.float64]

#: A letter holds 4 rows of 2 dots; these are their bits, from the top.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BRAILLE = 0x2800
_NARROWEST = 16


@dataclass(frozen=True)
class Curve:
    """A curve y over x, both (n,), with x not falling; what is not finite is left out.

    ``log`` says that x is to be shown by its logarithm, ``mark`` is a place on x to point at; ``under`` names x,
    ``title`` stands above. Raises `DataError` where there is nothing to draw.

    >>> x = np.linspace(0, 1, 50)
    >>> print(Curve(x, x**2, title="a parabola").drawn(width=36, rows=4, plain=True))
    a parabola
    1 ┤                            *****
      │                       ******
      │                *******
    0 ┤*****************
      └─────────────────────────────────
       0                               1
    """

    x: ArrayLike
    y: ArrayLike
    title: str = ""
    under: str = ""
    log: bool = False
    mark: float | None = None

    def drawn(self, width: int = 72, rows: int = 12, *, plain: bool | None = None) -> str:
        """The curve in letters, ``width`` columns and ``rows`` rows of them and its axes.

        Dots of braille where the terminal's encoding has them; with ``plain`` one star a letter.
        """
        x, y = self._points()
        plain = not _shows("⣿│┤└─▲") if plain is None else plain
        low, high = _range(y)
        flat = y.min() == y.max()
        labels = {rows // 2: f"{y[0]:.4g}"} if flat else {0: f"{high:.4g}", rows - 1: f"{low:.4g}"}
        margin = max(map(len, labels.values()))
        columns = max(_NARROWEST, width - margin - 2)
        place = np.log(x) if self.log else x
        across = (place - place[0]) / ((place[-1] - place[0]) or 1.0)
        level = np.clip((high - y) / (high - low), 0.0, 1.0)
        dots = _dots(across, level, 2 * columns, 4 * rows)
        lines = [self.title] if self.title else []
        for row, text in enumerate(_letters(dots, plain)):
            label = labels.get(row, "")
            lines.append(f"{label:>{margin}} {'┤' if label else '│'}{text}".rstrip())
        lines.append(" " * (margin + 1) + "└" + "─" * columns)
        lines += [" " * (margin + 2) + line for line in self._below(x, columns)]
        text = "\n".join(line.rstrip() for line in lines)
        return text if _shows("┤") else text.translate(str.maketrans("┤│└─▲", "+|+-^"))

    def plot(self, path: str | Path) -> Path:
        """The curve as a PNG file; give its place. Raises `MissingExtraError` where matplotlib is not installed."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise MissingExtraError("matplotlib", "plot", "drawing a picture") from None
        x, y = self._points()
        figure = Figure(figsize=(8.0, 5.0), layout="constrained")
        axes = figure.subplots()
        axes.plot(x, y)
        if self.mark is not None:
            axes.axvline(self.mark, linestyle=":", color="black", label=f"{self.mark:.3g}")
            axes.legend()
        low, high = _range(y)
        room = 0.05 * (high - low)
        axes.set(title=self.title, xlabel=self.under, xscale="log" if self.log else "linear")
        axes.set_ylim(low - room, high + room)
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(place, dpi=120, format="png")
        return place

    def _points(self) -> tuple[Floats, Floats]:
        x, y = (np.asarray(values, np.float64).ravel() for values in (self.x, self.y))
        if x.shape != y.shape:
            raise DataError(f"a curve has a y for each x, and these are {len(x)} and {len(y)}")
        kept = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not self.log))
        if not kept.any():
            raise DataError("there is nothing to draw: no point of the curve is finite")
        return x[kept], y[kept]

    def _below(self, x: Floats, columns: int) -> list[str]:
        """The mark, if there is one, the ends of x, and its name between them."""
        first, last = f"{x[0]:.4g}", f"{x[-1]:.4g}"
        between = columns - len(first) - len(last)
        lines = [f"{first}{self.under[: max(between - 2, 0)]:^{between}}{last}"]
        if self.mark is not None and x[0] <= self.mark <= x[-1]:
            value = np.log([self.mark, x[0], x[-1]]) if self.log else np.array([self.mark, x[0], x[-1]])
            share = (value[0] - value[1]) / ((value[2] - value[1]) or 1.0)
            at, told = min(int(share * columns), columns - 1), f"{self.mark:.3g}"
            text = f"▲ {told}" if at + len(told) + 2 <= columns else f"{told} ▲"
            lines.insert(0, " " * (at if text[0] == "▲" else at - len(told) - 1) + text)
        return lines


def _range(y: Floats) -> tuple[float, float]:
    low, high = float(y.min()), float(y.max())
    if low < high:
        return low, high
    room = abs(low) or 1.0  # one value all along is drawn in the middle
    return low - room, high + room


def _dots(across: Floats, level: Floats, columns: int, rows: int) -> NDArray[np.bool_]:
    """Which dots are set: in each column all from the lowest to the highest value there, joined to its neighbours."""
    column = np.minimum((across * columns).astype(int), columns - 1)
    row = np.minimum((level * rows).astype(int), rows - 1)
    dots = np.zeros((rows, columns), bool)
    filled = np.interp(np.arange(columns), column, row).astype(int)  # columns that have no point lie between others
    top, bottom = filled.copy(), filled.copy()
    for place in np.unique(column):
        here = row[column == place]
        top[place], bottom[place] = here.min(), here.max()
    for place in range(columns):
        if place:
            top[place] = min(top[place], bottom[place - 1] + 1)
            bottom[place] = max(bottom[place], top[place - 1] - 1)
        dots[top[place] : bottom[place] + 1, place] = True
    return dots


def _letters(dots: NDArray[np.bool_], plain: bool) -> list[str]:
    rows, columns = dots.shape[0] // 4, dots.shape[1] // 2
    cells = dots.reshape(rows, 4, columns, 2).transpose(0, 2, 1, 3)
    if plain:
        return ["".join(" *"[int(cell.any())] for cell in row) for row in cells]
    bits = (cells * _BITS).sum(axis=(2, 3))
    return ["".join(chr(_BRAILLE + int(cell)) if cell else " " for cell in row) for row in bits]


def _shows(letters: str) -> bool:
    """Whether the encoding of the output has these letters; what has no encoding, such as a notebook's, has all."""
    try:
        letters.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
