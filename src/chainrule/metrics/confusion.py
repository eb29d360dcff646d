"""Which class was taken for which: a table where it fits, and a list of the commonest mistakes where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ConfigurationError, DataError
from chainrule.metrics.reading import read_classes

_MOST_LISTED = 10

#: A piece of a line: text, or text and a style.
Piece = str | tuple[str, str]


@dataclass(frozen=True, eq=False)
class ConfusionMatrix:
    """How often true class i was taken for class j: ``counts[i, j]``, with the names of the classes.

    Printed it is a table of 80 columns, or, for more classes than that holds, a list of the commonest mistakes.

    >>> print(ConfusionMatrix(np.array([[5, 0], [1, 4]]), ("cat", "dog")))
        cat dog
    cat   5   ·
    dog   1   4
    """

    counts: NDArray[Any]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(map(str, self.classes)))
        if self.counts.shape != (len(self.classes), len(self.classes)):
            raise ConfigurationError(
                f"a confusion matrix of {len(self.classes)} classes is square, not {list(self.counts.shape)}"
            )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.counts, dtype=dtype)

    def __str__(self) -> str:
        lines = self.lines(80)
        return "\n".join("".join(p if isinstance(p, str) else p[0] for p in line).rstrip() for line in lines)

    def shares(self) -> NDArray[np.float64]:
        """The counts as parts of the true class, each row of sum 1; a class that never occurs has a row of NaN."""
        totals = self.counts.sum(axis=1, keepdims=True, dtype=np.float64)
        nothing = np.full(self.counts.shape, np.nan)
        found: NDArray[np.float64] = np.divide(self.counts, totals, out=nothing, where=totals > 0)
        return found

    def lines(self, width: int, nothing: str = "·") -> list[list[Piece]]:
        """The lines of the table, or of the list, in so many columns; ``nothing`` stands for a 0."""
        cells = [
            [_count(count).replace(",", "") if count else nothing for count in row] for row in self.counts.tolist()
        ]
        heads, rows, cell = self._headings(max(len(text) for row in cells for text in row))
        margin = max(map(len, rows))
        if margin + 1 + (cell + 1) * len(self.classes) > width:
            return self._listed()
        lines: list[list[Piece]] = [[" " * margin + " ", (" ".join(f"{head:>{cell}}" for head in heads), "bold")]]
        for i, name in enumerate(rows):
            line: list[Piece] = [(f"{name:>{margin}} ", "bold")]
            for j, text in enumerate(cells[i]):
                style = "dim" if not self.counts[i, j] else "green" if i == j else "bold red"
                line += [(f"{text:>{cell}}", style), " "]
            lines.append(line[:-1])
        return lines

    def _headings(self, widest: int) -> tuple[list[str], list[str], int]:
        """What stands over the columns and before the rows, and how wide a column is; long names get a letter."""
        classes = list(self.classes)
        if max(map(len, classes)) <= 6:
            return classes, classes, max([widest, 3, *map(len, classes)])
        if len(classes) > 26:
            return classes, classes, max(widest, *map(len, classes))
        letters = [chr(ord("a") + place) for place in range(len(classes))]
        named = [_short(name) for name in classes]
        return letters, [f"{name} {letter}" for name, letter in zip(named, letters, strict=True)], max(widest, 3)

    def _listed(self) -> list[list[Piece]]:
        count = len(self.classes)
        wrong = np.where(np.eye(count, dtype=bool), 0, self.counts)
        order = np.argsort(wrong, axis=None, kind="stable")[::-1][:_MOST_LISTED]
        pairs = [(int(place) // count, int(place) % count) for place in order]
        lines: list[list[Piece]] = [["The commonest mistakes, of ", _count(wrong.sum()), ":"]]
        for i, j in pairs:
            if wrong[i, j]:
                told = f"{_short(self.classes[i])} was taken for {_short(self.classes[j])}"
                lines.append([f"  {_count(wrong[i, j]):>6} times {told}"])
        if len(lines) == 1:
            return [["No sample was taken for another class."]]
        totals = self.counts.sum(axis=1)
        found = np.divide(np.diag(self.counts), totals, out=np.ones(count), where=totals > 0)
        lines.append(["The classes that were found least often:"])
        for place in np.argsort(found, kind="stable")[:5]:
            right, whole = self.counts[place, place], totals[place]
            if right < whole:
                told = f"{_short(self.classes[int(place)])} ({_count(right)} of {_count(whole)})"
                lines.append([f"  {share(right, whole):>7} of {told}"])
        return lines


def confusion_matrix(
    targets: ArrayLike,
    outputs: ArrayLike,
    weights: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
) -> ConfusionMatrix:
    """How often true class i was taken for class j; by the weights of the samples, where there are any.

    Targets and outputs as for the metrics of classes: labels, and scores (samples, classes) or classes. ``classes``
    are the names, one a class; without them they are numbered. The counts are those of
    `sklearn.metrics.confusion_matrix`. Raises `DataError` where an output is not finite.

    >>> confusion_matrix([0, 1, 1], [0, 0, 1]).counts.tolist()
    [[1, 0], [1, 1]]
    """
    answers = read_classes("confusion_matrix", targets, outputs, weights)
    if answers is None:
        raise DataError("confusion_matrix: an output is NaN or infinite, so no class is said")
    counts: NDArray[Any] = answers.counts()
    names = tuple(map(str, range(len(counts)) if classes is None else classes))
    if len(names) > len(counts):  # classes themselves were given, and the last of them never came
        counts = np.pad(counts, (0, len(names) - len(counts)))
    elif len(names) < len(counts):
        raise DataError(f"confusion_matrix: there are {len(names)} names, and {len(counts)} classes")
    return ConfusionMatrix(counts.astype(np.int64) if weights is None else counts, names)


def share(part: float, whole: float) -> str:
    """A share in per cent, cut rather than rounded near the ends: 100.00% means all, and 0.00% none.

    >>> share(1, 3), share(59_999, 60_000), share(60_000, 60_000), share(1, 100_000)
    ('33.33%', '99.99%', '100.00%', '0.01%')
    """
    hundredths = round(10_000 * part / whole)
    if part < whole:
        hundredths = min(hundredths, 9_999)
    if part > 0:
        hundredths = max(hundredths, 1)
    return f"{hundredths / 100:.2f}%"


def _count(count: Any) -> str:
    return f"{int(count):,}" if float(count).is_integer() and count < 1e15 else f"{count:.4g}"


def _short(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"
