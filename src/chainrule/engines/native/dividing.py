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
#: Ops through which time and samples stay the first two axes, those of contractions and sums provided.
_ALONG = frozenset("contract sum max slice concatenate pad reverse transpose".split())
#: Bytes a second at which a core gets what another has written.
_TRAVEL = 30e9
#: The part of what all read that is fetched anew though it is the same in each run.
_STAYS = 0.1


def divided(
    outputs: Sequence[Node], feeds: Mapping[Node, Node], cores: int, fixed: Collection[Node] = ()
) -> dict[Node, int]:
    """The axis along which products, and what becomes of a state and is computed on the way, are best divided.

    ``feeds`` are outputs that take the place of a given node in the next run; what is ``fixed`` is the same in each.
    """
    timed, samples = over_time(outputs), _by_samples(outputs)
    axes: dict[Node, int] = {node: 1 for node in timed if node.rank > 2}
    readers: dict[Node, list[Node]] = {}
    for node in topological(outputs):
        if node.op == "contract" and node.rank:
            rows = int(node in timed) if not feeds or node in samples or node in timed else -1
            axes[node] = _best(node, cores, set(feeds.values()), fixed, rows)
            for below in node.inputs:
                readers.setdefault(below, []).append(node)
    for new, old in feeds.items():
        axis = _read_along(old, readers.get(old, []), axes)
        if axis is not None:
            axes |= dict.fromkeys(on_the_way(new), axis)
    return axes


def over_time(outputs: Sequence[Node]) -> set[Node]:
    """What a loop over time reads slice by slice or has stacked, and what goes with it: time first, samples second.

    A loop is divided along the samples where that can be, and so are these.
    """
    order = topological(outputs)
    found = {node for node in order if node.op == "stack" and node.rank > 1}
    for scan in order:
        if scan.op == "scan":
            n_carry, n_xs = scan.attributes["n_carry"], scan.attributes["n_xs"]
            found |= {x for x in scan.inputs[n_carry : n_carry + n_xs] if x.rank > 1}
    for node in order:
        if any(below in found and _goes_with(node, place) for place, below in enumerate(node.inputs)):
            found.add(node)
    for node in reversed(order):
        if node in found:
            found |= {below for place, below in enumerate(node.inputs) if _goes_with(node, place)}
    return found


def _by_samples(outputs: Sequence[Node]) -> set[Node]:
    """The products of which halves are read, of samples, by the gradient of a weight."""
    found: set[Node] = set()
    waiting: list[Node] = []
    for node in topological(outputs):
        if node.op == "contract" and node.rank and node.shape[0] == LAID_OUT_FOR:
            names = [node.attributes[name] for name in ("a_axes", "b_axes")]
            if all(node.attributes["out_axes"][0] in letters for letters in names):
                waiting += node.inputs
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node.op == "contract":
            found.add(node)
            continue
        waiting += [below for below in node.inputs if below not in seen]
        seen.update(node.inputs)
    return found


def _goes_with(node: Node, place: int) -> bool:
    """Whether the first two axes of a node are those of an operand."""
    below = node.inputs[place]
    if min(node.rank, below.rank) < 2 or node.op not in _ALONG | ELEMENTWISE:
        return False
    if node.op == "contract":
        letters = node.attributes["a_axes" if place == 0 else "b_axes"]
        first, own = letters[:2], node.attributes["out_axes"][:2]
        return bool(first == own)
    if node.op in ("sum", "max"):
        return bool(min(node.attributes["axes"]) > 1)
    turned = node.op == "transpose" and node.attributes["axes"][:2] != (0, 1)
    return node.shape[1] == below.shape[1] and not turned


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


def _best(node: Node, cores: int, state: Collection[Node], fixed: Collection[Node], rows: int) -> int:
    """The axis with the least time: the largest part that one core gets, and what all of them have to read.

    A state that all read goes from core to core each time that it is updated, there and back; what is fixed stays.
    ``rows`` is the axis along which those are divided that read the node, if it is known.
    """
    out = node.attributes["out_axes"]

    def time(axis: int) -> float:
        count = Share(axis, unit(node, axis), node.shape[axis], cores).count
        largest = -(-count // cores) / count if count else 1.0
        whole = [
            below.size * BYTES[below.dtype] * (3 if below in state else _STAYS if below in fixed else 1)
            for below, name in zip(node.inputs, ("a_axes", "b_axes"), strict=True)
            if out[axis] not in node.attributes[name]
        ]
        if rows not in (-1, axis):
            whole.append(node.size * BYTES[node.dtype])  # it travels to who has its rows
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
