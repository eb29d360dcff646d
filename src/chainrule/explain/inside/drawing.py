"""Panels as picture files, by matplotlib, an extra."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainrule.errors import DataError
from chainrule.explain.inside.panels import Panel, Points
from chainrule.explain.pictures import figure, save_picture

#: A row has so many tiles, and a tile so many inches.
_COLUMNS, _TILE = 8, 1.15
_PLANE = 6.0


def draw(panels: Sequence[Panel], place: Path) -> list[Path]:
    """Write one picture, for a name that ends in .png, or one for each panel into a folder; the files' places."""
    if not panels:
        raise DataError("there is nothing to be drawn; what was found are numbers")
    if place.suffix.lower() == ".png":
        heights = [_height(panel) for panel in panels]
        whole = figure(_COLUMNS * _TILE, sum(heights))
        parts = whole.subfigures(len(panels), 1, height_ratios=heights, squeeze=False)
        for panel, (part,) in zip(panels, parts, strict=True):
            _draw(panel, part)
        return [save_picture(whole, place)]
    written = []
    for panel in panels:
        drawn = figure(_COLUMNS * _TILE, _height(panel))
        _draw(panel, drawn)
        written.append(save_picture(drawn, place / f"{panel.name}.png"))
    return written


def _rows(panel: Panel) -> int:
    return 1 if isinstance(panel, Points) else math.ceil(len(panel.images) / _COLUMNS)


def _height(panel: Panel) -> float:
    if isinstance(panel, Points):
        return _PLANE
    tallest: float = max(image.shape[0] / image.shape[1] for image in panel.images)
    return 0.4 + _rows(panel) * (_TILE * min(max(tallest, 0.2), 2.0) + 0.3)


def _draw(panel: Panel, part: Any) -> None:
    part.suptitle(panel.title, fontsize=10, ha="left", x=0.01)
    if isinstance(panel, Points):
        _draw_points(panel, part.subplots())
        return
    for place, axes in enumerate(part.subplots(_rows(panel), _COLUMNS, squeeze=False).ravel()):
        axes.set(xticks=[], yticks=[], visible=place < len(panel.images))
        if place < len(panel.images):
            axes.imshow(panel.images[place], interpolation="nearest")
            axes.set_xlabel("\n".join(panel.words[place].split(", ")), fontsize=7, labelpad=2)


def _draw_points(panel: Points, axes: Any) -> None:
    axes.set(xticks=[], yticks=[])
    if panel.labels is None:
        axes.scatter(*panel.points.T, s=10)
        return
    for number, name in enumerate(panel.classes):
        chosen = panel.points[panel.labels == number]
        # A letter for each class as well as a colour, for those who do not tell all colours apart.
        mark = f"${name}$" if name.isascii() and name.isalnum() and len(name) <= 2 else "os^Dv<>P*X"[number % 10]
        axes.scatter(*chosen.T, s=40 if mark.startswith("$") else 16, marker=mark, linewidths=0.5,
                     color=f"C{number % 10}", label=name)  # fmt: skip
    if len(panel.classes) <= 20:
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
