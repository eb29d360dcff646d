"""What must hold for every graph holds for random ones: gradients, rewriting, identity, showing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from chainrule.engines.reference import ReferenceEngine
from chainrule.engines.reference.engine import evaluate
from chainrule.gradients import RULES, gradients
from chainrule.graph import OPS, Graph, Node, hoist, rewrite, rewrites, show, topological, verify
from tests.conformance.laws import check_slopes
from tests.properties.random_graphs import STEPS, Recipe, arrays, build, inputs, recipes

# Derandomized: the same graphs each time, on every machine.
reproducible = settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
fewer = settings(reproducible, max_examples=20)


def _graph(recipe: Recipe) -> Graph:
    loss = build(recipe)
    slopes = gradients(loss, inputs())
    return Graph({"loss": loss, **{f"d{n}": slope for n, slope in enumerate(slopes)}})


def _run(graph: Graph, given: dict[str, Any] | None = None) -> dict[str, Any]:
    return ReferenceEngine().compile(graph).run(arrays() if given is None else given)


@reproducible
@given(recipes)
def test_the_gradient_is_the_slope(recipe: Recipe) -> None:
    loss = build(recipe)
    verify(Graph({"loss": loss}))
    check_slopes(loss, inputs(), arrays(), orders=1)


@fewer
@given(recipes)
def test_the_second_gradient_is_the_slope_of_the_first(recipe: Recipe) -> None:
    check_slopes(build(recipe), inputs(), arrays(), orders=2, tolerance=1e-7)


def check_rewriting(recipe: Recipe) -> None:
    graph = _graph(recipe)
    small = verify(rewrite(graph, evaluate))
    before, after = _run(graph), _run(small)
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-9, atol=1e-11)
    # Nothing comes back at the second time.
    again = rewrite(small, evaluate)
    assert all(again.outputs[name] is node for name, node in small.outputs.items())


@reproducible
@given(recipes)
def test_rewriting_keeps_values_and_comes_to_rest(recipe: Recipe) -> None:
    check_rewriting(recipe)


@fewer
@given(recipes)
def test_rewriting_swallows_no_nan(recipe: Recipe) -> None:
    graph = _graph(recipe)
    broken = arrays()
    broken["y"][1] = np.nan
    before, after = _run(graph, broken), _run(rewrite(graph, evaluate), broken)
    for name, value in before.items():
        np.testing.assert_array_equal(np.isnan(after[name]), np.isnan(value))


@fewer
@given(recipes)
def test_hoisting_and_rewriting_go_together(recipe: Recipe) -> None:
    graph = _graph(recipe)
    before, after = _run(graph), _run(verify(rewrite(hoist(graph), evaluate)))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-9, atol=1e-11)


@reproducible
@given(recipes)
def test_the_same_recipe_gives_the_same_nodes(recipe: Recipe) -> None:
    first, second = _graph(recipe), _graph(recipe)
    assert all(second.outputs[name] is node for name, node in first.outputs.items())


@reproducible
@given(recipes)
def test_a_listing_names_every_node_once(recipe: Recipe) -> None:
    graph = _graph(recipe)
    names = [line.split()[0] for line in show(graph).splitlines() if not line.startswith(" ")]
    assert len(names) == len(set(names))
    assert {"loss", "d0"} <= set(names)


def test_recipes_reach_every_op_that_is_smooth() -> None:
    """Checked on recipes written out: one for each step, so that no step can fall out of use unseen."""
    met: set[str] = set()
    for number in range(len(STEPS)):
        loss = build([(number, 3, 2, choice) for choice in range(4)])
        met |= {node.op for node in topological([*gradients(loss, inputs()), loss], bodies=True)}
    assert {op for op in STEPS if op in OPS} <= met
    never = {"floor", "rem", "lt", "le", "and", "or", "xor", "not", "shift_left", "shift_right", "cast"}
    assert set(OPS) - met <= never | {"stop_gradient", "random_bits"}


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(g: Node, y: Node, x: Node) -> tuple[Node]:
        return (g * y,)

    monkeypatch.setitem(RULES, "sin", wrong)
    with pytest.raises(AssertionError, match="differences measure"):
        check_slopes(build([(0, 0, 0, 0)] * 5), inputs(), arrays(), orders=1)


def test_a_wrong_rewrite_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # x + 1 is not x; and the rewrite of sums is asked to forget how often something repeats.
    monkeypatch.setitem(rewrites.REWRITES, "add", (rewrites.arithmetic.neutral(1, both=True),))
    with pytest.raises(AssertionError):
        check_rewriting([(list(STEPS).index("number"), 0, 0, 1), (list(STEPS).index("add"), 1, 0, 0)] * 3)
