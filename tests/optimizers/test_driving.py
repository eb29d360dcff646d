"""Optimizers that take their steps on the host are trained with like others: saved, resumed, stopped, refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, NotFiniteError
from chainrule.optimizers import (
    LBFGS,
    SGD,
    Accumulate,
    Adam,
    ClipNorm,
    Compose,
    Driver,
    Groups,
    HostOptimizer,
    ValueAndGradient,
)
from chainrule.training import Checkpoint
from tests.optimizers.making import descend, ones, rosenbrock
from tests.training.making import flowers, model, same_bits


@dataclass(frozen=True)
class Plain(HostOptimizer):
    """Gradient descent on the host, which counts its steps: what the protocol is, in a few lines."""

    learning_rate: float = 0.1

    def declare(self, scope: Any, parameters: Any) -> None:
        scope.number("learning_rate", self.learning_rate)
        scope.remember("count", "", cr.graph.full((), 0, "int32"))

    def drive(self, step: Any, engine: Any) -> Any:
        return PlainDriver(step, engine)


class PlainDriver(Driver):
    def __init__(self, step: Any, engine: Any) -> None:
        super().__init__(step)
        self.at = ValueAndGradient(step, engine)

    def run(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        found = self.at(arrays)
        if not found["finite"]:
            return self.taken(arrays, found, {}, doubled=0.0)
        rate, count = arrays["numbers/learning_rate"], arrays["optimizer/count"]
        new = {path: arrays[f"parameters/{path}"] - rate * g for path, g in self.at.gradients(found).items()}
        return self.taken(arrays, found, new, {"optimizer/count": count + 1}, doubled=2.0 * float(found["loss"]))


HOSTS: dict[str, HostOptimizer] = {"plain": Plain(), "L-BFGS": LBFGS(4), "L-BFGS, iterations": LBFGS(3, iterations=2)}


def test_descent_on_the_host_is_descent() -> None:
    train, test = flowers()
    settings: dict[str, Any] = {"epochs": 3, "dtype": "float64", "validation": test}
    here, there = (cr.fit(model(), train, optimizer=o, **settings) for o in (Plain(0.1), SGD(0.1)))
    for path, value in here.parameters.items():
        np.testing.assert_allclose(value, there.parameters[path], rtol=1e-9, atol=1e-12)
    for name in ("loss", "accuracy", "gradient_norm", "epoch", "samples", "learning_rate"):
        np.testing.assert_allclose(here.history.column(name), there.history.column(name), rtol=1e-9)
    np.testing.assert_array_equal(here.history.column("doubled"), 2 * np.array(here.history.column("loss")))
    assert here.arrays["optimizer/count"] == len(here.history)
    assert here.evaluate(test) == pytest.approx(there.evaluate(test))


@pytest.mark.parametrize("name", HOSTS)
def test_cut_saved_and_loaded_it_ends_with_the_same_bits(name: str, tmp_path: Path) -> None:
    train, test = flowers()
    settings: dict[str, Any] = {"optimizer": HOSTS[name], "batch_size": 50, "seed": 2}
    whole = cr.fit(model(), train, validation=test, epochs=4, **settings)
    cut = cr.fit(model(), train, validation=test, steps=4, callbacks=[Checkpoint(tmp_path)], **settings)
    assert cut.offset > 0
    again = cr.load(tmp_path, custom=[Plain])
    assert again.optimizer == HOSTS[name]
    again.fit(train, validation=test, epochs=4)
    same_bits(whole, again)


@pytest.mark.parametrize("name", HOSTS)
def test_a_step_that_is_not_finite_leaves_everything_as_it_was(name: str) -> None:
    run, _ = descend(HOSTS["L-BFGS" if name == "plain" else name], rosenbrock, 5, engine="reference")
    before = {path: array.tobytes() for path, array in run.arrays.items()}
    with pytest.raises(NotFiniteError, match="step 6 is not finite"):
        run.fit({"one": np.array([np.nan])}, epochs=8)
    assert {path: array.tobytes() for path, array in run.arrays.items()} == before
    assert run.fit(ones(1), epochs=8).history.column("step")[-1] == 8


def test_a_number_may_be_changed_while_it_trains() -> None:
    run = cr.prepare(model(), flowers()[0], optimizer=Plain(0.1))
    run.numbers["numbers/learning_rate"] = 0.0
    before = run.parameters
    run.fit(flowers()[0], epochs=1)
    assert all(np.array_equal(before[path], value) for path, value in run.parameters.items())


@pytest.mark.parametrize(
    "compose",
    [
        lambda: Compose(ClipNorm(1.0), LBFGS()),
        lambda: Accumulate(2, LBFGS()),
        lambda: Groups({"0.*": LBFGS()}, otherwise=Adam()),
    ],
)
def test_it_is_not_composed(compose: Any) -> None:
    with pytest.raises(ConfigurationError, match="LBFGS takes its steps on the host and stands alone"):
        compose()


def test_it_wants_a_step_of_its_own() -> None:
    left, right = cr.Chain(cr.Dense(1), name="left"), cr.Chain(cr.Dense(1), name="right")

    @cr.step
    def both(state: Any, batch: Any) -> dict[str, cr.Node]:
        for one, optimizer in ((left, SGD(0.1)), (right, LBFGS())):
            loss = cr.losses.mean_squared_error(state.apply(one, batch.inputs), batch.targets)
            state.descend(loss, one, optimizer)
        return {"loss": loss}

    data = cr.data.from_arrays(np.ones((4, 2), np.float32), np.ones((4, 1), np.float32))
    with pytest.raises(ConfigurationError, match="wants a step of its own"):
        cr.prepare(both, data)


@pytest.mark.parametrize("name", HOSTS)
def test_it_takes_the_steps_of_a_step_of_ones_own(name: str) -> None:
    own = cr.Chain(cr.Dense(6, cr.tanh), cr.Dense(3), name="own")

    @cr.step
    def learn(state: Any, batch: Any) -> dict[str, cr.Node]:
        loss = cr.losses.cross_entropy(state.apply(own, batch.inputs), batch.targets)
        state.descend(loss, own, HOSTS[name])
        return {"loss": loss}

    losses = cr.fit(learn, flowers()[0], batch_size=60, epochs=6).history.column("loss")
    assert losses[-1] < losses[0]


def test_the_update_of_one_sample_is_what_the_host_makes_of_it() -> None:
    train, test = flowers()
    run = cr.fit(model(), train, optimizer=Plain(0.5), epochs=1, dtype="float64")
    update = run.explain(test, 3, "0.weight[1,2]").update
    gradient = run.explain(test, 3, "0.weight[1,2]").gradient
    assert update.after == pytest.approx(update.before - 0.5 * gradient, rel=1e-12)


def test_what_looks_inside_a_run_works_on_it_too() -> None:
    train, test = flowers()
    run = cr.fit(model(), train, optimizer=LBFGS(), epochs=5, batch_size=None)
    assert run.check(train).passed
    assert "by LBFGS(" in str(run.explain(test, 0, "0.weight[0,0]"))
    assert "Dense" in run.summary()
    seen = run.diagnose(train)
    assert not seen.findings
    assert all(np.isnan(one.update) for one in seen.health.layers)  # it is not a part of the graph
    assert run.predict(test.inputs[:2]).shape == (2,)
    with pytest.raises(ConfigurationError, match="takes its steps on the host"):
        run.plan()
