"""What the tests of training share: small data, small models, and what makes two runs the same."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule.keys import Key


def line(samples: int = 10, dtype: str = "float64") -> cr.data.Dataset:
    """Points near the line y = 2·x₀ - x₁ + 0.5."""
    x = Key(0, "x").normal((samples, 2))
    y = x @ [[2.0], [-1.0]] + 0.5 + Key(0, "noise").normal((samples, 1), 0.1)
    return cr.data.from_arrays(x.astype(dtype), y.astype(dtype))


def flowers() -> tuple[cr.data.Dataset, cr.data.Dataset]:
    return cr.data.load("iris")


def model() -> cr.Chain:
    return cr.Chain(cr.Dense(6, cr.tanh), cr.Dense(3))


def same_bits(first: cr.Run, second: cr.Run) -> None:
    """The same parameters, the same state, the same history but for the time it took."""
    assert sorted(first.arrays) == sorted(second.arrays)
    for name, array in first.arrays.items():
        assert array.tobytes() == second.arrays[name].tobytes(), name
    assert (first.epoch, first.offset) == (second.epoch, second.offset)
    one, two = first.history, second.history
    assert len(one) == len(two)
    for name, column in one.steps.items():
        if name not in _TIMES:
            np.testing.assert_array_equal(column, two.steps[name], err_msg=name)
    timeless = [[_timeless(record) for record in history.epochs] for history in (one, two)]
    assert timeless[0] == timeless[1]


def _timeless(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in _TIMES}


_TIMES = ("seconds", "samples_per_second", "waited")
