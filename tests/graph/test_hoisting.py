from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from chainrule import graph
from chainrule.gradients import gradients
from chainrule.graph import BATCHING, Graph, Node
from chainrule.graph.hoisting import hoist, hoist_invariant
from tests.conformance.loops import LOOPS, Loop, loss_of
from tests.conformance.running import arrays_for, evaluate


def _inside(whole: Graph) -> Counter[str]:
    """The ops in the bodies of scans."""
    outer = set(whole.nodes)
    return Counter(n.op for n in graph.topological(whole.outputs.values(), bodies=True) if n not in outer)


def _assert_same(whole: Graph, inputs: list[Node], move: Callable[[Graph], Graph] = hoist) -> Graph:
    arrays = arrays_for(inputs)
    hoisted = graph.verify(move(whole))
    a, b = evaluate(whole, arrays), evaluate(hoisted, arrays)
    for name, array in a.items():
        assert array.dtype == b[name].dtype
        np.testing.assert_allclose(b[name], array, rtol=1e-12, atol=1e-12)
    return hoisted


def _whole(loop: Loop, slopes: bool = False) -> Graph:
    outputs = loop.scanned()
    found = gradients(loss_of(outputs), loop.floats) if slopes else []
    return Graph({str(n): node for n, node in enumerate([*outputs, *found])})


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("slopes", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_the_values_stay(name: str, slopes: bool, reverse: bool) -> None:
    loop = LOOPS[name](3)
    loop.reverse = reverse
    for move in (hoist, hoist_invariant):
        _assert_same(_whole(loop, slopes), loop.inputs, move)


@pytest.mark.parametrize("name", LOOPS)
def test_gradients_of_the_hoisted_graph_are_the_same(name: str) -> None:
    loop = LOOPS[name](2)
    loss = Graph({"loss": loss_of(loop.scanned())})
    hoisted = hoist(loss).outputs["loss"]
    arrays = arrays_for(loop.inputs)
    found, expected = (
        evaluate(Graph({str(n): node for n, node in enumerate(gradients(x, loop.floats))}), arrays)
        for x in (hoisted, loss.outputs["loss"])
    )
    for number, array in expected.items():
        np.testing.assert_allclose(found[number], array, rtol=1e-11, atol=1e-12)


@pytest.mark.tiny
def test_the_product_with_the_inputs_leaves_an_lstm() -> None:
    loop = LOOPS["lstm"](5)
    whole = _whole(loop, slopes=True)
    hoisted = _assert_same(whole, loop.inputs)
    assert _inside(whole)["contract"] == 3
    assert _inside(hoisted)["contract"] == 2, "the recurrent product, forwards and back"


def test_an_output_layer_in_the_loop_leaves_it_at_the_end_with_what_follows() -> None:
    w, v, b = (graph.input(name, shape, "float64") for name, shape in (("w", (3, 3)), ("v", (3, 7)), ("b", (7,))))

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h = graph.tanh(carries[0] @ w + slices[0])
        logits = graph.sin(h) @ v + graph.broadcast_to(b, (2, 7))
        return [h], [graph.argmax(logits, 1), graph.max(logits, 1), graph.sin(slices[0]), carries[0] @ v]

    x, h = graph.input("x", (4, 2, 3), "float64"), graph.input("h", (2, 3), "float64")
    loop = Loop(body, [h], [x], 4, captured=[w, v, b])
    hoisted = _assert_same(_whole(loop), loop.inputs)
    inside = _inside(hoisted)
    assert inside["contract"] == 1
    assert not inside["max"] + inside["argmax"]
    (scan,) = (node for node in hoisted.nodes if node.op == "scan")
    assert scan.attributes["n_xs"] == 1
    assert len(scan.inputs) == 3, "neither the output weight nor the bias enters the loop"


def test_a_product_leaves_two_loops() -> None:
    w = graph.input("w", (3, 3), "float64")

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        def inner(inside: list[Node], rows: list[Node]) -> tuple[list[Node], list[Node]]:
            return [graph.tanh(inside[0] + graph.contract(rows[0], w, "i,ij->j"))], []

        return graph.scan(inner, carries, slices)[0], []

    x, h = graph.input("x", (4, 5, 3), "float64"), graph.input("h", (3,), "float64")
    loop = Loop(body, [h], [x], 4, captured=[w])
    hoisted = _assert_same(_whole(loop), loop.inputs)
    assert not _inside(hoisted)["contract"]
    assert [node.shape for node in hoisted.nodes if node.op == "contract"] == [(4, 5, 3)]


@pytest.mark.tiny
def test_a_scan_with_nothing_to_hoist_stays_itself() -> None:
    whole = _whole(LOOPS["without_sequences"](3))
    assert dict(hoist(whole).outputs) == dict(whole.outputs)


def test_origins_come_along() -> None:
    with graph.Build() as build, graph.scope("1.cell"):
        whole = Graph.of(_whole(LOOPS["lstm"](3)).outputs, build)
    hoisted = hoist(whole)
    nodes = graph.topological(hoisted.outputs.values(), bodies=True)
    assert {hoisted.origins[node].path for node in nodes} == {"1.cell"}


def test_a_wrong_batching_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BATCHING["contract"]
    monkeypatch.setitem(BATCHING, "contract", lambda flags, *x, **form: graph.reverse(right(flags, *x, **form), 0))
    with pytest.raises(AssertionError):
        test_the_values_stay("lstm", False, False)


def test_what_is_the_same_at_each_step_is_made_once() -> None:
    w, start = graph.input("w", (3, 3), "float64"), graph.input("start", (3,), "float64")

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        def inner(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            return [graph.tanh(graph.contract(carries[0], w, "i,ij->j"))], []

        return graph.scan(inner, carries, length=2)[0], []

    (end,), _ = graph.scan(body, [start], length=4)

    def turned(node: Node, inputs: tuple[Node, ...]) -> Node:
        """A product with another weight, which is made where the product stands: inside."""
        inputs = (inputs[0], graph.transpose(graph.exp(inputs[1]))) if node.op == "contract" else inputs
        return graph.remake(node, inputs)

    whole = Graph({"end": end}).map(turned)
    assert (_inside(whole)["transpose"], _inside(whole)["exp"]) == (1, 1)
    lifted = _assert_same(whole, [w, start], hoist_invariant)
    # It has left both loops; the product, which needs the state, has not.
    assert (_inside(lifted)["transpose"], _inside(lifted)["exp"]) == (0, 0)
    assert (_inside(lifted)["tanh"], _inside(lifted)["contract"]) == (1, 1)
    assert hoist_invariant(lifted).nodes == lifted.nodes


def test_what_is_only_read_again_is_not_captured() -> None:
    row, start = graph.input("row", (3,), "float64"), graph.input("start", (4, 3), "float64")
    (end,), _ = graph.scan(lambda carries, _: ([carries[0] + graph.broadcast(row, [0], [4])], []), [start], length=4)
    whole = Graph({"end": end})
    assert hoist_invariant(whole).nodes == whole.nodes
