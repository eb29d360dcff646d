"""Every optimizer, held to the same laws: it goes down, it is its formula, its state keeps its shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.optimizers import SGD, Adam, Compose, Descend, Momentum, Optimizer, Tree, UpdateScope

Array = NDArray[Any]
Slope = Callable[[Array], Array]

START = (-1.2, 1.0)
#: Every setting, with a learning rate at which it goes down on both grounds.
SETTINGS: dict[str, Optimizer] = {
    "plain": SGD(0.001),
    "momentum": SGD(0.0005, momentum=0.9),
    "Nesterov": SGD(0.0005, momentum=0.9, nesterov=True),
    "momentum 0.5": SGD(0.001, momentum=0.5),
    "Adam": Adam(0.02),
    "Adam without momentum": Adam(0.02, beta1=0.0),
    "Adam with short memory": Adam(0.02, beta1=0.5, beta2=0.9, epsilon=1e-4),
    "composed": Compose(Momentum(0.9), Descend(0.0005)),
    "scheduled": SGD(lambda step: 0.001 / (1.0 + step / 500.0)),
}


@dataclass(frozen=True)
class Point:
    """A model that is nothing but a point (2,), to be moved about."""

    start: tuple[float, float] = START

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        given = self.start

        def first(key: Any, shape: tuple[int, ...]) -> Array:
            return np.array(given)

        return scope.parameter("place", (2,), first)


def parabola(p: cr.Node) -> cr.Node:
    """x² + 10·y²."""
    return p[0] ** 2 + 10 * p[1] ** 2


def rosenbrock(p: cr.Node) -> cr.Node:
    """(1 - x)² + 100·(y - x²)²: a narrow, bent valley that leads to (1, 1)."""
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def rosenbrock_slope(p: Array) -> Array:
    x, y = p
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def descend(
    optimizer: Optimizer, ground: Callable[[cr.Node], cr.Node], steps: int, dtype: str = "float64"
) -> tuple[cr.Run, dict[str, Array]]:
    """The run, and what it recorded: the place before each step, the loss there and so on."""
    model = Point()

    @cr.step
    def down(state: Any, batch: Any) -> dict[str, cr.Node]:
        place = state.apply(model)
        loss = ground(place)
        state.descend(loss, model, optimizer)
        return {"loss": loss, "x": place[0], "y": place[1]}

    run = cr.fit(down, {"nothing": np.zeros((1, 1))}, epochs=steps, dtype=dtype)
    return run, run.history.steps


# ---- it goes down ----


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_down_a_parabola(name: str) -> None:
    _, steps = descend(SETTINGS[name], parabola, 400)
    assert steps["loss"][-1] < 0.3 * steps["loss"][0]
    assert steps["loss"].max() < 1.2 * steps["loss"][0]


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_down_the_valley_of_rosenbrock(name: str) -> None:
    _, steps = descend(SETTINGS[name], rosenbrock, 600)
    assert steps["loss"][0] == pytest.approx(24.2)
    assert steps["loss"][-1] < 4.2
    assert np.isfinite(steps["loss"]).all()


def test_momentum_goes_further_than_plain_descent_in_the_valley() -> None:
    plain, momentum = (
        descend(optimizer, rosenbrock, 1000)[1]["loss"][-1] for optimizer in (SGD(0.0005), SGD(0.0005, momentum=0.9))
    )
    assert momentum < plain / 2


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


@pytest.mark.parametrize("name", SETTINGS)
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SETTINGS)
def test_its_state_keeps_shape_and_dtype(name: str, dtype: str) -> None:
    run, _ = descend(SETTINGS[name], parabola, 1, dtype)
    before = {path: (array.shape, array.dtype.name) for path, array in run.arrays.items()}
    run.fit({"nothing": np.zeros((1, 1))}, epochs=4)
    assert {path: (array.shape, array.dtype.name) for path, array in run.arrays.items()} == before
    for path, (shape, kind) in before.items():
        assert (shape, kind) == (((), "int32") if path == "step" else ((2,), dtype))
    assert int(run.arrays["step"]) == 4


@pytest.mark.parametrize(
    ("optimizer", "kept"),
    [
        (SGD(0.1), set()),
        (SGD(0.1, momentum=0.9), {"optimizer/velocity/place"}),
        (Adam(), {"optimizer/mean/place", "optimizer/square/place"}),
    ],
    ids=["plain", "momentum", "Adam"],
)
def test_it_remembers_what_it_needs_and_no_more(optimizer: Optimizer, kept: set[str]) -> None:
    run, _ = descend(optimizer, parabola, 1)
    assert {name for name in run.arrays if name.startswith("optimizer/")} == kept


# ---- its numbers ----


def test_a_learning_rate_is_an_input_that_never_recompiles() -> None:
    run, _ = descend(SGD(0.001), parabola, 1)
    assert run.numbers == {"numbers/learning_rate": 0.001}
    programs = [program for *_, program in run._programs]
    before = run.parameters["place"]
    run.numbers["numbers/learning_rate"] = 0.0
    run.fit({"nothing": np.zeros((1, 1))}, epochs=2)
    np.testing.assert_array_equal(run.parameters["place"], before)
    assert [program for *_, program in run._programs] == programs
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
