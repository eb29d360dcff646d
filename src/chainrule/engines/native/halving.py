"""Halving: the gradient of a small weight is summed over each half of the samples by itself, and then over both.

Divided along the samples, as what it is computed from is, each core reads what it has written itself, and nothing of
that travels; only the halves of the gradient do. A large weight is better divided itself, with all that updates it.
"""

from __future__ import annotations

from collections.abc import Collection

from chainrule.engines.native.dividing import LAID_OUT_FOR, over_time
from chainrule.graph import Graph, Node, make, remake, reshape
from chainrule.graph.building import canonical

#: Elements that are read, from which on it is done: at least, and for each of the gradient.
_LEAST, _TIMES = 1 << 16, 4


def in_halves(graph: Graph) -> Graph:
    """The graph with such gradients in halves, whatever the number of cores: the bits are the same on any."""
    timed = over_time([*graph.outputs.values()])

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        return _halved(node, inputs, timed) if node.op == "contract" else remake(node, inputs)

    return graph.map(change)


def _halved(old: Node, inputs: tuple[Node, ...], timed: Collection[Node]) -> Node:
    node = remake(old, inputs)
    names = ("a_axes", "b_axes")
    letters = [node.attributes[name] for name in names]
    out = node.attributes["out_axes"]
    read = sum(_stored_size(below) for below in node.inputs)
    if read < max(_LEAST, _TIMES * LAID_OUT_FOR * node.size) or node.rank < 2:
        return node
    place = int(any(below in timed for below in old.inputs))
    if min(map(len, letters)) <= place:
        return node
    letter = letters[0][place]
    if letter != letters[1][place] or letter in out or node.inputs[0].shape[place] % LAID_OUT_FOR:
        return node
    half = max(map(max, letters)) + 1
    halves = tuple(_split(below, place) for below in node.inputs)
    first, second = ((*each[:place], half, *each[place:]) for each in letters)
    parts = make("contract", halves, **canonical(first, second, (half, *out)))
    return make("sum", (parts,), axes=(0,))


def _stored_size(node: Node) -> int:
    """The elements that are behind an operand: each is in many windows."""
    while node.op in ("window", "pad", "reverse"):
        node = node.inputs[0]
    return node.size


def _split(node: Node, axis: int) -> Node:
    size = node.shape[axis] // LAID_OUT_FOR
    shape = (*node.shape[:axis], LAID_OUT_FOR, size, *node.shape[axis + 1 :])
    return reshape(node.inputs[0] if node.op == "reshape" else node, shape)
