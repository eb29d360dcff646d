"""Backpropagation as a function from graph to graph: gradients(loss, wrt) -> nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.gradients.rules import RULES, differentiable
from chainrule.gradients.scan_rule import pull_back_scan
from chainrule.graph import FLOATS, Node, full, phase, topological, zeros_like


def gradients(loss: Node, wrt: Sequence[Node]) -> list[Node]:
    """The gradient of a scalar loss with respect to each node of ``wrt``, as nodes of their shapes.

    ∂loss/∂x is the sum, over all paths from x to the loss, of the product of the local derivatives along the
    path; going backwards through the graph visits each node once. A node the loss does not depend on gets zeros.

    Raises `ShapeError` if the loss is not a scalar, `DtypeError` if anything is not a float.

    >>> from chainrule import graph
    >>> x = graph.input("x", (3,))
    >>> gradients(graph.sum(x**2), [x])
    [<mul float32[3]>]

    Reference: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986.
    """
    if loss.shape:
        raise ShapeError(f"a gradient is taken of a scalar loss, and this is {loss!r}; use graph.sum or a mean")
    if loss.dtype not in FLOATS:
        raise DtypeError(f"a gradient is taken of a float loss, and this is {loss!r}")
    return pull_back({loss: full((), 1, loss.dtype)}, wrt)


def pull_back(cotangents: Mapping[Node, Node], wrt: Sequence[Node]) -> list[Node]:
    """Cotangents of some outputs carried back to ``wrt``: the transposed Jacobian applied to them.

    ``cotangents`` gives, for each output, a node of its shape and dtype. Zeros stand where nothing depends.
    """
    for node in wrt:
        if node.dtype not in FLOATS:
            raise DtypeError(f"a gradient is taken with respect to floats, and this is {node!r}")
    for output, cotangent in cotangents.items():
        if (output.shape, output.dtype) != (cotangent.shape, cotangent.dtype):
            raise GraphError(f"the cotangent {cotangent!r} does not fit the output {output!r}")
    found = pull_back_some(cotangents, wrt)
    return [zeros_like(node) if gradient is None else gradient for node, gradient in zip(wrt, found, strict=True)]


def pull_back_some(cotangents: Mapping[Node, Node], wrt: Sequence[Node]) -> list[Node | None]:
    """As `pull_back`, with None where nothing depends."""
    order = topological(cotangents)
    active = set(wrt)
    for node in order:
        if node not in active and differentiable(node) and any(below in active for below in node.inputs):
            active.add(node)
    sums: dict[Node, Node] = {}
    readers: dict[Node, list[tuple[Node, Node]]] = {}

    def add(node: Node, gradient: Node | None) -> None:
        if gradient is not None and node in active and node.dtype in FLOATS:
            sums[node] = sums[node] + gradient if node in sums else gradient

    for output, cotangent in cotangents.items():
        add(output, cotangent)
    for node in reversed(order):
        if node not in active or not node.inputs:
            continue
        with phase("backward", of=node):
            if node.op in ("last", "stack") and node in sums:
                readers.setdefault(node.inputs[0], []).append((node, sums[node]))
            elif node.op == "scan" and node in readers:
                wanted = [below in active for below in node.inputs]
                for below, gradient in zip(
                    node.inputs, pull_back_scan(node, readers[node], wanted, pull_back_some), strict=True
                ):
                    add(below, gradient)
            elif node in sums:
                for below, gradient in zip(
                    node.inputs,
                    RULES[node.op](sums[node], node, *node.inputs, **node.attributes),
                    strict=True,
                ):
                    add(below, gradient)
    return [sums.get(node) for node in wrt]
