"""The register tile of a product: rows × vectors, with the summed axes innermost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.engines.native.expressions import Emitter, Index
from chainrule.engines.native.sharing import joint_letters, last_long
from chainrule.engines.native.text import Value
from chainrule.engines.native.types import BYTES, MEMORY, mask
from chainrule.engines.native.windows import View, tiled, view
from chainrule.graph import Node

#: From where to where an index goes.
Range = tuple[Value, Value]
#: Bytes that stay in the nearest cache anyway.
NEAR = 32768


@dataclass(frozen=True)
class Tile:
    """A contraction in the tile's form: ``spread`` is read by elements, ``wide`` by vectors along its last axis.

    ``lies`` is the array that is stored, of which ``wide`` may be another shape. Where both have the column, as in a
    convolution of each channel by itself, both are read by vectors.

    ``seen`` is what the elements are read from, if that is an array that is stored, be it with windows and borders. The
    tile's rows go along one letter, or along all places of the few ``joint`` ones together.
    """

    root: Node
    spread: Node
    wide: Node
    lies: Node
    spread_axes: Sequence[int]
    wide_axes: Sequence[int]
    out_axes: Sequence[int]
    size: dict[int, int]
    row: int
    column: int
    joint: Sequence[int]
    seen: View | None

    @property
    def bordered(self) -> list[int]:
        """The axes along which some taps of some rows of a tile reach outside."""
        return self.seen.with_letter(self.row) if self.seen is not None else []

    @property
    def paired(self) -> bool:
        """Whether both operands have the column."""
        return self.column in self.spread_axes

    @property
    def summed(self) -> list[int]:
        """The letters that are summed over, as they lie in the wide operand, which is so read straight through."""
        return [k for k in self.wide_axes if k not in self.out_axes]

    def outer(self, joint: Sequence[int]) -> list[int]:
        """The letters of the loops around the tile."""
        return [k for k in self.out_axes if k != self.column and k not in (joint or (self.row,))]


def tile(root: Node, stored: frozenset[Node] | set[Node]) -> Tile | None:
    """The contraction as a tile, or None where neither operand can be read by vectors."""
    a, b = root.inputs
    p, q, out = (root.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
    size = {**dict(zip(p, a.shape, strict=True)), **dict(zip(q, b.shape, strict=True))}
    if not out or not root.size or size[out[-1]] < 2:
        return None
    column = out[-1]
    for spread, wide, spread_axes, wide_axes in ((a, b, p, q), (b, a, q, p)):
        # An array in another shape lies in the same memory, row after row.
        lies = wide if wide in stored or wide.op != "reshape" else wide.inputs[0]
        if wide_axes[-1:] != (column,) or lies not in stored:
            continue
        rows = [k for k in out if k not in wide_axes]
        # The tile's rows lie next to each other in memory where they can: fewer lines are touched.
        row = rows[last_long([size[k] for k in rows], spread)] if rows else -1
        seen = view(spread, spread_axes, stored)
        seen = seen if seen is not None and tiled(seen, row, out, size) else None
        if column in spread_axes and (seen is None or not seen.along(column)):
            continue
        joint = joint_letters(root)
        if seen is not None and any(seen.with_letter(letter) for letter in joint):
            joint = ()
        return Tile(root, spread, wide, lies, spread_axes, wide_axes, out, size, row, column, joint, seen)
    return None


def write_tile(
    e: Emitter,
    t: Tile,
    at: dict[int, Value],
    spots: Sequence[dict[int, Value]],
    column: Value,
    counts: Sequence[int],
    lanes: int,
    block: Range | None,
    checked: bool,
) -> None:
    """One register tile: len(spots) × len(counts) vectors, of which only ``counts`` lanes each are real.

    ``spots`` are the letters of the rows, row by row.

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
        if seen is None or not edges or not isinstance(spots[0].get(t.row), int):
            return list(range(len(spots)))
        fixed = {k: value for k, value in known.items() if isinstance(value, int) and k in edges}
        apart = View(seen.base, seen.places, frozenset(t.bordered))
        here = [{k: value for k, value in spot.items() if isinstance(value, int)} for spot in spots]
        return [r for r, spot in enumerate(here) if apart.within({**fixed, **spot})]

    def pair(known: dict[int, Value], number: int, count: int) -> str:
        assert t.seen is not None
        here = {**known, t.column: w.add(column, number * lanes)}
        pointer = e.pointer(e.stored[t.seen.base], t.seen.base, tuple(p.at(w, here) for p in t.seen.places))
        return _load(e, pointer, kind, suffix, scalar, count, lanes, BYTES[t.root.dtype])

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
        _fetch_ahead(e, t, known, spots, counts, lanes)
        wide = []
        for number, count in enumerate(counts):
            here = {**known, t.column: w.add(column, number * lanes)}
            pointer = e.pointer(e.stored[t.lies], t.wide, place(t.wide_axes, here))
            wide.append(_load(e, pointer, kind, suffix, scalar, count, lanes, BYTES[t.root.dtype]))
        found = list(sums)
        for r in there(known):
            if not t.paired:
                value = element({**known, **spots[r]})
                one = w.emit(f"insertelement {kind} poison, {scalar} {value}, i64 0")
                spread = w.emit(f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer")
            for number, vector in enumerate(wide):
                spread = pair({**known, **spots[r]}, number, counts[number]) if t.paired else spread
                n = r * len(counts) + number
                found[n] = w.emit(
                    f"call {kind} @llvm.fmuladd.{suffix}({kind} {spread}, {kind} {vector}, {kind} {found[n]})"
                )
        return found

    outs = [
        (n, count, {**at, **spots[n // len(counts)], t.column: w.add(column, n % len(counts) * lanes)})
        for n, count in enumerate([*counts] * len(spots))
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


def _fetch_ahead(
    e: Emitter,
    t: Tile,
    known: dict[int, Value],
    spots: Sequence[dict[int, Value]],
    counts: Sequence[int],
    lanes: int,
) -> None:
    """Ask for what is read next, from a cache that is further away: the processor does not foresee it.

    Of a wide operand in panels, each tile of rows asks for its share of the next panel; of one whose rows lie across
    memory, for those of the tile after the next.
    """
    w, size = e.writer, BYTES[t.root.dtype]
    rows, row = len(spots), spots[0].get(t.row, 0)
    tiles = t.size.get(t.row, 1) // rows if len(spots[0]) == 1 else 0
    if tiles < 2 or not t.summed:
        return
    letter = t.summed[-1]
    outer = [k for k in t.outer(()) if k in t.wide_axes]
    whole = len(counts) * lanes == t.size[t.column]
    panels = len(t.summed) == 1 and list(t.wide_axes) == [*outer, letter, t.column]
    if panels and outer and whole and known.get(outer[-1]) is not None:
        # The panel is one piece of memory, and so is the next.
        begin = tuple(0 if k in (letter, t.column) else known[k] for k in t.wide_axes)
        panel = t.size[letter] * t.size[t.column]
        share = -(-panel // (tiles * t.size[letter]))
        place = w.mul(w.add(w.mul(w.div(row, rows), t.size[letter]), known[letter]), share)
        base = e.pointer(e.stored[t.lies], t.wide, begin)
        ahead = w.emit(f"getelementptr {MEMORY[t.root.dtype]}, ptr {base}, i64 {w.add(place, panel)}")
        w.write(f"call void @llvm.prefetch.p0(ptr {ahead}, i32 0, i32 2, i32 1)")
    elif t.spread in e.stored and t.spread_axes[-1:] == (t.row,) and t.spread.size * size > NEAR:
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
