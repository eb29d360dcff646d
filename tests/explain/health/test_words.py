"""What a diagnosis says, word by word where it matters: where, by how much, why, and one cause once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.explain.health import diagnosis
from chainrule.explain.health.rules import RULES, Case, Finding
from chainrule.initializers import Constant, Normal, Orthogonal
from chainrule.optimizers import SGD
from tests.explain.health.trainings import adding, deep, digits, fitted, small


def said(model: Any, **settings: Any) -> list[Finding]:
    run, data = fitted(model, digits()[0], engine="reference", **settings)
    return list(run.diagnose(data, curvature=False).findings)


def test_what_a_finding_explains_is_not_told_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty layers of sigmoids: what reaches the first is too little to change a weight in float32."""
    run, data = fitted(
        deep(32, 20, cr.sigmoid), digits()[0], optimizer=SGD(0.005, momentum=0.9), epochs=1, engine="reference"
    )
    found = run.diagnose(data, curvature=False).findings
    assert [finding.name for finding in found] == ["vanishing gradients"]
    # Without that rule the others speak, so that it is it that silences them.
    rest = tuple(rule for rule in RULES if rule.__name__ != "vanishing_gradients")
    monkeypatch.setattr(diagnosis, "RULES", rest)
    assert "a frozen layer" in run.diagnose(data, curvature=False)


