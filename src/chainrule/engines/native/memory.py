"""One arena, planned: each stored value gets a place for as long as it is needed, and no longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT, PAGE = 64, 4096


@dataclass(frozen=True)
class Lifetime:
    """A value of some bytes, needed from the step that writes it to the last that reads it, both included."""

    size: int
    first: int
    last: int


def aligned(size: int, to: int = ALIGNMENT) -> int:
    """A size rounded up to whole cache lines, or pages."""
    return -(-max(size, 1) // to) * to


def plan(lifetimes: Sequence[Lifetime]) -> tuple[list[int], int]:
    """An offset for each value, and the size of the arena: large values first, each at the lowest place that is free.

    >>> plan([Lifetime(64, 0, 1), Lifetime(64, 1, 2), Lifetime(64, 2, 3)])
    ([0, 64, 0], 128)
    """
    offsets = [0] * len(lifetimes)
    placed: list[tuple[int, int, Lifetime]] = []
    total = 0
    for number in sorted(range(len(lifetimes)), key=lambda n: (-lifetimes[n].size, n)):
        life, place = lifetimes[number], 0
        size = aligned(life.size)
        for start, stop, other in sorted(placed, key=lambda entry: entry[0]):
            if other.first <= life.last and life.first <= other.last:
                if place + size <= start:
                    break
                place = max(place, stop)
        offsets[number] = place
        placed.append((place, place + size, life))
        total = max(total, place + size)
    return offsets, total
