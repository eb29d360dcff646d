"""Random graphs: a recipe is a list of whole numbers, so it shrinks well and builds the same graph each time.

Every node is known to stay within a bound, so that logarithms, divisions and roots can be kept on their smooth domain,
and nothing overflows however long the recipe is. A loop takes its body from the entries that follow it, so that bodies
are as random as what stands around them, loops in loops included, and shrink as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from hypothesis import strategies as st

from chainrule import graph as g
from chainrule.graph import Node
from tests.properties.random_steps import PLAIN, WANT_AXES, Bounded, D, Entry, Kit, Step, shaped, tamed

Recipe = list[Entry]
recipes = st.lists(st.tuples(*(st.integers(0, 99) for _ in range(4))), min_size=5, max_size=40)

#: The shape of the first input, which those of the others follow.
SIZES = (2, 3)
_LARGEST_RANK = 4


def inputs(sizes: Sequence[int] = SIZES) -> list[Node]:
    """The float inputs: what gradients are taken for."""
    m, n = sizes
    return [g.input("x", (m, n), D), g.input("y", (n,), D), g.input("z", (), D), g.input("w", (n, m), D)]


def arrays(seed: int = 0, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """An array for every input, those of indices and choices included."""
    random = np.random.default_rng(seed)
    drawn = {x.attributes["name"]: random.uniform(-1, 1, x.shape) for x in inputs(sizes)}
    return {**drawn, "index": np.array([1, 0, 5, -1, 0], "int32"), "mask": np.array([True, False])}


def _loop(kit: Kit) -> Bounded:
    """A loop with up to three carries; its slices, if it has any, are both operands'; it captures what it likes."""
    number = kit.number
    xs = [kit.a, kit.b] if kit.a.node.rank and kit.a.node.shape[0] and number % 5 else []
    length = min(kit.a.node.shape[0], 8) if xs else 1 + number % 3
    xs = [each for each in xs if each.node.rank and each.node.shape[0] >= length]
    first = [kit.pool[-1 - (number + 7 * n) % len(kit.pool)] for n in range(1 + number // 5 % 3)]
    init = [tamed(*each) for each in first if each.node.rank < _LARGEST_RANK] or [Bounded(g.full((), 0.5, D), 1.0)]
    entries = list(islice(kit.rest, number // 15 % 7))

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        inside = [Bounded(node, bound) for node, (_, bound) in zip(slices, xs, strict=True)]
        inside += [Bounded(node, 2.0) for node in carries]
        grow(captured := [*kit.pool[-2:], *inside], entries, kit.largest)
        made = captured[2:]
        after = [
            tamed(shaped(each.node, carry.shape), each.bound).node
            for carry, each in ((carry, made[-1 - n % len(made)]) for n, carry in enumerate(carries))
        ]
        return after, [each.node for each in made[-1 - number % 2 :] if each.node.rank < _LARGEST_RANK]

    lasts, stacks = g.scan(
        body, [each.node for each in init], [each.node[:length] for each in xs], reverse=number % 2 == 1, length=length
    )
    # Whatever is made stays within 2, except what an operand brings along.
    most = max(2.0, *(each.bound for each in (*xs, *kit.pool[-2:])))
    kit.pool.extend(clamped(Bounded(node, most), number, kit.largest) for node in (*lasts[1:], *stacks))
    return Bounded(lasts[0], 2.0)


STEPS: dict[str, Step] = {**PLAIN, "loop": _loop}


def grow(pool: list[Bounded], entries: Iterable[Entry], largest: int) -> None:
    """Add to a pool what the entries make of it."""
    steps = list(STEPS)
    rest = iter(entries)
    for op, first, second, number in rest:
        name = steps[op % len(steps)]
        # Late nodes are chosen more often, so that graphs grow deep as well as wide.
        kit = Kit(pool[-1 - first % len(pool)], pool[-1 - second % len(pool)], number, pool, rest, largest)
        if name in WANT_AXES and (not kit.a.node.rank or not kit.a.node.shape[0]):
            flat = Bounded(g.reshape(kit.a.node, (-1,)), kit.a.bound) if kit.a.node.size else pool[0]
            kit = kit._replace(a=flat)
        pool.append(clamped(STEPS[name](kit), number, largest))


def clamped(made: Bounded, number: int, largest: int) -> Bounded:
    """A node, or its sum over an axis, or over all, if it has grown too large."""
    node, bound = made
    for axes in (number % max(node.rank, 1), None):
        if node.rank > _LARGEST_RANK or node.size > largest:
            total = g.sum(node, axes)
            node, bound = tamed(total, bound * node.size / max(total.size, 1))
    return Bounded(node, bound)


def pool_of(recipe: Recipe, sizes: Sequence[int] = SIZES) -> list[Node]:
    """Every node that a recipe makes, inputs first."""
    pool = [Bounded(x, 1.0) for x in inputs(sizes)]
    grow(pool, recipe, max(64, 3 * sizes[0] * sizes[1]))
    return [each.node for each in pool]


def loss_of(pool: Sequence[Node]) -> Node:
    """The scalar that a pool makes: every node that nothing reads enters it."""
    read = {below for each in pool for below in each.inputs}
    total = pool[0][0, 0]
    for part in pool:
        if part not in read:
            total = total + g.sum(g.sin(part)) / max(part.size, 1)
    return total


def build(recipe: Recipe) -> Node:
    """The scalar that a recipe makes."""
    return loss_of(pool_of(recipe))
