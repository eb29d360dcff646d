"""The one mapping helper: whatever a pass does, origins and regions come along, bodies of scans included."""

from __future__ import annotations

import contextlib

import pytest

from chainrule import graph as g
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node, Region, composites, remake, scope, topological, verify


def _network() -> Graph:
    """Two layers, a composite between them, and a loop after them; the loss and one gradient."""
    with Build() as build:
        x, w = g.input("x", (4, 3)), g.input("w", (3, 3))
        with scope("0"):
            h = g.tanh(x @ w)
        with scope("1"):
            p = composites.softmax(h)
        with scope("2"):
            (after,), (rows,) = g.scan(
                lambda carries, slices: ([g.exp(carries[0] * slices[0])], [g.sin(carries[0])]), [x[0]], [p]
            )
        loss = g.sum(after) + g.sum(rows)
        (slope,) = gradients(loss, [w])
    return Graph.of({"loss": loss, "slope": slope}, build)


def _places(graph: Graph) -> dict[str, set[str]]:
    """Op -> the places that nodes of it came from, bodies included."""
    found: dict[str, set[str]] = {}
    for node in topological(graph.outputs.values(), bodies=True):
        found.setdefault(node.op, set()).add(str(graph.origins[node]) if node in graph.origins else "lost")
    return found


def _renamed(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A change at the very bottom: every node above an input is made anew."""
    if node.op == "input":
        return g.input(node.attributes["name"] + "2", node.shape, node.dtype)
    return remake(node, inputs)


def test_a_map_that_changes_nothing_gives_the_same_graph() -> None:
    graph = _network()
    same = graph.map(remake)
    assert all(same.outputs[name] is node for name, node in graph.outputs.items())
    assert same.origins == graph.origins
    assert same.regions == graph.regions


@pytest.mark.tiny
def test_a_map_carries_origins_and_regions_along() -> None:
    graph = _network()
    mapped = verify(graph.map(_renamed))
    assert list(mapped.inputs) == ["x2", "w2"]
    assert _places(mapped) == _places(graph)
    assert "lost" not in set().union(*_places(mapped).values())
    (region,) = mapped.regions.values()
    (old,) = graph.regions.values()
    assert (region.name, region.attributes) == (old.name, old.attributes)
    assert set(region.inputs) <= set(mapped.nodes)
    assert not set(region.inputs) & set(graph.nodes)
    assert set(mapped.regions) <= set(mapped.nodes)


def test_a_map_reaches_into_bodies() -> None:
    graph = _network()

    def cosine(node: Node, inputs: tuple[Node, ...]) -> Node:
        return g.cos(inputs[0]) if node.op == "sin" else remake(node, inputs)

    with Build() as build:
        (after,), (rows,) = g.scan(lambda c, s: ([c[0] * s[0]], [g.sin(c[0])]), [g.input("h")], [g.input("xs", (4,))])
    graph = Graph.of({"after": after, "rows": rows}, build)
    mapped = verify(graph.map(cosine))
    ops = {node.op for node in topological(mapped.outputs.values(), bodies=True)}
    assert "cos" in ops
    assert "sin" not in ops
    assert mapped.outputs["after"].inputs[0] is mapped.outputs["rows"].inputs[0]


def test_two_builds_that_share_a_node_do_not_mix_their_origins() -> None:
    graphs = []
    for path in ("first", "second"):
        with Build() as build, scope(path):
            y = g.exp(g.input("x", (2,)))
        graphs.append(Graph.of({"y": y}, build))
    one, two = graphs
    assert one.outputs["y"] is two.outputs["y"]
    assert str(one.origins[one.outputs["y"]]) == "first"
    assert str(two.origins[two.outputs["y"]]) == "second"


def test_a_backward_node_knows_the_forward_node_it_belongs_to() -> None:
    with Build() as build:
        x = g.input("x", (2,))
        with scope("0"):
            y = g.tanh(x)
        (slope,) = gradients(g.sum(y), [x])
    assert build.origins[slope].phase == "backward"
    assert build.origins[slope].of == build.origins[y].serial
    assert build.origins[slope].path == "0"


def test_a_graph_keeps_of_a_build_what_concerns_it() -> None:
    with Build() as build:
        x = g.input("x", (2,))
        kept, other = g.exp(x), g.sin(x)
        build.regions[other] = Region("wave", (x,))
    graph = Graph.of({"y": kept}, build)
    assert set(graph.origins) == {x, kept}
    assert not graph.regions
    assert other in build.origins


def test_a_map_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Build, "inheriting", lambda self, origin: contextlib.nullcontext())
    with pytest.raises(AssertionError):
        test_a_map_carries_origins_and_regions_along()


def test_topological_order_has_inputs_first_and_stops_where_told() -> None:
    x = g.input("x", (2,))
    a, b = g.exp(x), g.sin(x)
    c = a + b
    order = topological([c])
    assert order == [x, a, b, c]
    assert topological([c], stop=[a]) == [x, b, c]
    deep = x
    for _ in range(5000):
        deep = g.exp(deep)
    assert len(topological([deep])) == 5001
