"""Folds of products: the gradient of a convolution's input as a convolution of what comes back.

``fold(contract(g, w))`` lays the product of every window out in memory and adds up what overlaps. The same sums are a
product of windows over g, its borders filled with zeros, with the kernel turned round. With a stride s, output s·m + r
is reached by the taps r, r + s, … alone: a product for each phase r, and the phases by turns. Zeros are never stuffed
in between.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.graph import (
    Graph,
    Node,
    concatenate,
    full,
    make,
    pad,
    remake,
    reshape,
    reverse,
    topological,
    transpose,
    window,
)
from chainrule.graph import slice as cut
from chainrule.graph.building import canonical
from chainrule.graph.program import body_nodes

Range = tuple[int, int]


def unfold(graph: Graph, alone_only: bool = False) -> Graph:
    """The graph with each fold of a product that nobody else reads as a product of windows.

    With ``alone_only`` just those of products that sum nothing, which have to be found before they are rewritten as
    what they are then: a multiplication.

    Of what is cut out of a fold, just that is computed. Folds with a stride and a dilation along one axis stay. Where
    windows do not overlap, as those of most pooling, there is nothing to add up: a fold of them only moves.
    """
    users: dict[Node, int] = {}
    kept = {*graph.outputs.values()}
    for node in topological(graph.outputs.values(), bodies=True):
        kept.update(body_nodes(node))
        for below in {*node.inputs}:
            users[below] = users.get(below, 0) + 1
    folds: dict[Node, _Fold] = {}

    def alone(node: Node) -> bool:
        return users.get(node) == 1 and node not in kept

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "fold" and _apart(node) and not alone_only:
            return _side_by_side(remake(node, inputs))
        if node.op == "fold" and node.inputs[0].op == "contract" and alone(node.inputs[0]):
            found = _read(remake(node, inputs))
            if found is not None and not (alone_only and found.sums):
                folds[node] = found
                return _lowered(found, [(0, length) for length in found.lengths])
        if node.op == "slice" and node.inputs[0] in folds and alone(node.inputs[0]):
            return _part(node, folds[node.inputs[0]])
        return remake(node, inputs)

    return graph.map(change)


def _apart(node: Node) -> bool:
    """Whether the windows of a fold lie next to each other, without gap or overlap."""
    attributes = node.attributes
    return attributes["sizes"] == attributes["strides"] and all(
        dilation == 1 or size == 1 for size, dilation in zip(attributes["sizes"], attributes["dilations"], strict=True)
    )


def _side_by_side(node: Node) -> Node:
    """A fold of windows that do not overlap: each tap behind its position, and the two as one axis."""
    (x,), axes, lengths = node.inputs, node.attributes["axes"], node.attributes["lengths"]
    taps = dict(zip(axes, range(node.rank, x.rank), strict=True))
    order = [place for axis in range(node.rank) for place in ((axis, taps[axis]) if axis in taps else (axis,))]
    joined = [size * x.shape[taps[axis]] if axis in taps else size for axis, size in enumerate(x.shape[: node.rank])]
    found = reshape(transpose(x, order), joined)
    missing = [0] * node.rank
    for axis, length in zip(axes, lengths, strict=True):
        missing[axis] = length - joined[axis]
    return pad(found, [0] * node.rank, missing) if any(missing) else found


@dataclass(frozen=True)
class _Fold:
    """A fold of a product: ``positions`` and ``taps`` are its letters for each axis that is folded."""

    g: Node
    w: Node
    g_letters: tuple[int, ...]
    w_letters: tuple[int, ...]
    out: tuple[int, ...]
    first: bool
    axes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    lengths: tuple[int, ...]

    @property
    def sums(self) -> bool:
        """Whether the product sums anything."""
        return any(letter not in self.out for letter in (*self.g_letters, *self.w_letters))

    @property
    def positions(self) -> list[int]:
        return [self.out[axis] for axis in self.axes]

    @property
    def taps(self) -> tuple[int, ...]:
        return self.out[len(self.out) - len(self.axes) :]


def _read(node: Node) -> _Fold | None:
    """A fold in the words above, or None where it stays what it is."""
    product, attributes = node.inputs[0], node.attributes
    if product.op != "contract" or not product.size:
        return None
    form = [tuple(attributes[name]) for name in ("axes", "strides", "dilations", "lengths")]
    if any(stride > 1 and dilation > 1 for stride, dilation in zip(form[1], form[2], strict=True)):
        return None
    letters = [tuple(product.attributes[name]) for name in ("a_axes", "b_axes")]
    for g, w in ((0, 1), (1, 0)):
        found = _Fold(
            product.inputs[g],
            product.inputs[w],
            letters[g],
            letters[w],
            tuple(product.attributes["out_axes"]),
            g == 0,
            *form,
        )
        own = all(k in letters[g] and k not in letters[w] for k in found.positions)
        if own and all(k in letters[w] and k not in letters[g] for k in found.taps):
            return found
    return None


def _part(node: Node, fold: _Fold) -> Node:
    """What a slice takes out of a fold."""
    starts, stops, steps = (list(node.attributes[name]) for name in ("starts", "stops", "steps"))
    ranges = []
    for axis, length in zip(fold.axes, fold.lengths, strict=True):
        if steps[axis] == 1 and stops[axis] > starts[axis]:
            ranges.append((starts[axis], stops[axis]))
            starts[axis], stops[axis] = 0, stops[axis] - starts[axis]
        else:
            ranges.append((0, length))
    return _cut(_lowered(fold, ranges), starts, stops, steps)


def _lowered(fold: _Fold, ranges: Sequence[Range]) -> Node:
    """The elements of a fold in these ranges, along the axes that are folded."""
    blocks = [(start // stride, -(-stop // stride)) for (start, stop), stride in zip(ranges, fold.strides, strict=True)]
    sizes = [fold.w.shape[fold.w_letters.index(tap)] for tap in fold.taps]
    # Where all phases have as many taps, the phase is but one more axis of the product.
    even = [size % stride == 0 for size, stride in zip(sizes, fold.strides, strict=True)]
    counts = [1 if whole else stride for whole, stride in zip(even, fold.strides, strict=True)]
    # Padded once, for the phase with the most taps.
    g = fold.g
    for position, size, stride, dilation, (begin, end) in zip(
        fold.positions, sizes, fold.strides, fold.dilations, blocks, strict=True
    ):
        g = _stretch(g, fold.g_letters.index(position), begin - (-(-size // stride) - 1) * dilation, end)
    phases = {phase: _phase(fold, phase, counts, blocks, g) for phase in itertools.product(*map(range, counts))}
    for place in reversed(range(len(counts))):  # the last axis first
        rest = {phase[:place] for phase in phases}
        axis = fold.axes[place]
        phases = {before: _interleaved([phases[(*before, r)] for r in range(counts[place])], axis) for before in rest}
    whole = phases[()]
    assert whole is not None, "some tap reaches phase 0"
    starts, stops = [0] * whole.rank, list(whole.shape)
    for axis, (start, stop), (block, _), stride in zip(fold.axes, ranges, blocks, fold.strides, strict=True):
        starts[axis], stops[axis] = start - block * stride, stop - block * stride
    return _cut(whole, starts, stops, [1] * whole.rank)


def _phase(fold: _Fold, phase: Sequence[int], counts: Sequence[int], blocks: Sequence[Range], g: Node) -> Node | None:
    """Every count-th output along each axis, from one on, of g with its borders; None where no tap reaches them."""
    w, places, sizes = fold.w, [], []
    w_letters = list(fold.w_letters)
    out = list(fold.out[: len(fold.out) - len(fold.axes)])
    shape = dict(zip(fold.out, _shape(fold), strict=True))
    fresh = max((*fold.g_letters, *fold.w_letters)) + 1
    for place, (position, tap, r, (begin, end)) in enumerate(
        zip(fold.positions, fold.taps, phase, blocks, strict=True)
    ):
        axis, stride = w_letters.index(tap), fold.strides[place]
        if counts[place] > 1:
            w = _every(w, axis, r, stride)
        elif stride > 1:
            w = reshape(w, (*w.shape[:axis], w.shape[axis] // stride, stride, *w.shape[axis + 1 :]))
            w_letters.insert(axis + 1, fresh)
            out.insert(out.index(position) + 1, fresh)
            shape[fresh], fresh = stride, fresh + 1
        size = w.shape[axis]
        if not size:
            return None
        along = fold.g_letters.index(position)
        # As many borders as these taps need.
        reach = end - begin + (size - 1) * fold.dilations[place]
        g = _every(g, along, g.shape[along] - reach, 1)
        shape[position] = end - begin
        places.append(along)
        sizes.append(size)
    windows = window(g, places, sizes, None, fold.dilations)
    # The windows are read backwards, not the kernel: that is but another index.
    turned = [g.rank + place for place, size in enumerate(sizes) if size > 1]
    windows = reverse(windows, turned) if turned else windows
    letters = (*fold.g_letters, *fold.taps)
    if fold.first:
        made = make("contract", (windows, w), **canonical(letters, w_letters, out))
    else:
        made = make("contract", (w, windows), **canonical(w_letters, letters, out))
    joined = [shape[letter] for letter in fold.out[: len(fold.out) - len(fold.axes)]]
    for axis, stride, count in zip(fold.axes, fold.strides, counts, strict=True):
        joined[axis] *= stride if count == 1 else 1
    return reshape(made, joined)


def _shape(fold: _Fold) -> list[int]:
    sizes = dict(zip(fold.g_letters, fold.g.shape, strict=True)) | dict(zip(fold.w_letters, fold.w.shape, strict=True))
    return [sizes[letter] for letter in fold.out]


def _interleaved(parts: Sequence[Node | None], axis: int) -> Node | None:
    """Elements by turns from each part, along an axis; what is None is zeros."""
    some = next((part for part in parts if part is not None), None)
    if len(parts) == 1 or some is None:
        return some
    if sum(part is not None for part in parts) == 1:
        place = next(number for number, part in enumerate(parts) if part is not None)
        low, high, between = ([n if k == axis else 0 for k in range(some.rank)] for n in (
            place, len(parts) - 1 - place, len(parts) - 1
        ))  # fmt: skip
        return pad(some, low, high, between)
    shape = some.shape
    apart = (*shape[: axis + 1], 1, *shape[axis + 1 :])
    listed = [reshape(part, apart) if part is not None else full(apart, 0.0, some.dtype) for part in parts]
    return reshape(concatenate(listed, axis + 1), (*shape[:axis], shape[axis] * len(parts), *shape[axis + 1 :]))


def _every(x: Node, axis: int, start: int, step: int) -> Node:
    starts = [min(start, size) if k == axis else 0 for k, size in enumerate(x.shape)]
    return _cut(x, starts, x.shape, [step if k == axis else 1 for k in range(x.rank)])


def _stretch(x: Node, axis: int, begin: int, end: int) -> Node:
    """The elements from begin to end along an axis, zeros where there are none."""
    size = x.shape[axis]
    first, last = min(max(begin, 0), size), max(min(end, size), 0)
    starts = [first if k == axis else 0 for k in range(x.rank)]
    stops = [max(last, first) if k == axis else length for k, length in enumerate(x.shape)]
    part = _cut(x, starts, stops, [1] * x.rank)
    missing = (end - begin) - part.shape[axis]
    before = min(max(-begin, 0), missing)
    if not missing:
        return part
    low = [before if k == axis else 0 for k in range(x.rank)]
    high = [missing - before if k == axis else 0 for k in range(x.rank)]
    if part.op == "pad" and not any(part.attributes["interior"]) and part.attributes["value"] == 0:
        # One border around all: a product steps over that, and not over a border within another.
        low = [a + b for a, b in zip(low, part.attributes["low"], strict=True)]
        high = [a + b for a, b in zip(high, part.attributes["high"], strict=True)]
        part = part.inputs[0]
    return pad(part, low, high)


def _cut(x: Node, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int]) -> Node:
    whole = not any(starts) and tuple(stops) == x.shape and all(step == 1 for step in steps)
    return x if whole else cut(x, starts, stops, steps)
