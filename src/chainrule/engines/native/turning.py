"""Transposes at the speed of memory: blocks of lanes × lanes elements, turned in registers.

A block is read by vectors along the source's last axis and written by vectors along the output's. In between, elements
change places in log2(lanes) stages: first among the elements of each 128 bits, then 128 bits at a time, which is what
processors have instructions for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.engines.native.expressions import Emitter, Index
from chainrule.engines.native.moves import strides
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.text import Value
from chainrule.engines.native.types import BYTES, MEMORY, mask, power_of_two
from chainrule.graph import FLOATS, Node

Turn = Callable[[Value, int], None]


def turns(node: Node) -> bool:
    """Whether a node is a transpose with another innermost axis: if it is stored, it is written by blocks."""
    if node.op != "transpose" or node.dtype not in FLOATS or not node.size:
        return False
    order = [axis for axis in node.attributes["axes"] if node.inputs[0].shape[axis] > 1]
    return len(order) > 1 and order[-1] != max(order)


@dataclass(frozen=True, eq=False)
class _Axis:
    """Neighbouring axes of the output that are neighbours in the source too, as one."""

    size: int
    #: How far apart its elements are in the source, and in the output.
    source: int
    target: int
    #: The part of this core, where the axis is shared, and whether it is whole blocks but at the end.
    bounds: tuple[Value, Value] | None = None
    unit: int = 1


def write(e: Emitter, root: Node, part: Share | None) -> None:
    """Write the loops of a transpose."""
    behind = root.inputs[0]
    while behind.op == "reshape" and behind not in e.stored:
        behind = behind.inputs[0]
    axes = _axes(e, root, part, merge=behind in e.stored)
    row, column = (max((a for a in axes if getattr(a, way) == 1), key=_size) for way in ("source", "target"))
    lanes = min(e.vector_bytes // BYTES[root.dtype], power_of_two(max(row.size, column.size)))
    scratch = "" if behind in e.stored else e.writer.emit(f"alloca [{lanes * lanes} x {MEMORY[root.dtype]}], align 64")
    outer = [axis for axis in axes if axis not in (row, column)]

    def block(at: dict[_Axis, Value], rows: int, columns: int) -> None:
        source, target = (_place(e, at, way) for way in ("source", "target"))
        if scratch:
            _gather(
                e,
                root,
                [at[axis] for axis in axes],
                (axes.index(row), axes.index(column)),
                rows,
                columns,
                lanes,
                scratch,
            )
            read = [_element(e, root.dtype, scratch, n * lanes) for n in range(columns)]
        else:
            base = e.stored[behind]
            read = [_element(e, root.dtype, base, e.writer.add(source, n * column.source)) for n in range(columns)]
        vectors = [_load(e, root.dtype, pointer, rows, lanes) for pointer in read]
        kind = f"<{lanes} x {MEMORY[root.dtype]}>"
        turned = _turned(e, kind, [*vectors, *["poison"] * (lanes - columns)], 16 // BYTES[root.dtype])
        for n in range(rows):
            pointer = _element(e, root.dtype, "%out", e.writer.add(target, n * row.target))
            _store(e, root.dtype, pointer, turned[n], columns, lanes)

    def inner(at: dict[_Axis, Value]) -> None:
        def over_rows(second: Value, columns: int) -> None:
            def across(first: Value, rows: int) -> None:
                here = _Axis(columns, column.source, column.target)
                _steps(
                    e,
                    here,
                    lanes,
                    lambda more, many: block({**at, row: first, column: e.writer.add(second, more)}, rows, many),
                )

            _steps(e, row, lanes, across)

        # So many columns that a line of memory is written whole, before others push it out of the cache.
        _steps(e, column, lanes * max(64 // (lanes * BYTES[root.dtype]), 1), over_rows)

    def nest(left: Sequence[_Axis], at: dict[_Axis, Value]) -> None:
        if not left:
            inner(at)
            return
        begin, end = left[0].bounds or (0, left[0].size)
        with e.writer.loop(end, start=begin) as (index, _):
            e.enter()
            nest(left[1:], {**at, left[0]: index})
            e.leave()

    nest(outer, {})


def _axes(e: Emitter, root: Node, part: Share | None, *, merge: bool) -> list[_Axis]:
    """The output's axes, made as few as they can be: an axis that is shared begins one."""
    source, target = strides(root.inputs[0].shape), strides(root.shape)
    order = root.attributes["axes"]
    found: list[list[int]] = []
    before = -1
    for axis, size in enumerate(root.shape):
        shared = part is not None and part.axis == axis
        if merge and size == 1 and not shared:
            continue
        follows = merge and bool(found) and not shared and _follow(root, order[before], order[axis])
        if follows:
            found[-1].append(axis)
        else:
            found.append([axis])
        before = axis
    axes = []
    for group in found:
        inner = math.prod(root.shape[axis] for axis in group[1:])
        size, last = root.shape[group[0]] * inner, group[-1]
        if part is not None and part.axis == group[0]:
            bounds = e.writer.mul("%lo", inner), e.writer.mul("%hi", inner)
            axes.append(_Axis(size, source[order[last]], target[last], bounds, part.unit * inner))
        else:
            axes.append(_Axis(size, source[order[last]], target[last]))
    return axes


