"""The rows beside training: a function each, from the folder of the data to its lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.speed.others import bandwidth, existing, memory, neighbour, prediction
from benchmarks.speed.page import Line

OTHERS: dict[str, Callable[[Path, bool], list[Line]]] = {
    "prediction": prediction.measure,
    "memory": memory.measure,
    "neighbour": neighbour.measure,
    "bandwidth": bandwidth.measure,
    "install": existing.install,
    "cold-start": existing.cold,
    "mnist": existing.digits,
}
