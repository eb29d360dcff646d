"""Loops around what is computed: over the axes of an output, and over those that are added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chainrule.engines.native.expressions import Emitter, Index
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.text import KEPT, Value, loop_hint
from chainrule.engines.native.types import BYTES, REGISTER, literal
from chainrule.graph import FLOATS

Inside = Callable[[Index], None]
#: Loops of fewer turns LLVM will not always make vectors of, and says so to whoever trains.
LEAST = 16
#: Turns of a loop along memory that are enough for a vector, and few enough for LLVM to write them out.
_FEW = range(8, 129)


def nest(
    e: Emitter,
    shape: Sequence[int],
    inside: Inside,
    part: Share | None = None,
    index: Index = (),
    bounds: tuple[Value, Value] = ("%lo", "%hi"),
    kept: bool = True,
) -> None:
    """A loop for each axis; along the axis that is shared, just the part of this core.

    The innermost is ``kept`` a loop, or may be written out where it is short.
    """
    axis = len(index)
    if axis == len(shape):
        inside(index)
        return
    shared = part is not None and part.axis == axis
    begin, end = bounds if shared else (0, shape[axis])
    few = axis == len(shape) - 1 and shape[axis] in _FEW and kept
    with e.writer.loop(end, start=begin, hint=KEPT if few else "") as (at, _):
        e.enter()
        nest(e, shape, inside, part, (*index, at), bounds, kept)
        e.leave()


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


def interleave(rank: int, axes: Sequence[int], kept: Index, reduced: Index) -> Index:
    """An index of some rank, of the places on the axes that are kept and on those that are reduced."""
    index: list[Value] = []
    k, r = iter(kept), iter(reduced)
    for axis in range(rank):
        index.append(next(r) if axis in axes else next(k))
    return tuple(index)


def total(e: Emitter, sizes: Sequence[int], dtype: str, term: Callable[[Index], str]) -> str:
    """The sum of terms over some axes.

    Floats are summed in vectors, along the last axis: how many is said here, so that the order of the sum, and with it
    the last bits, do not depend on what LLVM makes of the loops around it.
    """
    kind = REGISTER[dtype]
    lanes = e.vector_bytes // BYTES[dtype]
    inner = sizes[-1] if sizes else 1
    if dtype not in FLOATS:
        add, hint = f"add {kind}", ""
    elif inner < max(lanes, LEAST):
        add, hint = f"fadd contract {kind}", ""
    else:
        add, hint = f"fadd reassoc contract {kind}", loop_hint(lanes, 4 if inner >= 4 * lanes else 1)

    def turn(reduced: Index, values: list[str]) -> list[str]:
        return [e.writer.emit(f"{add} {values[0]}, {term(reduced)}")]

    return reduction(e, sizes, [(kind, literal(0, dtype))], turn, hint)[0]
