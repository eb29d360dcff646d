"""L-BFGS: a quadratic in n steps, Rosenbrock's minimum, the way another implementation goes, what it falls back to."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph.composites import absolute, softplus
from chainrule.keys import Key
from chainrule.optimizers import LBFGS
from chainrule.optimizers.lbfgs import two_loops
from chainrule.optimizers.line_search import strong_wolfe
from tests.optimizers.making import descend, ones, parabola, rosenbrock
from tests.training.making import flowers, model

GOLDEN = Path(__file__).parents[1] / "golden" / "lbfgs.npz"


@pytest.mark.tiny
def test_rosenbrock_ends_at_its_minimum() -> None:
    run, steps = descend(LBFGS(), rosenbrock, 40, engine="reference")
    np.testing.assert_allclose(run.parameters["place"], [1.0, 1.0], atol=1e-7)
    assert steps["loss"][0] == pytest.approx(24.2)
    assert (np.diff(steps["loss"]) <= 0).all()
    assert steps["evaluations"].sum() < 140


def test_a_quadratic_of_n_dimensions_takes_n_steps_with_an_exact_line_search() -> None:
    size = 6
    root = Key(3, "root").normal((size, size))
    matrix = root @ root.T + 0.5 * np.eye(size)

    def ground(p: cr.Node) -> cr.Node:
        row = graph.reshape(p, (1, size))
        return 0.5 * graph.sum(graph.contract(row, graph.constant(matrix, "float64"), "ai,ij->aj") * row)

    class Place:
        def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
            return scope.parameter("place", (size,), lambda key, shape: np.linspace(1.0, 2.0, size))

    place = Place()

    @cr.step
    def down(state: Any, batch: Any) -> dict[str, cr.Node]:
        loss = ground(state.apply(place)) * batch["one"][0]
        state.descend(loss, place, LBFGS(size, curvature=1e-8, decrease=0.0))
        return {"loss": loss}

    run = cr.fit(down, ones(1), epochs=size + 1, batch_size=1, dtype="float64", engine="reference")
    norms = run.history.column("gradient_norm")
    assert norms[size] < 1e-5 * norms[0] < norms[size - 1]


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_it_goes_the_way_that_another_implementation_goes(engine: str) -> None:
    with np.load(GOLDEN) as golden:
        x, t, places, values = (golden[name] for name in ("x", "t", "places", "values"))
    size = x.shape[1]

    class Place:
        def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
            return scope.parameter("place", (size, 1), cr.initializers.Constant(0.0))

    place = Place()

    @cr.step
    def down(state: Any, batch: Any) -> dict[str, cr.Node]:
        theta = state.apply(place)
        margin = graph.contract(batch.inputs, theta, "ai,io->ao") * batch.targets
        loss = graph.sum(softplus(-margin)) / float(len(x)) + 0.005 * graph.sum(theta * theta)
        state.descend(loss, place, LBFGS(5))
        return {"loss": loss}

    data = cr.data.from_arrays(x, t[:, None])
    run = cr.prepare(down, data, batch_size=None, shuffle=False, dtype="float64", engine=engine)
    for step, where in enumerate(places[1:], 1):
        run.fit(data, steps=step)
        np.testing.assert_allclose(run.parameters["place"][:, 0], where, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(run.history.column("loss"), values[:-1], rtol=1e-10)


def test_scipy_comes_to_the_same_minimum() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    run, _ = descend(LBFGS(), rosenbrock, 45, engine="reference")
    found = optimize.minimize(optimize.rosen, [-1.2, 1.0], jac=optimize.rosen_der, method="L-BFGS-B")
    np.testing.assert_allclose(run.parameters["place"], found.x, atol=1e-4)


def test_two_loops_are_the_matrix_of_all_updates() -> None:
    size, count = 5, 4
    steps = Key(0, "s").normal((count, size))
    changes = steps @ np.diag(np.arange(1.0, size + 1))
    gradient = Key(0, "g").normal((size,))
    s, y = steps[-1], changes[-1]
    h = np.eye(size) * (s @ y) / (y @ y)
    for s, y in zip(steps, changes, strict=True):
        rho, one = 1 / (y @ s), np.eye(size)
        h = (one - rho * np.outer(s, y)) @ h @ (one - rho * np.outer(y, s)) + rho * np.outer(s, s)
    np.testing.assert_allclose(two_loops(gradient, steps, changes), h @ gradient, rtol=1e-10)


GROUNDS: dict[str, tuple[Any, Any]] = {
    "parabola": (lambda t: (t - 3.0) ** 2, lambda t: 2 * (t - 3.0)),
    "quartic": (lambda t: (t - 0.02) ** 4 - 0.3 * t, lambda t: 4 * (t - 0.02) ** 3 - 0.3),
    "Moré and Thuente's first": (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
    "Moré and Thuente's second": (
        lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
        lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3,
    ),
}


@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("ground", GROUNDS)
def test_both_conditions_of_wolfe_hold(ground: str, first: float) -> None:
    phi, slope = GROUNDS[ground]
    found = strong_wolfe(lambda t: (phi(t), slope(t)), phi(0.0), slope(0.0), first, curvature=0.1, evaluations=40)
    assert found.satisfied
    assert found.length > 0
    assert phi(found.length) <= phi(0.0) + 1e-4 * found.length * slope(0.0)
    assert abs(slope(found.length)) <= 0.1 * abs(slope(0.0))


def test_a_wall_of_infinity_is_too_far() -> None:
    def along(t: float) -> tuple[float, float]:
        return (-math.log(1 - t) - 2 * t, 1 / (1 - t) - 2) if t < 1 else (math.nan, math.nan)

    found = strong_wolfe(along, 0.0, -1.0, 64.0, curvature=0.1)
    assert found.satisfied
    assert found.length == pytest.approx(0.5, abs=0.1)


def test_at_a_minimum_it_says_so_and_stays() -> None:
    run, _ = descend(LBFGS(), parabola, 30, engine="reference")
    run.set_parameters({"place": np.full(2, 1e-170)})  # where the loss is 0, and the gradient is not
    with pytest.warns(RuntimeWarning, match="no lower loss along its direction nor along -g at step 31"):
        run.fit(ones(1), epochs=33)
    np.testing.assert_array_equal(run.parameters["place"], 1e-170)
    assert list(run.history.column("step_length")[-3:]) == [0.0] * 3


def test_where_the_direction_leads_nowhere_the_pairs_are_forgotten() -> None:
    run, _ = descend(LBFGS(4), rosenbrock, 6, engine="reference")
    run.arrays["optimizer/changes"] = -run.arrays["optimizer/changes"]  # curvature below 0: up, not down
    before = run.history.column("loss")[-1]
    run.fit(ones(1), epochs=8)
    assert run.arrays["optimizer/pairs"] == 2
    assert run.history.column("loss")[-1] < before


def test_a_kink_ends_in_words_not_in_nan() -> None:
    with pytest.warns(RuntimeWarning, match="or the loss has a kink"):
        _, steps = descend(LBFGS(), lambda p: absolute(p[0]) + absolute(p[1]), 60, engine="reference")
    assert np.isfinite(steps["loss"]).all()
    assert steps["loss"][-1] < 0.5 * steps["loss"][0]


def test_flowers_are_learned_in_few_steps() -> None:
    train, test = flowers()
    run = cr.fit(model(), train, optimizer=LBFGS(), epochs=15, batch_size=None)
    assert run.history.column("loss")[-1] < 0.07
    assert run.evaluate(test)["accuracy"] > 0.85


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"memory": 0}, "memory is a whole number above 0"),
        ({"iterations": 1.5}, "iterations is a whole number above 0"),
        ({"evaluations": True}, "evaluations is a whole number above 0"),
        ({"decrease": 0.7}, "decrease is a number from 0 to below 0.5"),
        ({"curvature": 1.0}, "curvature is a number"),
        ({"decrease": 0.2, "curvature": 0.2}, "curvature is above decrease"),
        ({"lr": 1.0}, "the name is learning_rate"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        LBFGS(**settings)
