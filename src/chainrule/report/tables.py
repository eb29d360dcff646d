"""Tables of a page: facts, rows of numbers, and a confusion matrix with shades."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from chainrule.metrics import ConfusionMatrix
from chainrule.report.markup import Child, Markup, element
from chainrule.report.numbers import told

#: A matrix of more classes than this is told by its mistakes.
_MOST_CLASSES = 26
_MOST_MISTAKES = 20
_LONGEST = 40


def facts(rows: Iterable[tuple[str, Child]]) -> Markup | None:
    """Names and what they are; without what is None or empty. None if nothing is left."""
    told_rows = [(name, value) for name, value in rows if value is not None and value != ""]
    if not told_rows:
        return None
    body = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in told_rows]
    return element("table", element("tbody", body), class_="facts")


def table(heads: Sequence[str], rows: Iterable[Sequence[Child]], numbers: Collection[int] = ()) -> Markup:
    """Rows under their heads; the columns ``numbers`` stand to the right."""
    kinds = ["number" if place in numbers else None for place in range(len(heads))]
    head = [element("th", text, scope="col", class_=kind) for text, kind in zip(heads, kinds, strict=True)]
    body = [
        element("tr", [element("td", cell, class_=kind) for cell, kind in zip(row, kinds, strict=True)]) for row in rows
    ]
    return element(
        "div", element("table", element("thead", element("tr", head)), element("tbody", body)), class_="scroll"
    )


def confusion(matrix: ConfusionMatrix) -> Markup:
    """A row for each true class, shaded by its share of the row; many classes by what is mistaken most."""
    if len(matrix.classes) > _MOST_CLASSES:
        return _mistakes(matrix)
    shares = np.nan_to_num(matrix.shares())
    head = [element("th")] + [element("th", cut(name), scope="col", title=_whole(name)) for name in matrix.classes]
    rows = []
    for i, name in enumerate(matrix.classes):
        cells = [element("th", cut(name), scope="row", title=_whole(name))]
        for j, count in enumerate(matrix.counts[i].tolist()):
            if not count:
                cells.append(element("td", "·", class_="none"))
                continue
            colour, share = "--shade" if i == j else "--wrong", float(shares[i, j])
            strength = 0.1 + 0.5 * share if i == j else 0.18 + 0.6 * share
            said = f"{name} was taken for {matrix.classes[j]}: {told(count)} times, {share:.1%} of its samples"
            cells.append(
                element("td", told(count), style=f"background: rgba(var({colour}), {strength:.2f})", title=said)
            )
        rows.append(element("tr", cells))
    whole = element("table", element("thead", element("tr", head)), element("tbody", rows), class_="confusion")
    return element("div", whole, class_="scroll")


def by_class(matrix: ConfusionMatrix) -> Markup:
    """For each class how many there are, and how well it is found."""
    counts = np.asarray(matrix.counts, np.float64)
    right, there, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rows = [
        (
            cut(name), told(_plain(there[place])), told(_plain(right[place])),
            _share(right[place], there[place]), _share(right[place], said[place]),
        )
        for place, name in enumerate(matrix.classes)
    ]  # fmt: skip
    if len(rows) > 5 * _MOST_CLASSES:  # those that are found least often
        with np.errstate(invalid="ignore", divide="ignore"):
            order = np.argsort(np.nan_to_num(right / there, nan=2.0), kind="stable")
        rows = [rows[int(place)] for place in order[: 5 * _MOST_CLASSES]]
    return table(("class", "samples", "right", "recall", "precision"), rows, numbers=(1, 2, 3, 4))


def cut(name: str) -> str:
    """A name that leaves room for others."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _whole(name: str) -> str | None:
    return name if len(name) > _LONGEST else None


def _mistakes(matrix: ConfusionMatrix) -> Markup:
    count = len(matrix.classes)
    wrong = np.where(np.eye(count, dtype=bool), 0, matrix.counts)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_MISTAKES]
    pairs = [(int(place) // count, int(place) % count) for place in order]
    rows = [(cut(matrix.classes[i]), cut(matrix.classes[j]), told(wrong[i, j].item())) for i, j in pairs if wrong[i, j]]
    if not rows:
        return element("p", "No sample was taken for another class.")
    return table(("true class", "taken for", "times"), rows, numbers=(2,))


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() else float(value)


def _share(part: float, whole: float) -> str:
    return "–" if whole == 0 else f"{part / whole:.1%}" if part == whole else f"{min(part / whole, 0.999):.1%}"
