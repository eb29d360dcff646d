from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError
from chainrule.explain.health import Diagnose, Probe
from chainrule.optimizers import SGD
from tests.explain.health.trainings import digits, small


def test_it_looks_after_every_so_many_steps_and_leaves_the_training_as_it_is() -> None:
    train, _ = digits()
    watch = Diagnose(train, every=20)
    watched = cr.fit(small(), train, epochs=2, callbacks=[watch])
    alone = cr.fit(small(), train, epochs=2)
    assert [health.step for health in watch.records] == [20, 40, 60, 80]
    assert watch.diagnosis is not None
    assert watch.diagnosis.healthy
    assert watched.history.epochs[-1]["health_update"] == watch.records[-1].worst()["health_update"]
    for name, array in alone.arrays.items():
        assert np.array_equal(array, watched.arrays[name]), name


def test_without_a_number_it_takes_a_small_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    train, _ = digits()
    # As if each look took this long, so that a busy machine changes nothing.
    monkeypatch.setattr(Diagnose, "_timed", staticmethod(lambda probe: (probe.look(), 0.004)))
    watch = Diagnose(train)
    run = cr.fit(small(), train, seconds=0.5, callbacks=[watch])
    assert 1 <= len(watch.records) <= 0.05 * sum(run.history.column("seconds")) / 0.004


def test_it_judges_a_training_that_broke_off() -> None:
    train, _ = digits()
    watch = Diagnose(train, every=1000)
    with pytest.raises(cr.errors.NotFiniteError):
        cr.fit(small(cr.identity), train, optimizer=SGD(1e4), loss=cr.losses.mean_squared_error, callbacks=[watch])
    assert watch.diagnosis is not None


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_an_interval_is_a_number_of_steps(every: object) -> None:
    with pytest.raises(ConfigurationError, match="number of steps above 0"):
        Diagnose(digits()[0], every=every)  # type: ignore[arg-type]


def test_the_measures_are_those_of_numpy() -> None:
    train, _ = digits()
    run = cr.prepare(
        cr.Chain(cr.Dense(7, cr.relu), cr.Dense(5, cr.tanh), cr.Dense(10)), train, dtype="float64", engine="reference",
        optimizer=SGD(0.3), batch_size=200,
    )  # fmt: skip
    health = Probe(run, train).look()
    rows = np.linspace(0, len(train) - 1, 200).astype(int)
    p = run.parameters
    prepared = [np.asarray(n, np.float32) for n in (train.preparation.shift, train.preparation.scale)]
    x = (train.inputs[rows] - prepared[0].astype(float)) * prepared[1].astype(float)
    h = np.maximum(x @ p["0.weight"] + p["0.bias"], 0)
    y = np.tanh(h @ p["1.weight"] + p["1.bias"])
    z = y @ p["2.weight"] + p["2.bias"]
    odds = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert train.labels is not None
    slope = (odds - np.eye(10)[train.labels[rows]]) / 200
    first, second, last = health.layers
    assert first.mean == pytest.approx(h.mean())
    assert first.deviation == pytest.approx(h.std())
    assert first.dead == pytest.approx(np.mean((h <= 0).all(axis=0)))
    assert second.saturated == pytest.approx(np.mean(1 - y**2 < 0.05))
    assert last.gradient == pytest.approx(np.linalg.norm(slope))
    assert second.gradient == pytest.approx(np.linalg.norm(slope @ p["2.weight"].T))
    assert last.weight_gradient == pytest.approx(np.linalg.norm(y.T @ slope))
    assert last.update == pytest.approx(0.3 * np.linalg.norm(y.T @ slope) / np.linalg.norm(p["2.weight"]))
    assert health.inputs is not None
    assert health.inputs == pytest.approx(np.sqrt((x**2).mean(axis=0)))
