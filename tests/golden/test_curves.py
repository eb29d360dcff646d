"""Whole trainings have the loss of PyTorch in each step: curves.npz, which make_curves.py made."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from benchmarks.curves import PAIRS, Array, Pair, prepared, start, told
from chainrule.optimizers import SGD, Adam, AdamW, Optimizer, Rprop

HIDDEN, BATCH = 12, 32


@functools.cache
def known() -> dict[str, Array]:
    with np.load(Path(__file__).parent / "curves.npz") as file:
        return dict(file)


def losses(pair: Pair, dtype: str, engine: str) -> Array:
    data = prepared(cr.data.load("digits")[0].subset(np.arange(300)), dtype)
    epochs = 20 if pair.whole else 4
    run, taken = start(pair, data, HIDDEN, BATCH, epochs, engine)
    run.set_parameters({name[8:]: weight for name, weight in known().items() if name.startswith("weights/")})
    if not pair.whole:
        np.testing.assert_array_equal(np.array(taken.orders), known()["order"])
    found: Array = run.fit(data, epochs=epochs).history.steps["loss"]
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_each_loss_is_that_of_pytorch(name: str) -> None:
    expected = known()[f"{name}/float64"]
    assert len(expected) == (20 if PAIRS[name].whole else 40)
    assert expected[-5:].mean() < 0.95 * expected[:5].mean()  # it learns, or nothing would be shown
    np.testing.assert_allclose(losses(PAIRS[name], "float64", "reference"), expected, rtol=1e-11)


@pytest.mark.parametrize("name", ["momentum", "AdamW", "NAdam", "Rprop"])
def test_each_loss_is_that_of_pytorch_when_compiled(name: str) -> None:
    np.testing.assert_allclose(losses(PAIRS[name], "float64", "native"), known()[f"{name}/float64"], rtol=1e-11)
    np.testing.assert_allclose(losses(PAIRS[name], "float32", "native"), known()[f"{name}/float32"], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("plain", SGD(0.1 * (1 + 1e-9))),
        ("Adam", Adam(0.001, epsilon=1e-7)),
        ("AdamW", AdamW(0.001, weight_decay=0.049)),
        ("Nesterov", SGD(0.05, momentum=0.9)),
        ("Rprop", Rprop(0.001, increase=1.21)),
    ],
)
def test_another_setting_is_found(name: str, other: Optimizer) -> None:
    found = losses(replace(PAIRS[name], ours=other), "float64", "reference")
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(found, known()[f"{name}/float64"], rtol=1e-11)


def test_all_curves_are_compared() -> None:
    names = {key.rpartition("/")[0] for key in known() if not key.startswith("weights/") and key != "order"}
    assert names == set(PAIRS)


def test_a_form_is_told_as_it_is_written() -> None:
    assert told(PAIRS["L2"].ours) == "Compose(WeightDecay(weight_decay=0.001), SGD(learning_rate=0.05, momentum=0.9))"
    assert PAIRS["Nesterov"].told() == "SGD(lr=0.05, momentum=0.9, nesterov=True)"