def test_every_finding_that_is_explained_stands_behind_its_cause() -> None:
    def cause(case: Case, before: Any) -> Any:
        yield Finding("cause", "", "it is so", "help", ("effect",))

    def effect(case: Case, before: Any) -> Any:
        yield Finding("effect", "", "it follows", "help")

    run, data = fitted(small(), digits()[0], epochs=1, engine="reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "RULES", (cause, effect))
        assert [one.name for one in run.diagnose(data, curvature=False).findings] == ["cause"]
        patch.setattr(diagnosis, "RULES", (effect,))
        assert [one.name for one in run.diagnose(data, curvature=False).findings] == ["effect"]


def test_where_a_gradient_vanishes_is_the_stretch_in_which_it_does() -> None:
    """ReLUs below and above, sigmoids between: it is the sigmoids that are named."""
    model = cr.Chain(
        *(cr.Dense(32, cr.relu) for _ in range(4)),
        *(cr.Dense(32, cr.sigmoid) for _ in range(8)),
        *(cr.Dense(32, cr.relu) for _ in range(4)),
        cr.Dense(10),
    )
    finding, *_ = said(model, optimizer=SGD(0.001), epochs=1)
    assert finding.name == "vanishing gradients"
    low, high = map(int, finding.where.removeprefix("layers ").split(" to "))
    assert 2 <= low <= 5, finding
    assert 10 <= high <= 12, finding
    factor = float(finding.evidence.split("shrink ")[1].split("-fold")[0])
    assert 3 < factor < 7
    assert f"-fold per layer below layer {high}, from " in finding.evidence
    assert ": sigmoid with small weights" in finding.evidence
    assert finding.remedy.startswith("try ReLU with He initialisation, batch or layer normalisation")


def test_weights_that_are_too_large_or_too_small_are_named_as_the_cause() -> None:
    grows = said(deep(32, 12, cr.identity, weight=Normal(4 / 32**0.5)), optimizer=SGD(1e-12), epochs=1)[0]
    assert grows.evidence.startswith("gradients grow 4")
    assert "large weights (they multiply sizes by 4, and 1 would keep them)" in grows.evidence
    shrinks = said(deep(32, 12, cr.tanh, weight=Normal(0.3 / 32**0.5)), epochs=1)[0]
    assert "tanh with small weights (they multiply sizes by 0.3" in shrinks.evidence
    narrow = said(deep(32, 12, cr.relu, weight=Normal(0.4 / 32**0.5)), optimizer=SGD(1e-6), epochs=1)[0]
    assert "ReLU with small weights" in narrow.evidence
    assert narrow.remedy.startswith("try He initialisation")


def test_layers_with_the_same_fault_share_a_finding() -> None:
    model = cr.Chain(*(cr.Dense(16, cr.sigmoid, weight=Normal(60.0)) for _ in range(2)), cr.Dense(10))
    (finding, *_) = [one for one in said(model, optimizer=SGD(1e-3)) if one.name == "saturated units"]
    assert finding.where == "layers 0 and 1"
    assert "large weights, which multiply sizes by" in finding.evidence
    model = cr.Chain(*(cr.Dense(16, cr.relu, bias_start=Constant(-50.0)) for _ in range(7)), cr.Dense(10))
    (finding,) = said(model)
    assert (finding.name, finding.where) == ("dead units", "layers 0, 1, 2, 3 and 3 more")
    assert finding.evidence.startswith("up to 100% of the ReLU units")


def test_what_a_leap_did_to_the_units_is_told_behind_the_leap() -> None:
    found = said(small(), optimizer=SGD(5.0))
    assert [finding.name for finding in found] == ["learning rate too high", "dead units"]
    assert "a step changes" not in found[0].evidence  # units that are dead say nothing of how long steps are


def test_a_gain_is_what_weights_multiply_sizes_by() -> None:
    run, data = fitted(deep(40, 2, cr.tanh), digits()[0], epochs=1, engine="reference")
    layers = run.diagnose(data, curvature=False).health.layers
    for layer in layers:
        weight = run.parameters[f"{layer.path}.weight"]
        x = np.random.default_rng(1).normal(size=(20_000, len(weight)))
        assert layer.gain == pytest.approx(float(np.sqrt(np.mean((x @ weight) ** 2))), rel=0.02)


def test_a_recurrence_that_forgets_is_told_where_and_what_helps() -> None:
    run, data = adding(cr.SimpleRNN(8), 100, 5)
    (found,) = run.diagnose(data, curvature=False).findings
    assert (found.name, found.where) == ("vanishing through time", "layer 0, 100 steps")
    (loop,) = run.gradient_through_time(data)
    assert f"each step divides it by {1 / loop.factor:.3g}, and" in found.evidence
    within = int(found.evidence.split("a thousandth is left ")[1].split()[0])
    assert loop.norms[within] < 1e-3 * loop.last <= loop.norms[within - 1]
    assert "; and after 125 steps the squared error is 0.1" in found.evidence
    assert found.remedy.startswith("try gates, LSTM or GRU, or orthogonal first weights")


def test_an_lstm_that_forgets_is_told_of_its_forget_bias() -> None:
    run, data = adding(cr.LSTM(8, forget_bias=-1.0), 100, 0)
    (found,) = run.diagnose(data, curvature=False).findings
    assert found.name == "vanishing through time"
    assert "a larger forget_bias: the largest that is of use, log(100) = 4.6, keeps a cell" in found.remedy
    assert "steps the squared error" not in found.evidence  # it has not begun to learn


def test_a_gru_that_forgets_is_told_of_other_gates() -> None:
    bias = Constant(-1.0)
    run, data = adding(cr.Bidirectional(cr.GRU(8, recurrent_weight=bias)), 60, 5)
    assert [loop.where for loop in run.gradient_through_time(data)] == ["0.forward", "0.backward"]
    found = run.diagnose(data, curvature=False).findings
    assert [one.name for one in found] == ["vanishing through time"] * 2, found
    assert all(one.remedy.startswith("try an LSTM, whose forget_bias says") for one in found)


def test_what_grows_through_time_is_told_with_its_factor() -> None:
    run, data = adding(cr.SimpleRNN(8, cr.identity, recurrent_weight=Orthogonal(1.2)), 100, 0)
    (found,) = run.diagnose(data, curvature=False).findings
    assert (found.name, found.where) == ("exploding through time", "layer 0, 100 steps")
    assert found.evidence.endswith("each step multiplies it by 1.2")
