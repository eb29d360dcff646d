"""What the programs beside this folder measure, as rows: install size, cold start, MNIST."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from benchmarks import cold_start, footprint, mnist
from benchmarks.speed.page import Line

INSTALL_BAR, IMPORT_BAR, MNIST_AIM = 280.0, 0.15, 10.0


def install(folder: Path, quick: bool) -> list[Line]:
    """The size of the base install, and the time of the import."""
    sizes = footprint.install_sizes()
    total = sum(sizes.values())
    largest = ", ".join(f"{name} {size:.1f}" for name, size in list(sizes.items())[:3])
    _, own = footprint.import_times()
    return [
        Line("base install", f"{total:.0f} MB ({largest})", f"{INSTALL_BAR:.0f} MB", total <= INSTALL_BAR),
        Line("`import chainrule` beyond NumPy", f"{own:.2f} s", f"{IMPORT_BAR} s", own <= IMPORT_BAR),
    ]


def cold(folder: Path, quick: bool) -> list[Line]:
    """From the start of a process to the end of its first step."""
    lines = []
    for name, bars in cold_start.BARS.items():
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(1 if quick else 5):
            with tempfile.TemporaryDirectory() as cache:
                for row in times:
                    row.append(cold_start.measure(name, cache)[0])
        for what, row, bar in zip(("nothing compiled", "all compiled"), times, bars, strict=True):
            found = statistics.median(row)
            lines.append(Line(f"cold start, {name}, {what}", f"{found:.2f} s", f"{bar} s", found <= bar))
    return lines


def digits(folder: Path, quick: bool) -> list[Line]:
    """MNIST, 784-300-10, 30 epochs, by the command: start, saving and measuring included."""
    if quick:
        return [Line("MNIST, 784-300-10, 30 epochs", "not measured: QUICK", "")]
    found = mnist.measure("native")
    seconds, accuracy = found["seconds"], found["test"]["accuracy"]
    figure = f"{seconds:.1f} s, {accuracy:.2%} of the test digits"
    return [Line("MNIST, 784-300-10, 30 epochs", figure, f"aim: {MNIST_AIM:.0f} s", seconds <= MNIST_AIM)]
