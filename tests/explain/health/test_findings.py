from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import DataError
from chainrule.explain.health import diagnosis
from chainrule.explain.health.rules import RULES
from chainrule.optimizers import SGD, Adam, Groups, Rprop
from tests.explain.health.trainings import FAULTS, HEALTHY, Training, digits, fitted, rare, small


@pytest.mark.parametrize(("name", "training"), [pytest.param(n, t, id=f"{n}: {w}") for n, w, t in FAULTS])
def test_a_planted_fault_is_found_and_named(name: str, training: Training) -> None:
    run, data = training()
    found = run.diagnose(data, curvature=False)
    assert name in found, str(found)
    assert not found.healthy
    assert all(finding.evidence and finding.remedy for finding in found.findings)


@pytest.mark.parametrize("training", [pytest.param(t, id=n) for n, t in HEALTHY])
def test_nothing_is_found_in_a_healthy_training(training: Training) -> None:
    run, data = training()
    found = run.diagnose(data, curvature=False)
    assert found.healthy, str(found)


def test_signs_of_small_batches_are_told_of() -> None:
    run, data = fitted(small(), digits()[0], optimizer=Rprop(), batch_size=8)
    assert ["batch_size=None" in finding.remedy for finding in run.diagnose(data).findings] == [True]


def test_after_a_few_steps_nobody_can_say_that_nothing_is_learned() -> None:
    run, data = fitted(small(cr.tanh), digits()[0], optimizer=Adam(1e-4), batch_size=None, epochs=3)
    assert run.diagnose(data).healthy


def test_a_run_that_was_saved_is_judged_alike(tmp_path: Path) -> None:
    run, data = fitted(small(), digits()[0], optimizer=SGD(5.0))
    run.save(tmp_path / "run")
    assert str(cr.load(tmp_path / "run").diagnose(data)) == str(run.diagnose(data))


def test_weights_that_make_classes_count_the_same_are_a_remedy() -> None:
    run, data = fitted(small(), rare().weigh_classes())
    assert "class imbalance" not in run.diagnose(data)


def test_a_step_of_ones_own_is_judged_too() -> None:
    encoder, decoder = cr.Chain(cr.Dense(8, cr.tanh), name="encoder"), cr.Chain(cr.Dense(64), name="decoder")

    @cr.step
    def compress(state: Any, batch: Any) -> Any:
        x = batch["pixels"] / 16.0
        loss = cr.losses.mean_squared_error(state.apply(decoder, state.apply(encoder, x)), x)
        state.descend(loss, [encoder, decoder], Groups({"decoder.*": SGD(0.0)}, otherwise=Adam()))
        return {"loss": loss}

    data = {"pixels": digits()[0].inputs.astype(np.float32)}
    found = cr.fit(compress, data, epochs=2).diagnose(data)
    assert [layer.path for layer in found.health.layers] == ["encoder.0", "decoder.0"]
    assert [(finding.name, finding.where) for finding in found.findings] == [("a frozen layer", "layer decoder.0")]


def test_a_stream_is_refused_in_words() -> None:
    run, data = fitted(small(), digits()[0], epochs=1)
    with pytest.raises(DataError, match="take samples"):
        run.diagnose(cr.data.stream(data))


def test_what_is_not_finite_is_told_by_how_the_run_ended_and_by_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    run, data = next(training for name, _, training in FAULTS if name == "not finite")()
    assert "not finite" in run.diagnose(data, curvature=False)
    with monkeypatch.context() as patch:
        patch.setattr(run, "stopped", "")
        assert "not finite" not in run.diagnose(data, curvature=False)
    monkeypatch.setattr(diagnosis, "RULES", tuple(rule for rule in RULES if rule.__name__ != "not_finite"))
    assert "not finite" not in run.diagnose(data, curvature=False)
