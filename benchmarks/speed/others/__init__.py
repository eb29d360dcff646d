"""The rows beside training: a function each, from the folder of the data to its lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.speed.page import Line

OTHERS: dict[str, Callable[[Path, bool], list[Line]]] = {}
