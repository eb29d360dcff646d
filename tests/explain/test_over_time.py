"""The gradient of a recurrent weight as a sum over time: each term is what the use at that step gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.graph import Node
from chainrule.initializers import Orthogonal
from chainrule.keys import Key
from chainrule.layers import Scope
from tests.layers.sequences import Array

LAYERS: dict[str, Any] = {
    "SimpleRNN": cr.SimpleRNN(2),
    "LSTM": cr.LSTM(2, peepholes=True),
    "GRU": cr.GRU(2, reset_after=False, backwards=True),
    "Bidirectional": cr.Bidirectional(cr.SimpleRNN(2, sequences=True)),
}


def data() -> cr.data.Dataset:
    return cr.data.from_arrays(Key(0).normal((4, 3, 2)), np.arange(4) % 2)


@pytest.mark.parametrize("name", LAYERS)
def test_the_terms_sum_to_the_gradient(name: str) -> None:
    model = cr.Chain(LAYERS[name], *[cr.GlobalAveragePool()] * (name == "Bidirectional"), cr.Dense(2))
    run = cr.prepare(model, data(), engine="reference")
    for path, array in run.parameters.items():
        found = run.explain(data(), 1, f"{path}[{','.join(['1'] * array.ndim)}]")
        if path.startswith("1") or path.startswith("2"):
            assert found.steps == ()
            assert "Over time" not in str(found)
            continue
        assert [term.step for term in found.steps] == [0, 1, 2]
        assert {term.layer for term in found.steps} == {path.rpartition(".")[0]}
        total = math.fsum(term.value for term in found.steps)
        assert abs(total - found.gradient) <= 1e-12 * max(1.0, abs(found.gradient)), path
        assert found.gradient != 0
        assert "Over time: what its use at each step gives" in str(found)


def test_a_loop_behind_another_does_not_count_twice() -> None:
    """The first of two layers has terms for its own steps alone; a layer applied twice has them of both."""
    run = cr.prepare(cr.Chain(cr.LSTM(2, sequences=True), cr.SimpleRNN(2), cr.Dense(2)), data(), engine="reference")
    found = run.explain(data(), 0, "0.recurrent_weight[1,2,0]")
    assert [(term.layer, term.step) for term in found.steps] == [("0", 0), ("0", 1), ("0", 2)]
    assert abs(math.fsum(term.value for term in found.steps) - found.gradient) < 1e-12
    assert found.steps[0].value == 0  # it is multiplied with a state that is 0
    twin = cr.SimpleRNN(2, sequences=True)
    run = cr.prepare(cr.Chain(twin, twin, cr.GlobalAveragePool(), cr.Dense(2)), data(), engine="reference")
    found = run.explain(data(), 0, "0.recurrent_weight[1,0]")
    assert len(found.steps) == 6
    assert abs(math.fsum(term.value for term in found.steps) - found.gradient) < 1e-12


@dataclass(frozen=True)
class WrittenOut:
    """The same recurrence without a loop, with a weight for each step."""

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        (x,) = inputs
        hidden = graph.full((x.shape[0], 2), 0.0, x.dtype)
        for step in range(x.shape[1]):
            weight = scope.parameter(f"{step}", (2, 2), Orthogonal())
            hidden = cr.tanh(x[:, step] + hidden @ weight)
        return hidden


def cell(scope: Scope, state: tuple[Node, ...], x: Node) -> tuple[tuple[Node, ...], Node]:
    hidden = cr.tanh(x + state[0] @ scope.parameter("weight", (2, 2), Orthogonal()))
    return (hidden,), hidden


def test_each_term_is_the_gradient_of_a_weight_of_its_own() -> None:
    looped = cr.prepare(cr.Chain(cr.Recurrent(cell, (2,)), cr.Dense(2)), data(), engine="reference", dtype="float64")
    apart = cr.prepare(cr.Chain(WrittenOut(), cr.Dense(2)), data(), engine="reference", dtype="float64")
    weight: Array = looped.arrays["parameters/0.weight"]
    for path in apart.arrays:
        if path.startswith("parameters/"):
            apart.arrays[path] = weight if path[-1].isdigit() else looped.arrays[path]
    found = looped.explain(data(), 2, "0.weight[0,1]")
    for term in found.steps:
        alone = apart.explain(data(), 2, f"0.{term.step}[0,1]").gradient
        assert abs(term.value - alone) < 1e-12
    assert len({round(term.value, 9) for term in found.steps}) == 3


def test_terms_in_another_order_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.explain import derivation
    from chainrule.explain.over_time import StepTerm, terms_over_time

    def turned(*given: Any) -> Any:
        terms = terms_over_time(*given)
        return tuple(StepTerm(a.layer, a.step, b.value) for a, b in zip(terms, terms[::-1], strict=True))

    monkeypatch.setattr(derivation, "terms_over_time", turned)
    with pytest.raises(AssertionError):
        test_each_term_is_the_gradient_of_a_weight_of_its_own()
