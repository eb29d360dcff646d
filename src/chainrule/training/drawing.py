"""Drawing a symbol inside a graph: `Sampling` as nodes, so that what is drawn is the next step's input."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from chainrule import graph
from chainrule.graph import Node
from chainrule.training.sampling import ROUNDING, Sampling

#: Halvings by which the border of the most probable is found: what is nearer to it than 2⁻⁵⁹ is taken for equal.
_HALVINGS = 60


def drawn(logits: Node, numbers: Node, sampling: Sampling, never: Collection[int] = ()) -> Node:
    """What `Sampling.choose` gives for logits (rows, symbols) and float64 numbers from 0 to 1, (rows,): (rows,), int32.

    Temperature, ``top_k`` and ``top_p`` are inputs of their names, float64, where they are asked for at all.
    """
    rows, symbols = logits.shape
    z = graph.cast(logits, "float64")
    if never:
        left = graph.constant(~np.isin(np.arange(symbols), list(never)))
        z = graph.select(graph.broadcast_to(left, z.shape), z, -math.inf)
    if sampling.temperature == 0:
        return graph.argmax(z, 1)
    p = graph.exp((z - graph.broadcast_like(graph.max(z, 1), z, 1)) / graph.broadcast_like(_number("temperature"), z))
    if sampling.top_k is not None:
        p = graph.select(_most(p, graph.full(p.shape, 1.0, p.dtype), _number("top_k")), p, 0.0)
    p = p / graph.broadcast_like(graph.sum(p, 1), p, 1)
    if sampling.top_p is not None:
        p = graph.select(_most(p, p, _number("top_p") - ROUNDING), p, 0.0)
        p = p / graph.broadcast_like(graph.sum(p, 1), p, 1)
    # The first whose sum is above the number, of those that are left; the last of them, if rounding leaves none above.
    place = graph.broadcast(graph.iota(symbols), [0], [rows])
    above = graph.lt(graph.broadcast_like(numbers, p, 1), running_sums(p))
    rank = graph.select(above, 2 * symbols - place, place)
    return graph.argmax(graph.select(graph.lt(0.0 * p, p), rank, -1), 1)


def settings(sampling: Sampling) -> dict[str, float]:
    """The numbers that a graph of `drawn` asks for, by name."""
    if sampling.temperature == 0:
        return {}
    given = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    return {name: float(value) for name, value in given.items() if value is not None}


def _number(name: str) -> Node:
    return graph.input(f"sampling/{name}", (), "float64")


def _most(p: Node, amounts: Node, limit: Node) -> Node:
    """Which are the fewest most probable of each row whose amounts come to the limit; of equals, the first are.

    The border is found by halving, so that nothing is sorted.
    """
    rows = p.shape[0]

    def amount(least: Node) -> Node:
        return graph.sum(graph.select(graph.le(graph.broadcast_like(least, p, 1), p), amounts, 0.0), 1)

    def halve(carries: list[Node], _: list[Node]) -> tuple[list[Node], list[Node]]:
        low, high = carries
        middle = 0.5 * (low + high)
        enough = graph.le(graph.broadcast_like(limit, middle), amount(middle))
        return [graph.select(enough, middle, low), graph.select(enough, high, middle)], []

    first = [graph.full((rows,), border, "float64") for border in (0.0, 2.0)]
    (low, high), _ = graph.scan(halve, first, length=_HALVINGS)
    surely = graph.le(graph.broadcast_like(high, p, 1), p)
    equals = graph.select(surely, 0.0, graph.select(graph.le(graph.broadcast_like(low, p, 1), p), amounts, 0.0))
    before = running_sums(equals) - equals + graph.broadcast_like(amount(high), p, 1)
    among = graph.logical_and(graph.lt(0.0 * p, equals), graph.lt(before, graph.broadcast_like(limit, p)))
    return graph.logical_or(surely, among)


def running_sums(x: Node) -> Node:
    """The sum of each number of a row and all before it, (rows, count): in blocks about as long as there are blocks."""
    rows, count = x.shape
    width = math.isqrt(count - 1) + 1
    blocks = -(-count // width)
    cut = graph.reshape(graph.pad(x, [0, 0], [0, blocks * width - count]), (rows, blocks, width))
    inside = graph.contract(cut, graph.constant(np.triu(np.ones((width, width), x.dtype))), "rbi,io->rbo")
    start = graph.constant(np.triu(np.ones((blocks,) * 2, x.dtype), 1))
    before = graph.contract(graph.sum(cut, 2), start, "ri,io->ro")
    return graph.reshape(inside + graph.broadcast_like(before, inside, 2), (rows, -1))[:, :count]
