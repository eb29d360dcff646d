"""The loops of reductions: sums, the largest, and where it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from chainrule.engines.native.expressions import Emitter, Index, convert
from chainrule.engines.native.nests import LEAST, interleave, nest, reduction, total
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.text import Value, loop_hint
from chainrule.engines.native.types import BYTES, MEMORY, REGISTER, SIGNED, literal
from chainrule.graph import FLOATS, Node, topological

#: Sums that are so few that each is added to again before it has reached the cache.
_NARROW = 16


def write_sum(e: Emitter, root: Node, part: Share | None) -> None:
    """A sum over some axes: along memory, whichever axes these are."""
    (x,), axes = root.inputs, root.attributes["axes"]

    def inside(kept: Index) -> None:
        def term(reduced: Index) -> str:
            return e.value(x, interleave(x.rank, axes, kept, reduced))

        e.store("%out", root, kept, total(e, [x.shape[axis] for axis in axes], root.dtype, term))

    before = axes[0] if axes else 0
    behind = root.shape[before:]
    if axes and tuple(range(before, before + len(axes))) == tuple(axes) and math.prod(behind) > 1:
        sizes = [x.shape[axis] for axis in axes]
        own = part.along(part.axis - before) if part is not None and part.axis >= before else None
        nest(
            e,
            root.shape[:before],
            lambda at: _accumulate(e, root, at, sizes, lambda kept, reduced: e.value(x, (*at, *reduced, *kept)), own),
            part if own is None else None,
        )
    else:
        nest(e, root.shape, inside, part)


def _accumulate(
    e: Emitter,
    root: Node,
    at: Index,
    sizes: Sequence[int],
    term: Callable[[Index, Index], str],
    part: Share | None,
) -> None:
    """The sums ``at`` a place, the summed axes outside: the inner loop runs along memory, and adds to what is there.

    A few rows at a time: what was just stored is dear to read.
    """
    kind = REGISTER[root.dtype]
    add = f"fadd {kind}" if root.dtype in FLOATS else f"add {kind}"
    shape = root.shape[len(at) :]
    nest(e, shape, lambda kept: e.store("%out", root, (*at, *kept), literal(0, root.dtype)), part)
    rows = next((n for n in (8, 7, 6, 5, 4, 3, 2) if sizes[-1] % n == 0), 1) if math.prod(shape) <= _NARROW else 1

    def outer(reduced: Index) -> None:
        def inside(kept: Index) -> None:
            first = e.writer.mul(reduced[-1], rows)
            terms = [term(kept, (*reduced[:-1], e.writer.add(first, row))) for row in range(rows)]
            while len(terms) > 1:
                pairs = [terms[n : n + 2] for n in range(0, len(terms), 2)]
                terms = [e.writer.emit(f"{add} {pair[0]}, {pair[1]}") if len(pair) > 1 else pair[0] for pair in pairs]
            place = e.pointer("%out", root, (*at, *kept))
            kind_ = MEMORY[root.dtype]
            old = e.writer.emit(f"load {kind_}, ptr {place}")
            new = e.writer.emit(f"{add} {old}, {terms[0]}")
            e.writer.write(f"store {kind_} {new}, ptr {place}")

        # Few sums are written out, and stay in registers.
        nest(e, shape, inside, part, kept=False)

    nest(e, [*sizes[:-1], sizes[-1] // rows], outer)


def write_max(e: Emitter, root: Node, part: Share | None) -> None:
    """The largest along some axes."""
    nest(e, root.shape, lambda kept: e.store("%out", root, kept, _largest(e, root, kept)), part)


def _largest(e: Emitter, root: Node, kept: Index) -> str:
    """The largest value along the axes of a reduction, or NaN if there is one."""
    (x,), axes = root.inputs, root.attributes["axes"]
    sizes, kind = [x.shape[axis] for axis in axes], REGISTER[x.dtype]
    low = -math.inf if x.dtype in FLOATS else {"int32": -(2**31), "int64": -(2**63)}.get(x.dtype, 0)

    def turn(reduced: Index, values: list[str]) -> list[str]:
        new = e.value(x, interleave(x.rank, axes, kept, reduced))
        if x.dtype in FLOATS:
            return [e.intrinsic("maximum", kind, values[0], new)]
        better = e.writer.emit(f"icmp {'sgt' if x.dtype in SIGNED else 'ugt'} {kind} {new}, {values[0]}")
        return [e.writer.emit(f"select i1 {better}, {kind} {new}, {kind} {values[0]}")]

    return reduction(e, sizes, [(kind, literal(low, x.dtype))], turn, _in_vectors(e, x, sizes))[0]


def _in_vectors(e: Emitter, x: Node, sizes: Sequence[int]) -> str:
    """The hint of a search through the last of some axes, where that is long enough."""
    lanes, inner = e.vector_bytes // BYTES[x.dtype], sizes[-1] if sizes else 1
    # LLVM mixes up a choice among elements with that of the largest, and tells whoever trains that it cannot go on.
    chosen = any(node.op == "select" and node not in e.stored for node in topological([x], stop={*e.stored}))
    if x.dtype not in FLOATS or inner < max(lanes, LEAST) or chosen:
        return ""
    return loop_hint(lanes, 4 if inner >= 4 * lanes else 1)


def write_argmax(e: Emitter, root: Node, part: Share | None) -> None:
    """The largest value first, and then the first place that has it: both are vectors, which one loop would not be."""
    (x,), axes = root.inputs, root.attributes["axes"]
    sizes, kind = [x.shape[axis] for axis in axes], REGISTER[x.dtype]
    place_kind = "i32" if math.prod(sizes) < 2**31 else "i64"

    def inside(kept: Index) -> None:
        largest = _largest(e, root, kept)

        def turn(reduced: Index, values: list[str]) -> list[str]:
            value = e.value(x, interleave(x.rank, axes, kept, reduced))
            same = e.writer.emit(f"{'fcmp oeq' if x.dtype in FLOATS else 'icmp eq'} {kind} {value}, {largest}")
            if x.dtype in FLOATS:  # where there is a NaN it is the largest, and equal to nothing
                same = e.writer.emit(f"or i1 {same}, {e.writer.emit(f'fcmp uno {kind} {value}, {value}')}")
            place: Value = 0
            for at, size in zip(reduced, sizes, strict=True):
                place = e.writer.add(e.writer.mul(place, size), at)
            if place_kind == "i32" and isinstance(place, str):
                place = e.writer.emit(f"trunc i64 {place} to i32")
            here = e.writer.emit(f"select i1 {same}, {place_kind} {place}, {place_kind} -1")
            return [e.intrinsic("umin", place_kind, values[0], here)]

        (first,) = reduction(e, sizes, [(place_kind, "-1")], turn, _in_vectors(e, x, sizes))
        e.store("%out", root, kept, convert(e, first, "int32" if place_kind == "i32" else "int64", root.dtype))

    nest(e, root.shape, inside, part)
