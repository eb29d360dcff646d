"""The largest scalar paths from one element of a parameter to the loss, and how many paths there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.explain.local import Edges, edges, operands_of
from chainrule.gradients import differentiable
from chainrule.graph import FLOATS, Node, topological

Array = NDArray[Any]

#: How many products of an element are compared at once; beyond it only the largest go on, and the search says so.
_ROOM = 4_000_000
#: What stands for a derivative of 0 in a comparison: of ways that all end at a 0, the one that meets fewest is shown.
_NOTHING = 1e-60


@dataclass(frozen=True)
class Step:
    """One element on a path, and the local derivative of the element above it (towards the loss) by this one.

    ``position`` says which operand of the node above it is; for the loss, which has nothing above it, it is -1.
    """

    node: Node
    place: int
    derivative: float
    position: int


@dataclass(frozen=True)
class Found:
    """The largest paths, each from the loss down to the parameter; how many there are, and whether these are it.

    Paths with a derivative of 0 on them do not count, and are here only, as one, if there are no others.
    ``slope`` is the sum over all paths, gone through forwards: the gradient by another way. ``ends`` are the elements
    from which nothing leads on, where there is no path at all.
    """

    paths: tuple[tuple[Step, ...], ...]
    count: float
    exact: bool
    slope: float
    ends: tuple[tuple[Node, int], ...]


@dataclass(frozen=True)
class _Reached:
    """The elements of a node that the parameter's element reaches: their places, and the best ways to each.

    ``products`` (elements, k) are those of the largest paths, by size; ``back`` (elements, k, 3) says from which
    operand, row and rank each came. ``counts`` and ``slopes`` are taken over all paths.
    """

    places: Array
    products: Array
    derivatives: Array
    back: Array
    counts: Array
    slopes: Array


def largest_paths(loss: Node, start: Node, place: int, values: Mapping[Node, Array], count: int) -> Found:
    """The ``count`` paths with the largest absolute products, from element ``place`` of ``start`` to the loss.

    The product of a path is that of its local derivatives. Going forwards, the largest ways to an element are made of
    the largest ways to the elements before it, so that no path has to be walked twice.
    """
    reached: dict[Node, _Reached] = {start: _source(place, count)}
    active = _between(loss, start)
    exact = True
    used: dict[Node, set[int]] = {node: set() for node in active}
    for node in active[1:]:
        search = _Search(node, count)
        for position, below in enumerate(operands_of(node)):
            if below in reached:
                for part in edges(node, position, reached[below].places, values):
                    used[below].update(np.unique(part.rows).tolist())
                    search.add(position, part, reached[below])
        if search.met:
            reached[node] = search.best()
            exact = exact and search.exact
    if loss not in reached or not active:
        ends = [
            (node, int(reached[node].places[row]))
            for node in active
            if node in reached
            for row in range(len(reached[node].places))
            if row not in used[node]
        ]
        return Found((), 0.0, True, 0.0, tuple(ends))
    end = reached[loss]
    ways = [_walk(loss, rank, reached) for rank in range(count) if not np.isnan(end.products[0, rank])]
    telling = [way for way in ways if product(way)] or ways[:1]
    return Found(tuple(telling), float(end.counts[0]), exact, float(end.slopes[0]), ())


def _between(loss: Node, start: Node) -> list[Node]:
    """The nodes that a gradient passes between the start and the loss, in order, scans left out."""
    met = {start}
    order = []
    for node in topological([loss]):
        if node is start:
            order.append(node)
        elif node.op == "scan":
            continue
        elif any(below in met for below in operands_of(node)) and differentiable(node) and node.dtype in FLOATS:
            met.add(node)
            order.append(node)
    wanted: set[Node] = set()
    for node in reversed(order):
        if node is loss or node in wanted:
            wanted.update((node, *operands_of(node)))
    return [node for node in order if node in wanted]


def _source(place: int, count: int) -> _Reached:
    products = np.full((1, count), np.nan)
    products[0, 0] = 1.0
    ones = np.ones(1)
    return _Reached(np.array([place]), products, np.ones((1, count)), np.full((1, count, 3), -1), ones, ones)


class _Search:
    """The edges into one node, as they come in; only the largest are kept if there are too many."""

    def __init__(self, node: Node, count: int) -> None:
        self._count = count
        self._limit = max(_ROOM // count, 1)
        self._size = node.size
        self._counts, self._slopes = np.zeros(node.size), np.zeros(node.size)
        self._parts: list[tuple[Array, ...]] = []
        self._waiting = 0
        self.met = False
        self.exact = True

    def add(self, position: int, part: Edges, below: _Reached) -> None:
        finite = np.isfinite(part.derivatives)
        rows, targets, derivatives = (column[finite] for column in part)
        if not len(rows):
            return
        self.met = True
        there = derivatives != 0
        self._counts += np.bincount(targets[there], below.counts[rows[there]], self._size)
        self._slopes += np.bincount(targets, derivatives * below.slopes[rows], self._size)
        products = np.where(there, derivatives, _NOTHING)[:, None] * below.products[rows]
        self._parts.append((targets, products, derivatives, rows, np.full(len(rows), position)))
        self._waiting += len(rows)
        if self._waiting > 2 * self._limit:
            self._prune()

    def _prune(self) -> None:
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        kept = np.argpartition(-np.abs(columns[1][:, 0]), self._limit)[: self._limit]
        self._parts = [tuple(column[kept] for column in columns)]
        self._waiting, self.exact = len(kept), False

    def best(self) -> _Reached:
        """For each element that is reached, the largest ways to it."""
        if self._waiting > self._limit:
            self._prune()
        targets, products, derivatives, rows, positions = (np.concatenate(c) for c in zip(*self._parts, strict=True))
        edge, rank = np.nonzero(~np.isnan(products))
        size, target = np.abs(products[edge, rank]), targets[edge]
        # Equal products go by their origin, so that the same question always gets the same answer.
        order = np.lexsort((rank, rows[edge], positions[edge], -size, target))
        edge, rank, target = edge[order], rank[order], target[order]
        places, first, row = np.unique(target, return_index=True, return_inverse=True)
        nth = np.arange(len(target)) - first[row]
        kept = nth < self._count
        edge, rank, row, nth = edge[kept], rank[kept], row[kept], nth[kept]
        shape = (len(places), self._count)
        best, local = np.full(shape, np.nan), np.full(shape, np.nan)
        back = np.full((*shape, 3), -1, np.int64)
        best[row, nth], local[row, nth] = products[edge, rank], derivatives[edge]
        back[row, nth] = np.stack([positions[edge], rows[edge], rank], axis=1)
        return _Reached(places, best, local, back, self._counts[places], self._slopes[places])


def _walk(loss: Node, rank: int, reached: Mapping[Node, _Reached]) -> tuple[Step, ...]:
    """One path, from the loss down."""
    node, row = loss, 0
    way = [Step(loss, 0, 1.0, -1)]
    while reached[node].back[row, rank, 0] >= 0:
        here = reached[node]
        position, below_row, below_rank = (int(n) for n in here.back[row, rank])
        below = operands_of(node)[position]
        place = int(reached[below].places[below_row])
        way.append(Step(below, place, float(here.derivatives[row, rank]), position))
        node, row, rank = below, below_row, below_rank
    return tuple(way)


def product(way: Sequence[Step]) -> float:
    """The product of the local derivatives of a path, from the loss down."""
    result = 1.0
    for step in way:
        result *= step.derivative
    return result
