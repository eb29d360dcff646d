from __future__ import annotations

import pytest

from tests.explain.health.trainings import FAULTS, HEALTHY, Training


@pytest.mark.parametrize(("name", "training"), [pytest.param(n, t, id=f"{n}: {w}") for n, w, t in FAULTS])
def test_a_planted_fault_is_found_and_named(name: str, training: Training) -> None:
    run, data = training()
    found = run.diagnose(data)
    assert name in found, str(found)
    assert not found.healthy
    assert all(finding.evidence and finding.remedy for finding in found.findings)


@pytest.mark.parametrize("training", [pytest.param(t, id=n) for n, t in HEALTHY])
def test_nothing_is_found_in_a_healthy_training(training: Training) -> None:
    run, data = training()
    found = run.diagnose(data)
    assert found.healthy, str(found)
