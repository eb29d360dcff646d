"""100 steps in float64 are those of PyTorch, to 1e-10; where it lacks the algorithm, those of the paper in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.optimizers import (
    SGD,
    Adadelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    Averaging,
    Compose,
    DeltaBarDelta,
    Lion,
    NAdam,
    Optimizer,
    RMSprop,
    Rprop,
    WeightDecay,
)
from tests.optimizers.making import Array

#: The names are those of optimizers.npz; what each means is written in golden/make_golden.py.
GOLDEN: dict[str, Optimizer] = {
    "sgd": SGD(0.1),
    "momentum": SGD(0.1, momentum=0.9),
    "nesterov": SGD(0.1, momentum=0.9, nesterov=True),
    "weight_decay": Compose(WeightDecay(0.01), SGD(0.1, momentum=0.9)),
    "rprop": Rprop(0.01),
    "adagrad": AdaGrad(0.1),
    "adadelta": Adadelta(),
    "rmsprop": RMSprop(0.01, rho=0.99),
    "rmsprop_momentum": RMSprop(0.01, rho=0.99, momentum=0.9),
    "rmsprop_centred": RMSprop(0.01, rho=0.99, centred=True),
    "rmsprop_both": RMSprop(0.01, rho=0.99, momentum=0.9, centred=True),
    "adam": Adam(0.01),
    "adamw": AdamW(0.01, weight_decay=0.05),
    "amsgrad": AMSGrad(0.01),
    "adamax": Adamax(),
    "nadam": NAdam(),
}


def arrays() -> dict[str, Array]:
    with np.load(Path(__file__).parents[1] / "golden" / "optimizers.npz") as file:
        return dict(file)


def steps(optimizer: Optimizer, engine: str) -> tuple[cr.Run, Array]:
    """The parameters (50, 3, 4) after each second of 100 steps with the gradients given."""
    known = arrays()

    class Weights:
        def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
            return scope.parameter("weight", (3, 4), lambda key, shape: known["start"])

    model = Weights()

    @cr.step
    def follow(state: Any, batch: Any) -> dict[str, cr.Node]:
        weight = state.apply(model)
        # The gradient of Σ w·g is g.
        state.descend(graph.sum(weight * batch["gradients"][0]), model, optimizer)
        new = state.parameters(model)["weight"]
        return {f"{i},{j}": new[i][j] for i in range(3) for j in range(4)}

    data = {"gradients": known["gradients"]}
    run = cr.fit(follow, data, epochs=1, batch_size=1, shuffle=False, dtype="float64", engine=engine)
    rows = [[run.history.steps[f"{i},{j}"] for j in range(4)] for i in range(3)]
    return run, np.moveaxis(np.array(rows), -1, 0)[1::2]


def check(optimizer: Optimizer, expected: Array, engine: str = "reference") -> None:
    np.testing.assert_allclose(steps(optimizer, engine)[1], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", GOLDEN)
def test_it_is_that_of_pytorch(name: str) -> None:
    check(GOLDEN[name], arrays()[f"{name}/parameters"])


@pytest.mark.parametrize("name", ["weight_decay", "rprop", "rmsprop_both", "amsgrad", "nadam"])
def test_it_is_that_of_pytorch_when_compiled(name: str) -> None:
    check(GOLDEN[name], arrays()[f"{name}/parameters"], "native")


def test_all_arrays_are_compared() -> None:
    assert {key.removesuffix("/parameters") for key in arrays() if "/" in key} == {*GOLDEN, "averaged"}


def test_the_average_is_that_of_pytorch() -> None:
    run, moved = steps(Compose(SGD(0.1, momentum=0.9), Averaging(0.9)), "reference")
    np.testing.assert_allclose(moved, arrays()["momentum/parameters"], rtol=1e-10)
    np.testing.assert_allclose(
        run.averaged().parameters["weight"], arrays()["averaged/parameters"][-1], rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("adam", Adam(0.01, epsilon=1e-7)),
        ("nadam", NAdam(momentum_decay=0.0041)),
        ("rprop", Rprop(0.01, maximum_step=0.02)),
        ("adamw", Compose(WeightDecay(0.05), Adam(0.01))),
    ],
)
def test_a_small_difference_is_found(name: str, other: Optimizer) -> None:
    with pytest.raises(AssertionError):
        check(other, arrays()[f"{name}/parameters"])


def walk(rule: Callable[[Array, Array], Array]) -> Array:
    known, rows = arrays(), []
    w = known["start"]
    for gradient in known["gradients"]:
        w = rule(w, gradient)
        rows.append(w)
    return np.stack(rows)[1::2]


def lion(rate: float, beta1: float, beta2: float, decay: float) -> Callable[[Array, Array], Array]:
    """Algorithm 2 of the paper."""
    m: Any = 0.0

    def rule(w: Array, g: Array) -> Array:
        nonlocal m
        update = np.sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g
        return np.asarray(w - rate * (update + decay * w))

    return rule


def jacobs(start: float, kappa: float, phi: float, theta: float) -> Callable[[Array, Array], Array]:
    """Equations 4 and 5 of the paper, weight by weight."""
    rate, bar = np.full((3, 4), start), np.zeros((3, 4))

    def rule(w: Array, delta: Array) -> Array:
        new = w.copy()
        for place in np.ndindex(w.shape):
            if bar[place] * delta[place] > 0:
                rate[place] += kappa
            elif bar[place] * delta[place] < 0:
                rate[place] -= phi * rate[place]
            bar[place] = (1 - theta) * delta[place] + theta * bar[place]
            new[place] = w[place] - rate[place] * delta[place]
        return new

    return rule


def test_lion_is_the_paper_s() -> None:
    check(Lion(0.01), walk(lion(0.01, 0.9, 0.99, 0.0)))
    check(Lion(0.01, beta1=0.8, weight_decay=0.1), walk(lion(0.01, 0.8, 0.99, 0.1)))
    with pytest.raises(AssertionError):
        check(Lion(0.01), walk(lion(0.01, 0.9, 0.9, 0.0)))


def test_delta_bar_delta_is_the_paper_s() -> None:
    check(DeltaBarDelta(0.05, 0.035, 0.333, 0.7), walk(jacobs(0.05, 0.035, 0.333, 0.7)))
    with pytest.raises(AssertionError):
        check(DeltaBarDelta(0.05, 0.035, 0.333, 0.7), walk(jacobs(0.05, 0.035, 0.333, 0.6)))
