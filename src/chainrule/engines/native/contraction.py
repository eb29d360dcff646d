"""Contractions: a register tile of rows × vectors, with the summed axes innermost and nothing copied first.

One operand gives its last axis to the vectors, the other is read element by element and spread: so a window or any
other view may stand there, and is never made. What does not fit this form has plain loops, in ``kernels.py``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from chainrule.engines.native.expressions import Emitter, Index
from chainrule.engines.native.nests import nest
from chainrule.engines.native.sharing import Share, tile_rows
from chainrule.engines.native.text import Value
from chainrule.engines.native.tiles import NEAR, Range, Tile, write_tile
from chainrule.engines.native.types import BYTES, MEMORY, literal, power_of_two
from chainrule.engines.native.windows import inside_rows, largest, smallest

#: The most vectors of sums that a tile of joint letters holds at a time, with what they are made of.
_SUMS = 26
#: The most rows that are few.
_FEW = 4
#: The fewest terms of a block.
_LONG = 512
#: Bytes that stay in the cache behind the nearest.
_BEHIND = 524288


def by_tiles(t: Tile) -> bool:
    """Whether a product is surely done with a tile before it goes on to the next, on whichever processor."""
    return not t.joint and _blocks(t, 0) == 1


def write(
    e: Emitter,
    t: Tile,
    part: Share | None = None,
    finish: Callable[[Index], None] | None = None,
    kept: bool = True,
) -> None:
    """Write the loops of a tile; ``finish`` writes what becomes of an element, once its tile is stored.

    A product that is not ``kept`` lies in two tiles by turns, until it is finished.
    """
    lanes = min(e.vector_bytes // BYTES[t.root.dtype], power_of_two(t.size[t.column]))
    vectors = 2 if t.size[t.column] > lanes else 1
    if t.row < 0:
        vectors = min(4, -(-t.size[t.column] // lanes))
    height = t.size.get(t.row, 1)
    if height <= _FEW and not t.paired:
        # Few rows read all of the other operand once: what they lack, the tile has in vectors that lie side by side.
        vectors = min(10 if height == 1 else _SUMS // 2 // height, -(-t.size[t.column] // lanes))
    rows = tile_rows(height)
    shared = t.out_axes[part.axis] if part is not None else -2
    joint = t.joint if shared not in t.joint else ()
    if vectors == 1 and shared != t.row and height % (2 * rows) == 0 and rows >= 6:
        rows *= 2  # a processor is busy with some sixteen sums at a time

    many = _blocks(t, rows * lanes)
    block: Range | None = None
    after = many > 1 or bool(joint)

    # What a store has just left is dear to read, so a tile is finished when others have come between: when its panel
    # is, or all panels are, if that still lies near; else when the next tile is.
    size = BYTES[t.root.dtype]
    every = (0, height) if shared != t.row or t.row < 0 else ("%lo", "%hi")
    panel = lanes * vectors
    near = None if kept else _Near(e, t, rows, panel)
    aligned = part is None or shared != t.row or part.unit % rows == 0
    late = (
        0 if not kept else 2 if height * t.size[t.column] * size <= NEAR else 1 if height * panel * size <= NEAR else 0
    )

    def finished(level: int, at: dict[int, Value], rows: Range, columns: Range) -> None:
        if finish is not None and not after and late == level:
            if near is not None:
                near.moves(rows[0], columns[0])
            _finish(e, t, at, rows, columns, finish)

    def over_rows(at: dict[int, Value], column: Value, counts: Sequence[int]) -> None:
        def turn(row: Value, many: int) -> None:
            e.enter()
            spots = [{t.row: e.writer.add(row, r)} for r in range(many)]
            if near is not None:
                near.moves(row, column)
            write_tile(e, t, at, spots, column, counts, lanes, block, checked=shared == t.row and bool(t.bordered))
            if aligned:
                before = largest(e.writer, e.writer.sub(row, rows), every[0])
                finished(0, at, (before, row), (column, e.writer.add(column, sum(counts))))
            else:
                finished(0, at, (row, e.writer.add(row, many)), (column, e.writer.add(column, sum(counts))))
            e.leave()

        if joint:
            for spots in _dealt(t, joint, _SUMS // len(counts)):
                e.enter()
                write_tile(e, t, at, spots, column, counts, lanes, block, checked=False)
                e.leave()
        elif t.bordered and shared != t.row:
            _edges_apart(e, t, height, rows, turn)
        else:
            _steps(e, height, rows, [1], part if shared == t.row else None, turn)
        if aligned:
            last = e.writer.mul(e.writer.div(e.writer.sub(every[1], 1), rows), rows)
            finished(0, at, (last, every[1]), (column, e.writer.add(column, sum(counts))))

    def panels(at: dict[int, Value]) -> None:
        def turn(column: Value, wide: int) -> None:
            e.enter()
            over_rows(at, column, [min(lanes, wide - start) for start in range(0, wide, lanes)])
            finished(1, at, every, (column, e.writer.add(column, wide)))
            e.leave()

        # A panel of columns stays in the cache while all rows pass by it.
        smaller = [lanes * wide for wide in (4, 1) if wide < vectors] or [lanes]
        _steps(e, t.size[t.column], panel, smaller, part if shared == t.column else None, turn)
        finished(2, at, every, (0, t.size[t.column]) if shared != t.column else ("%lo", "%hi"))

    if many == 1:
        _nest(e, t, t.outer(joint), {}, panels, shared)
        if after and finish is not None:
            nest(e, t.root.shape, finish, part)
        return
    length = t.size[t.summed[0]]
    step = -(-length // many)
    nest(e, t.root.shape, lambda index: e.store("%out", t.root, index, literal(0, t.root.dtype)), part)
    with e.writer.loop(-(-length // step)) as (number, _):
        e.enter()
        start = e.writer.mul(number, step)
        block = start, smallest(e.writer, e.writer.add(start, step), length)
        _nest(e, t, t.outer(joint), {}, panels, shared)
        e.leave()
    if finish is not None:
        nest(e, t.root.shape, finish, part)


class _Near:
    """Two tiles on the stack in the place of a product: one is summed while the other is finished."""

    def __init__(self, e: Emitter, t: Tile, rows: int, width: int) -> None:
        self._e, self._t, self._rows, self._width = e, t, rows, width
        self._kind = MEMORY[t.root.dtype]
        self._base = e.writer.emit(f"alloca [{2 * rows * width} x {self._kind}], align 64")
        self._row: Value = 0
        self._column: Value = 0
        e.tiles[t.root] = self._pointer

    def moves(self, row: Value, column: Value) -> None:
        """What comes next is of the tile that begins here."""
        self._row, self._column = row, column

    def _pointer(self, index: Index) -> str:
        w, at = self._e.writer, dict(zip(self._t.out_axes, index, strict=True))
        side = w.emit(f"and i64 {w.div(self._row, self._rows)}, 1")
        row = w.add(w.sub(at.get(self._t.row, 0), self._row), w.mul(side, self._rows))
        place = w.add(w.mul(row, self._width), w.sub(at[self._t.column], self._column))
        return w.emit(f"getelementptr inbounds {self._kind}, ptr {self._base}, i64 {place}")


def _dealt(t: Tile, joint: Sequence[int], most: int) -> list[list[dict[int, Value]]]:
    """All places of some letters, in tiles of about as many rows each."""
    places = list(itertools.product(*(range(t.size[k]) for k in joint)))
    count = -(-len(places) // most)
    cuts = [number * len(places) // count for number in range(count + 1)]
    return [
        [dict(zip(joint, place, strict=True)) for place in places[start:end]] for start, end in itertools.pairwise(cuts)
    ]


def _blocks(t: Tile, area: int) -> int:
    """In how many blocks a long sum is taken, so that what all tiles read for one of them stays in a near cache.

    Not where the output is read and written again more than pays, and not along a letter that moves across a border.
    """
    if not t.summed or t.row < 0 or (t.seen is not None and t.seen.with_letter(t.summed[0])):
        return 1
    terms = math.prod(t.size[k] for k in t.summed)
    spread = t.seen.base if t.seen is not None else t.spread
    # There may be several products, each with its own part of both.
    several = math.prod(t.size[k] for k in t.out_axes if k in t.wide_axes and k in t.spread_axes)
    bytes_ = (spread.size + t.wide.size) * BYTES[t.root.dtype] // several
    whole = t.wide.size == several * terms * t.size[t.column]
    if not whole or t.root.size <= several * area or bytes_ <= 2 * _BEHIND or terms < _LONG:
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
    e: Emitter, size: int, step: int, smaller: Sequence[int], part: Share | None, turn: Callable[[Value, int], None]
) -> None:
    """Go through ``size`` elements in steps, and what is left in one smaller; of a shared axis, this core's part.

    ``turn(start, how many)``. Where a part is no whole number of steps, ``smaller`` ones go through the rest of it.
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
    for small in smaller:
        many = w.div(w.sub("%hi", left), small)
        with w.loop(many) as (number, _):
            turn(w.add(left, w.mul(number, small)), small)
        left = w.add(left, w.mul(many, small))
    rest = size % smaller[-1]
    if rest:
        with w.when(w.emit(f"icmp eq i64 %hi, {size}")):
            turn(size - rest, rest)


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
