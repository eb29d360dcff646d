"""Contractions: a register tile of rows × vectors, with the summed axes innermost and nothing copied first.

One operand gives its last axis to the vectors, the other is read element by element and spread: so a window or any
other view may stand there, and is never made. What does not fit this form has plain loops, in ``kernels.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.engines.native.expressions import Emitter, Index
from chainrule.engines.native.sharing import Share, tile_rows
from chainrule.engines.native.text import Value
from chainrule.engines.native.types import BYTES, MEMORY, mask, power_of_two
from chainrule.graph import Node

#: Bytes that stay in the nearest cache anyway.
_NEAR = 32768


@dataclass(frozen=True)
class Tile:
    """A contraction in the tile's form: ``spread`` is read by elements, ``wide`` by vectors along its last axis."""

    root: Node
    spread: Node
    wide: Node
    spread_axes: Sequence[int]
    wide_axes: Sequence[int]
    out_axes: Sequence[int]
    size: dict[int, int]
    row: int
    column: int

    @property
    def summed(self) -> list[int]:
        """The letters that are summed over."""
        return [k for k in self.spread_axes if k not in self.out_axes]

    @property
    def outer(self) -> list[int]:
        """The letters of the loops around the tile."""
        return [k for k in self.out_axes if k not in (self.row, self.column)]