def _size(axis: _Axis) -> int:
    return axis.size


def _follow(root: Node, first: int, second: int) -> bool:
    """Whether an axis of the source comes right after another, but for such as have one element."""
    return first < second and all(size == 1 for size in root.inputs[0].shape[first + 1 : second])


def _place(e: Emitter, at: dict[_Axis, Value], way: str) -> Value:
    place: Value = 0
    for axis, index in at.items():
        place = e.writer.add(place, e.writer.mul(index, axis.source if way == "source" else axis.target))
    return place


def _steps(e: Emitter, axis: _Axis, step: int, turn: Turn) -> None:
    """Go along an axis by blocks, and through what is left by a smaller one: ``turn(start, how many)``."""
    w = e.writer

    def scoped(start: Value, many: int) -> None:
        e.enter()
        turn(start, many)
        e.leave()

    full, rest = divmod(axis.size, step)
    if axis.bounds is None or axis.unit % step == 0:
        begin, end = axis.bounds or (0, full * step)
        with w.loop(w.div(end, step), start=w.div(begin, step)) as (number, _):
            scoped(w.mul(number, step), step)
        if rest and axis.bounds is None:
            scoped(full * step, rest)
        elif rest:
            with w.when(w.emit(f"icmp sgt i64 {end}, {full * step}")):
                scoped(full * step, rest)
        return
    begin, end = axis.bounds
    count = w.div(w.sub(end, begin), step)
    with w.loop(count) as (number, _):
        scoped(w.add(begin, w.mul(number, step)), step)
    with w.loop(end, start=w.add(begin, w.mul(count, step))) as (at, _):
        scoped(at, 1)


def _gather(
    e: Emitter,
    root: Node,
    at: Sequence[Value],
    turning: tuple[int, int],
    rows: int,
    columns: int,
    lanes: int,
    scratch: str,
) -> None:
    """A block of what is not in memory, computed and put there."""
    x = root.inputs[0]

    def place(down: Value, across: Value) -> Index:
        index: list[Value] = [0] * x.rank
        for number, axis in enumerate(root.attributes["axes"]):
            more = down if number == turning[0] else across if number == turning[1] else 0
            index[axis] = e.writer.add(at[number], more)
        return tuple(index)

    with e.writer.loop(columns) as (across, _):
        e.enter()
        with e.writer.loop(rows) as (down, _):
            e.enter()
            value = e.value(x, place(down, across))
            pointer = _element(e, x.dtype, scratch, e.writer.add(e.writer.mul(across, lanes), down))
            e.writer.write(f"store {MEMORY[x.dtype]} {value}, ptr {pointer}, align {BYTES[x.dtype]}")
            e.leave()
        e.leave()


