"""The loops of a stored node: one LLVM function, of pointers to what it reads and to what it writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from chainrule.engines.native import contraction, turning
from chainrule.engines.native.expressions import Emitter, Index, convert
from chainrule.engines.native.flattening import flat
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.text import Value, Writer, loop_hint
from chainrule.engines.native.types import BYTES, MEMORY, REGISTER, SIGNED, literal
from chainrule.graph import FLOATS, Node

Inside = Callable[[Index], None]
#: Loops of fewer turns LLVM will not always make vectors of, and says so to whoever trains.
_LEAST = 16


@dataclass(frozen=True)
class Kernel:
    """The parameters and the text of one function, and the functions that it needs."""

    parameters: str
    body: str
    functions: frozenset[str]


def kernel(
    roots: Sequence[Node],
    read: Sequence[Node],
    resident: Sequence[Node],
    vector_bytes: int,
    part: Share | None = None,
    replaces: Mapping[Node, Node] | None = None,
) -> Kernel:
    """The kernel that computes some stored nodes, for vectors of this width.

    Its parameters are where it reads, the lengths of those ``resident`` arrays that it reads, where it writes, and, of
    a loop that is shared, where the part of this core begins and ends. A root that ``replaces`` what is read has one
    parameter for both.
    """
    writer = Writer()
    outs = [f"%out{number or ''}" for number in range(len(roots))]
    own = {replaces[root]: out for root, out in zip(roots, outs, strict=True) if root in replaces} if replaces else {}
    write = turning.write if turning.turns(roots[0]) else LOOPS.get(roots[0].op)
    straight = None if write else flat(roots, read, part)
    if straight is not None:
        known = dict(zip(read, straight[1], strict=True))
        own = {known.get(old, old): out for old, out in own.items()}
        resident = [known.get(node, node) for node in resident]
        roots, read, _ = straight
    pointers = {node: own.get(node, f"%in{number}") for number, node in enumerate(read)}
    lengths = {node: f"%length{number}" for number, node in enumerate(read) if node in resident}
    emitter = Emitter(writer, pointers, lengths, vector_bytes)
    if write is not None:
        write(emitter, roots[0], part)
    else:
        if straight is not None and part is not None:
            inner = straight[2]
            begin, end = (writer.mul(bound, inner) for bound in ("%lo", "%hi"))
            part = Share(0, part.unit * inner, roots[0].size)
        else:
            begin, end = "%lo", "%hi"
        _map(emitter, roots, part, begin, end)
    writer.write("ret void")
    parameters = [f"ptr noalias readonly {name}" for node, name in pointers.items() if node not in own]
    parameters += [f"i64 {name}" for name in lengths.values()]
    parameters += [f"ptr noalias {name}" for name in outs]
    parameters += ["i64 %lo, i64 %hi"] if part else []
    return Kernel(", ".join(parameters), writer.text, frozenset(emitter.functions))


def nest(
    e: Emitter,
    shape: Sequence[int],
    inside: Inside,
    part: Share | None = None,
    index: Index = (),
    bounds: tuple[Value, Value] = ("%lo", "%hi"),
) -> None:
    """A loop for each axis; along the axis that is shared, just the part of this core."""
    axis = len(index)
    if axis == len(shape):
        inside(index)
        return
    shared = part is not None and part.axis == axis
    begin, end = bounds if shared else (0, shape[axis])
    with e.writer.loop(end, start=begin) as (at, _):
        e.enter()
        nest(e, shape, inside, part, (*index, at), bounds)
        e.leave()


def _map(e: Emitter, roots: Sequence[Node], part: Share | None, begin: Value, end: Value) -> None:
    e.branches = e.vector_bytes >= 32

    def inside(index: Index) -> None:
        # All values first: a later root finds an earlier one, at the same index, already in its register.
        values = [e.value(root, index) for root in roots]
        for number, (root, value) in enumerate(zip(roots, values, strict=True)):
            e.store(f"%out{number or ''}", root, index, value)

    nest(e, roots[0].shape, inside, part, (), (begin, end))


def reduction(
    e: Emitter,
    sizes: Sequence[int],
    carried: list[tuple[str, str]],
    turn: Callable[[Index, list[str]], list[str]],
    hint: str = "",
) -> list[str]:
    """Loops over ``sizes`` that carry values: ``turn(index, values) -> values``; gives the last ones.

    ``hint`` is for the innermost.
    """

    def level(index: Index, values: list[str]) -> list[str]:
        if len(index) == len(sizes):
            return turn(index, values)
        results: list[str] = []
        kinds = [kind for kind, _ in carried]
        own = hint if len(index) == len(sizes) - 1 else ""
        with e.writer.loop(sizes[len(index)], list(zip(kinds, values, strict=True)), results, hint=own) as (at, inner):
            e.enter()
            results[:] = level((*index, at), list(inner))
            e.leave()
        return results

    return level((), [value for _, value in carried])


def _interleave(rank: int, axes: Sequence[int], kept: Index, reduced: Index) -> Index:
    index: list[Value] = []
    k, r = iter(kept), iter(reduced)
    for axis in range(rank):
        index.append(next(r) if axis in axes else next(k))
    return tuple(index)


def _sum(e: Emitter, root: Node, part: Share | None) -> None:
    (x,), axes = root.inputs, root.attributes["axes"]

    def inside(kept: Index) -> None:
        def term(reduced: Index) -> str:
            return e.value(x, _interleave(x.rank, axes, kept, reduced))

        e.store("%out", root, kept, _total(e, [x.shape[axis] for axis in axes], root.dtype, term))

    if axes and axes[0] == 0 and x.rank > len(axes) and root.size > 1 and tuple(range(len(axes))) == tuple(axes):
        sizes = [x.shape[axis] for axis in axes]
        _accumulate(e, root, sizes, lambda kept, reduced: e.value(x, (*reduced, *kept)), part)
    else:
        nest(e, root.shape, inside, part)


def _total(e: Emitter, sizes: Sequence[int], dtype: str, term: Callable[[Index], str]) -> str:
    """The sum of terms over some axes.

    Floats are summed in vectors, along the last axis: how many is said here, so that the order of the sum, and with it
    the last bits, do not depend on what LLVM makes of the loops around it.
    """
    kind = REGISTER[dtype]
    lanes = e.vector_bytes // BYTES[dtype]
    inner = sizes[-1] if sizes else 1
    if dtype not in FLOATS:
        add, hint = f"add {kind}", ""
    elif inner < max(lanes, _LEAST):
        add, hint = f"fadd contract {kind}", ""
    else:
        add, hint = f"fadd reassoc contract {kind}", loop_hint(lanes, 4 if inner >= 4 * lanes else 1)

    def turn(reduced: Index, values: list[str]) -> list[str]:
        return [e.writer.emit(f"{add} {values[0]}, {term(reduced)}")]

    return reduction(e, sizes, [(kind, literal(0, dtype))], turn, hint)[0]


def _accumulate(
    e: Emitter, root: Node, sizes: Sequence[int], term: Callable[[Index, Index], str], part: Share | None
) -> None:
    """Sums with the summed axes outside: the inner loop runs along memory, and adds to what is there."""
    kind = REGISTER[root.dtype]
    add = f"fadd {kind}" if root.dtype in FLOATS else f"add {kind}"
    nest(e, root.shape, lambda index: e.store("%out", root, index, literal(0, root.dtype)), part)

    def outer(reduced: Index) -> None:
        def inside(kept: Index) -> None:
            value = term(kept, reduced)
            place = e.pointer("%out", root, kept)
            kind_ = MEMORY[root.dtype]
            old = e.writer.emit(f"load {kind_}, ptr {place}")
            new = e.writer.emit(f"{add} {old}, {value}")
            e.writer.write(f"store {kind_} {new}, ptr {place}")

        nest(e, root.shape, inside, part)

    nest(e, sizes, outer)


def _max(e: Emitter, root: Node, part: Share | None) -> None:
    (x,), axes = root.inputs, root.attributes["axes"]
    sizes = [x.shape[axis] for axis in axes]
    kind = REGISTER[x.dtype]
    low = -math.inf if x.dtype in FLOATS else {"int32": -(2**31), "int64": -(2**63)}.get(x.dtype, 0)

    def inside(kept: Index) -> None:
        def turn(reduced: Index, values: list[str]) -> list[str]:
            new = e.value(x, _interleave(x.rank, axes, kept, reduced))
            if root.op == "max" and x.dtype in FLOATS:
                return [e.intrinsic("maximum", kind, values[0], new)]
            better = _better(e, x.dtype, kind, new, values[0])
            best = e.writer.emit(f"select i1 {better}, {kind} {new}, {kind} {values[0]}")
            if root.op == "max":
                return [best]
            place: Value = 0
            for at, size in zip(reduced, sizes, strict=True):
                place = e.writer.add(e.writer.mul(place, size), at)
            return [best, e.writer.emit(f"select i1 {better}, i64 {place}, i64 {values[1]}")]

        start = [(kind, literal(low, x.dtype))] + ([("i64", "0")] if root.op == "argmax" else [])
        lanes = e.vector_bytes // BYTES[x.dtype]
        inner = sizes[-1] if sizes else 1
        vectors = root.op == "max" and x.dtype in FLOATS and inner >= max(lanes, _LEAST)
        hint = loop_hint(lanes, 4 if inner >= 4 * lanes else 1) if vectors else ""
        results = reduction(e, sizes, start, turn, hint)
        value = results[0] if root.op == "max" else convert(e, results[1], "int64", root.dtype)
        e.store("%out", root, kept, value)

    nest(e, root.shape, inside, part)


def _better(e: Emitter, dtype: str, kind: str, new: str, best: str) -> str:
    """Whether a new value takes the place of the best: it is larger, or the first NaN."""
    if dtype not in FLOATS:
        return e.writer.emit(f"icmp {'sgt' if dtype in SIGNED else 'ugt'} {kind} {new}, {best}")
    not_less = e.writer.emit(f"fcmp ugt {kind} {new}, {best}")  # larger, or one of them NaN
    clean = e.writer.emit(f"fcmp ord {kind} {best}, {best}")
    return e.writer.emit(f"and i1 {not_less}, {clean}")


def _contract(e: Emitter, root: Node, part: Share | None) -> None:
    form = contraction.tile(root, set(e.stored))
    if form is not None:
        contraction.write(e, form, part)
        return
    a, b = root.inputs
    p, q, out = (root.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
    size = {**dict(zip(p, a.shape, strict=True)), **dict(zip(q, b.shape, strict=True))}
    summed = [k for k in p if k not in out]
    kind = REGISTER[root.dtype]

    def product(kept: Index, reduced: Index) -> str:
        at = {**dict(zip(out, kept, strict=True)), **dict(zip(summed, reduced, strict=True))}
        left = e.value(a, tuple(at[k] for k in p))
        right = e.value(b, tuple(at[k] for k in q))
        return e.writer.emit(f"fmul contract {kind} {left}, {right}")

    sizes = [size[k] for k in summed]
    if out and out[-1] in (*p[-1:], *q[-1:]) and root.size > 1:
        _rows(e, root, sizes, product, part)
        return

    def inside(kept: Index) -> None:
        e.store("%out", root, kept, _total(e, sizes, root.dtype, lambda reduced: product(kept, reduced)))

    nest(e, root.shape, inside, part)


def _rows(
    e: Emitter, root: Node, sizes: Sequence[int], product: Callable[[Index, Index], str], part: Share | None
) -> None:
    """For each row of the output: clear it, and add each term of the sum along it."""
    kind = REGISTER[root.dtype]
    shared = part is not None and part.axis == root.rank - 1
    begin, end = ("%lo", "%hi") if shared else (0, root.shape[-1])

    def row(outer: Index) -> None:
        with e.writer.loop(end, start=begin) as (at, _):
            e.enter()
            e.store("%out", root, (*outer, at), literal(0, root.dtype))
            e.leave()

        def term(reduced: Index) -> None:
            with e.writer.loop(end, start=begin) as (at, _):
                e.enter()
                value = product((*outer, at), reduced)
                place = e.pointer("%out", root, (*outer, at))
                old = e.writer.emit(f"load {kind}, ptr {place}")
                new = e.writer.emit(f"fadd contract {kind} {old}, {value}")
                e.writer.write(f"store {kind} {new}, ptr {place}")
                e.leave()

        nest(e, sizes, term)

    nest(e, root.shape[:-1], row, part)


def _fold(e: Emitter, root: Node, part: Share | None) -> None:
    """In gather form: each place asks which windows cover it."""
    (x,) = root.inputs
    axes, sizes, strides, dilations = (root.attributes[name] for name in ("axes", "sizes", "strides", "dilations"))
    kind = REGISTER[root.dtype]

    def inside(kept: Index) -> None:
        def turn(taps: Index, values: list[str]) -> list[str]:
            index, inside_all = list(kept), ""
            for axis, tap, stride, dilation in zip(axes, taps, strides, dilations, strict=True):
                start = e.writer.sub(kept[axis], e.writer.mul(tap, dilation))
                checks = []
                if stride > 1:
                    rest = e.writer.emit(f"srem i64 {start}, {stride}")
                    checks.append(e.writer.emit(f"icmp eq i64 {rest}, 0"))
                    start = e.writer.emit(f"sdiv i64 {start}, {stride}")
                fits, safe = e.within(start, x.shape[axis])
                index[axis] = safe
                for check in (*checks, fits):
                    inside_all = e.writer.emit(f"and i1 {inside_all}, {check}") if inside_all else check
            term = e.value(x, (*index, *taps))
            if inside_all:
                term = e.select(inside_all, term, literal(0, root.dtype), root.dtype)
            return [e.writer.emit(f"fadd {kind} {values[0]}, {term}")]

        (total,) = reduction(e, sizes, [(kind, literal(0, root.dtype))], turn)
        e.store("%out", root, kept, total)

    nest(e, root.shape, inside, part)


def _scatter_add(e: Emitter, root: Node, _: Share | None) -> None:
    u, i = root.inputs
    axis, batch, length = (root.attributes[name] for name in ("axis", "batch", "length"))
    taken = i.rank - batch
    kind = REGISTER[root.dtype]
    nest(e, root.shape, lambda index: e.store("%out", root, index, literal(0, root.dtype)))

    def inside(index: Index) -> None:
        at = convert(e, e.value(i, (*index[:batch], *index[axis : axis + taken])), i.dtype, "int64")
        fits, safe = e.within(at, length)
        value = e.select(fits, e.value(u, index), literal(0, root.dtype), root.dtype)
        place = e.pointer("%out", root, (*index[:axis], safe, *index[axis + taken :]))
        old = e.writer.emit(f"load {kind}, ptr {place}")
        e.writer.write(f"store {kind} {e.writer.emit(f'fadd {kind} {old}, {value}')}, ptr {place}")

    if length:
        nest(e, u.shape, inside)


def _concatenate(e: Emitter, root: Node, _: Share | None) -> None:
    axis, start = root.attributes["axis"], 0
    for part in root.inputs:

        def inside(index: Index, part: Node = part, start: int = start) -> None:
            moved = (*index[:axis], e.writer.add(index[axis], start), *index[axis + 1 :])
            e.store("%out", root, moved, e.value(part, index))

        e.enter()
        nest(e, part.shape, inside)
        e.leave()
        start += part.shape[axis]


LOOPS: dict[str, Callable[[Emitter, Node, Share | None], None]] = {
    "sum": _sum,
    "max": _max,
    "argmax": _max,
    "contract": _contract,
    "fold": _fold,
    "scatter_add": _scatter_add,
    "concatenate": _concatenate,
}
