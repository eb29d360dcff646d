"""Runs to be saved, and whether two are the same."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr


def iris() -> tuple[cr.data.Dataset, cr.data.Dataset]:
    return cr.data.load("iris")


def trained(epochs: int = 2, **settings: Any) -> cr.Run:
    model = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3))
    return cr.fit(model, iris()[0], epochs=epochs, **settings)


def same(first: cr.Run, second: cr.Run) -> None:
    assert list(first.arrays) == list(second.arrays)
    for name, array in first.arrays.items():
        assert second.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(second.arrays[name], array)
