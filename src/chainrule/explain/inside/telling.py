"""What was seen, as text: numbers in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.explain.inside.embedding import Embedding
from chainrule.explain.inside.exciting import Excited
from chainrule.explain.inside.mistakes import Mistakes
from chainrule.explain.tables import number_text, table

if TYPE_CHECKING:
    from chainrule.engines.protocol import Array

_BY_COLUMN = ("saliency", "smooth", "integrated")
_MOST_COLUMNS = 40


def told(said: str, found: Mapping[str, Any], absent: Mapping[str, str], columns: Sequence[str]) -> str:
    """What a look found: of a sample by column or by its extremes, of units, of the map, of mistakes."""
    parts = [[said]] if said else []
    arrays = {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
    if columns:
        by_column = {name: arrays.pop(name) for name in _BY_COLUMN if name in arrays}
        parts += [_by_column(by_column, columns)] if by_column else []
    parts += [list(_extremes(arrays))] if arrays else []
    for name, one in found.items():
        if isinstance(one, Excited):
            parts.append(list(_excited(one)))
        elif isinstance(one, Embedding):
            parts.append(_map(one))
        elif isinstance(one, Mistakes):
            parts.append([f"{name}:", str(one)])
    if absent:
        parts.append([f"no {name}: {why}" for name, why in absent.items()])
    return "\n\n".join("\n".join(lines) for lines in parts)


def _by_column(arrays: Mapping[str, Array], columns: Sequence[str]) -> list[str]:
    flat = {name: array.reshape(-1) for name, array in arrays.items()}
    # The columns that matter most come first.
    first = flat.get("integrated", next(iter(flat.values())))
    order = np.argsort(-np.abs(first), kind="stable")[:_MOST_COLUMNS]
    rows = [(columns[place], *(number_text(float(array[place]), 4) for array in flat.values())) for place in order]
    left = [f"and {len(columns) - len(order)} more"] if len(order) < len(columns) else []
    return [*table(("column", *flat), rows, right=range(1, len(flat) + 1)), *left]


def _extremes(arrays: Mapping[str, Array]) -> list[str]:
    rows = []
    for name, array in arrays.items():
        one = array[0] if array.shape[0] == 1 else array
        place = np.unravel_index(int(np.argmax(np.abs(one))), one.shape)
        where = ", ".join(str(int(number)) for number in place)
        rows.append((name, "×".join(map(str, one.shape)), *_numbers(one.min(), one.max(), one.sum()), where))
    return list(table(("", "shape", "least", "largest", "sum", "strongest at"), rows, right=range(1, 6)))


def _excited(found: Excited) -> list[str]:
    rows = [
        (str(unit), *_numbers(scores[0], scores[-1])) for unit, scores in zip(found.units, found.scores, strict=True)
    ]
    where = f"layer {found.layer}" if found.layer else "the output"
    heads = (f"unit of {where}", "at first", "when excited")
    return list(table(heads, rows, right=range(3)))


def _map(found: Embedding) -> list[str]:
    how = "t-SNE" if found.method == "t-sne" else "the two directions in which they vary most"
    lines = [f"map: {len(found.points)} samples by layer {found.layer}, {how}"]
    if found.method == "pca":
        lines.append(f"  {found.explained[0]:.1%} and {found.explained[1]:.1%} of the variance")
    return [*lines, *([f"  {found.note}"] if found.note else [])]


def _numbers(*values: Any) -> list[str]:
    return [number_text(float(value), 4) for value in values]
