"""Ops that move elements about, and compute nothing: the value at an index is that of an operand at another index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from chainrule.engines.native.text import Value
from chainrule.engines.native.types import literal
from chainrule.graph import Node

if TYPE_CHECKING:  # the table of expressions is made with the one below
    from chainrule.engines.native.expressions import Emitter, Index


def strides(shape: Sequence[int]) -> list[int]:
    """Row-major strides, in elements."""
    steps = [1] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        steps[axis] = steps[axis + 1] * shape[axis + 1]
    return steps


def _reshape(e: Emitter, node: Node, index: Index) -> str:
    (x,) = node.inputs
    if x in e.stored:
        place: Value = 0
        for at, step in zip(index, strides(node.shape), strict=True):
            place = e.writer.add(place, e.writer.mul(at, step))
        return e.load_at(x, place)
    # Axes that the two shapes share, at either end, keep their indices; only what lies between is counted through.
    old, new = list(x.shape), list(node.shape)
    front = 0
    while front < min(len(old), len(new)) and old[front] == new[front]:
        front += 1
    back = 0
    while back < min(len(old), len(new)) - front and old[-1 - back] == new[-1 - back]:
        back += 1
    flat: Value = 0
    for at, size in zip(index[front : len(new) - back], new[front : len(new) - back], strict=True):
        flat = e.writer.add(e.writer.mul(flat, size), at)
    middle: list[Value] = []
    for size, step in zip(old[front : len(old) - back], strides(old[front : len(old) - back]), strict=True):
        middle.append(e.writer.rem(e.writer.div(flat, step), size) if middle else e.writer.div(flat, step))
    return e.value(x, (*index[:front], *middle, *index[len(new) - back :]))


def _transpose(e: Emitter, node: Node, index: Index) -> str:
    inner: list[Value] = [0] * len(index)
    for at, axis in zip(index, node.attributes["axes"], strict=True):
        inner[axis] = at
    return e.value(node.inputs[0], tuple(inner))


def _reverse(e: Emitter, node: Node, index: Index) -> str:
    axes = node.attributes["axes"]
    pairs = enumerate(zip(index, node.shape, strict=True))
    turned = tuple(e.writer.sub(size - 1, at) if axis in axes else at for axis, (at, size) in pairs)
    return e.value(node.inputs[0], turned)


def _broadcast(e: Emitter, node: Node, index: Index) -> str:
    return e.value(node.inputs[0], tuple(at for axis, at in enumerate(index) if axis not in node.attributes["axes"]))


def _slice(e: Emitter, node: Node, index: Index) -> str:
    parts = zip(index, node.attributes["starts"], node.attributes["steps"], strict=True)
    return e.value(node.inputs[0], tuple(e.writer.add(e.writer.mul(at, step), start) for at, start, step in parts))


def _pad(e: Emitter, node: Node, index: Index) -> str:
    (x,) = node.inputs
    low, interior = node.attributes["low"], node.attributes["interior"]
    if not x.size:
        return literal(node.attributes["value"], node.dtype)
    inside, inner, harmless = "", [], []
    for at, start, gap, size, whole in zip(index, low, interior, x.shape, node.shape, strict=True):
        if size == whole:
            inner.append(at)
            harmless.append(at)
            continue
        place = e.writer.sub(at, start)
        checks = []
        if gap:
            place = e.writer.emit(f"add i64 {place}, 0") if isinstance(place, int) else place
            rest = e.writer.emit(f"srem i64 {place}, {gap + 1}")
            checks.append(e.writer.emit(f"icmp eq i64 {rest}, 0"))
            place = e.writer.emit(f"sdiv i64 {place}, {gap + 1}")
            # -1 / 2 is 0 here, so the rest has to be asked as well; it is.
        fits, safe = e.within(place, size)
        inner.append(place)
        harmless.append(safe)
        for check in (*checks, fits):
            inside = e.writer.emit(f"and i1 {inside}, {check}") if inside else check
    if not inside:
        return e.value(x, tuple(inner))
    return e.where(inside, x, tuple(inner), tuple(harmless), literal(node.attributes["value"], node.dtype))


def _window(e: Emitter, node: Node, index: Index) -> str:
    (x,) = node.inputs
    axes, strides_, dilations = (node.attributes[name] for name in ("axes", "strides", "dilations"))
    inner = list(index[: x.rank])
    for axis, stride, dilation, tap in zip(axes, strides_, dilations, index[x.rank :], strict=True):
        inner[axis] = e.writer.add(e.writer.mul(inner[axis], stride), e.writer.mul(tap, dilation))
    return e.value(x, tuple(inner))


def _gather(e: Emitter, node: Node, index: Index) -> str:
    x, i = node.inputs
    axis, batch = node.attributes["axis"], node.attributes["batch"]
    taken = i.rank - batch
    at = e.row(i, (*index[:batch], *index[axis : axis + taken]))
    if not x.size and x not in e.lengths:
        return literal(0, node.dtype)
    inside, safe = e.within(at, e.lengths.get(x, x.shape[axis]))
    value = e.value(x, (*index[:axis], safe, *index[axis + taken :]))
    return e.select(inside, value, literal(0, node.dtype), node.dtype)


#: op -> its part of the table of expressions.
MOVES: dict[str, Callable[[Emitter, Node, Index], str]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "reverse": _reverse,
    "broadcast": _broadcast,
    "slice": _slice,
    "pad": _pad,
    "window": _window,
    "gather": _gather,
}
