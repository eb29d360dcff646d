"""Numbers and lines out of what an example printed."""

from __future__ import annotations

import re


def share(text: str) -> float:
    """The last percentage in a text."""
    return float(re.findall(r"([\d.]+)%", text)[-1]) / 100


def lines(text: str) -> dict[str, str]:
    """Lines by their first word or words, up to two spaces."""
    return {line.split("  ")[0].strip(): line for line in text.splitlines() if line.strip()}


def numbers(text: str, name: str) -> list[float]:
    """The numbers of the first line that begins with a name, percentages as parts of 1."""
    line = next(line for line in text.splitlines() if line.strip().startswith(name)).strip().removeprefix(name)
    return [float(n) / (100 if sign else 1) for n, sign in re.findall(r"(-?\d[\d.]*(?:e[-+]\d+)?)(%?)", line)]
