"""The rows beside training: a function each, from the folder of the data to its lines."""

from __future__ import annotations

import importlib
from pathlib import Path

from benchmarks.speed.page import Line

#: The file of a row, and its function. Imported when it is asked for: a process that measures memory must not have
#: imported chainrule by the way.
OTHERS = {
    "prediction": ("prediction", "measure"),
    "generation": ("generation", "measure"),
    "memory": ("memory", "measure"),
    "neighbour": ("neighbour", "measure"),
    "bandwidth": ("bandwidth", "measure"),
    "update": ("update", "measure"),
    "install": ("existing", "install"),
    "cold-start": ("existing", "cold"),
    "mnist": ("existing", "digits"),
}


def measure(name: str, folder: Path, quick: bool) -> list[Line]:
    """The lines of a row."""
    file, function = OTHERS[name]
    lines: list[Line] = getattr(importlib.import_module(f"benchmarks.speed.others.{file}"), function)(folder, quick)
    return lines
