"""The diagnosis on the page: what was found, or that nothing was; and what cannot be diagnosed breaks no report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.optimizers import SGD
from chainrule.report.page import report_page
from tests.explain.health.trainings import deep, digits, fitted, small
from tests.report.test_page import checked


def test_a_healthy_run_is_said_to_be() -> None:
    train, test = digits()
    run, _ = fitted(small(), train)
    page = checked(report_page(run, test))
    assert page.says("Diagnosis")
    assert page.says("by all rules this training is healthy")
    assert page.says("gradient norm by depth")
    assert page.says("The layers in numbers, on 128 samples after step 135")
    assert not checked(report_page(run)).says("Diagnosis")


def test_what_was_found_is_told_with_evidence_and_remedy() -> None:
    run, _ = fitted(deep(16, 12, cr.sigmoid), digits()[0], epochs=1)
    page = checked(report_page(run, digits()[1]))
    found = run.diagnose(digits()[1], curvature=False).findings
    assert [finding.name for finding in found] == ["vanishing gradients"]
    assert page.says("vanishing gradients (layers 0 to 11)")
    assert page.says(found[0].evidence[1:])
    assert page.says(found[0].remedy)
    circles = page.of("circle")
    assert sum(one.get("class") == "two" for one in circles) >= 13  # a point for each layer


def test_a_run_that_is_not_finite_has_a_page() -> None:
    run, data = fitted(small(cr.identity), digits()[0], optimizer=SGD(1e3), loss=cr.losses.mean_squared_error)
    assert run.stopped == "not finite"
    page = checked(report_page(run, data))
    assert page.says("not finite")
    assert page.says("was not taken")


def test_a_single_layer_has_no_depth() -> None:
    train, test = cr.data.load("iris")
    page = checked(report_page(cr.fit(cr.Dense(3), train, epochs=1), test))
    assert page.says("Diagnosis")
    assert not page.says("gradient norm by depth")


def test_a_stream_and_data_that_lack_what_the_step_wants_are_told_of(tmp_path: Path) -> None:
    train, test = digits()
    run, _ = fitted(small(), train, epochs=1)
    assert checked(report_page(run, cr.data.stream(test))).says("run.diagnose takes samples of it")
    unit = cr.Chain(cr.Dense(1))

    @cr.step
    def fall(state: Any, batch: Any) -> dict[str, cr.Node]:
        loss = cr.losses.mean_squared_error(state.apply(unit, batch["x"]), batch["y"])
        state.descend(loss, unit, cr.optimizers.SGD(0.01))
        return {"loss": loss}

    data = {"x": np.ones((8, 2), np.float32), "y": np.ones((8, 1), np.float32)}
    own = cr.fit(fall, data, epochs=1, batch_size=4)
    assert checked(own.report(tmp_path, {"x": data["x"]}).read_text("utf-8")).says("It could not be made")


def test_what_cannot_be_shown_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the library refuses is told in the page; a mistake of its own is an error."""
    run, _ = fitted(small(), digits()[0], epochs=1)

    def broken(*given: Any, **settings: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("chainrule.explain.health.diagnose", broken)
    with pytest.raises(ZeroDivisionError):
        report_page(run, digits()[1])
