"""Rewrites of sums, maxima and contractions: what repeats is counted, what is common leaves the sum."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.graph.building import canonical
from chainrule.graph.node import Node, full
from chainrule.graph.ops import FLOATS
from chainrule.graph.rewrites.common import Make, repeated, without


def of_sum(node: Node, make: Make) -> Node | None:
    """A sum of what was summed, repeated, scaled, padded or contracted."""
    (x,) = node.inputs
    axes = node.attributes["axes"]
    match x.op:
        case "neg":
            return make("neg", make("sum", x.inputs[0], axes=axes))
        case "sum":
            return make("sum", x.inputs[0], axes=_through(axes, x.attributes["axes"], x.inputs[0].rank))
        case "reshape" if len(axes) == x.rank:
            return make("sum", x.inputs[0], axes=tuple(range(x.inputs[0].rank)))
        case "broadcast":
            return _sum_of_broadcast(x, axes, make)
        case "contract":
            return _sum_of_contract(x, axes, make)
        case "mul" | "div":
            return _sum_of_product(x, axes, make)
        case "pad" if x.attributes["value"] == 0:
            low, high, inner = (x.attributes[name] for name in ("low", "high", "interior"))
            if all(axis in axes or not (low[axis] or high[axis] or inner[axis]) for axis in range(x.rank)):
                return make("sum", x.inputs[0], axes=axes)
    return None


def _through(axes: Sequence[int], gone: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes of a reduction of a reduction, as axes of the array below both."""
    kept = [axis for axis in range(rank) if axis not in gone]
    return tuple(sorted([*gone, *(kept[axis] for axis in axes)]))


def _sum_of_broadcast(x: Node, axes: Sequence[int], make: Make) -> Node | None:
    """Repetitions are counted, not added up."""
    new = x.attributes["axes"]
    counted = [axis for axis in axes if axis in new]
    if counted and x.dtype not in FLOATS:
        return None
    source = x.inputs[0]
    old = [axis for axis in range(x.rank) if axis not in new]
    total = make("sum", source, axes=tuple(old.index(axis) for axis in axes if axis in old))
    left = [axis for axis in new if axis not in axes]
    count = math.prod(x.shape[axis] for axis in counted)
    times = make("mul", total, full(total.shape, count, x.dtype)) if count else full(total.shape, 0, x.dtype)
    return repeated(make, times, without(left, axes), [x.shape[axis] for axis in left])


def _sum_of_product(x: Node, axes: Sequence[int], make: Make) -> Node | None:
    """A factor that is the same along an axis leaves the sum over it; so does a divisor.

    Where infinities meet, the two sides may part: ∞·2 + ∞·(−1) is ∞ − ∞, so NaN, and ∞·(2 − 1) is ∞. Neither is finite,
    but a function behind the sum that flattens infinity, as tanh does, hides the one and not the other. Whether an
    operand may be infinite is not to be known when a graph is built, and with all factors left inside, each element of
    a mean or of a normalization would be multiplied, and sums that are the same but for a factor would be two: so it
    is done, and said. Likewise, finite products that overflow inside the sum may not do so outside, and the reverse.
    """
    a, b = x.inputs
    for one, other, is_first in ((b, a, False), (a, b, True)):
        if one.op != "broadcast" or (is_first and x.op == "div"):
            continue
        shared = [axis for axis in axes if axis in one.attributes["axes"]]
        if shared and all(x.shape[axis] for axis in shared):
            left = [axis for axis in one.attributes["axes"] if axis not in shared]
            factor = repeated(make, one.inputs[0], without(left, shared), [one.shape[axis] for axis in left])
            product = make(x.op, make("sum", other, axes=tuple(shared)), factor)
            return make("sum", product, axes=tuple(without(axes, shared)))
    return None


def _sum_of_contract(x: Node, axes: Sequence[int], make: Make) -> Node | None:
    """A letter that both operands have is summed inside; one that only one operand has is summed in that operand.

    Not where that operand is windows that have more elements than the product: the product of a convolution is there
    anyway, and its sum is less work.
    """
    letters = [list(x.attributes[name]) for name in ("a_axes", "b_axes")]
    out = x.attributes["out_axes"]
    operands = list(x.inputs)
    gone = {out[axis] for axis in axes}
    if not gone or not all(x.shape[axis] for axis in axes):
        return None
    for number in (0, 1):
        alone = [axis for axis, k in enumerate(letters[number]) if k in gone and k not in letters[1 - number]]
        if alone and operands[number].op in ("window", "reverse") and operands[number].size > x.size:
            return None
        operands[number] = make("sum", operands[number], axes=tuple(alone))
        letters[number] = [k for axis, k in enumerate(letters[number]) if axis not in alone]
    return make("contract", *operands, **canonical(letters[0], letters[1], [k for k in out if k not in gone]))


