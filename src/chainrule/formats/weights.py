"""Weights of one run for another, by their paths: where they come from, what fits, and a report of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ConfigurationError, RunFileError
from chainrule.explain.tables import table
from chainrule.formats import folder as files
from chainrule.graph import FLOATS
from chainrule.layers.scope import PARAMETERS, STATE, fits

Array = NDArray[Any]
_KINDS = (f"{PARAMETERS}/", f"{STATE}/")


@dataclass(frozen=True)
class Match:
    """One array by its path: its shape there and here (None: there is none), and what became of it.

    ``outcome`` is "taken", "begins anew" (it is here, and nothing there fits) or "left" (it is there alone).
    """

    path: str
    there: tuple[int, ...] | None
    here: tuple[int, ...] | None
    outcome: str
    reason: str = ""


@dataclass(frozen=True)
class Transfer:
    """What was taken from other weights, and what was not and why. It prints."""

    source: str
    matches: tuple[Match, ...]

    def paths(self, outcome: str) -> tuple[str, ...]:
        """The paths with this outcome."""
        return tuple(match.path for match in self.matches if match.outcome == outcome)

    @property
    def taken(self) -> tuple[str, ...]:
        """The paths of what was taken."""
        return self.paths("taken")

    @property
    def anew(self) -> tuple[str, ...]:
        """The paths of what begins anew."""
        return self.paths("begins anew")

    @property
    def left(self) -> tuple[str, ...]:
        """The paths of what has no place here."""
        return self.paths("left")

    def __str__(self) -> str:
        rows = [
            (one.path, _sizes(one.there), _sizes(one.here), f"{one.outcome}{one.reason and ': '}{one.reason}")
            for one in self.matches
        ]
        told = f"{len(self.taken)} taken, {len(self.anew)} begin anew, {len(self.left)} left"
        return "\n".join([f"weights of {self.source}: {told}", *table(("path", "there", "here", ""), rows)])


class Taking(Protocol):
    """What takes weights: a run."""

    arrays: dict[str, Array]


def take_weights(run: Taking, source: Any, frozen: Sequence[str] = ()) -> Transfer:
    """Put weights in the place of those that a run has, wherever path and shape fit, and report.

    The state of layers, such as running means, goes with them. Raises `ConfigurationError` if nothing fits, or if
    something frozen would stay what it was by chance.
    """
    name, found = read_weights(source)
    here = {full: array for full, array in run.arrays.items() if full.startswith(_KINDS)}
    matches, values = [], {}
    for full, old in here.items():
        path = full.partition("/")[2]
        given = found.pop(path, None)
        if given is None:
            matches.append(Match(path, None, old.shape, "begins anew", "there is none of this path"))
        elif given.shape != old.shape:
            matches.append(Match(path, given.shape, old.shape, "begins anew", "another shape"))
        else:
            values[full] = given.astype(old.dtype)
            matches.append(Match(path, given.shape, old.shape, "taken"))
    matches += [Match(path, array.shape, None, "left", "nothing here has this path") for path, array in found.items()]
    transfer = Transfer(name, tuple(matches))
    if not transfer.taken:
        raise ConfigurationError(f"none of the weights fits this model\n{transfer}")
    chance = [path for path in transfer.anew if fits(path, frozen)]
    if chance:
        raise ConfigurationError(
            f"{', '.join(chance)} would be frozen at first values drawn by chance: the weights have nothing that fits "
            f"there\n{transfer}"
        )
    run.arrays.update(values)
    return transfer


def read_weights(source: Any) -> tuple[str, dict[str, Array]]:
    """A name for where the weights come from, and the arrays by path, the state of layers among them."""
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            arrays = files.read_weights(path)
        elif path.is_file():
            arrays = files.read_arrays(path)[0]
        else:
            raise RunFileError(f"there are no weights at {path}: it is neither the folder of a run nor a file")
        name = str(path)
    elif isinstance(source, Mapping):
        name, arrays = "arrays given", {str(path): np.asarray(array) for path, array in source.items()}
    elif isinstance(getattr(source, "arrays", None), Mapping):
        name, arrays = repr(source).strip("<>"), source.arrays
    else:
        raise ConfigurationError(
            f"weights are a run, the folder of one, a safetensors file, or arrays by path, not {source!r:.60}"
        )
    found: dict[str, Array] = {}
    for full, array in arrays.items():
        if "/" in full and not full.startswith(_KINDS):
            continue  # the memory of an optimizer, the number of the step
        if full == "step":
            continue
        if array.dtype.name not in (*FLOATS, "float16"):
            raise ConfigurationError(f"weights of {name}: {full} is {array.dtype}, and weights are floats")
        if not np.isfinite(array).all():
            raise ConfigurationError(f"weights of {name}: {full} holds numbers that are not finite")
        found[full.partition("/")[2] or full] = array
    return name, found


def _sizes(shape: tuple[int, ...] | None) -> str:
    return "–" if shape is None else "×".join(map(str, shape)) or "scalar"