def _turned(e: Emitter, kind: str, vectors: Sequence[str], block: int) -> list[str]:
    """The vectors of a square, turned; ``block`` elements are 128 bits."""
    lanes = len(vectors)
    block = min(block, lanes)

    def shuffle(first: str, second: str, order: Sequence[int]) -> str:
        if first == second == "poison":
            return "poison"
        places = ", ".join(f"i32 {place}" for place in order)
        return e.writer.emit(f"shufflevector {kind} {first}, {kind} {second}, <{lanes} x i32> <{places}>")

    # Within 128 bits: a0 b0 a1 b1, and a2 b2 a3 b3.
    halves = [
        [start + half * block // 2 + n // 2 + n % 2 * lanes for start in range(0, lanes, block) for n in range(block)]
        for half in (0, 1)
    ]
    found: list[str] = []
    for start in range(0, lanes, block):
        group = list(vectors[start : start + block])
        for _ in range(block.bit_length() - 1):
            pairs = zip(group[: block // 2], group[block // 2 :], strict=True)
            group = [shuffle(a, b, half) for a, b in pairs for half in halves]
        found += group
    # By 128 bits: those with even numbers of both, and those with odd ones.
    count = lanes // block
    sides = [
        [side * block + 2 * n * block + k for n in range(count) for k in range(block)] for side in (0, 1)
    ]  # from 0 to 2·lanes: both vectors, one behind the other
    for _ in range(count.bit_length() - 1):
        rows = [found[start : start + block] for start in range(0, lanes, block)]
        mixed = [
            [shuffle(a, b, side) for a, b in zip(rows[n], rows[n + 1], strict=True)]
            for side in sides
            for n in range(0, count, 2)
        ]
        found = [vector for group in mixed for vector in group]
    return found


def _element(e: Emitter, dtype: str, base: str, place: Value) -> str:
    return e.writer.emit(f"getelementptr inbounds {MEMORY[dtype]}, ptr {base}, i64 {place}")


def _load(e: Emitter, dtype: str, pointer: str, count: int, lanes: int) -> str:
    kind, suffix = f"<{lanes} x {MEMORY[dtype]}>", f"v{lanes}f{8 * BYTES[dtype]}"
    if count == lanes:
        return e.writer.emit(f"load {kind}, ptr {pointer}, align {BYTES[dtype]}")
    e.functions.add(f"declare {kind} @llvm.masked.load.{suffix}.p0(ptr, i32, <{lanes} x i1>, {kind})")
    return e.writer.emit(
        f"call {kind} @llvm.masked.load.{suffix}.p0(ptr {pointer}, i32 {BYTES[dtype]}, {mask(count, lanes)}, "
        f"{kind} poison)"
    )


def _store(e: Emitter, dtype: str, pointer: str, vector: str, count: int, lanes: int) -> None:
    kind, suffix = f"<{lanes} x {MEMORY[dtype]}>", f"v{lanes}f{8 * BYTES[dtype]}"
    if count == lanes:
        e.writer.write(f"store {kind} {vector}, ptr {pointer}, align {BYTES[dtype]}")
        return
    if e.vector_bytes < 64:
        # Masked stores are slow here, if there are any.
        start = 0
        for size in (8, 4, 2, 1):
            if count & size:
                places = ", ".join(f"i32 {start + n}" for n in range(size))
                piece = e.writer.emit(f"shufflevector {kind} {vector}, {kind} poison, <{size} x i32> <{places}>")
                place = e.writer.emit(f"getelementptr inbounds {MEMORY[dtype]}, ptr {pointer}, i64 {start}")
                e.writer.write(f"store <{size} x {MEMORY[dtype]}> {piece}, ptr {place}, align {BYTES[dtype]}")
                start += size
        return
    e.functions.add(f"declare void @llvm.masked.store.{suffix}.p0({kind}, ptr, i32, <{lanes} x i1>)")
    e.writer.write(
        f"call void @llvm.masked.store.{suffix}.p0({kind} {vector}, ptr {pointer}, i32 {BYTES[dtype]}, "
        f"{mask(count, lanes)})"
    )
