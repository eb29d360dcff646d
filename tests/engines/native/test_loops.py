"""Loops over time: what leaves them, and what their cores need not wait for."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, dividing, engine
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph import Graph, Node


def recurrence(rows: int, units: int = 64, inputs: int = 96, length: int = 5) -> Graph:
    """A cell of one's own, that says nothing of loops: tanh(a)·b of (a, b) = x·W + h·U."""
    x, start = g.input("x", (length, rows, inputs)), g.input("start", (rows, units))
    w, u = g.input("w", (inputs, 2 * units)), g.input("u", (units, 2 * units))

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        both = slices[0] @ w + carries[0] @ u
        return [g.tanh(both[:, :units]) * both[:, units:]], []

    (end,), _ = g.scan(body, [start], [x])
    return Graph({"end": end})


def inside(graph: Graph, cores: int = 1) -> list[tuple[int, ...]]:
    """The shapes of the products that a loop makes at each step."""
    block = NativeEngine(cores=cores).compile(graph).written.block  # type: ignore[attr-defined]
    (body,) = block.bodies.values()
    return sorted(group[0].shape for group in body.block.groups if group[0].op == "contract")


def test_a_vector_times_a_matrix_is_made_for_all_steps_at_once() -> None:
    # With one row, the weight would be read at each step for it alone.
    assert inside(recurrence(1)) == [(1, 128)]
    assert inside(recurrence(2)) == [(2, 128)]
    assert inside(recurrence(8)) == [(8, 128), (8, 128)]


def test_products_that_stay_inside_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "reads_more_than_it_does", lambda node: False)
    assert len(inside(recurrence(1))) == 2


@pytest.mark.parametrize("rows", [1, 8])
def test_the_values_are_those_of_the_loop(rows: int) -> None:
    graph = recurrence(rows)
    random = np.random.default_rng(0)
    arrays = {name: 0.2 * random.standard_normal(node.shape).astype(np.float32) for name, node in graph.inputs.items()}
    found, expected = (one.compile(graph).run(arrays)["end"] for one in (NativeEngine(), ReferenceEngine()))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def waits(rows: int, units: int) -> int:
    """How often two cores wait for each other in a step of the loop, before its products and maps."""
    block = NativeEngine(cores=2).compile(recurrence(rows, units, units)).written.block  # type: ignore[attr-defined]
    (body,) = block.bodies.values()
    return sum(body.block.waits.values())


def test_cores_do_not_wait_within_a_step_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert waits(128, 128) == 0
    # Where a weight is much larger than what the step makes, each core has a part of the weight.
    assert waits(16, 512) > 0
    whole = dividing._best
    monkeypatch.setattr(dividing, "_best", lambda node, cores, *_: whole(node, cores, {*node.inputs}, (), -1))
    assert waits(128, 128) > 0  # were it not asked who reads what a product makes
