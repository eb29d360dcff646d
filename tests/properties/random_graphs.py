"""Random graphs: a recipe is a list of whole numbers, so it shrinks well and builds the same graph each time.

Every node is known to stay within a bound, so that logarithms, divisions and roots can be kept on their smooth domain,
and nothing overflows however long the recipe is. Kinks are avoided: what a maximum is taken of is spread out first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from chainrule import graph as g
from chainrule.graph import Node

Recipe = list[tuple[int, int, int, int]]
recipes = st.lists(st.tuples(*(st.integers(0, 99) for _ in range(4))), min_size=5, max_size=40)

D = "float64"
_LARGEST_RANK, _LARGEST = 4, 64


class Bounded(NamedTuple):
    """A node, and what its elements never exceed."""

    node: Node
    bound: float


class Kit(NamedTuple):
    """What a step has to work with: two operands of its own, and a number to choose with."""

    a: Bounded
    b: Bounded
    number: int


Step = Callable[[Kit], Bounded]


def inputs() -> list[Node]:
    return [g.input("x", (2, 3), D), g.input("y", (3,), D), g.input("z", (), D), g.input("w", (3, 2), D)]


def arrays(seed: int = 0) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    drawn = {x.attributes["name"]: random.uniform(-1, 1, x.shape) for x in inputs()}
    return {**drawn, "index": np.array([1, 0, 5, -1, 0], "int32"), "mask": np.array([True, False])}


def _alike(kit: Kit) -> tuple[Node, Node, float, float]:
    """Both operands in one shape: the second is reduced to a number and repeated, where the shapes differ."""
    a, b = kit.a.node, kit.b.node
    if a.shape != b.shape:
        b = g.broadcast_to(g.sum(b) / max(b.size, 1), a.shape)
    return a, b, kit.a.bound, kit.b.bound


def _tamed(node: Node, bound: float) -> Bounded:
    return Bounded(node, bound) if bound <= 2 else Bounded(node * (1 / bound), 1.0)


def _unary(op: str, bound: float) -> Step:
    return lambda kit: Bounded(g.make(op, (kit.a.node,)), bound)


def _positive(function: Callable[[Node], Node], bound: Callable[[float], float]) -> Step:
    """A function of an operand that is moved to where it is at least a half."""
    return lambda kit: _tamed(function(kit.a.node + (kit.a.bound + 0.5)), bound(2 * kit.a.bound + 0.5))


def _binary(op: str) -> Step:
    def step(kit: Kit) -> Bounded:
        a, b, p, q = _alike(kit)
        if op == "div":
            return _tamed(a / (b + (q + 0.5)), 2 * p)
        return _tamed(g.make(op, (a, b)), p * q if op == "mul" else p + q)

    return step


def _axis(kit: Kit) -> int:
    return kit.number % kit.a.node.rank


def _sum(kit: Kit) -> Bounded:
    everything = kit.number % 3 == 0 or not kit.a.node.rank
    total = g.sum(kit.a.node, None if everything else _axis(kit))
    return _tamed(total, kit.a.bound * kit.a.node.size / max(total.size, 1))


def _max(kit: Kit) -> Bounded:
    """Elements are moved apart by far more than they can change."""
    x = kit.a.node
    places = np.random.default_rng(kit.number).permutation(x.size).reshape(x.shape) / x.size
    spread = x * (0.1 / (x.size * max(kit.a.bound, 1))) + g.constant(places, D)
    return Bounded(g.max(spread, _axis(kit)), 2.0)


def _contract(kit: Kit) -> Bounded:
    a, b = kit.a.node, kit.b.node
    letters_a, letters_b = "abcd"[: a.rank], "efgh"[: b.rank]
    for axis, size in enumerate(b.shape):
        if size in a.shape and kit.number % 2:
            # One axis of equal size is shared: summed, or kept in all three.
            letters_b = letters_b.replace(letters_b[axis], letters_a[a.shape.index(size)])
            break
    shared = set(letters_a) & set(letters_b)
    out = [k for k in letters_a + letters_b if k not in shared or (kit.number % 4 == 1 and k in letters_a)]
    out = list(dict.fromkeys(out))
    product = g.contract(a, b, f"{letters_a},{letters_b}->{''.join(out)}")
    return _tamed(product, kit.a.bound * kit.b.bound * 3)


def _window(kit: Kit) -> Bounded:
    x, axis = kit.a.node, _axis(kit)
    size = 1 + kit.number % min(2, x.shape[axis])
    return Bounded(g.window(x, [axis], [size], [1 + kit.number // 7 % 2]), kit.a.bound)


def _fold(kit: Kit) -> Bounded:
    x = kit.a.node
    if x.rank < 2:
        return kit.a
    count, size, stride = x.shape[0], x.shape[-1], 1 + kit.number % 2
    length = (count - 1) * stride + size + kit.number // 2 % stride
    return _tamed(g.fold(x, [0], [size], [stride], [1], [length]), kit.a.bound * size)


def _slice(kit: Kit) -> Bounded:
    x = kit.a.node
    index = tuple(slice(kit.number % n, None, 1 + kit.number // 3 % 2) for n in x.shape)
    return Bounded(x[index], kit.a.bound)


def _pad(kit: Kit) -> Bounded:
    x, n = kit.a.node, kit.number
    value = (0.0, 0.0, 0.5)[n % 3]
    padded = g.pad(x, [n % 2] * x.rank, [n // 2 % 2] * x.rank, [n // 4 % 2] * x.rank, value)
    return Bounded(padded, max(kit.a.bound, value))


def _gather(kit: Kit) -> Bounded:
    return Bounded(g.gather(kit.a.node, g.input("index", (5,), "int32"), _axis(kit)), kit.a.bound)


def _scatter_add(kit: Kit) -> Bounded:
    x = kit.a.node[:5]
    index = g.input("index", (5,), "int32")[: x.shape[0]]
    return _tamed(g.scatter_add(x, index, 3), kit.a.bound * 5)


def _select(kit: Kit) -> Bounded:
    a, b, p, q = _alike(kit)
    mask = g.reshape(g.input("mask", (2,), "bool")[kit.number % 2], ())
    return Bounded(g.select(g.broadcast_to(mask, a.shape), a, b), max(p, q))


def _scan(kit: Kit) -> Bounded:
    """A loop over the first axis; what is captured is the other operand."""
    xs, outer = kit.a.node, kit.b.node
    other = g.sum(outer) / max(outer.size, 1)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        captured = g.broadcast_to(other, xs.shape[1:])
        after = g.tanh(carries[0] * captured + slices[0])
        return [after], [after * slices[0]]

    (last,), (rows,) = g.scan(body, [g.full(xs.shape[1:], 0.5, D)], [xs], reverse=bool(kit.number % 2))
    return Bounded(last, 1.0) if kit.number % 3 else Bounded(rows, max(kit.a.bound, 1.0))


def _reshape(kit: Kit) -> Bounded:
    x = kit.a.node
    divisors = [n for n in range(1, x.size + 1) if x.size % n == 0] or [1]
    first = divisors[kit.number % len(divisors)]
    return Bounded(g.reshape(x, (x.size,) if kit.number % 3 == 0 else (first, x.size // first)), kit.a.bound)


STEPS: dict[str, Step] = {
    "neg": lambda kit: Bounded(-kit.a.node, kit.a.bound),
    "exp": lambda kit: _tamed(g.exp(kit.a.node), math.exp(kit.a.bound)),
    "expm1": lambda kit: _tamed(g.expm1(kit.a.node), math.exp(kit.a.bound)),
    "tanh": _unary("tanh", 1),
    "erf": _unary("erf", 1),
    "sin": _unary("sin", 1),
    "cos": _unary("cos", 1),
    "sigmoid": _unary("sigmoid", 1),
    "log": _positive(g.log, lambda top: max(math.log(top), 0.7)),
    "log1p": _positive(g.log1p, math.log1p),
    "power": lambda kit: _positive(
        lambda x: x ** (-1.0, 0.5, 1.5, 2.0, 3.0, 1.0, 0.0)[kit.number % 7], lambda top: max(top**3, 2.0)
    )(kit),
    **{op: _binary(op) for op in ("add", "sub", "mul", "div")},
    "select": _select,
    "sum": _sum,
    "max": _max,
    "contract": _contract,
    "reshape": _reshape,
    "transpose": lambda kit: Bounded(g.transpose(kit.a.node), kit.a.bound),
    "reverse": lambda kit: Bounded(g.reverse(kit.a.node, _axis(kit)), kit.a.bound),
    "broadcast": lambda kit: Bounded(g.broadcast(kit.a.node, (_axis(kit),), (2,)), kit.a.bound),
    "slice": _slice,
    "pad": _pad,
    "concatenate": lambda kit: Bounded(g.concatenate([kit.a.node, kit.a.node], _axis(kit)), kit.a.bound),
    "window": _window,
    "fold": _fold,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "scan": _scan,
    # What a rewriting pass lives on.
    "neutral": lambda kit: Bounded((kit.a.node * 1 + 0) / 1 - 0, kit.a.bound),
    "doubled": lambda kit: Bounded(g.make("neg", (-kit.a.node,)), kit.a.bound),
    "number": lambda kit: Bounded(g.full(kit.a.node.shape, (0.0, 1.0, -1.0, 0.5)[kit.number % 4], D), 1.0),
    "nothing": lambda kit: Bounded(kit.a.node * 0 + (kit.b.node - kit.b.node if kit.a == kit.b else 0), 0.5),
}
#: These want at least one axis.
_WANT_AXES = frozenset("max reverse broadcast slice concatenate window fold gather scatter_add scan transpose".split())


def build(recipe: Recipe) -> Node:
    """The scalar that a recipe makes: every node of the pool that nothing reads enters it."""
    pool = [Bounded(x, 1.0) for x in inputs()]
    steps = list(STEPS)
    for op, first, second, number in recipe:
        name = steps[op % len(steps)]
        # Late nodes are chosen more often, so that graphs grow deep as well as wide.
        kit = Kit(pool[-1 - first % len(pool)], pool[-1 - second % len(pool)], number)
        if name in _WANT_AXES and (not kit.a.node.rank or not kit.a.node.shape[0]):
            kit = Kit(Bounded(g.reshape(kit.a.node, (-1,)) if kit.a.node.size else inputs()[0], 1.0), kit.b, number)
        made = STEPS[name](kit)
        if made.node.rank > _LARGEST_RANK or made.node.size > _LARGEST:
            made = _sum(Kit(made, made, 1 + number % 2))
        if made.node.size > _LARGEST or made.node.rank > _LARGEST_RANK:
            made = _sum(Kit(made, made, 0))
        pool.append(made)
    read = {below for each in pool for below in each.node.inputs}
    parts = [each.node for each in pool if each.node not in read]
    total = pool[0].node[0, 0]
    for part in parts:
        total = total + g.sum(g.sin(part)) / max(part.size, 1)
    return total
