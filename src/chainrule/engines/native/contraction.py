"""Contractions: a register tile of rows × vectors, with the summed axes innermost and nothing copied first.

One operand gives its last axis to the vectors, the other is read element by element and spread: so a window or any
other view may stand there, and is never made. What does not fit this form has plain loops, in ``kernels.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chainrule.engines.native.expressions import Emitter, Index
from chainrule.engines.native.nests import nest
from chainrule.engines.native.sharing import Share, tile_rows
from chainrule.engines.native.text import Value
from chainrule.engines.native.types import BYTES, MEMORY, literal, mask, power_of_two
from chainrule.engines.native.windows import View, inside_rows, smallest, tiled, view
from chainrule.graph import Node

#: From where to where an index goes.
Range = tuple[Value, Value]
#: The fewest terms of a block.
_LONG = 512
#: Bytes that stay in the nearest cache anyway, and in the one behind it.
_NEAR, _BEHIND = 32768, 524288


@dataclass(frozen=True)
class Tile:
    """A contraction in the tile's form: ``spread`` is read by elements, ``wide`` by vectors along its last axis.

    ``seen`` is what the elements are read from, if that is an array that is stored, be it with windows and borders.
    """

    root: Node
    spread: Node
    wide: Node
    spread_axes: Sequence[int]
    wide_axes: Sequence[int]
    out_axes: Sequence[int]
    size: dict[int, int]
    row: int
    column: int
    seen: View | None

    @property
    def bordered(self) -> list[int]:
        """The axes along which some taps of some rows of a tile reach outside."""
        return self.seen.with_letter(self.row) if self.seen is not None else []

    @property
    def summed(self) -> list[int]:
        """The letters that are summed over, as they lie in the wide operand, which is so read straight through."""
        return [k for k in self.wide_axes if k not in self.out_axes]

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
            seen = view(spread, spread_axes, stored)
            seen = seen if seen is not None and tiled(seen, out, wide_axes, size) else None
            return Tile(root, spread, wide, spread_axes, wide_axes, out, size, row, column, seen)
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
    if vectors == 1 and shared != t.row and height % (2 * rows) == 0 and rows >= 6:
        rows *= 2  # a processor is busy with some sixteen sums at a time

    block: Range | None = None

    # What a store has just left is dear to read, so a tile is finished when others have come between: when its panel
    # is, or all panels are, if that still lies near.
    size = BYTES[t.root.dtype]
    every = (0, height) if shared != t.row or t.row < 0 else ("%lo", "%hi")
    panel = lanes * vectors
    late = 2 if height * t.size[t.column] * size <= _NEAR else 1 if height * panel * size <= _NEAR else 0

    def finished(level: int, at: dict[int, Value], rows: Range, columns: Range) -> None:
        if finish is not None and block is None and late == level:
            _finish(e, t, at, rows, columns, finish)

    def over_rows(at: dict[int, Value], column: Value, counts: Sequence[int]) -> None:
        def turn(row: Value, many: int) -> None:
            e.enter()
            _tile(e, t, at, row, many, column, counts, lanes, block, checked=shared == t.row and bool(t.bordered))
            finished(0, at, (row, e.writer.add(row, many)), (column, e.writer.add(column, sum(counts))))
            e.leave()

        if t.bordered and shared != t.row:
            _edges_apart(e, t, height, rows, turn)
        else:
            _steps(e, height, rows, 1, part if shared == t.row else None, turn)

    def panels(at: dict[int, Value]) -> None:
        def turn(column: Value, wide: int) -> None:
            e.enter()
            over_rows(at, column, [min(lanes, wide - start) for start in range(0, wide, lanes)])
            finished(1, at, every, (column, e.writer.add(column, wide)))
            e.leave()

        # A panel of columns stays in the cache while all rows pass by it.
        _steps(e, t.size[t.column], panel, lanes, part if shared == t.column else None, turn)
        finished(2, at, every, (0, t.size[t.column]) if shared != t.column else ("%lo", "%hi"))

    many = _blocks(t, rows * lanes)
    if many == 1:
        _nest(e, t, t.outer, {}, panels, shared)
        return
    length = t.size[t.summed[0]]
    step = -(-length // many)
    nest(e, t.root.shape, lambda index: e.store("%out", t.root, index, literal(0, t.root.dtype)), part)
    with e.writer.loop(-(-length // step)) as (number, _):
        e.enter()
        start = e.writer.mul(number, step)
        block = start, smallest(e.writer, e.writer.add(start, step), length)
        _nest(e, t, t.outer, {}, panels, shared)
        e.leave()
    if finish is not None:
        nest(e, t.root.shape, finish, part)


def _blocks(t: Tile, area: int) -> int:
    """In how many blocks a long sum is taken, so that what all tiles read for one of them stays in a near cache.

    Not where the output is read and written again more than pays, and not along a letter that moves across a border.
    """
    if not t.summed or t.row < 0 or (t.seen is not None and t.seen.with_letter(t.summed[0])):
        return 1
    terms = math.prod(t.size[k] for k in t.summed)
    spread = t.seen.base if t.seen is not None else t.spread
    bytes_ = (spread.size + t.wide.size) * BYTES[t.root.dtype]
    whole = t.wide.size == terms * t.size[t.column]  # else there are several products, each with its own part
    if not whole or t.root.size <= area or bytes_ <= 2 * _BEHIND or terms < _LONG:
        return 1
    return max(1, min(-(-bytes_ // _BEHIND), t.size[t.summed[0]], terms // _LONG))


def _edges_apart(e: Emitter, t: Tile, height: int, rows: int, turn: Callable[[Value, int], None]) -> None:
    """Go through the rows as `_steps` does, the tiles at the edges, where some taps reach outside, each by itself."""
    assert t.seen is not None
    full, rest = divmod(height, rows)
    inner = [k for k in range(full) if inside_rows(t.seen, t.row, k * rows, rows, t.size)]
    first, last = (inner[0], inner[-1] + 1) if inner else (full, full)
    for number in range(first):
        turn(number * rows, rows)
    if last - first == 1:
        turn(first * rows, rows)
    elif last > first:
        with e.writer.loop(last, start=first) as (number_, _):
            turn(e.writer.mul(number_, rows), rows)
    for number in range(last, full):
        turn(number * rows, rows)
    if rest:
        turn(full * rows, rest)


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
    e: Emitter,
    t: Tile,
    at: dict[int, Value],
    row: Value,
    rows: int,
    column: Value,
    counts: Sequence[int],
    lanes: int,
    block: Range | None,
    checked: bool,
) -> None:
    """One register tile: rows × len(counts) vectors, of which only ``counts`` lanes each are real.

    Of a sum that is taken in blocks, the terms of one are added to what is there.

    A tile that begins at a row known now leaves out what is outside; one that is inside for all rows and taps needs
    not to. ``checked`` is for one of which neither is known: each element is asked for.
    """
    w, scalar = e.writer, MEMORY[t.root.dtype]
    kind = f"<{lanes} x {scalar}>"
    suffix = f"v{lanes}f{8 * BYTES[t.root.dtype]}"
    e.functions.add(f"declare {kind} @llvm.fmuladd.{suffix}({kind}, {kind}, {kind})")
    seen = t.seen if not checked else None
    # Where rows are at an edge, the letters that move along with them are written out.
    edges = {k for axis in t.bordered for k in t.seen.places[axis].steps if k != t.row} if seen and t.seen else set()

    def place(letters: Sequence[int], known: dict[int, Value]) -> Index:
        return tuple(known[k] for k in letters)

    def there(known: dict[int, Value]) -> list[int]:
        """The rows that are inside."""
        if not edges or not isinstance(row, int):
            return list(range(rows))
        assert seen is not None
        fixed = {k: value for k, value in known.items() if isinstance(value, int) and k in edges}
        apart = View(seen.base, seen.places, frozenset(t.bordered))
        return [r for r in range(rows) if apart.within({**fixed, t.row: row + r})]

    def element(known: dict[int, Value]) -> str:
        if seen is None:
            return e.value(t.spread, place(t.spread_axes, known))
        return e.value(seen.base, tuple(p.at(w, known) for p in seen.places))

    def level(letters: Sequence[int], known: dict[int, Value], sums: list[str]) -> list[str]:
        if letters and letters[0] in edges:
            for tap in range(t.size[letters[0]]):
                if there({**known, letters[0]: tap}):
                    e.enter()
                    sums = level(letters[1:], {**known, letters[0]: tap}, sums)
                    e.leave()
            return sums
        if letters:
            results: list[str] = []
            low: Value
            high: Value
            low, high = 0, t.size[letters[0]]
            if block is not None and letters[0] == t.summed[0]:
                low, high = block
            elif seen is not None:
                low, high = seen.bounds(w, letters[0], high, known)
            with w.loop(high, [(kind, value) for value in sums], results, start=low) as (index, inner):
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
        for r in there(known):
            value = element({**known, t.row: w.add(row, r)})
            one = w.emit(f"insertelement {kind} poison, {scalar} {value}, i64 0")
            spread = w.emit(f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer")
            for number, vector in enumerate(wide):
                n = r * len(counts) + number
                found[n] = w.emit(
                    f"call {kind} @llvm.fmuladd.{suffix}({kind} {spread}, {kind} {vector}, {kind} {found[n]})"
                )
        return found

    outs = [
        (n, count, {**at, t.row: w.add(row, n // len(counts)), t.column: w.add(column, n % len(counts) * lanes)})
        for n, count in enumerate([*counts] * rows)
    ]
    places = [e.pointer("%out", t.root, place(t.out_axes, here)) for _, _, here in outs] if block is not None else []
    size = BYTES[t.root.dtype]
    before = [_load(e, places[n], kind, suffix, scalar, count, lanes, size) for n, count, _ in outs] if places else []
    totals = level(t.summed, dict(at), before or ["zeroinitializer"] * len(outs))
    for n, count, here in outs:
        pointer = places[n] if places else e.pointer("%out", t.root, place(t.out_axes, here))
        if count == lanes:
            w.write(f"store {kind} {totals[n]}, ptr {pointer}, align {size}")
        else:
            e.functions.add(f"declare void @llvm.masked.store.{suffix}.p0({kind}, ptr, i32, <{lanes} x i1>)")
            w.write(
                f"call void @llvm.masked.store.{suffix}.p0({kind} {totals[n]}, ptr {pointer}, "
                f"i32 {size}, {mask(count, lanes)})"
            )


def _finish(
    e: Emitter, t: Tile, at: dict[int, Value], rows: Range, columns: Range, finish: Callable[[Index], None]
) -> None:
    with e.writer.loop(rows[1], start=rows[0]) as (row, _):
        e.enter()
        with e.writer.loop(columns[1], start=columns[0]) as (column, _):
            e.enter()
            here = {**at, t.row: row, t.column: column}
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