def of_max(node: Node, make: Make) -> Node | None:
    """A maximum of maxima, or of what repeats."""
    (x,) = node.inputs
    axes = node.attributes["axes"]
    if x.op == "max":
        return make("max", x.inputs[0], axes=_through(axes, x.attributes["axes"], x.inputs[0].rank))
    if x.op == "broadcast" and any(axis in x.attributes["axes"] for axis in axes):
        new = x.attributes["axes"]
        old = [axis for axis in range(x.rank) if axis not in new]
        left = [axis for axis in new if axis not in axes]
        largest = make("max", x.inputs[0], axes=tuple(old.index(axis) for axis in axes if axis in old))
        return repeated(make, largest, without(left, axes), [x.shape[axis] for axis in left])
    return None


def single(node: Node, make: Make) -> Node | None:
    """A reduction of one element each is a reshape."""
    (x,) = node.inputs
    if all(x.shape[axis] == 1 for axis in node.attributes["axes"]):
        return make("reshape", x, shape=node.shape)
    return None


def of_contract(node: Node, make: Make) -> Node | None:
    """A contraction of what was transposed or repeated, and one that sums nothing."""
    letters = [list(node.attributes[name]) for name in ("a_axes", "b_axes")]
    out = list(node.attributes["out_axes"])
    for number, x in enumerate(node.inputs):
        if x.op == "transpose":
            operands = list(node.inputs)
            operands[number] = x.inputs[0]
            order = x.attributes["axes"]
            letters[number] = [letters[number][order.index(axis)] for axis in range(x.rank)]
            return make("contract", *operands, **canonical(letters[0], letters[1], out))
        if x.op == "broadcast":
            return _contract_of_broadcast(node, number, make)
    for k in letters[0]:
        if k in letters[1] and k not in out and node.inputs[0].shape[letters[0].index(k)] == 1:
            return _contract_of_one(node, k, make)
    everywhere = set(letters[0]) & set(letters[1]) & set(out)
    if everywhere == {*letters[0], *letters[1]}:
        # Nothing is summed: this is a product, element by element.
        return make("mul", *(_ordered(make, x, axes, out) for x, axes in zip(node.inputs, letters, strict=True)))
    for number in (0, 1):
        scalar, other = node.inputs[number], node.inputs[1 - number]
        if not scalar.shape:
            whole = _ordered(make, other, letters[1 - number], out)
            return make("mul", whole, repeated(make, scalar, range(node.rank), node.shape))
    if all(k in out for k in (*letters[0], *letters[1])):
        return _outer(node, make)
    return None


def _contract_of_one(node: Node, letter: int, make: Make) -> Node:
    """A sum over one element, without it."""
    operands, letters = [], []
    for x, name in zip(node.inputs, ("a_axes", "b_axes"), strict=True):
        axes = list(node.attributes[name])
        gone = axes.index(letter)
        operands.append(make("reshape", x, shape=x.shape[:gone] + x.shape[gone + 1 :]))
        letters.append([k for k in axes if k != letter])
    return make("contract", *operands, **canonical(letters[0], letters[1], node.attributes["out_axes"]))


def _outer(node: Node, make: Make) -> Node:
    """Where nothing is summed: each operand repeated along the letters of the other, and multiplied."""
    out = list(node.attributes["out_axes"])
    factors = []
    for x, name in zip(node.inputs, ("a_axes", "b_axes"), strict=True):
        axes = list(node.attributes[name])
        own = [k for k in out if k in axes]
        new = [place for place, k in enumerate(out) if k not in axes]
        factors.append(repeated(make, _ordered(make, x, axes, own), new, [node.shape[place] for place in new]))
    return make("mul", *factors)


def _ordered(make: Make, x: Node, letters: list[int], out: list[int]) -> Node:
    return make("transpose", x, axes=tuple(letters.index(k) for k in out))


def _contract_of_broadcast(node: Node, number: int, make: Make) -> Node | None:
    """A letter along which an operand repeats is dropped from it, and the other operand or the output bears it."""
    letters = [list(node.attributes[name]) for name in ("a_axes", "b_axes")]
    out = list(node.attributes["out_axes"])
    operands = list(node.inputs)
    x, other = operands[number], operands[1 - number]
    dropped = {letters[number][axis] for axis in x.attributes["axes"]}
    operands[number] = x.inputs[0]
    letters[number] = [k for k in letters[number] if k not in dropped]
    summed = [axis for axis, k in enumerate(letters[1 - number]) if k in dropped and k not in out]
    if not all(other.shape[axis] for axis in summed):
        return None  # a sum of nothing is 0, and 0 times what stands outside might not be
    operands[1 - number] = make("sum", other, axes=tuple(summed))
    letters[1 - number] = [k for axis, k in enumerate(letters[1 - number]) if axis not in summed]
    new = [axis for axis, k in enumerate(out) if k in dropped and k not in letters[1 - number]]
    inner = [k for axis, k in enumerate(out) if axis not in new]
    product = make("contract", *operands, **canonical(letters[0], letters[1], inner))
    return repeated(make, product, new, [node.shape[axis] for axis in new])
