"""Layouts: where a contraction would have to read its vectors across memory, one operand is turned round first."""

from __future__ import annotations

import math

from chainrule.graph import Graph, Node, make, remake, transpose
from chainrule.graph.building import canonical

#: Fewer rows than this do not pay for the turning.
_FEW = 4


def lay_out(graph: Graph) -> Graph:
    """The graph with a transpose before each contraction that wants one; `wide_view` knows them again."""

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        made = remake(node, inputs)
        return _turned(made) if made.op == "contract" else made

    return graph.map(change)


def _turned(root: Node) -> Node:
    a, b = root.inputs
    p, q, out = (root.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
    if not out or (out[-1] in p and out[-1] in q) or root.shape[-1] == 1:
        return root
    column = out[-1]
    wide, letters, other = (b, q, p) if column in q else (a, p, q)
    rows = math.prod(size for letter, size in zip(out, root.shape, strict=True) if letter not in letters)
    if letters[-1] == column or rows < _FEW:
        return root
    order = [axis for axis, letter in enumerate(letters) if letter != column] + [letters.index(column)]
    turned, names = transpose(wide, order), tuple(letters[axis] for axis in order)
    spread = a if wide is b else b
    first, second = (spread, turned) if wide is b else (turned, spread)
    axes = canonical(other, names, out) if wide is b else canonical(names, other, out)
    return make("contract", (first, second), **axes)


def wide_view(node: Node, user: Node) -> bool:
    """Whether a view stands before a contraction so that its last axis gives the vectors: then it is stored."""
    if node.op not in ("transpose", "slice", "reshape", "reverse") or user.op != "contract":
        return False
    column = user.attributes["out_axes"][-1:]
    axes = [user.attributes[name] for name in ("a_axes", "b_axes")]
    for place, below in enumerate(user.inputs):
        if below is node and axes[place][-1:] == column and column[0] not in axes[1 - place]:
            return True
    return False
