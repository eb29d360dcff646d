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


def drawn(logits: Node, number: Node, sampling: Sampling, never: Collection[int] = ()) -> Node:
    """What `Sampling.choose` gives for logits (symbols,) and a number from 0 to 1, float64: a symbol, an int32 scalar.

    Temperature, ``top_k`` and ``top_p`` are inputs of their names, float64, where they are asked for at all.
    """
    (symbols,) = logits.shape
    z = graph.cast(logits, "float64")
    if never:
        left = graph.constant(~np.isin(np.arange(symbols), list(never)))
        z = graph.select(left, z, -math.inf)
    if sampling.temperature == 0:
        return graph.argmax(z)
    p = graph.exp((z - graph.broadcast_like(graph.max(z), z)) / graph.broadcast_like(_number("temperature"), z))
    if sampling.top_k is not None:
        p = graph.select(_most(p, graph.full(p.shape, 1.0, p.dtype), _number("top_k")), p, 0.0)
    p = p / graph.broadcast_like(graph.sum(p), p)
    if sampling.top_p is not None:
        p = graph.select(_most(p, p, _number("top_p") - ROUNDING), p, 0.0)
        p = p / graph.broadcast_like(graph.sum(p), p)
    # The first whose sum is above the number, of those that are left; the last of them, if rounding leaves none above.
    place = graph.iota(symbols)
    above = graph.lt(graph.broadcast_like(number, p), running_sums(p))
    rank = graph.select(above, 2 * symbols - place, place)
    return graph.argmax(graph.select(graph.lt(0.0 * p, p), rank, -1))


def settings(sampling: Sampling) -> dict[str, float]:
    """The numbers that a graph of `drawn` asks for, by name."""
    if sampling.temperature == 0:
        return {}
    given = {"temperature": sampling.temperature, "top_k": sampling.top_k, "top_p": sampling.top_p}
    return {name: float(value) for name, value in given.items() if value is not None}


def _number(name: str) -> Node:
    return graph.input(f"sampling/{name}", (), "float64")


def _most(p: Node, amounts: Node, limit: Node) -> Node:
    """Which are the fewest most probable whose amounts come to the limit; of equals the first count as more probable.

    The border is found by halving, so that nothing is sorted.
    """

    def amount(least: Node) -> Node:
        return graph.sum(graph.select(graph.le(graph.broadcast_like(least, p), p), amounts, 0.0))

    def halve(carries: list[Node], _: list[Node]) -> tuple[list[Node], list[Node]]:
        low, high = carries
        middle = 0.5 * (low + high)
        enough = graph.le(limit, amount(middle))
        return [graph.select(enough, middle, low), graph.select(enough, high, middle)], []

    first = [graph.constant(np.float64(0.0)), graph.constant(np.float64(2.0))]
    (low, high), _ = graph.scan(halve, first, length=_HALVINGS)
    surely = graph.le(graph.broadcast_like(high, p), p)
    equals = graph.select(surely, 0.0, graph.select(graph.le(graph.broadcast_like(low, p), p), amounts, 0.0))
    before = running_sums(equals) - equals + graph.broadcast_like(amount(high), p)
    among = graph.logical_and(graph.lt(0.0 * p, equals), graph.lt(before, graph.broadcast_like(limit, p)))
    return graph.logical_or(surely, among)


def running_sums(x: Node) -> Node:
    """The sum of each number and all before it, (count,): in blocks about as long as there are blocks."""
    (count,) = x.shape
    width = math.isqrt(count - 1) + 1
    blocks = -(-count // width)
    rows = graph.reshape(graph.pad(x, [0], [blocks * width - count]), (blocks, width))
    inside = graph.contract(rows, graph.constant(np.triu(np.ones((width, width), x.dtype))), "bi,io->bo")
    before = graph.contract(graph.sum(rows, 1), graph.constant(np.triu(np.ones((blocks,) * 2, x.dtype), 1)), "i,io->o")
    return graph.reshape(inside + graph.broadcast_like(before, inside, 1), (-1,))[:count]
