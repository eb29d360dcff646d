"""The first state: what the initializers say, and zeros that take no memory before a step writes to them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.initializers import Constant
from chainrule.training.building import initial_state

SAMPLES = cr.data.Dataset(np.zeros((4, 1000), np.float32), np.arange(4) % 3)


def _built(units: int, **settings: Any) -> Any:
    run = cr.prepare(
        cr.Chain(cr.Dense(units, **settings), cr.Dense(3)),
        SAMPLES,
        loss=cr.losses.cross_entropy,
        optimizer=cr.optimizers.Adam(0.001),
        engine="reference",
    )
    assert run.spec is not None
    return run.built(run.spec, 4)[0]


@pytest.mark.parametrize("value", [0.0, -0.0, 0, 0.25])
def test_what_the_initializer_says_is_there_to_the_bit(value: float) -> None:
    found = initial_state(_built(3, weight=Constant(value)), seed=0)
    expected = np.full((1000, 3), value, np.float32)
    assert found["parameters/0.weight"].tobytes() == expected.tobytes()
    assert found["parameters/0.weight"].dtype == np.float32
    assert all(array.flags.writeable for array in found.values())


@pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")
def test_zeros_take_no_memory() -> None:
    built = _built(8000)  # 32 MB of weights, and twice as much of Adam's

    def anonymous() -> float:
        found = re.search(r"^RssAnon:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) / 1000

    before = anonymous()
    state = initial_state(built, seed=0)
    assert anonymous() - before < 50
    assert sum(array.nbytes for array in state.values()) > 95e6
