"""Which forward values a reversed scan keeps, and which it makes again: the cut that keeps the fewest bytes."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

import numpy as np

from chainrule.graph import Node

_TRANSCENDENTAL = "exp log log1p expm1 tanh erf sin cos sigmoid power random_bits"
_SUMMING = "sum max argmax contract fold scatter_add"
#: Ops whose value is kept rather than made a second time.
DEAR = frozenset(f"{_TRANSCENDENTAL} {_SUMMING} scan last stack".split())

_Place = tuple[Node | None, str]
_SOURCE: _Place = (None, "source")
_SINK: _Place = (None, "sink")


def size_in_bytes(node: Node) -> int:
    """What the value of a node weighs."""
    return node.size * np.dtype(node.dtype).itemsize


def cheapest_to_keep(
    wanted: Sequence[Node],
    *,
    available: Callable[[Node], bool],
    dear: Callable[[Node], bool],
    weight: Callable[[Node], int],
) -> list[Node]:
    """The nodes to keep, so that each ``wanted`` node is kept or can be made again from kept and available ones.

    No ``dear`` node is made again. Of all choices it is the one of the least total ``weight``, and among equals the
    one that makes the fewest nodes again: a least cut, between what is dear and what is wanted, of a network in which
    a node is an edge as wide as its weight.

    Reference: L. Ford and D. Fulkerson, "Maximal flow through a network", 1956.
    """
    room: dict[_Place, dict[_Place, float]] = defaultdict(dict)

    def edge(a: _Place, b: _Place, width: float) -> None:
        room[a][b] = width
        room[b].setdefault(a, 0)

    # What is dear and wanted is kept whatever else is; the rest is a matter of weight.
    kept = dict.fromkeys(node for node in wanted if dear(node) and not available(node))
    met: dict[Node, None] = {}
    waiting = [node for node in wanted if node not in kept and not available(node)]
    for node in waiting:
        edge((node, "out"), _SINK, math.inf)
    while waiting:
        node = waiting.pop()
        if node in met:
            continue
        met[node] = None
        edge((node, "in"), (node, "out"), weight(node))
        if dear(node):
            edge(_SOURCE, (node, "in"), math.inf)
            continue
        for below in node.inputs:
            if below not in kept and not available(below):
                edge((below, "out"), (node, "in"), math.inf)
                waiting.append(below)
    while path := _widening(room):
        width = min(room[a][b] for a, b in path)
        for a, b in path:
            room[a][b] -= width
            room[b][a] += width
    # Cut as near to the sink as the weights allow: what can still reach it lies behind the cut.
    behind = {_SINK}
    queue = deque([_SINK])
    while queue:
        b = queue.popleft()
        for a in room[b]:
            if a not in behind and room[a].get(b, 0) > 0:
                behind.add(a)
                queue.append(a)
    return [*kept, *(node for node in met if (node, "out") in behind and (node, "in") not in behind)]


def _widening(room: dict[_Place, dict[_Place, float]]) -> list[tuple[_Place, _Place]]:
    """A shortest path from source to sink on which there is room, or nothing."""
    came: dict[_Place, _Place] = {}
    queue = deque([_SOURCE])
    while queue and _SINK not in came:
        a = queue.popleft()
        for b, width in room[a].items():
            if width > 0 and b not in came and b != _SOURCE:
                came[b] = a
                queue.append(b)
    path: list[tuple[_Place, _Place]] = []
    place = _SINK
    while place in came:
        path.append((came[place], place))
        place = came[place]
    return path
