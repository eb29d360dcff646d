from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import batches, epoch_order
from chainrule.errors import ConfigurationError


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 5))
def test_every_sample_comes_once_an_epoch(samples: int, batch_size: int, epoch: int) -> None:
    order = epoch_order(7, epoch, samples)
    assert order.dtype == np.int32
    full, last = batches(order, batch_size)
    assert full.shape[1] == batch_size
    assert len(last) < batch_size
    assert sorted([*full.ravel(), *last]) == list(range(samples))
    assert (np.concatenate([full.ravel(), last]) == order).all()


@pytest.mark.tiny
def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    orders = [tuple(epoch_order(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert orders[0] == tuple(epoch_order(0, 0, 50))
    assert epoch_order(0, 3, 4, shuffle=False).tolist() == [0, 1, 2, 3]


def test_refusals() -> None:
    with pytest.raises(ConfigurationError, match="samples=0"):
        epoch_order(0, 0, 0)
    with pytest.raises(ConfigurationError, match="batch_size=0"):
        batches([1, 2], 0)
