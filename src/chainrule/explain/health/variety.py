"""How unlike each other the samples are that a model makes of noise, beside the data that it is to imitate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.graph import Node, topological
from chainrule.layers.scope import Applied

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Variety:
    """Samples that the model called ``model`` made, in numbers.

    ``nearest`` is the median distance of a sample to the nearest other, ``spread`` the root of the variances' sum, both
    divided by those of as many samples of the data. Real samples have 1 for both.
    """

    model: str
    nearest: float
    spread: float


def makers(applied: Sequence[Applied], inputs: Node) -> dict[str, Node]:
    """The outputs, by name, of models that are made of noise alone and shaped like the inputs that the step sees."""
    found: dict[str, Node] = {}
    for one in applied:
        if one.node is None or one.depth or one.node.shape != inputs.shape:
            continue
        behind = topological([one.node])
        given = [node.attributes["name"] for node in behind if node.op == "input"]
        if any(node.op == "random_bits" for node in behind) and not any(name.startswith("batch/") for name in given):
            found.setdefault(one.path, one.node)
    return found


def variety(model: str, made: Any, real: Any) -> Variety:
    """That of samples made, (samples, …), beside as many real ones."""
    (near, wide), (near_real, wide_real) = _measured(made), _measured(real)
    return Variety(model, near / near_real if near_real else np.nan, wide / wide_real if wide_real else np.nan)


def _measured(samples: Any) -> tuple[float, float]:
    x = np.asarray(samples, np.float64).reshape(len(samples), -1)
    squares = (x * x).sum(axis=1)
    apart = squares[:, None] + squares - 2 * (x @ x.T)
    np.fill_diagonal(apart, np.inf)
    nearest = np.maximum(apart.min(axis=1), 0) if len(x) > 1 else np.zeros(1)
    return float(np.sqrt(np.median(nearest))), float(np.sqrt(x.var(axis=0).sum()))
