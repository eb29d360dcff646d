"""What data hold, in plain numbers that are kept with a run: how many samples, of which classes, or how targets lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.data.dataset import Dataset
from chainrule.data.streams import Stream


def contents(data: Any) -> dict[str, Any]:
    """Plain values about a data set, a stream, or arrays by name.

    >>> contents(Dataset(np.zeros((5, 2)), np.array([0, 1, 1, 0, 1])))
    {'samples': 5, 'counts': [2, 3]}
    """
    if isinstance(data, Mapping):
        return {"samples": min((len(array) for array in data.values()), default=0)}
    found: dict[str, Any] = {"samples": len(data)}
    if data.name:
        found["name"] = data.name
    if not isinstance(data, Dataset | Stream):
        return found
    if data.labels is not None and data.classes is not None:
        found["counts"] = np.bincount(data.labels, minlength=len(data.classes)).tolist()
    if isinstance(data, Stream) or data.targets is None:
        return found
    if data.labels is None and not data.symbolic:
        targets = data.targets.astype(np.float64)
        found["targets"] = {
            "least": float(targets.min()), "mean": float(targets.mean()),
            "deviation": float(targets.std()), "most": float(targets.max()),
        }  # fmt: skip
    if data.weights is not None:
        found["weights"] = float(data.weights.sum(dtype=np.float64))
    return found
