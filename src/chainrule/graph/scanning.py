"""scan: a loop over time whose body is a closed graph, built from a Python function that is called once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from chainrule.errors import ShapeError
from chainrule.graph.building import broadcast, input, param
from chainrule.graph.node import Node, make
from chainrule.graph.program import map_nodes, topological

Body = Callable[[list[Node], list[Node]], tuple[Sequence[Node], Sequence[Node]]]

_fresh = itertools.count()
#: Ops that cost nothing to make again inside the loop: capturing one would carry a large array for nothing.
_REMADE = frozenset(("constant", "iota", "broadcast"))


def scan(
    body: Body,
    init: Sequence[Node],
    xs: Sequence[Node] = (),
    *,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[list[Node], list[Node]]:
    """A loop over the first axis of ``xs``: ``body(carries, slices) -> (next carries, outputs)``.

    Gives the last carries, and each output stacked over time along a new first axis. Outer nodes that the body uses are
    captured by themselves. With ``reverse``, time runs from the last slice to the first, and outputs keep their places.

    >>> steps = input("x", (4, 2))
    >>> (total,), (sums,) = scan(lambda c, x: ([c[0] + x[0]], [c[0] + x[0]]), [steps[0] * 0.0], [steps])
    >>> total.shape, sums.shape
    ((2,), (4, 2))
    """
    if length is None:
        if not xs:
            raise ShapeError("a scan without sequences wants a length")
        length = xs[0].shape[0] if xs[0].shape else 0
    # Placeholders with names that nobody else has: the params of a body within a body must not be taken for ours.
    ticket = f"scan/{next(_fresh)}"
    carries = [input(f"{ticket}/carry/{n}", x.shape, x.dtype) for n, x in enumerate(init)]
    slices = [input(f"{ticket}/slice/{n}", x.shape[1:], x.dtype) for n, x in enumerate(xs)]
    after, outputs = body(list(carries), list(slices))
    known = {place: param(n, place.shape, place.dtype) for n, place in enumerate([*carries, *slices])}
    captured = _captured([*after, *outputs], set(known))
    for node in captured:
        known[node] = param(len(known), node.shape, node.dtype)
    mapping = map_nodes([*after, *outputs], known=known)
    node = make(
        "scan",
        (*init, *xs, *captured),
        next=tuple(mapping[x] for x in after),
        n_carry=len(init),
        n_xs=len(xs),
        length=length,
        reverse=reverse,
    )
    return [last(node, n) for n in range(len(init))], [stack(node, mapping[x]) for x in outputs]


def last(node: Node, index: int) -> Node:
    """Carry ``index`` of a scan after its last step."""
    return make("last", (node,), index=index)


def stack(node: Node, inside: Node) -> Node:
    """A node of a scan's body, stacked over time; a slice of a sequence gives the sequence back."""
    if inside.op == "param":
        n_carry, n_xs = node.attributes["n_carry"], node.attributes["n_xs"]
        index: int = inside.attributes["index"]
        if n_carry <= index < n_carry + n_xs:
            return node.inputs[index]
        if index >= n_carry + n_xs:
            return broadcast(node.inputs[index], [0], [node.attributes["length"]])
    return make("stack", (node,), node=inside)


def _captured(outputs: Sequence[Node], params: set[Node]) -> list[Node]:
    """The outer nodes that a body takes in: the last ones on each path that do not depend on carries or slices."""
    inner: set[Node] = set()
    order = topological(outputs)
    for node in order:
        if node in params or any(below in inner for below in node.inputs):
            inner.add(node)
    wanted: dict[Node, None] = {}
    waiting = [node for node in outputs if node not in inner]
    waiting += [below for node in order if node in inner for below in node.inputs if below not in inner]
    while waiting:
        node = waiting.pop(0)
        if node.op in _REMADE:
            waiting.extend(node.inputs)
        else:
            wanted[node] = None
    return list(wanted)
