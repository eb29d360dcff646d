"""What programs that train here and beside a peer share: curves that are kept, tables, a picture, a page of a .json."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr

Array = NDArray[Any]
#: Steps of which the curve that is kept has the mean.
TOGETHER = 50


def curve(losses: Array) -> list[float]:
    """The loss of each step as means of so many."""
    parts = np.split(losses, range(TOGETHER, len(losses), TOGETHER))
    return [float(f"{part.mean():.4g}") for part in parts]


def apart(one: Array, other: Array) -> tuple[float, float]:
    """The largest difference of a loss in the first hundred steps, and of the means of a hundred steps, of them all."""
    steps = min(len(one), len(other))
    hundreds = steps // 100 * 100
    means = [losses[:hundreds].reshape(-1, 100).mean(1) for losses in (one, other)]
    first = float(np.abs(one[:100][:steps] - other[:100][:steps]).max())
    return first, float(np.abs(means[0] - means[1]).max()) if hundreds else 0.0


def made() -> dict[str, str]:
    """The versions of all that took part."""
    found = {"chainrule": cr.__version__, "python": platform.python_version(), "numpy": np.__version__}
    try:
        import torch

        found["torch"] = torch.__version__
    except ImportError:
        pass
    return found


def machine() -> str:
    """The machine, in words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def told_of(kept: Mapping[str, Any], more: str = "") -> str:
    """The last lines of a page: versions and machine, as they are kept under "made" and "machine"."""
    versions = kept["made"]
    names = {"chainrule": "chainrule", "PyTorch": "torch", "NumPy": "numpy", "Python": "python"}
    told = ", ".join(f"{name} {versions.get(key, '')}" for name, key in names.items())
    return f"{told},\n{kept['machine']}{more}."


def table(names: Iterable[str], rows: Iterable[Sequence[str]], first: str = "", *, words: bool = True) -> str:
    """Markdown: a column of ``words`` or numbers, whose name comes ``first``, and columns of numbers."""
    head = [*names]
    lines = [
        _line([first, *head]) if first else f"| {_line(head)}",
        f"|---{'' if words else ':'}|{'---:|' * len(head)}",
    ]
    return "\n".join([*lines, *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def curves_table(
    rows: Mapping[str, Any], places: Iterable[int], digits: int, *, first: str = "", comma: str = ""
) -> str:
    """The curves of all at the same places, as far as each goes."""
    longest = min(len(row["curve"]) for row in rows.values())
    shown = [place for place in places if place < longest]
    steps = [f"{(place + 1) * TOGETHER:{comma}}" for place in shown]
    return table(
        steps, [[name, *(f"{row['curve'][n]:.{digits}f}" for n in shown)] for name, row in rows.items()], first
    )


def draw_beside(
    left: Any,
    right: Any,
    rows: Mapping[str, Any],
    looks: Mapping[str, tuple[str, float]],
    points: Callable[[Any], tuple[Sequence[float], Sequence[float]]],
) -> None:
    """The curves of all on top of each other, in their colour and width, and beside them some points of each."""
    for name, (colour, width) in looks.items():
        row, look = rows[name], {"color": colour, "linewidth": width, "alpha": 0.8, "label": name}
        left.plot(TOGETHER * np.arange(1, len(row["curve"]) + 1), row["curve"], **look)
        right.plot(*points(row), "o-", **look)
    for each in (left, right):
        each.legend()


def options_of(doc: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """What such a program is asked on the command line."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0] if doc else "")
    parser.add_argument("--picture", help="where to draw the curves (PNG)")
    parser.add_argument("--again", action="store_true", help="write the page anew from the .json")
    return parser.parse_args(arguments)


def keep(place: Path, record: Mapping[str, Any]) -> None:
    """Write what was measured."""
    place.write_text(json.dumps(record, indent=1) + "\n")


def publish(place: Path, page: Callable[[Any], str]) -> dict[str, Any]:
    """Write the page of what is kept, beside it; gives what is kept."""
    kept: dict[str, Any] = json.loads(place.read_text())
    place.with_suffix(".md").write_text(page(kept))
    return kept
