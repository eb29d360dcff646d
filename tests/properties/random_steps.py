"""The steps of random graphs: what may be made of one or two nodes, each within a bound that is known.

Kinks are avoided: what a maximum is taken of is spread out first. Whole numbers come from exact sources alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from chainrule import graph as g
from chainrule.graph import Node

Entry = tuple[int, int, int, int]
D = "float64"


class Bounded(NamedTuple):
    """A node, and what its elements never exceed."""

    node: Node
    bound: float


class Kit(NamedTuple):
    """What a step has to work with: two operands of its own, a number to choose with, and what a loop needs besides."""

    a: Bounded
    b: Bounded
    number: int
    #: What there is to capture; a loop gives what it makes to it.
    pool: list[Bounded]
    #: The entries that follow; a loop takes its body from them.
    rest: Iterator[Entry]
    #: How many elements a node may have.
    largest: int


Step = Callable[[Kit], Bounded]


def _alike(kit: Kit) -> tuple[Node, Node, float, float]:
    """Both operands in one shape: the second is reduced to a number and repeated, where the shapes differ."""
    return kit.a.node, shaped(kit.b.node, kit.a.node.shape), kit.a.bound, kit.b.bound


def shaped(x: Node, shape: tuple[int, ...]) -> Node:
    """x, or where it has another shape its mean, everywhere."""
    return x if x.shape == shape else g.broadcast_to(g.sum(x) / max(x.size, 1), shape)


def tamed(node: Node, bound: float) -> Bounded:
    """A node, made smaller if its elements may be larger than 2."""
    return Bounded(node, bound) if bound <= 2 else Bounded(node * (1 / bound), 1.0)


def _unary(op: str, bound: float) -> Step:
    return lambda kit: Bounded(g.make(op, (kit.a.node,)), bound)


def _positive(function: Callable[[Node], Node], bound: Callable[[float], float]) -> Step:
    """A function of an operand that is moved to where it is at least a half."""
    return lambda kit: tamed(function(kit.a.node + (kit.a.bound + 0.5)), bound(2 * kit.a.bound + 0.5))


def _binary(op: str) -> Step:
    def step(kit: Kit) -> Bounded:
        a, b, p, q = _alike(kit)
        if op == "div":
            return tamed(a / (b + (q + 0.5)), 2 * p)
        return tamed(g.make(op, (a, b)), p * q if op == "mul" else p + q)

    return step


def _axis(kit: Kit) -> int:
    return kit.number % kit.a.node.rank


def _sum(kit: Kit) -> Bounded:
    everything = kit.number % 3 == 0 or not kit.a.node.rank
    total = g.sum(kit.a.node, None if everything else _axis(kit))
    return tamed(total, kit.a.bound * kit.a.node.size / max(total.size, 1))


def _apart(kit: Kit) -> Node:
    """Elements are moved apart by far more than they can change, so that the largest one is never in doubt."""
    x = kit.a.node
    places = np.random.default_rng(kit.number).permutation(x.size).reshape(x.shape) / x.size
    return x * (0.1 / (x.size * max(kit.a.bound, 1))) + g.constant(places, D)


def _max(kit: Kit) -> Bounded:
    return Bounded(g.max(_apart(kit), _axis(kit)), 2.0)


def _reduce(kit: Kit) -> Bounded:
    """Over any axes, with others in between."""
    x, n = kit.a.node, kit.number
    axes = [axis for axis in range(x.rank) if n >> axis & 1] or [x.rank - 1]
    kind = n // 16 % 3
    if kind == 0:
        total = g.sum(x, axes)
        return tamed(total, kit.a.bound * x.size / total.size)
    if kind == 1:
        return Bounded(g.max(_apart(kit), axes), 2.0)
    return Bounded(g.cast(g.argmax(_apart(kit), axes), D) / x.size, 1.0)


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
    return tamed(product, kit.a.bound * kit.b.bound * 3)


def _window(kit: Kit) -> Bounded:
    x, axis = kit.a.node, _axis(kit)
    size = 1 + kit.number % min(2, x.shape[axis])
    return Bounded(g.window(x, [axis], [size], [1 + kit.number // 7 % 2]), kit.a.bound)


def _windows(kit: Kit) -> Bounded:
    """A window of windows, along the same axis or along the taps; perhaps with a kernel that sums both."""
    x, n, axis = kit.a.node, kit.number, _axis(kit)
    around = [1 if k == axis else 0 for k in range(x.rank)]
    first = g.window(g.pad(x, around, around), [axis], [2], [1 + n % 2], [1 + n // 2 % 2])
    second = axis if n // 4 % 2 else first.rank - 1
    size = min(2, first.shape[second])
    both = g.window(first, [second], [size], [1 + n // 8 % 2])
    if n // 16 % 2:
        return Bounded(both, kit.a.bound)
    last = both.shape[-2:]
    kernel = shaped(kit.b.node, last) + g.constant(np.arange(1.0 * math.prod(last)).reshape(last) / 4, D)
    letters = "abcdefgh"[: both.rank]
    product = g.contract(both, kernel, f"{letters},{letters[-2:]}->{letters[:-2]}")
    return tamed(product, kit.a.bound * (kit.b.bound + math.prod(last) / 4) * math.prod(last))


def _fold(kit: Kit) -> Bounded:
    x = kit.a.node
    if x.rank < 2:
        return kit.a
    count, size, stride = x.shape[0], x.shape[-1], 1 + kit.number % 2
    length = (count - 1) * stride + size + kit.number // 2 % stride
    return tamed(g.fold(x, [0], [size], [stride], [1], [length]), kit.a.bound * size)


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
    return tamed(g.scatter_add(x, index, 3), kit.a.bound * 5)


def _looked_up(kit: Kit) -> Bounded:
    """Each row of an array looks up, or adds up, by indices of its own; some of them are out of range."""
    x, n = kit.a.node, kit.number
    rows = x.shape[0]
    if x.rank < 2:
        return kit.a
    taken = x.shape[1] if n % 2 else 3
    index = g.reshape(g.rem(g.iota(rows * taken) * 5 + n, x.shape[1] + 1), (rows, taken))
    if n % 2:
        return tamed(g.scatter_add(x, index, 1 + n // 2 % 4, 1, 1), kit.a.bound * taken)
    return Bounded(g.gather(x, index, 1, 1), kit.a.bound)


def _whole(kit: Kit) -> Bounded:
    """Whole numbers, which both engines have to get to the bit; they enter as a part of 8, or as a choice."""
    x, n = kit.a.node, kit.number
    if not x.size:
        return kit.a
    places = g.reshape(g.iota(x.size), x.shape)
    other = g.broadcast_to(g.reshape(g.input("index", (5,), "int32")[n % 5], ()), x.shape)
    small, words = g.cast(places, "uint8"), (g.cast(other, "uint32"), g.cast(places, "uint32"))
    long = g.cast(places, "int64")
    made = (
        lambda: places * other - 7,
        lambda: g.rem(places * 7 - 5, other),
        lambda: g.logical_or(g.logical_and(places, other), g.logical_xor(places, 5)),
        lambda: g.shift_left(places, other) + g.shift_right(other - 9, places),
        lambda: g.cast(small * 77 + small, "int32"),
        lambda: g.cast(g.shift_right(g.random_bits(*words, "fuzz"), 20), "int32"),
        lambda: g.cast(g.floor(g.cast(places - 3, D) * 0.75), "int32"),
        lambda: g.cast(g.rem(g.cast(places - 3, D) * 0.75, g.cast(other, D) - 0.5) * 8, "int32"),
        lambda: g.cast(g.broadcast_to(g.sum(long), x.shape) - g.shift_right(long * 2**33, 31), "int32"),
    )[n // 5 % 9]()
    if n % 2:
        chosen = g.logical_or(g.lt(made, other), g.logical_not(g.le(made, 3)))
        return Bounded(g.select(chosen, x, x * 0.5), kit.a.bound)
    return Bounded(g.cast(g.rem(made, 8), D) / 8, 1.0)


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


PLAIN: dict[str, Step] = {
    "neg": lambda kit: Bounded(-kit.a.node, kit.a.bound),
    "exp": lambda kit: tamed(g.exp(kit.a.node), math.exp(kit.a.bound)),
    "expm1": lambda kit: tamed(g.expm1(kit.a.node), math.exp(kit.a.bound)),
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
    "reduce": _reduce,
    "windows": _windows,
    "looked up": _looked_up,
    "whole": _whole,
    # What a rewriting pass lives on.
    "neutral": lambda kit: Bounded((kit.a.node * 1 + 0) / 1 - 0, kit.a.bound),
    "doubled": lambda kit: Bounded(g.make("neg", (-kit.a.node,)), kit.a.bound),
    "number": lambda kit: Bounded(g.full(kit.a.node.shape, (0.0, 1.0, -1.0, 0.5)[kit.number % 4], D), 1.0),
    "nothing": lambda kit: Bounded(kit.a.node * 0 + (kit.b.node - kit.b.node if kit.a == kit.b else 0), 0.5),
}
#: These want at least one axis.
WANT_AXES = frozenset(
    "max reverse broadcast slice concatenate window fold gather scatter_add scan transpose reduce windows".split()
) | {"looked up"}
