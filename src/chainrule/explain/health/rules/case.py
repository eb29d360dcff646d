"""What a rule sees, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Dataset
from chainrule.explain.health.measures import Health, LayerHealth

if TYPE_CHECKING:
    from chainrule.run import Data, Run

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """Something that goes wrong: its name, the layer or column, the evidence in numbers, and what helps.

    ``explains`` names findings that it is the cause of; they are not told beside it.
    """

    name: str
    where: str
    evidence: str
    remedy: str
    explains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """What the rules see: a run, the data it is looked at with, and what was measured."""

    run: Run
    data: Data
    health: Health

    @property
    def weighty(self) -> tuple[LayerHealth, ...]:
        """The layers with weights, in the order in which they are applied."""
        return tuple(one for one in self.health.layers if not np.isnan(one.weight_gradient))

    @property
    def fastest(self) -> float:
        """How far the next step moves the weights of the layer that it moves farthest, beside their size."""
        return max((one.update for one in self.weighty), default=np.nan)

    @cached_property
    def losses(self) -> Floats:
        """The loss over the run, in up to a hundred means of 64 samples or more: what is noise is no finding."""
        history = self.run.history
        found = np.asarray(history.column("loss"), np.float64)
        found = found[np.isfinite(found)]
        parts = max(1, min(100, history.samples // 64, len(found)))
        return np.array([part.mean() for part in np.array_split(found, parts) if len(part)])

    @property
    def beginning(self) -> float:
        """The loss before anything was learned, of the first steps that have 16 samples together."""
        samples, losses = self.run.history.column("samples"), self.run.history.column("loss")
        count = max(1, -(-16 // max(int(samples[0]), 1))) if len(samples) else 0
        return float(np.mean(losses[:count])) if count else float("nan")


Rule = Callable[[Case, Sequence[Finding]], Iterator[Finding]]


def layers_named(layers: Sequence[LayerHealth]) -> str:
    """These layers in words: "layer 3", "layers 1 and 2", "layers 0, 1, 2, 3 and 2 more"."""
    paths = [one.path or "of the model" for one in layers]
    if len(paths) == 1:
        return f"layer {paths[0]}"
    shown, rest = (paths[:-1], paths[-1]) if len(paths) <= 6 else (paths[:4], f"{len(paths) - 4} more")
    return f"layers {', '.join(shown)} and {rest}"


def labels_of(case: Case) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    """The labels of the data and the names of the classes, where they have such."""
    if not isinstance(case.data, Dataset) or case.data.labels is None:
        return None, ()
    return case.data.labels, case.data.classes or ()


def column_name(case: Case, place: int) -> str:
    """The name of an input, where it has one."""
    names = case.run.preparation.feature_names()
    return f"column {names[place]}" if names is not None and place < len(names) else f"input {place}"
