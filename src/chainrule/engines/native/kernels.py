"""The loops of a stored node: one LLVM function, of pointers to what it reads and to what it writes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from chainrule.engines.native import contraction, turning
from chainrule.engines.native.expressions import Emitter, Index, convert
from chainrule.engines.native.flattening import flat
from chainrule.engines.native.nests import nest, reduction, total
from chainrule.engines.native.reductions import write_argmax, write_max, write_sum
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.text import Value, Writer
from chainrule.engines.native.tiles import tile
from chainrule.engines.native.types import REGISTER, literal
from chainrule.graph import Node


@dataclass(frozen=True)
class Kernel:
    """The parameters and the text of one function, and the functions that it needs."""

    parameters: str
    body: str
    functions: frozenset[str]


def kernel(
    roots: Sequence[Node],
    read: Sequence[Node],
    stored: Collection[Node],
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
    written = [root for root in roots if root in stored]
    outs = [f"%out{number or ''}" for number in range(len(written))]
    own = {replaces[root]: out for root, out in zip(written, outs, strict=True) if root in replaces} if replaces else {}
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
    if len(roots) > 1 and roots[0].op == "contract":
        _finished(emitter, roots, dict(zip(written, outs, strict=True)), part, in_place=bool(own))
    elif write is not None:
        write(emitter, roots[0], part)
    else:
        if straight is not None and part is not None:
            inner = straight[2]
            begin, end = (writer.mul(bound, inner) for bound in ("%lo", "%hi"))
            part = Share(0, part.unit * inner, roots[0].size, part.cores)
        else:
            begin, end = "%lo", "%hi"
        _map(emitter, roots, part, begin, end)
    writer.write("ret void")
    parameters = [f"ptr noalias readonly {name}" for node, name in pointers.items() if node not in own]
    parameters += [f"i64 {name}" for name in lengths.values()]
    parameters += [f"ptr noalias {name}" for name in outs]
    parameters += ["i64 %lo, i64 %hi"] if part else []
    return Kernel(", ".join(parameters), writer.text, frozenset(emitter.functions))


def _map(e: Emitter, roots: Sequence[Node], part: Share | None, begin: Value, end: Value) -> None:
    e.branches = e.vector_bytes >= 32

    def inside(index: Index) -> None:
        # All values first: a later root finds an earlier one, at the same index, already in its register.
        values = [e.value(root, index) for root in roots]
        for number, (root, value) in enumerate(zip(roots, values, strict=True)):
            e.store(f"%out{number or ''}", root, index, value)

    nest(e, roots[0].shape, inside, part, (), (begin, end))


def _finished(e: Emitter, roots: Sequence[Node], outs: Mapping[Node, str], part: Share | None, in_place: bool) -> None:
    """A product, and what is computed of it, tile by tile."""
    product, *rest = roots
    # One that is not stored lies, tile by tile, where the first of the others will: if nothing is there any more.
    kept = product in outs or not in_place
    e.stored = {**e.stored, product: outs.get(product, "%out")}

    def finish(index: Index) -> None:
        values = [e.value(root, index) for root in rest]
        for root, value in zip(rest, values, strict=True):
            e.store(outs[root], root, index, value)

    form = tile(product, set(e.stored))
    assert form is not None, "only such products are joined"
    contraction.write(e, form, part, finish, kept)


def _contract(e: Emitter, root: Node, part: Share | None) -> None:
    form = tile(root, set(e.stored))
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
        e.store("%out", root, kept, total(e, sizes, root.dtype, lambda reduced: product(kept, reduced)))

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


def _scatter_add(e: Emitter, root: Node, part: Share | None) -> None:
    """Cores that share the rows go through all that is to be added, each for the rows that are its own."""
    u, i = root.inputs
    axis, batch, length = (root.attributes[name] for name in ("axis", "batch", "length"))
    taken = i.rank - batch
    kind = REGISTER[root.dtype]
    nest(e, root.shape, lambda index: e.store("%out", root, index, literal(0, root.dtype)), part)
    by_rows = part is not None and part.axis == axis
    begin, end = ("%lo", "%hi") if by_rows else (0, length)
    behind = None if part is None or part.axis <= axis else part.along(part.axis - axis - 1)
    before = part if part is not None and part.axis < axis else None

    def row(outer: Index) -> None:
        at = convert(e, e.value(i, (*outer[:batch], *outer[axis:])), i.dtype, "int64")
        fits = e.writer.emit(f"icmp ult i64 {e.writer.sub(at, begin)}, {e.writer.sub(end, begin)}")

        def inside(inner: Index) -> None:
            value = e.value(u, (*outer, *inner))
            place = e.pointer("%out", root, (*outer[:axis], at, *inner))
            old = e.writer.emit(f"load {kind}, ptr {place}")
            e.writer.write(f"store {kind} {e.writer.emit(f'fadd {kind} {old}, {value}')}, ptr {place}")

        with e.writer.when(fits):
            e.enter()
            nest(e, u.shape[axis + taken :], inside, behind)
            e.leave()

    if length:
        nest(e, u.shape[: axis + taken], row, before)


def _concatenate(e: Emitter, root: Node, part: Share | None) -> None:
    axis, start = root.attributes["axis"], 0
    for piece in root.inputs:

        def inside(index: Index, piece: Node = piece, start: int = start) -> None:
            moved = (*index[:axis], e.writer.add(index[axis], start), *index[axis + 1 :])
            e.store("%out", root, moved, e.value(piece, index))

        bounds: tuple[Value, Value] = "%lo", "%hi"
        if part is not None and part.axis == axis:
            # A core's part is cut out of the whole, and may begin and end within any piece.
            low, high = (e.intrinsic("smax", "i64", str(e.writer.sub(bound, start)), "0") for bound in bounds)
            bounds = low, e.intrinsic("smin", "i64", high, str(piece.shape[axis]))
        e.enter()
        nest(e, piece.shape, inside, part, bounds=bounds)
        e.leave()
        start += piece.shape[axis]


LOOPS: dict[str, Callable[[Emitter, Node, Share | None], None]] = {
    "sum": write_sum,
    "max": write_max,
    "argmax": write_argmax,
    "contract": _contract,
    "fold": _fold,
    "scatter_add": _scatter_add,
    "concatenate": _concatenate,
}
