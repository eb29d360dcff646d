from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from chainrule.data import Scaling
from chainrule.errors import ConfigurationError, DataError

values = arrays.arrays(np.float64, arrays.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e6, 1e6, width=32))


@given(values)
def test_there_and_back(array: np.ndarray) -> None:
    for scaling in (Scaling.standardize(array), Scaling.to_range(array, 0.1, 0.9)):
        magnitude = np.abs(array).max(axis=0)
        assert (np.abs(scaling.backward(scaling.forward(array)) - array) <= 1e-12 * (1 + magnitude) + 1e-9).all()


@given(values)
def test_a_range_is_kept(array: np.ndarray) -> None:
    scaled = Scaling.to_range(array, -1.0, 1.0).forward(array)
    constant = array.min(axis=0) == array.max(axis=0)
    # With a range that is small beside the values, a last bit of the shift is many of the range.
    slack = 1e-9 + 1e-15 * np.abs(array).max(axis=0) * np.abs(Scaling.to_range(array, -1.0, 1.0).scale)
    assert (scaled.min(axis=0) >= -1 - slack).all()
    assert (np.abs(scaled.max(axis=0) - np.where(constant, 0.0, 1.0)) <= slack).all()


@pytest.mark.tiny
def test_standardize_gives_mean_0_and_deviation_1() -> None:
    array = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    scaled = Scaling.standardize(array).forward(array)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 0], atol=1e-12)


def test_a_constant_column_is_not_blown_up_by_rounding() -> None:
    assert Scaling.standardize(np.full((3, 1), 0.1)).scale == (1.0,)


@pytest.mark.parametrize("spread", [5e-324, 1e-310, 1e-160])
def test_a_spread_too_small_to_divide_by_counts_as_none(spread: float) -> None:
    assert Scaling.standardize([[0.0], [spread]]).scale == (1.0,)
    assert Scaling.to_range([[0.0], [spread]], 0.0, 1.0).forward(np.zeros((1, 1))).tolist() == [[0.5]]


def test_dtypes() -> None:
    scaling = Scaling(1.0, 2.0)
    assert scaling.forward(np.ones(2, np.float32)).dtype == np.float32
    assert scaling.forward(np.ones(2, np.uint8)).dtype == np.float32
    assert scaling.backward(np.ones(2)).dtype == np.float64


def test_changes_nothing() -> None:
    assert Scaling().changes_nothing
    assert not Scaling(1.0).changes_nothing


def test_refusals() -> None:
    with pytest.raises(ConfigurationError, match="from a lower to a higher"):
        Scaling.to_range([1.0, 2.0], 1.0, 1.0)
    with pytest.raises(DataError, match="no values"):
        Scaling.standardize([])
    with pytest.raises(DataError, match="NaN"):
        Scaling.standardize([1.0, np.nan])
    with pytest.raises(DataError, match="go beyond"):
        Scaling.standardize([1e200, 0.0])
    with pytest.raises(ConfigurationError, match="they must agree"):
        Scaling((1.0, 2.0), (1.0, 2.0, 3.0))
