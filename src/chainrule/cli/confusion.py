"""Which class was taken for which: a table where it fits, and a list of the commonest mistakes where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.screen import Piece, share, shows, width

_MOST_LISTED = 10


def count_confusions(labels: NDArray[Any], predicted: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How often true class i was taken for class j.

    >>> count_confusions(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    return np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes * classes).reshape(
        classes, classes
    )


def confusion_lines(counts: NDArray[np.int64], classes: Sequence[str]) -> list[list[Piece]]:
    """The matrix, or for many classes the commonest mistakes and the classes that are hardest to tell."""
    heads, rows, cell = _headings(counts, classes)
    if max(map(len, rows)) + 1 + (cell + 1) * len(classes) > width():
        return _listed(counts, classes)
    margin = max(map(len, rows))
    nothing = "·" if shows("·") else "."
    lines: list[list[Piece]] = [[" " * margin + " ", (" ".join(f"{head:>{cell}}" for head in heads), "bold")]]
    for i, name in enumerate(rows):
        line: list[Piece] = [(f"{name:>{margin}} ", "bold")]
        for j, count in enumerate(counts[i]):
            text = f"{int(count) if count else nothing:>{cell}}"
            line += [(text, "dim" if not count else "green" if i == j else "bold red"), " "]
        lines.append(line[:-1])
    return lines


def _headings(counts: NDArray[np.int64], classes: Sequence[str]) -> tuple[list[str], list[str], int]:
    """What stands over the columns and before the rows, and how wide a column is; long names get a letter."""
    widest = len(str(int(counts.max(initial=0))))
    if max(map(len, classes)) <= 6:
        return list(classes), list(classes), max([widest, 3, *map(len, classes)])
    if len(classes) > 26:
        return list(classes), list(classes), max(widest, *map(len, classes))
    letters = [chr(ord("a") + place) for place in range(len(classes))]
    most = 24
    named = [name if len(name) <= most else f"{name[: most - 1]}…" for name in classes]
    return letters, [f"{name} {letter}" for name, letter in zip(named, letters, strict=True)], max(widest, 3)


def _listed(counts: NDArray[np.int64], classes: Sequence[str]) -> list[list[Piece]]:
    wrong = counts * (1 - np.eye(len(classes), dtype=np.int64))
    order = np.argsort(wrong, axis=None, kind="stable")[::-1][:_MOST_LISTED]
    pairs = [(int(place) // len(classes), int(place) % len(classes)) for place in order]
    lines: list[list[Piece]] = [["The commonest mistakes, of ", f"{int(wrong.sum()):,}", ":"]]
    for i, j in pairs:
        if wrong[i, j]:
            lines.append([f"  {int(wrong[i, j]):>6,} times {_short(classes[i])} was taken for {_short(classes[j])}"])
    if len(lines) == 1:
        return [["No sample was taken for another class."]]
    totals = counts.sum(axis=1)
    found = np.divide(np.diag(counts), totals, out=np.ones(len(classes)), where=totals > 0)
    lines.append(["The classes that were found least often:"])
    for place in np.argsort(found, kind="stable")[:5]:
        right, whole = int(counts[place, place]), int(totals[place])
        if right < whole:
            lines.append([f"  {share(right, whole):>7} of {_short(classes[int(place)])} ({right:,} of {whole:,})"])
    return lines


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
