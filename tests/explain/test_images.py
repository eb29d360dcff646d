"""A small network of convolutions, trained on digits: explained, checked, diagnosed, shown, saved and gone on with."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import Dataset
from chainrule.explain.health import Diagnosis
from chainrule.gradients import RULES
from chainrule.graph import Node
from chainrule.run import Run


@functools.cache
def trained() -> tuple[Run, Dataset, Dataset]:
    train, test = cr.data.load("digits", images=True)
    model = cr.Chain(
        cr.Conv2D(8, 3, cr.relu),
        cr.MaxPool2D(2),
        cr.Conv2D(16, 3, bias=False),
        cr.BatchNorm(),
        cr.relu,
        cr.Residual(cr.Conv2D(16, 3, cr.relu), cr.Conv2D(16, 3)),
        cr.GlobalAveragePool(),
        cr.Dense(10),
    )
    run = cr.fit(model, train, optimizer=cr.optimizers.Adam(0.003), epochs=8)
    return run, train, test


def test_it_learns() -> None:
    run, _, test = trained()
    assert run.evaluate(test)["accuracy"] > 0.9


def test_the_gradients_are_right() -> None:
    run, train, _ = trained()
    check = run.check(train, samples=3)
    assert check.passed
    assert {row.name for row in check.rows} == {*run.parameters}


def test_a_gradient_that_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(g: Node, y: Node, x: Node, **settings: object) -> tuple[Node]:
        (slope,) = given(g, y, x, **settings)
        assert slope is not None
        return (slope * 1.001,)

    run, train, _ = trained()
    given = RULES["window"]
    monkeypatch.setitem(RULES, "window", shifted)
    assert not run.check(train, samples=3).passed


@pytest.mark.parametrize("parameter", ["0.weight[1,1,0,2]", "0.bias[2]", "2.weight[1,1,1,4]", "4.0.weight[1,1,0,0]"])
def test_the_derivation_sums_to_the_gradient(parameter: str) -> None:
    train, _ = cr.data.load("digits", images=True)
    branch = cr.Residual(cr.Conv2D(6, 3, cr.relu), cr.Conv2D(6, 3))
    # Where the image is black and the bias 0, the loss would have a corner.
    first = cr.Conv2D(4, 3, cr.relu, bias_start=cr.initializers.Constant(0.1))
    model = cr.Chain(first, cr.MaxPool2D(2), cr.Conv2D(6), cr.relu, branch, cr.Flatten(), cr.Dense(10))
    found = cr.prepare(model, train).explain(train, 3, parameter)
    parts = [path.product for path in found.paths]
    assert abs(sum(parts) + found.remainder - found.gradient) <= 1e-12
    assert found.gradient == pytest.approx(found.measured, abs=1e-7)
    for path in found.paths:
        names = [link.name for link in path.links if not link.folded]
        assert all(one != other for one, other in itertools.pairwise(names)), "no element is told twice"
    text = str(found)
    assert "convolution" in text
    assert "max(0.h; axes 4,5)" in text or not parameter.startswith("0")
    assert found.count > 1


def test_a_healthy_network_is_told_to_be_one() -> None:
    run, train, _ = trained()
    found: Diagnosis = run.diagnose(train, curvature=False)
    assert found.findings == ()
    table = str(found)
    assert "relu" in table
    assert "convolution" not in table, "which is no activation"


def test_the_summary_has_every_layer() -> None:
    run, _, _ = trained()
    summary = run.summary()
    for text in ("Conv2D(relu)", "8×8×1 → 8×8×8", "weight 3×3×1×8, bias 8", "MaxPool2D", "5.0", "GlobalAveragePool"):
        assert text in summary
    assert f"{sum(array.size for array in run.parameters.values()):,} parameters" in summary


def test_it_is_saved_and_gone_on_with(tmp_path: Path) -> None:
    run, _, test = trained()
    run.save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run")
    assert loaded.model == run.model
    assert loaded.outputs(test.inputs).tobytes() == run.outputs(test.inputs).tobytes()
    assert 'type = "Conv2D"' in (tmp_path / "run" / "run.toml").read_text()
    other = cr.load(tmp_path / "run", engine="reference")
    np.testing.assert_allclose(other.outputs(test.inputs), run.outputs(test.inputs), rtol=1e-3, atol=1e-3)
    assert run.report(tmp_path / "page.html", test).read_text().count("Conv2D") >= 3
