"""Optimizers by their formulas, what they remember, their numbers, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.optimizers import (
    SGD,
    Accumulate,
    Adadelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    AdaptiveClip,
    AMSGrad,
    Averaging,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Compose,
    DeltaBarDelta,
    Descend,
    Groups,
    Lion,
    MaxNorm,
    Momentum,
    NAdam,
    Noise,
    Optimizer,
    RMSprop,
    Rprop,
    Tree,
    UpdateScope,
    WeightDecay,
)
from tests.optimizers.making import SETTINGS, START, Array, descend, ones, parabola, rosenbrock, rosenbrock_slope

Slope = Callable[[Array], Array]

# ---- it is its formula ----


def sgd(
    rate: Callable[[int], float], momentum: float = 0.0, nesterov: bool = False
) -> Callable[[Slope], Iterator[Array]]:
    def places(slope: Slope) -> Iterator[Array]:
        p, v = np.array(START), np.zeros(2)
        for step in range(10**6):
            yield p
            g = slope(p)
            v = momentum * v + g
            p = p - rate(step) * (g + momentum * v if nesterov else v)

    return places


def adam(
    rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> Callable[[Slope], Iterator[Array]]:
    def places(slope: Slope) -> Iterator[Array]:
        p, m, v = np.array(START), np.zeros(2), np.zeros(2)
        for step in range(1, 10**6):
            yield p
            g = slope(p)
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            p = p - rate * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + epsilon)

    return places


FORMULAS: dict[str, Callable[[Slope], Iterator[Array]]] = {
    "plain": sgd(lambda step: 0.001),
    "momentum": sgd(lambda step: 0.0005, 0.9),
    "Nesterov": sgd(lambda step: 0.0005, 0.9, True),
    "momentum 0.5": sgd(lambda step: 0.001, 0.5),
    "Adam": adam(0.02),
    "Adam without momentum": adam(0.02, beta1=0.0),
    "Adam with short memory": adam(0.02, 0.5, 0.9, 1e-4),
    "composed": sgd(lambda step: 0.0005, 0.9),
    "scheduled": sgd(lambda step: 0.001 / (1 + step / 500)),
}


def check_formula(optimizer: Optimizer, places: Callable[[Slope], Iterator[Array]], steps: int = 60) -> None:
    _, found = descend(optimizer, rosenbrock, steps)
    walk = places(rosenbrock_slope)
    expected = np.array([next(walk) for _ in range(steps)])
    np.testing.assert_allclose(np.stack([found["x"], found["y"]], 1), expected, rtol=1e-12, atol=1e-12)
    norms = [np.linalg.norm(rosenbrock_slope(place)) for place in expected]
    np.testing.assert_allclose(found["gradient_norm"], norms, rtol=1e-9)


@pytest.mark.parametrize("name", FORMULAS)
def test_it_is_its_formula(name: str) -> None:
    check_formula(SETTINGS[name], FORMULAS[name])


@pytest.mark.parametrize(
    ("name", "other"), [("momentum", "Nesterov"), ("Adam", "Adam with short memory"), ("plain", "scheduled")]
)
def test_another_formula_is_found(name: str, other: str) -> None:
    with pytest.raises(AssertionError):
        check_formula(SETTINGS[name], FORMULAS[other])


def test_the_first_step_of_adam_is_the_learning_rate_in_float32_too() -> None:
    """At step 1, m̂ = g and v̂ = g²: whatever the slope, each number moves by the learning rate."""
    _, steps = descend(Adam(0.01), rosenbrock, 2, "float32")
    np.testing.assert_allclose([steps["x"][1], steps["y"][1]], [-1.19, 1.01], rtol=1e-6)


# ---- its state ----


@pytest.mark.parametrize(
    ("optimizer", "kept"),
    [
        (SGD(0.1), set()),
        (SGD(0.1, momentum=0.9), {"optimizer/velocity/place"}),
        (Adam(), {"optimizer/mean/place", "optimizer/square/place"}),
        (RMSprop(), {"optimizer/square/place"}),
        (Lion(), {"optimizer/mean/place"}),
        (NAdam(), {"optimizer/mean/place", "optimizer/square/place", "optimizer/momentum_product"}),
    ],
    ids=["plain", "momentum", "Adam", "RMSprop", "Lion", "NAdam"],
)
def test_it_remembers_what_it_needs_and_no_more(optimizer: Optimizer, kept: set[str]) -> None:
    run, _ = descend(optimizer, parabola, 1)
    assert {name for name in run.arrays if name.startswith("optimizer/")} == kept


# ---- its numbers ----


def test_a_learning_rate_is_an_input_that_never_recompiles() -> None:
    run, _ = descend(SGD(0.001), parabola, 1)
    assert run.numbers == {"numbers/learning_rate": 0.001}
    programs = [*run._programs.values()]
    before = run.parameters["place"]
    run.numbers["numbers/learning_rate"] = 0.0
    run.fit(ones(1), epochs=2)
    np.testing.assert_array_equal(run.parameters["place"], before)
    assert [*run._programs.values()] == programs
    np.testing.assert_array_equal(run.history.steps["learning_rate"], [0.001, 0.0])


def test_a_schedule_is_recorded_as_it_was() -> None:
    _, steps = descend(SGD(lambda step: 0.1 / (1.0 + step)), parabola, 4)
    np.testing.assert_allclose(steps["learning_rate"], [0.1, 0.05, 0.1 / 3, 0.025])


def test_two_optimizers_of_one_step_have_each_their_own_numbers_and_memory() -> None:
    one, two = cr.Chain(cr.Dense(1), name="one"), cr.Chain(cr.Dense(1), name="two")

    @cr.step
    def both(state: Any, batch: Any) -> dict[str, cr.Node]:
        for model, optimizer in ((one, SGD(0.1, momentum=0.9)), (two, SGD(0.2, momentum=0.5))):
            state.descend(graph.sum(state.apply(model, batch["x"]) ** 2), model, optimizer)
        return {}

    run = cr.fit(both, {"x": np.ones((4, 2), np.float32)}, epochs=1)
    assert run.numbers == {
        "numbers/one.learning_rate": 0.1, "numbers/one.momentum": 0.9,
        "numbers/two.learning_rate": 0.2, "numbers/two.momentum": 0.5,
    }  # fmt: skip
    assert sorted(name for name in run.arrays if name.startswith("optimizer/")) == [
        "optimizer/one.velocity/one.0.bias", "optimizer/one.velocity/one.0.weight",
        "optimizer/two.velocity/two.0.bias", "optimizer/two.velocity/two.0.weight",
    ]  # fmt: skip


def test_two_equal_updates_of_one_optimizer_do_not_share_their_numbers() -> None:
    """Momentum of 0.9 after momentum of 0.5: each has its own number and its own velocity."""
    run, _ = descend(Compose(Momentum(0.5), Momentum(0.9), Descend(0.001)), parabola, 3)
    assert sorted(run.numbers.values()) == [0.001, 0.5, 0.9]
    assert sorted(name for name in run.arrays if name.startswith("optimizer/")) == [
        "optimizer/velocity/place", "optimizer/velocity2/place",
    ]  # fmt: skip
    # As it should be: momentum of momentum, written out.
    _, found = descend(Compose(Momentum(0.5), Momentum(0.9), Descend(0.001)), parabola, 20)
    p, first, second = np.array(START), np.zeros(2), np.zeros(2)
    for step in range(20):
        np.testing.assert_allclose([found["x"][step], found["y"][step]], p, rtol=1e-12)
        first = 0.5 * first + p * [2, 20]
        second = 0.9 * second + first
        p = p - 0.001 * second


def test_an_optimizer_within_an_optimizer_keeps_its_own() -> None:
    inner = Compose(Momentum(0.5), Momentum(0.9))
    one, _ = descend(Compose(inner, Momentum(0.3), Descend(0.001)), parabola, 20)
    other, _ = descend(Compose(Momentum(0.5), Momentum(0.9), Momentum(0.3), Descend(0.001)), parabola, 20)
    np.testing.assert_array_equal(one.parameters["place"], other.parameters["place"])


def test_one_number_under_one_name() -> None:
    class Torn:
        def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
            scope.number("rate", 0.1)
            scope.number("rate", 0.2)
            return directions

    with pytest.raises(ConfigurationError, match=r"asks for the number 'rate' as 0.1 and as 0.2"):
        descend(Compose(Torn()), parabola, 1)


# ---- what does not fit ----


def anything(make: Any, *given: Any, **named: Any) -> Any:
    """Call with what the types would not allow."""
    return make(*given, **named)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-0.1), "SGD: learning_rate is a number from 0"),
        (lambda: SGD(math.nan), "SGD: learning_rate is a number"),
        (lambda: SGD(math.inf), "SGD: learning_rate is a number"),
        (lambda: anything(SGD, "0.1"), "not '0.1'"),
        (lambda: SGD(True), "not True"),
        (lambda: SGD(0.1, momentum=1.0), "momentum is a number from 0 to below 1"),
        (lambda: SGD(0.1, nesterov=True), "nesterov=True wants a momentum"),
        (lambda: Adam(beta1=1.0), "Adam: beta1 is a number from 0 to below 1"),
        (lambda: Adam(beta2=-0.1), "Adam: beta2"),
        (lambda: Adam(epsilon=-1e-8), "Adam: epsilon"),
        (lambda: anything(SGD, lr=0.1), "the name is learning_rate, not lr"),
        (lambda: anything(Adam, beta_1=0.9), "the name is beta1, not beta_1"),
        (lambda: anything(Adam, eps=1e-7), "the name is epsilon, not eps"),
        (lambda: anything(RMSprop, alpha=0.99), "RMSprop: the name is rho, not alpha"),
        (lambda: anything(RMSprop, centered=True), "the name is centred, not centered"),
        (lambda: anything(Rprop, etas=(0.5, 1.2)), "the name is decrease and increase, not etas"),
        (lambda: anything(Adam, weight_decay=0.1), r"no weight_decay; write Compose\(WeightDecay\(0.01\), Adam"),
        (lambda: anything(Adam, clipnorm=1.0), r"Adam has no clipnorm; write Compose\(ClipNorm\(1.0\), Adam"),
        (lambda: anything(Adam, amsgrad=True), "write AMSGrad"),
        (lambda: anything(ClipGlobalNorm, max_norm=1.0), "ClipGlobalNorm: the name is maximum, not max_norm"),
        (lambda: anything(WeightDecay, l2=0.1), "the name is weight_decay, not l2"),
        (lambda: anything(Averaging, ema_momentum=0.9), "the name is decay, not ema_momentum"),
        (lambda: AdamW(weight_decay=-1.0), "AdamW: weight_decay is a number from 0"),
        (lambda: AMSGrad(beta2=1.0), "AMSGrad: beta2"),
        (lambda: Adamax(-1.0), "Adamax: learning_rate"),
        (lambda: NAdam(momentum_decay=-1.0), "NAdam: momentum_decay"),
        (lambda: Lion(beta1=1.0), "Lion: beta1"),
        (lambda: AdaGrad(epsilon=0.0), "AdaGrad: epsilon is a number above 0"),
        (lambda: Adadelta(rho=1.0), "Adadelta: rho"),
        (lambda: RMSprop(momentum=1.5), "RMSprop: momentum"),
        (lambda: Rprop(increase=0.9), "Rprop: increase is a number from 1"),
        (lambda: Rprop(minimum_step=1.0, maximum_step=0.5), "minimum_step 1 is above maximum_step 0.5"),
        (lambda: anything(Rprop, lambda step: step), "where the step of each weight begins, a number and no schedule"),
        (lambda: DeltaBarDelta(decrease=1.0), "DeltaBarDelta: decrease"),
        (lambda: ClipNorm(0.0), "ClipNorm: maximum is a number above 0"),
        (lambda: ClipValue(-1.0), "ClipValue: maximum"),
        (lambda: MaxNorm(0.0), "MaxNorm: maximum"),
        (lambda: AdaptiveClip(0.0), "AdaptiveClip: factor"),
        (lambda: Noise(-0.1), "Noise: deviation"),
        (lambda: Averaging(1.0), "Averaging: decay"),
        (lambda: Accumulate(0, Adam()), "batches is a whole number above 0, not 0"),
        (lambda: Accumulate(2.5, Adam()), "not 2.5"),
        (lambda: anything(Accumulate, 2, Adam), r"such as Adam\(…\)"),
        (lambda: anything(Compose, ClipNorm(1.0), SGD), r"Compose: an update is an object with apply, such as SGD"),
        (lambda: anything(Groups, {"*.bias": 0.1}), r"Groups, '\*.bias': an update is an object"),
        (lambda: anything(Groups, [SGD(0.1)]), "a group is a pattern and an update"),
    ],
)
def test_a_setting_without_meaning_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_an_optimizer_without_updates_says_so() -> None:
    with pytest.raises(ConfigurationError, match="does not say what its updates are"):
        descend(Optimizer(), parabola, 1)


def test_an_update_that_forgets_a_parameter_is_refused() -> None:
    class Forgetful:
        def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
            return {}

    with pytest.raises(ConfigurationError, match=r"gave directions for \[\], not \['place'\]"):
        descend(Compose(Forgetful()), parabola, 1)


def test_an_update_of_another_shape_is_refused() -> None:
    class Short:
        def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
            return {path: direction[:1] for path, direction in directions.items()}

    with pytest.raises(cr.errors.ShapeError):
        descend(Compose(Short()), parabola, 1)
