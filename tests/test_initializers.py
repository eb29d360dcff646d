"""Every initializer: the moments it promises, the fans it counts, and the same numbers for the same key."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.initializers import Constant, Glorot, He, Initializer, Normal, Sparse, Uniform, fans
from chainrule.keys import Key

SHAPE = (300, 200)
#: The initializer, the standard deviation of its numbers, and the largest of them (for the uniform ones).
CASES: list[tuple[Initializer, float, float]] = [
    (Uniform(0.3), 0.3 / math.sqrt(3), 0.3),
    (Normal(0.7), 0.7, math.inf),
    (Glorot(), math.sqrt(2 / 500), math.sqrt(6 / 500)),
    (Glorot("normal"), math.sqrt(2 / 500), math.inf),
    (He(), math.sqrt(2 / 300), math.inf),
    (He("uniform"), math.sqrt(2 / 300), math.sqrt(6 / 300)),
]


def check_moments(start: Initializer, deviation: float, largest: float) -> None:
    found = start(Key(3, "weight"), SHAPE)
    count = found.size
    assert found.shape == SHAPE
    assert found.dtype == np.float64
    # The mean of n numbers is off by σ/√n or so; five of those are never seen. The deviation is off by σ/√(2n).
    assert abs(found.mean()) < 5 * deviation / math.sqrt(count)
    assert abs(found.std() - deviation) < 5 * deviation / math.sqrt(2 * count)
    assert abs(found).max() <= largest
    if largest < math.inf:
        assert abs(found).max() > 0.999 * largest
    else:
        # A normal distribution has 68.3 % of its numbers within one deviation, and 95.4 % within two.
        assert abs((abs(found) < deviation).mean() - 0.6827) < 0.01
        assert abs((abs(found) < 2 * deviation).mean() - 0.9545) < 0.005


@pytest.mark.parametrize(("start", "deviation", "largest"), CASES, ids=repr)
def test_the_numbers_are_spread_as_promised(start: Initializer, deviation: float, largest: float) -> None:
    check_moments(start, deviation, largest)


def test_a_wrong_variance_is_found() -> None:
    class Wrong(He):
        def __call__(self, key: Key, shape: tuple[int, ...]) -> Any:
            return 1.05 * super().__call__(key, shape)

    with pytest.raises(AssertionError):
        check_moments(Wrong(), math.sqrt(2 / 300), math.inf)


@pytest.mark.tiny
@pytest.mark.parametrize("start", [case[0] for case in CASES], ids=repr)
def test_one_key_gives_the_same_numbers_another_others(start: Initializer) -> None:
    first = start(Key(0, "a"), (4, 5))
    np.testing.assert_array_equal(first, start(Key(0, "a"), (4, 5)))
    for other in (Key(1, "a"), Key(0, "b")):
        assert (start(other, (4, 5)) != first).all()


@pytest.mark.parametrize("start", [Constant(2.5), *(case[0] for case in CASES)], ids=repr)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 3), (3, 3, 2, 4)])
def test_any_shape_will_do(start: Initializer, shape: tuple[int, ...]) -> None:
    found = start(Key(0), shape)
    assert found.shape == shape
    assert np.isfinite(found).all()


def test_a_constant_is_constant() -> None:
    np.testing.assert_array_equal(Constant(-0.5)(Key(0), (2, 3)), np.full((2, 3), -0.5))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((7,), (7, 7)), ((), (1, 1)), ((5, 3), (5, 3)), ((3, 3, 16, 32), (144, 288)), ((4, 2, 3), (8, 12))],
)
def test_fans_count_inputs_and_outputs_of_a_unit(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert fans(shape) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(0.0), lambda: Uniform(-1), lambda: Uniform(math.inf), lambda: Normal(math.nan),
        lambda: Glorot("gaussian"), lambda: He("unifrom"), lambda: Sparse(0), lambda: Sparse(3, deviation=0.0),
    ],
)  # fmt: skip
def test_a_setting_without_meaning_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^(Uniform|Normal|Glorot|He|Sparse): "):
        make()


def test_sparse_weights_have_so_many_rows_a_unit_and_each_unit_its_own() -> None:
    found = Sparse(15, deviation=2.0)(Key(0, "weight"), (784, 100))
    assert ((found != 0).sum(axis=0) == 15).all()
    assert ((found != 0).sum(axis=1) > 0).sum() > 600
    assert abs(found[found != 0].std() - 2.0) < 0.2
    assert (Sparse(15)(Key(0), (8, 3)) != 0).all()
    np.testing.assert_array_equal(found, Sparse(15, 2.0)(Key(0, "weight"), (784, 100)))
    with pytest.raises(ShapeError, match="Sparse is for weights"):
        Sparse()(Key(0), (3, 3, 2, 4))


def test_signals_keep_their_size_through_ten_layers() -> None:
    """What He and Glorot are for: with them ten layers neither blow a signal up nor let it fade away."""
    sizes = {}
    data = cr.data.from_arrays(Key(0, "x").normal((64, 100)), np.zeros((64, 100)))
    for name, activation, start in (
        ("He", cr.relu, He()), ("Glorot", cr.tanh, Glorot()), ("too small", cr.relu, Normal(0.05)),
    ):  # fmt: skip
        model = cr.Chain(*(cr.Dense(100, activation, weight=start) for _ in range(10)))
        outputs = cr.prepare(model, data).outputs(data.inputs)
        sizes[name] = float(outputs.std())
    assert 0.2 < sizes["He"] < 3
    assert 0.1 < sizes["Glorot"] < 1
    assert sizes["too small"] < 1e-3


def test_dense_starts_as_its_activation_asks_for() -> None:
    data = cr.data.from_arrays(np.zeros((4, 400)), np.zeros((4, 300)))
    for activation, deviation in (
        (cr.relu, math.sqrt(2 / 400)), (cr.leaky_relu, math.sqrt(2 / 400)), (cr.tanh, math.sqrt(2 / 700)),
        (None, math.sqrt(2 / 700)),
    ):  # fmt: skip
        parameters = cr.prepare(cr.Chain(cr.Dense(300, activation)), data).parameters
        assert abs(parameters["0.weight"].std() / deviation - 1) < 0.02
        assert (parameters["0.bias"] == 0).all()


def test_equal_first_weights_leave_hidden_units_identical() -> None:
    """Units that start alike stay alike: after training every column of weights is the same, to the bit."""
    train, _ = cr.data.load("digits")
    start = Constant(0.05)
    model = cr.Chain(cr.Dense(6, cr.tanh, weight=start), cr.Dense(10, weight=start))
    parameters = cr.fit(model, train.subset(range(300)), epochs=3).parameters
    assert (parameters["0.weight"] != 0.05).any()
    assert (parameters["0.weight"] == parameters["0.weight"][:, :1]).all()
    assert (parameters["0.bias"] == parameters["0.bias"][0]).all()
    assert (parameters["1.weight"] == parameters["1.weight"][:1]).all()
