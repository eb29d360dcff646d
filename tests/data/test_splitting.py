from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.splitting import split_indices
from chainrule.errors import ConfigurationError, DataError


@given(st.lists(st.integers(0, 5), min_size=2, max_size=80), st.floats(0.01, 0.99), st.integers(0, 9))
def test_both_parts_make_the_whole_and_no_class_is_lost_to_training(
    drawn: list[int], fraction: float, seed: int
) -> None:
    labels = np.array(drawn)
    counts = np.bincount(labels)
    if counts.max() == 1:
        with pytest.raises(DataError, match="every class has a single sample"):
            split_indices(len(labels), fraction, seed, labels)
        return
    train, test = split_indices(len(labels), fraction, seed, labels)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert set(labels[train]) == set(labels)
    wanted = min(max(round(len(labels) * fraction), 1), len(labels) - 1)
    assert len(test) == min(wanted, np.maximum(counts - 1, 0).sum())


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.5, float("nan")])
def test_a_fraction_lies_between_0_and_1(fraction: float) -> None:
    with pytest.raises(ConfigurationError, match="between 0 and 1"):
        split_indices(10, fraction, 0)


def test_one_sample_cannot_be_split() -> None:
    with pytest.raises(DataError, match="cannot be split"):
        split_indices(1, 0.5, 0)
