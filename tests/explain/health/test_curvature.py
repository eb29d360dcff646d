"""The largest eigenvalue of the Hessian, beside NumPy's of the whole matrix, and the learning rate it allows for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import from_arrays
from chainrule.explain.health import Diagnose, Probe
from chainrule.explain.health.curvature import curvatures
from chainrule.optimizers import SGD, Adam, ClipGlobalNorm, Compose, Groups, Lion
from chainrule.run import Run
from tests.explain.health.trainings import digits, small

X = np.random.default_rng(5).normal(size=(30, 3))
Y = np.sin(X @ [[1.0, 0.3], [0.4, -1.0], [-0.7, 0.2]])


def prepared(
    model: Any = None, x: np.ndarray = X, y: np.ndarray = Y, optimizer: Any = None, engine: str = "reference"
) -> Run:
    return cr.prepare(
        model or cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(2)), from_arrays(x, y), dtype="float64", batch_size=len(x),
        optimizer=optimizer or SGD(0.1), loss=cr.losses.mean_squared_error, engine=engine,
    )  # fmt: skip


def hessian(run: Run, sign: float = 1.0) -> np.ndarray:
    """Of the mean squared error of the tanh network, by differences of gradients that are written out here."""
    parameters = run.parameters
    shapes = {name: value.shape for name, value in parameters.items()}
    start = np.concatenate([value.ravel() for value in parameters.values()])

    def slope(flat: np.ndarray) -> np.ndarray:
        p, place = {}, 0
        for name, shape in shapes.items():
            size = int(np.prod(shape))
            p[name], place = flat[place : place + size].reshape(shape), place + size
        h = np.tanh(X @ p["0.weight"] + p["0.bias"])
        out = sign * 2 * (h @ p["1.weight"] + p["1.bias"] - Y) / Y.size
        back = (out @ p["1.weight"].T) * (1 - h**2)
        found = {"0.weight": X.T @ back, "0.bias": back.sum(0), "1.weight": h.T @ out, "1.bias": out.sum(0)}
        return np.concatenate([found[name].ravel() for name in shapes])

    steps = 1e-5 * np.eye(len(start))
    return np.array([(slope(start + one) - slope(start - one)) / 2e-5 for one in steps])


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_it_is_the_largest_eigenvalue_of_the_whole_hessian(engine: str) -> None:
    run = prepared(engine=engine)
    run.fit(from_arrays(X, Y), epochs=20, progress=False)
    matrix = hessian(run)
    assert np.allclose(matrix, matrix.T, atol=1e-8)
    values = np.linalg.eigvalsh(matrix)
    (found,) = curvatures(Probe(run, from_arrays(X, Y)))
    assert found.largest <= values[-1] * (1 + 1e-6)  # v·H·v is never above it
    assert found.largest == pytest.approx(values[-1], rel=0.02)
    assert np.abs(values - found.largest).min() <= found.within + 1e-8
    assert found.limit == pytest.approx(2 / found.largest)
    assert found.learning_rate == 0.1


def test_an_eigenvalue_that_is_negative_and_larger_hides_nothing() -> None:
    """Of minus the loss the largest by size is negative, and what bounds a learning rate is the highest."""
    model = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(2))

    @cr.step
    def up(state: Any, batch: Any) -> Any:
        loss = -1.0 * cr.losses.mean_squared_error(state.apply(model, batch["x"]), batch["y"])
        state.descend(loss, model, SGD(0.1))
        return {"loss": loss}

    data = {"x": X, "y": Y}
    run = cr.prepare(up, data, dtype="float64", engine="reference", batch_size=30)
    values = np.linalg.eigvalsh(hessian(run, -1.0))
    assert -values[0] > 1.4 * values[-1] > 0
    (found,) = curvatures(Probe(run, data))
    assert abs(found.largest - values[-1]) < 0.05 * (values[-1] - values[0])
    assert math.isnan(found.limit)
    assert "plain descent is stable up to" in str(found)


@pytest.mark.parametrize("optimizer", [SGD(1.0), SGD(1.0, momentum=0.8), SGD(1.0, momentum=0.8, nesterov=True)])
def test_descent_stays_below_the_limit_and_leaves_beyond_it(optimizer: SGD) -> None:
    """On a parabola the curvature is the same everywhere, so that the limit can be tried."""
    x = np.linspace(-1.0, 1.0, 20)[:, None]

    def trained(rate: float) -> Run:
        settings = SGD(rate, optimizer.momentum, optimizer.nesterov)
        run = prepared(cr.Dense(1), x, 3.0 * x + 1, settings, engine="native")
        return run.fit(from_arrays(x, 3.0 * x + 1), steps=300, progress=False)

    (found,) = curvatures(
        Probe(prepared(cr.Dense(1), x, 3.0 * x + 1, optimizer), from_arrays(x, 3.0 * x + 1)), rounds=200
    )
    below, beyond = (trained(found.limit * factor).history.steps["loss"][-1] for factor in (0.98, 1.04))
    assert below < 0.1
    assert beyond > 100


def test_other_optimizers_are_told_apart() -> None:
    run = prepared(optimizer=Compose(ClipGlobalNorm(1.0), SGD(0.1, momentum=0.9)))
    (found,) = curvatures(Probe(run, from_arrays(X, Y)))
    assert found.limit == pytest.approx(2 * 1.9 / found.largest)
    for optimizer in (Adam(), Compose(ClipGlobalNorm(1.0), Lion()), Groups({"0.*": SGD(0.1)}, otherwise=SGD(0.2))):
        (found,) = curvatures(Probe(prepared(optimizer=optimizer), from_arrays(X, Y)))
        assert math.isnan(found.limit)
        assert "in its own way" in str(found)


def test_a_schedule_and_a_rate_that_was_changed_are_told_as_they_are_now() -> None:
    data = from_arrays(X, Y)
    run = prepared(optimizer=SGD(cr.schedules.Exponential(0.2, 0.5, 1)))
    run.fit(data, epochs=2, progress=False)
    assert curvatures(Probe(run, data))[0].learning_rate == pytest.approx(0.1)
    run = prepared()
    run.numbers["numbers/learning_rate"] = 0.025
    assert curvatures(Probe(run, data))[0].learning_rate == 0.025


def test_each_descent_has_its_own() -> None:
    one, other = cr.Chain(cr.Dense(2), name="one"), cr.Chain(cr.Dense(2), name="other")

    @cr.step
    def both(state: Any, batch: Any) -> Any:
        first = cr.losses.mean_squared_error(state.apply(one, batch["x"]), batch["y"])
        state.descend(first, one, SGD(0.1))
        second = 10.0 * cr.losses.mean_squared_error(state.apply(other, state.apply(one, batch["x"])), batch["y"])
        state.descend(second, other, SGD(0.2))
        return {"loss": first + second}

    data = {"x": X, "y": Y}
    found = curvatures(Probe(cr.prepare(both, data, dtype="float64", engine="reference", batch_size=30), data))
    assert [item.name for item in found] == ["one", "other"]
    assert "of one: the largest" in str(found[0])
    assert found[0].largest == pytest.approx(
        np.linalg.eigvalsh(2 / 60 * np.c_[X, np.ones(30)].T @ np.c_[X, np.ones(30)])[-1], rel=0.02
    )


def test_a_diagnosis_says_it_and_a_callback_if_it_is_asked() -> None:
    train, _ = digits()
    run = cr.fit(small(), train, epochs=1)
    found = run.diagnose(train)
    assert "is stable up to a learning rate of" in " ".join(str(found).split())
    assert run.diagnose(train, curvature=False).curvature == ()
    watch = Diagnose(train, every=100, curvature=True)
    cr.fit(small(), train, epochs=1, callbacks=[watch])
    assert watch.diagnosis is not None
    assert watch.diagnosis.curvature == found.curvature


def test_a_loss_that_is_not_finite_has_none() -> None:
    run = prepared()
    run.set_parameters({"1.bias": np.array([np.inf, 0.0])})
    (found,) = curvatures(Probe(run, from_arrays(X, Y)))
    assert str(found) == "curvature: not finite"
