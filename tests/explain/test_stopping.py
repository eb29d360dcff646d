"""What is stopped is held while a loss is measured: the check then agrees with a gradient that stops there."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule import graph as G  # noqa: N812
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import GraphError
from chainrule.explain import check_graph
from chainrule.explain.stopping import with_stopped_values
from chainrule.graph import Graph, Node
from tests.conformance.loops import LOOPS, loss_of
from tests.conformance.running import arrays_for


@pytest.mark.tiny
def test_a_stopped_value_stays_when_its_input_moves() -> None:
    x = G.input("x", (2,), "float64")
    loss = G.sum(x * G.stop_gradient(x))
    held, arrays = with_stopped_values(loss, {"x": np.array([2.0, 3.0])})
    run = ReferenceEngine().compile(Graph({"loss": held})).run
    assert run(arrays)["loss"] == 13
    assert run({**arrays, "x": np.array([1.0, 1.0])})["loss"] == 5
    assert check_graph(Graph({"loss": loss}), {"x": np.array([2.0, 3.0])}).passed


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("length", [1, 4])
def test_every_kind_of_loop_is_checked(name: str, length: int) -> None:
    loop = LOOPS[name](length)
    loss = loss_of(loop.scanned())
    check = check_graph(Graph({"loss": loss}), arrays_for(list(Graph({"loss": loss}).inputs.values())))
    assert all(row.status != "failed" for row in check.rows), str(check)
    assert check.passed


@pytest.mark.parametrize("reverse", [False, True])
def test_what_a_body_stops_is_held_step_by_step(reverse: bool) -> None:
    h, x, w = G.input("h", (), "float64"), G.input("x", (4,), "float64"), G.input("w", (), "float64")

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        stopped = G.stop_gradient(carries[0])
        new = G.tanh(stopped * w + slices[0])
        return [new], [stopped, new * stopped]

    (last,), rows = G.scan(body, [h], [x], reverse=reverse)
    loss = last + G.sum(rows[0]) + G.sum(rows[1])
    arrays = {"h": np.array(0.3), "x": np.array([0.1, -0.4, 0.8, 0.2]), "w": np.array(1.3)}
    held, more = with_stopped_values(loss, arrays)
    run = ReferenceEngine().compile(Graph({"loss": held})).run
    assert run(more)["loss"] == ReferenceEngine().compile(Graph({"loss": loss})).run(arrays)["loss"]
    assert run({**more, "h": np.array(9.0)})["loss"] == run(more)["loss"]
    assert check_graph(Graph({"loss": loss}), arrays, wrt=["x", "w"]).passed


@pytest.mark.tiny
def test_a_stop_in_a_loop_in_a_loop_is_refused() -> None:
    h = G.input("h", (), "float64")

    def inner(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        return [carries[0] * G.stop_gradient(carries[0])], []

    def outer(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        return G.scan(inner, carries, length=2)

    (last,), _ = G.scan(outer, [h], length=2)
    with pytest.raises(GraphError, match="a scan within a scan"):
        check_graph(Graph({"loss": last}), {"h": np.array(0.5)})
