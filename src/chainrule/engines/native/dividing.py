"""Dividing: along which axis the large arrays of a step are given to the cores, so that little has to travel.

A product is divided so that its larger operand is: each core then reads its own part of that, and all of the smaller.
A weight is updated in the parts in which it is read, so that each part stays with its core from step to step.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from chainrule.engines.native.sharing import TILE, Share, terms, unit
from chainrule.engines.native.types import BYTES
from chainrule.graph import ELEMENTWISE, Graph, Node, topological

#: What is laid out is laid out as for so many cores, however many there are: the order of large sums goes with it,
#: and is to be the same on any number.
LAID_OUT_FOR = 2
#: Bytes a second at which a core gets what another has written.
_TRAVEL = 30e9


def divided(outputs: Sequence[Node], feeds: Mapping[Node, Node], cores: int) -> dict[Node, int]:
    """The axis along which products, and what becomes of a state and is computed on the way, are best divided.

    ``feeds`` are outputs that take the place of a given node in the next run.
    """
    axes: dict[Node, int] = {}
    readers: dict[Node, list[Node]] = {}
    if cores < 2:
        return axes
    for node in topological(outputs):
        if node.op == "contract" and node.rank:
            axes[node] = _best(node, cores, set(feeds.values()))
            for below in node.inputs:
                readers.setdefault(below, []).append(node)
    for new, old in feeds.items():
        axis = _read_along(old, readers.get(old, []), axes)
        if axis is not None:
            axes |= dict.fromkeys(on_the_way(new), axis)
    return axes


def feeds_of(graph: Graph) -> dict[Node, Node]:
    """Outputs that take the place of the input of their name in the next run, each alone in wanting to."""
    outputs = list(graph.outputs.values())
    inputs = graph.inputs
    return {
        node: inputs[name]
        for name, node in graph.outputs.items()
        if name in inputs
        and node.op not in ("input", "constant")
        and outputs.count(node) == 1
        and inputs[name] not in outputs
        and (node.shape, node.dtype) == (inputs[name].shape, inputs[name].dtype)
    }


def _best(node: Node, cores: int, state: Collection[Node]) -> int:
    """The axis with the least time: the largest part that one core gets, and what all of them have to read.

    A state that all read goes from core to core each time that it is updated, there and back.
    """
    out = node.attributes["out_axes"]

    def time(axis: int) -> float:
        count = Share(axis, unit(node, axis), node.shape[axis]).count
        largest = -(-count // cores) / count if count else 1.0
        whole = [
            below.size * BYTES[below.dtype] * (3 if below in state else 1)
            for below, name in zip(node.inputs, ("a_axes", "b_axes"), strict=True)
            if out[axis] not in node.attributes[name]
        ]
        if axis > 0 and not state:
            # It travels to who has its rows. Where there is a state, that it stays with its core pays more.
            whole.append(node.size * BYTES[node.dtype])
        return 2 * terms(node) / TILE * largest + sum(whole) / _TRAVEL

    return min(range(node.rank), key=time)


def _read_along(old: Node, readers: Sequence[Node], axes: Mapping[Node, int]) -> int | None:
    """The axis of a state along which its greatest reader is divided."""
    for reader in sorted(readers, key=terms, reverse=True):
        letter = reader.attributes["out_axes"][axes[reader]]
        letters = reader.attributes["a_axes" if reader.inputs[0] is old else "b_axes"]
        if letter in letters:
            return int(letters.index(letter))
    return None


def on_the_way(new: Node) -> set[Node]:
    """A new state, and all of its shape that it is computed from element by element."""
    found: set[Node] = set()
    waiting = [new]
    while waiting:
        node = waiting.pop()
        if node in found or node.shape != new.shape:
            continue
        found.add(node)
        if node.op in ELEMENTWISE:
            waiting.extend(node.inputs)
    return found
