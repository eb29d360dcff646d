"""From what the processes printed to figures: medians, ratios, whether they are decided, whether losses agree."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: Below this ratio the noise of a machine may decide.
CLOSE = 1.3
#: How far losses may be apart, as a part of the largest loss. Rounding alone gives 1e-6; Adam makes more of it, since
#: the direction of its first steps is the sign of the gradient, however small the gradient is.
TOLERANCE = 2e-3


@dataclass
class Measured:
    """What the processes of one peer gave for one workload."""

    title: str
    rated: bool = True
    microseconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    refused: str = ""

    def add(self, found: Mapping[str, Any]) -> None:
        """What one more process printed."""
        self.refused = self.refused or found.get("refused", "")
        if "microseconds" in found:
            self.microseconds.append(found["microseconds"])
            self.losses = self.losses or list(found["losses"])

    @property
    def median(self) -> float:
        """The median of the processes, in microseconds."""
        return statistics.median(self.microseconds)

    @property
    def middle(self) -> tuple[float, float]:
        """Where the middle half of the processes lies."""
        if len(self.microseconds) < 2:
            return self.median, self.median
        low, _, high = statistics.quantiles(self.microseconds, n=4, method="inclusive")
        return low, high


def best_peer(measured: Mapping[str, Measured], own: str = "chainrule") -> str | None:
    """The fastest of the peers that are rated, by key; None if none was measured."""
    others = {k: m for k, m in measured.items() if k != own and m.rated and m.microseconds}
    return min(others, key=lambda key: others[key].median) if others else None


def undecided(own: Measured, other: Measured, bar: float = 1.0) -> bool:
    """Whether the ratio is so near to 1 or to its bar that the middle halves of the processes leave both possible."""
    ratio = other.median / own.median
    low, high = other.middle[0] / own.middle[1], other.middle[1] / own.middle[0]
    near = [mark for mark in (1.0, bar) if max(ratio / mark, mark / ratio) < CLOSE]
    return any(low <= mark <= high for mark in near)


def largest_difference(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference between two rows of losses, as a part of the largest loss; infinite if not comparable."""
    if not one or len(one) != len(other):
        return float("inf")
    scale = max(map(abs, one))
    apart = [abs(a - b) / scale for a, b in zip(one, other, strict=True)]
    return max(apart) if all(value == value for value in apart) else float("inf")


def differences(measured: Mapping[str, Measured], own: str = "chainrule") -> dict[str, float]:
    """For each peer, how far its losses are from those of chainrule."""
    first = measured[own].losses
    return {k: largest_difference(first, m.losses) for k, m in measured.items() if k != own and m.microseconds}


def refuse_other_work(measured: Mapping[str, Measured]) -> None:
    """Raise `AssertionError` if the losses of a peer do not fall as those of chainrule do: it does other work."""
    # What stands here for the record may differ in a detail: Keras adds Adam's epsilon to another root.
    limits = {key: TOLERANCE if found.rated else 2 * TOLERANCE for key, found in measured.items()}
    apart = {key: value for key, value in differences(measured).items() if not value <= limits[key]}
    assert not apart, f"these peers do other work, their losses are apart by more than {TOLERANCE:g}: {apart}"
