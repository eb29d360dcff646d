"""The verifier: a graph that passes is well formed, whatever pass has made it."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.errors import GraphError
from chainrule.graph.node import Node
from chainrule.graph.ops import OPS, TUPLE
from chainrule.graph.program import Graph, topological
from chainrule.graph.shapes import SHAPES


def verify(graph: Graph) -> Graph:
    """Check every node of a graph, bodies included, and give the graph back.

    Raises `GraphError`: an op that is not listed, attributes that it has not, a shape or dtype that does not follow
    from the inputs, a circle, two inputs of one name, a scan read by anything but last and stack, a param outside a
    body, an input inside one.
    """
    _ = graph.inputs
    _verify(graph.outputs.values(), "the graph")
    for name, node in graph.outputs.items():
        if node.dtype == TUPLE:
            raise GraphError(f"output {name!r} is a scan; take last or stack of it")
    for node in topological(graph.outputs.values()):
        if node.op == "param":
            raise GraphError(f"{node!r} stands outside the body of a scan")
    return graph


def _verify(outputs: Iterable[Node], where: str) -> None:
    stacked: dict[Node, set[Node]] = {}
    checked: set[Node] = set()
    for node in topological(outputs):
        if not checked.issuperset(node.inputs):
            raise GraphError(f"{where}: {node!r} is behind itself: a graph has no circle")
        checked.add(node)
        if node.op not in OPS:
            raise GraphError(f"{where}: there is no op {node.op!r}")
        if set(node.attributes) != set(OPS[node.op].attributes):
            raise GraphError(f"{where}: {node!r} has the attributes {sorted(node.attributes)}")
        try:
            expected = SHAPES[node.op](node.inputs, **node.attributes)
        except (GraphError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise GraphError(f"{where}: {node!r}: {error}") from error
        if (node.shape, node.dtype) != expected:
            raise GraphError(f"{where}: {node!r} should be {expected[1]}{list(expected[0])}")
        for below in node.inputs:
            if below.dtype == TUPLE and node.op not in ("last", "stack"):
                raise GraphError(f"{where}: {node!r} reads a scan; only last and stack may")
        if node.op == "scan":
            stacked.setdefault(node, set())
        elif node.op == "stack":
            stacked.setdefault(node.inputs[0], set()).add(node.attributes["node"])
    for scan, taken in stacked.items():
        _verify_body(scan, taken, where)


def _verify_body(scan: Node, taken: set[Node], where: str) -> None:
    n_carry, n_xs = scan.attributes["n_carry"], scan.attributes["n_xs"]
    outputs = [*scan.attributes["next"], *taken]
    for node in outputs:
        if node.dtype == TUPLE:
            raise GraphError(f"{where}: the body of a scan gives out {node!r}; take last or stack of it")
    for node in topological(outputs):
        if node.op == "input":
            raise GraphError(f"{where}: the body of a scan is not closed: it reads {node!r}")
        if node.op == "param":
            index = node.attributes["index"]
            if not 0 <= index < len(scan.inputs):
                raise GraphError(f"{where}: the body of a scan reads param {index} of {len(scan.inputs)}")
            outer = scan.inputs[index]
            shape = outer.shape[1:] if n_carry <= index < n_carry + n_xs else outer.shape
            if (node.shape, node.dtype) != (shape, outer.dtype):
                raise GraphError(f"{where}: param {index} is {node!r}, and the scan gives {outer.dtype}{list(shape)}")
    _verify(outputs, f"{where}, body of a scan")
