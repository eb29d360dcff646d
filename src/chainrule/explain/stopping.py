"""A loss with everything that stop_gradient stops held at its value, in the bodies of scans as well.

A gradient takes what is stopped as constant; so must whoever moves a parameter to measure that gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import GraphError
from chainrule.graph import Graph, Node, input, make, map_nodes, param, remake, stack, topological

Array = NDArray[Any]


def with_stopped_values(loss: Node, arrays: Mapping[str, Array]) -> tuple[Node, dict[str, Array]]:
    """The loss with each stop_gradient as an input that keeps the value it has for these arrays, and all arrays.

    Raises `GraphError` for a stop_gradient in a scan within a scan.
    """
    nodes = Graph({"loss": loss}).nodes
    held: dict[Node, Node] = {node: node for node in nodes if node.op == "stop_gradient"}
    inside = {node: found for node in nodes if node.op == "scan" and (found := _stopped_inside(node, nodes))}
    for scan, stopped in inside.items():
        held |= {each: stack(scan, each) for each in stopped}
    if not held:
        return loss, dict(arrays)
    names = {node: f"stopped/{n}" for n, node in enumerate(held)}
    values = ReferenceEngine().compile(Graph({names[node]: value for node, value in held.items()})).run({**arrays})
    fresh = {node: input(names[node], value.shape, value.dtype) for node, value in held.items()}
    bodies: dict[Node, Mapping[Node, Node]] = {}

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node in inside:
            made, bodies[node] = _with_rows(node, inputs, {each: fresh[each] for each in inside[node]}, nodes)
            return made
        if node.op == "stack" and node.inputs[0] in inside:
            return stack(inputs[0], bodies[node.inputs[0]][node.attributes["node"]])
        return remake(node, inputs)

    known = {node: fresh[node] for node in held if node.op == "stop_gradient" and held[node] is node}
    return map_nodes([loss], change, known=known)[loss], {**arrays, **values}


def _body(scan: Node, nodes: list[Node]) -> list[Node]:
    """The outputs of a scan's body: the next carries, and what is stacked."""
    read = [node.attributes["node"] for node in nodes if node.op == "stack" and node.inputs[0] is scan]
    return [*scan.attributes["next"], *read]


def _stopped_inside(scan: Node, nodes: list[Node]) -> list[Node]:
    body = topological(_body(scan, nodes))
    for inner in body:
        if inner.op == "scan" and any(node.op == "stop_gradient" for node in topological([inner], bodies=True)):
            raise GraphError("a stop_gradient in a scan within a scan cannot be held, so its loss cannot be measured")
    return [node for node in body if node.op == "stop_gradient"]


def _with_rows(
    scan: Node, inputs: tuple[Node, ...], rows: Mapping[Node, Node], nodes: list[Node]
) -> tuple[Node, Mapping[Node, Node]]:
    """The scan with one more sequence for each node that is stopped in its body, and old body node -> new one."""
    first = scan.attributes["n_carry"] + scan.attributes["n_xs"]
    outputs = _body(scan, nodes)
    known = {node: param(first + n, node.shape, node.dtype) for n, node in enumerate(rows)}
    for node in topological(outputs):
        if node.op == "param" and node.attributes["index"] >= first:
            known[node] = param(node.attributes["index"] + len(rows), node.shape, node.dtype)
    mapping = map_nodes(outputs, known=known)
    attributes = dict(scan.attributes) | {
        "next": tuple(mapping[node] for node in scan.attributes["next"]),
        "n_xs": scan.attributes["n_xs"] + len(rows),
    }
    return make("scan", (*inputs[:first], *rows.values(), *inputs[first:]), **attributes), mapping
