"""The adding problem and the copy task: what is asked for, and that guessing is worth what is said of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule.data import adding_problem, copy_task
from chainrule.errors import ConfigurationError


@pytest.mark.tiny
@pytest.mark.parametrize("length", [2, 3, 25])
def test_the_target_is_the_sum_of_two_marked_numbers_one_in_each_half(length: int) -> None:
    data = adding_problem(4000, length)
    values, marked = np.moveaxis(data.inputs, 2, 0)
    assert data.targets is not None
    half = length // 2
    assert set(np.unique(marked)) <= {0.0, 1.0}
    assert (marked[:, :half].sum(axis=1) == 1).all()
    assert (marked[:, half:].sum(axis=1) == 1).all()
    np.testing.assert_allclose(data.targets[:, 0], (values * marked).sum(axis=1), rtol=1e-6)
    assert 0 <= values.min() < values.max() < 1
    assert (marked.sum(axis=0) > 0.7 * 4000 / (length - half)).all()  # each step of a half is marked as often
    assert np.mean((data.targets - 1) ** 2) == pytest.approx(1 / 6, rel=0.05)


@pytest.mark.tiny
def test_symbols_are_asked_for_again_in_their_order_after_the_delay() -> None:
    data = copy_task(500, 7, remembered=4, symbols=5)
    assert data.symbolic
    assert data.preparation.symbols == 7
    assert data.targets is not None
    assert data.inputs.shape == data.targets.shape == (500, 15)
    said = data.inputs[:, :4]
    assert np.bincount(said.ravel(), minlength=5).min() > 0.8 * 500 * 4 / 5
    assert said.max() == 4
    assert (data.inputs[:, 4:10] == 5).all()
    assert (data.inputs[:, 10] == 6).all()
    assert (data.inputs[:, 11:] == 5).all()
    assert (data.targets[:, :11] == -1).all()
    assert (data.targets[:, 11:] == said).all()


@pytest.mark.tiny
def test_a_seed_says_which_sequences() -> None:
    for make in (adding_problem, copy_task):
        assert (make(5, 9, seed=3).inputs == make(5, 9, seed=3).inputs).all()
        assert (make(5, 9, seed=3).inputs != make(5, 9, seed=4).inputs).any()


@pytest.mark.parametrize(
    ("make", "given", "told"),
    [
        (adding_problem, {"samples": 3, "length": 1}, "adding_problem: length is a whole number from 2 on, not 1"),
        (adding_problem, {"samples": 0, "length": 5}, "samples is a whole number from 1 on, not 0"),
        (copy_task, {"samples": 3, "delay": 0}, "copy_task: delay is a whole number from 1 on, not 0"),
        (copy_task, {"samples": 3, "delay": 2.5}, "delay is a whole number from 1 on, not 2.5"),
        (copy_task, {"samples": 3, "delay": 2, "symbols": 1}, "symbols is a whole number from 2 on, not 1"),
        (copy_task, {"samples": 3, "delay": 2, "remembered": True}, "remembered is a whole number from 1 on, not True"),
    ],
)
def test_numbers_that_make_no_sequence_are_refused(make: Any, given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        make(**given)