def tile(root: Node, stored: frozenset[Node] | set[Node]) -> Tile | None:
    """The contraction as a tile, or None where neither operand can be read by vectors."""
    a, b = root.inputs
    p, q, out = (root.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
    size = {**dict(zip(p, a.shape, strict=True)), **dict(zip(q, b.shape, strict=True))}
    if not out or not root.size:
        return None
    for spread, wide, spread_axes, wide_axes in ((a, b, p, q), (b, a, q, p)):
        column = out[-1]
        fits = wide_axes and wide_axes[-1] == column and column not in spread_axes and wide in stored
        if fits and size[column] > 1:
            rows = [k for k in out if k not in wide_axes]
            # The tile's rows lie next to each other in memory where they can: fewer lines are touched.
            row = rows[-1] if rows else -1
            return Tile(root, spread, wide, spread_axes, wide_axes, out, size, row, column)
    return None


def write(e: Emitter, t: Tile, part: Share | None = None, finish: Callable[[Index], None] | None = None) -> None:
    """Write the loops of a tile; ``finish`` writes what becomes of an element, once its tile is stored."""
    lanes = min(e.vector_bytes // BYTES[t.root.dtype], power_of_two(t.size[t.column]))
    vectors = 2 if t.size[t.column] > lanes else 1
    if t.row < 0:
        vectors = min(4, -(-t.size[t.column] // lanes))
    height = t.size.get(t.row, 1)
    rows = tile_rows(height)
    shared = t.out_axes[part.axis] if part is not None else -2

    def over_rows(at: dict[int, Value], column: Value, counts: Sequence[int]) -> None:
        def turn(row: Value, many: int) -> None:
            e.enter()
            _tile(e, t, at, row, many, column, counts, lanes)
            if finish is not None:
                _finish(e, t, at, row, many, column, sum(counts), finish)
            e.leave()

        _steps(e, height, rows, 1, part if shared == t.row else None, turn)

    def block(at: dict[int, Value]) -> None:
        def turn(column: Value, wide: int) -> None:
            e.enter()
            over_rows(at, column, [min(lanes, wide - start) for start in range(0, wide, lanes)])
            e.leave()

        # A panel of columns stays in the cache while all rows pass by it.
        _steps(e, t.size[t.column], lanes * vectors, lanes, part if shared == t.column else None, turn)

    _nest(e, t, t.outer, {}, block, shared)


def _steps(
    e: Emitter, size: int, step: int, small: int, part: Share | None, turn: Callable[[Value, int], None]
) -> None:
    """Go through ``size`` elements in steps, and what is left in one smaller; of a shared axis, this core's part.

    ``turn(start, how many)``. Where a part is no whole number of steps, ``small`` steps go through the rest of it.
    """
    w = e.writer
    full, rest = divmod(size, step)
    if part is None:
        if full:
            with w.loop(full) as (number, _):
                turn(w.mul(number, step), step)
        if rest:
            turn(full * step, rest)
        return
    if part.unit % step == 0:
        with w.loop(w.div("%hi", step), start=w.div("%lo", step)) as (number, _):
            turn(w.mul(number, step), step)
        if rest:
            with w.when(w.emit(f"icmp sgt i64 %hi, {full * step}")):
                turn(full * step, rest)
        return
    count = w.div(w.sub("%hi", "%lo"), step)
    with w.loop(count) as (number, _):
        turn(w.add("%lo", w.mul(number, step)), step)
    left = w.add("%lo", w.mul(count, step))
    many = w.div(w.sub("%hi", left), small)
    with w.loop(many) as (number, _):
        turn(w.add(left, w.mul(number, small)), small)
    if size % small:
        with w.when(w.emit(f"icmp eq i64 %hi, {size}")):
            turn(size - size % small, size % small)


def _nest(
    e: Emitter,
    t: Tile,
    letters: Sequence[int],
    at: dict[int, Value],
    inside: Callable[[dict[int, Value]], None],
    shared: int,
) -> None:
    if not letters:
        inside(at)
        return
    own = letters[0] == shared
    with e.writer.loop("%hi" if own else t.size[letters[0]], start="%lo" if own else 0) as (index, _):
        e.enter()
        _nest(e, t, letters[1:], {**at, letters[0]: index}, inside, shared)
        e.leave()


def _tile(
    e: Emitter, t: Tile, at: dict[int, Value], row: Value, rows: int, column: Value, counts: Sequence[int], lanes: int
) -> None:
    """One register tile: rows × len(counts) vectors, of which only ``counts`` lanes each are real."""
    w, scalar = e.writer, MEMORY[t.root.dtype]
    kind = f"<{lanes} x {scalar}>"
    suffix = f"v{lanes}f{8 * BYTES[t.root.dtype]}"
    e.functions.add(f"declare {kind} @llvm.fmuladd.{suffix}({kind}, {kind}, {kind})")
    carried = [(kind, "zeroinitializer")] * (rows * len(counts))

    def place(letters: Sequence[int], known: dict[int, Value]) -> Index:
        return tuple(known[k] for k in letters)

    def level(letters: Sequence[int], known: dict[int, Value], sums: list[str]) -> list[str]:
        if letters:
            results: list[str] = []
            with w.loop(t.size[letters[0]], [(kind, value) for value in sums], results) as (index, inner):
                e.enter()
                results[:] = level(letters[1:], {**known, letters[0]: index}, list(inner))
                e.leave()
            return results
        _fetch_ahead(e, t, known, row, rows, counts, lanes)
        wide = []
        for number, count in enumerate(counts):
            here = {**known, t.column: w.add(column, number * lanes)}
            pointer = e.pointer(e.stored[t.wide], t.wide, place(t.wide_axes, here))
            wide.append(_load(e, pointer, kind, suffix, scalar, count, lanes, BYTES[t.root.dtype]))
        found = list(sums)
        for r in range(rows):
            element = e.value(t.spread, place(t.spread_axes, {**known, t.row: w.add(row, r)}))
            one = w.emit(f"insertelement {kind} poison, {scalar} {element}, i64 0")
            spread = w.emit(f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer")
            for number, vector in enumerate(wide):
                n = r * len(counts) + number
                found[n] = w.emit(
                    f"call {kind} @llvm.fmuladd.{suffix}({kind} {spread}, {kind} {vector}, {kind} {found[n]})"
                )
        return found

    totals = level(t.summed, dict(at), [value for _, value in carried])
    for r in range(rows):
        for number, count in enumerate(counts):
            here = {**at, t.row: w.add(row, r), t.column: w.add(column, number * lanes)}
            pointer = e.pointer("%out", t.root, place(t.out_axes, here))
            total = totals[r * len(counts) + number]
            if count == lanes:
                w.write(f"store {kind} {total}, ptr {pointer}, align {BYTES[t.root.dtype]}")
            else:
                e.functions.add(f"declare void @llvm.masked.store.{suffix}.p0({kind}, ptr, i32, <{lanes} x i1>)")
                w.write(
                    f"call void @llvm.masked.store.{suffix}.p0({kind} {total}, ptr {pointer}, "
                    f"i32 {BYTES[t.root.dtype]}, {mask(count, lanes)})"
                )


def _finish(
    e: Emitter,
    t: Tile,
    at: dict[int, Value],
    row: Value,
    rows: int,
    column: Value,
    columns: int,
    finish: Callable[[Index], None],
) -> None:
    with e.writer.loop(rows) as (r, _):
        e.enter()
        with e.writer.loop(columns) as (c, _):
            e.enter()
            here = {**at, t.row: e.writer.add(row, r), t.column: e.writer.add(column, c)}
            finish(tuple(here[k] for k in t.out_axes))
            e.leave()
        e.leave()


def _fetch_ahead(
    e: Emitter, t: Tile, known: dict[int, Value], row: Value, rows: int, counts: Sequence[int], lanes: int
) -> None:
    """Ask for what is read next, from a cache that is further away: the processor does not foresee it.

    Of a wide operand in panels, each tile of rows asks for its share of the next panel; of one whose rows lie across
    memory, for those of the tile after the next.
    """
    w, size = e.writer, BYTES[t.root.dtype]
    tiles = t.size.get(t.row, 1) // rows
    if tiles < 2 or len(t.summed) != 1:
        return
    (letter,) = t.summed
    outer = [k for k in t.outer if k in t.wide_axes]
    whole = len(counts) * lanes == t.size[t.column]
    if outer and whole and list(t.wide_axes) == [*outer, letter, t.column] and known.get(outer[-1]) is not None:
        # The panel is one piece of memory, and so is the next.
        begin = tuple(0 if k in (letter, t.column) else known[k] for k in t.wide_axes)
        panel = t.size[letter] * t.size[t.column]
        share = -(-panel // (tiles * t.size[letter]))
        place = w.mul(w.add(w.mul(w.div(row, rows), t.size[letter]), known[letter]), share)
        base = e.pointer(e.stored[t.wide], t.wide, begin)
        ahead = w.emit(f"getelementptr {MEMORY[t.root.dtype]}, ptr {base}, i64 {w.add(place, panel)}")
        w.write(f"call void @llvm.prefetch.p0(ptr {ahead}, i32 0, i32 2, i32 1)")
    elif t.spread in e.stored and t.spread_axes[-1:] == (t.row,) and t.spread.size * size > _NEAR:
        at = tuple({**known, t.row: row}[k] for k in t.spread_axes)
        here = e.pointer(e.stored[t.spread], t.spread, at)
        ahead = w.emit(f"getelementptr {MEMORY[t.root.dtype]}, ptr {here}, i64 {2 * rows}")
        w.write(f"call void @llvm.prefetch.p0(ptr {ahead}, i32 0, i32 3, i32 1)")
    else:
        return
    e.functions.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")


def _load(e: Emitter, pointer: str, kind: str, suffix: str, scalar: str, count: int, lanes: int, align: int) -> str:
    if count == lanes:
        return e.writer.emit(f"load {kind}, ptr {pointer}, align {align}")
    e.functions.add(f"declare {kind} @llvm.masked.load.{suffix}.p0(ptr, i32, <{lanes} x i1>, {kind})")
    return e.writer.emit(
        f"call {kind} @llvm.masked.load.{suffix}.p0(ptr {pointer}, i32 {align}, {mask(count, lanes)}, "
        f"{kind} zeroinitializer)"
    )
