"""Going on with sequences: one position at a time, with what layers keep of those before it.

A layer that sees several positions joins by a method ``go_on(scope, *inputs)``, which is called in the place of
``apply`` with one position, (batch, 1, …). `Scope.hand_on` hands something on to the next position, `Scope.handed_on`
gives it there, `Scope.so_far` has what came at each, and `Scope.position` says how many came before. It raises
`CannotGoOnError` where its settings do not allow it. A layer that treats each position by itself needs nothing:
`each_by_itself` sees that it does from its graph.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from chainrule.graph import ELEMENTWISE, Node, topological


def each_by_itself(outputs: Collection[Node], inputs: Collection[Node]) -> bool:
    """Whether each position of some outputs, (batch, time, …), is made of the same position of these inputs alone.

    And the same way at each: nothing is added that differs from position to position.
    """
    axes = dict.fromkeys(inputs, 1)
    for node in topological(outputs, stop=inputs):
        if any(below in axes for below in node.inputs):
            axis = _axis(node, axes)
            if axis is None:
                return False
            axes[node] = axis
    return all(axes.get(output) == 1 for output in outputs)


def _axis(node: Node, axes: dict[Node, int]) -> int | None:
    """The axis of a node that is time, given those of its inputs; None where positions meet, or differ."""
    moving = {axes[below] for below in node.inputs if below in axes}
    still = [below for below in node.inputs if below not in axes]
    axis = axes.get(node.inputs[0], min(moving))
    attributes = node.attributes
    if node.op in ELEMENTWISE or node.op == "concatenate":
        joined = node.op == "concatenate" and attributes["axis"] == axis
        return axis if len(moving) == 1 and not joined and all(_alike(below, axis) for below in still) else None
    if node.op in ("sum", "max", "argmax"):
        return None if axis in attributes["axes"] else axis - sum(one < axis for one in attributes["axes"])
    if node.op == "broadcast":
        return [place for place in range(node.rank) if place not in attributes["axes"]][axis]
    if node.op == "transpose":
        return int(attributes["axes"].index(axis))
    if node.op == "reshape":
        return _reshaped(node.inputs[0].shape, node.shape, axis)
    if node.op in ("reverse", "window"):
        return None if axis in attributes["axes"] else axis
    if node.op == "slice":
        part = attributes["starts"][axis], attributes["stops"][axis], attributes["steps"][axis]
        return axis if part == (0, node.inputs[0].shape[axis], 1) else None
    if node.op == "pad":
        return None if any(attributes[name][axis] for name in ("low", "high", "interior")) else axis
    if node.op == "gather":
        table, index = node.inputs
        return attributes["axis"] + axes[index] if table not in axes and not attributes["batch"] else None
    if node.op == "contract":
        return _contracted(node, axes)
    return None


def _alike(node: Node, axis: int) -> bool:
    """Whether a node is the same all along an axis."""
    if node.op == "broadcast":
        return axis in node.attributes["axes"]
    return node.op in ELEMENTWISE and all(_alike(below, axis) for below in node.inputs)


def _reshaped(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    outside = math.prod(before[:axis])
    fitting = [n for n, size in enumerate(after) if size == before[axis] and math.prod(after[:n]) == outside]
    return fitting[0] if fitting else None


def _contracted(node: Node, axes: dict[Node, int]) -> int | None:
    names = [node.attributes[name] for name in ("a_axes", "b_axes")]
    pairs = list(zip(node.inputs, names, strict=True))
    letters = {letters[axes[below]] for below, letters in pairs if below in axes}
    out = node.attributes["out_axes"]
    if len(letters) != 1 or any(letter in own for letter in letters for below, own in pairs if below not in axes):
        return None
    (letter,) = letters
    return int(out.index(letter)) if letter in out else None
