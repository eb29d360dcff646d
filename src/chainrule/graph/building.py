"""Functions that make nodes: one for each op, in the words of the op list, and the few composites that need no name."""

from __future__ import annotations

import builtins
import string
from collections.abc import Sequence
from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph.node import Node, Scalar, Shape, constant, full, lift, make

__all__ = [
    "argmax", "broadcast", "broadcast_like", "broadcast_to", "cast", "concatenate", "constant", "contract", "cos",
    "eq", "erf", "exp", "expm1", "floor", "fold", "full", "gather", "input", "iota", "le", "lift", "log", "log1p",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "max", "pad", "param", "power", "random_bits",
    "rem", "reshape", "reverse", "scatter_add", "select", "shift_left", "shift_right", "sigmoid", "sin", "slice",
    "stop_gradient", "sum", "tanh", "transpose", "window", "zeros_like",
]  # fmt: skip


def input(name: str, shape: Sequence[int] = (), dtype: str = "float32") -> Node:
    """An array that is given when the graph is run.

    >>> input("x", (2, 3))
    <input 'x' float32[2, 3]>
    """
    return make("input", name=name, shape=tuple(shape), dtype=dtype)


def param(index: int, shape: Sequence[int], dtype: str) -> Node:
    """Operand ``index`` of the body of a scan."""
    return make("param", index=index, shape=tuple(shape), dtype=dtype)


def iota(size: int, dtype: str = "int32") -> Node:
    """The numbers 0 … size - 1."""
    return make("iota", size=size, dtype=dtype)


def exp(x: Node) -> Node:
    """eˣ, element by element."""
    return make("exp", (x,))


def log(x: Node) -> Node:
    """The natural logarithm, element by element."""
    return make("log", (x,))


def log1p(x: Node) -> Node:
    """log(1 + x), exact near 0."""
    return make("log1p", (x,))


def expm1(x: Node) -> Node:
    """eˣ - 1, exact near 0."""
    return make("expm1", (x,))


def tanh(x: Node) -> Node:
    """The hyperbolic tangent, element by element."""
    return make("tanh", (x,))


def erf(x: Node) -> Node:
    """The error function, element by element."""
    return make("erf", (x,))


def sin(x: Node) -> Node:
    """The sine, element by element."""
    return make("sin", (x,))


def cos(x: Node) -> Node:
    """The cosine, element by element."""
    return make("cos", (x,))


def sigmoid(x: Node) -> Node:
    """1 / (1 + e⁻ˣ), element by element; an op of its own, exact in both tails."""
    return make("sigmoid", (x,))


def power(x: Node, exponent: float) -> Node:
    """x to a static exponent, element by element."""
    return make("power", (x,), exponent=float(exponent))


def floor(x: Node) -> Node:
    """The largest whole number not above x; it has no gradient."""
    return make("floor", (x,))


def rem(a: Node, b: Node | Scalar) -> Node:
    """The remainder of a / b with the sign of a."""
    return make("rem", (a, lift(b, a)))


def lt(a: Node, b: Node | Scalar) -> Node:
    """a < b, element by element."""
    return make("lt", (a, lift(b, a)))


def le(a: Node, b: Node | Scalar) -> Node:
    """a ≤ b, element by element."""
    return make("le", (a, lift(b, a)))


def eq(a: Node, b: Node | Scalar) -> Node:
    """a = b, element by element (``==`` between nodes asks whether they are the same node)."""
    return make("eq", (a, lift(b, a)))


def logical_and(a: Node, b: Node | Scalar) -> Node:
    """a and b, of booleans or of the bits of integers."""
    return make("and", (a, lift(b, a)))


def logical_or(a: Node, b: Node | Scalar) -> Node:
    """a or b, of booleans or of the bits of integers."""
    return make("or", (a, lift(b, a)))


def logical_xor(a: Node, b: Node | Scalar) -> Node:
    """Exclusive or, of booleans or of the bits of integers."""
    return make("xor", (a, lift(b, a)))


def logical_not(x: Node) -> Node:
    """Not, of booleans or of the bits of integers."""
    return make("not", (x,))


def shift_left(a: Node, b: Node | Scalar) -> Node:
    """The bits of a moved up by b places; b is below the width of the dtype."""
    return make("shift_left", (a, lift(b, a)))


def shift_right(a: Node, b: Node | Scalar) -> Node:
    """The bits of a moved down by b places; the sign is kept for signed integers."""
    return make("shift_right", (a, lift(b, a)))


def select(condition: Node, a: Node | Scalar, b: Node | Scalar) -> Node:
    """``a`` where the condition holds, ``b`` elsewhere; one of them may be a number."""
    if not isinstance(a, Node) and not isinstance(b, Node):
        raise ShapeError("select wants a node on at least one side; use graph.full for a constant")
    like = a if isinstance(a, Node) else b
    assert isinstance(like, Node)
    return make("select", (condition, lift(a, like), lift(b, like)))


def cast(x: Node, dtype: str) -> Node:
    """x in another dtype; towards zero to integers, 0 and 1 from booleans."""
    return x if x.dtype == dtype else make("cast", (x,), dtype=dtype)


def stop_gradient(x: Node) -> Node:
    """x, through which no gradient passes."""
    return make("stop_gradient", (x,))


def random_bits(seed: Node, counter: Node, path: str) -> Node:
    """Philox bits of (seed, counter, path), uint32, element by element (Salmon et al. 2011)."""
    return make("random_bits", (seed, counter), path=path)


def _axes(x: Node, axes: int | Sequence[int] | None) -> Shape:
    if axes is None:
        return tuple(range(x.rank))
    listed = (axes,) if isinstance(axes, int) else tuple(axes)
    return tuple(sorted(a + x.rank if a < 0 else a for a in listed))


def sum(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The sum over some axes, or over all."""
    return make("sum", (x,), axes=_axes(x, axes))


def max(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The largest element over some axes, or over all; NaN if there is one."""
    return make("max", (x,), axes=_axes(x, axes))


def argmax(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The position of the first largest element, int32, counted over the reduced axes in row-major order."""
    return make("argmax", (x,), axes=_axes(x, axes))


def canonical(a: Sequence[Any], b: Sequence[Any], out: Sequence[Any]) -> dict[str, Shape]:
    """Axis letters as numbers by first appearance: the one form of a contraction."""
    number: dict[Any, int] = {}
    a_axes, b_axes, out_axes = (tuple(number.setdefault(k, len(number)) for k in part) for part in (a, b, out))
    return {"a_axes": a_axes, "b_axes": b_axes, "out_axes": out_axes}


def contract(a: Node, b: Node, letters: str) -> Node:
    """The sum of products of two operands over named axes: ``contract(x, w, "bi,io->bo")``.

    Each letter stands in exactly two or three of the two operands and the output, and never twice in one.

    >>> contract(input("x", (4, 3)), input("w", (3, 2)), "bi,io->bo").shape
    (4, 2)
    """
    try:
        operands, out = letters.replace(" ", "").split("->")
        first, second = operands.split(",")
    except ValueError:
        raise ShapeError(f'contract: {letters!r} is not of the form "bi,io->bo"') from None
    if not set(first + second + out) <= set(string.ascii_letters):
        raise ShapeError(f"contract: axes are named by letters, and {letters!r} has others")
    return make("contract", (a, b), **canonical(first, second, out))


def reshape(x: Node, shape: Sequence[int]) -> Node:
    """The same elements, in row-major order, in another shape; one size may be -1."""
    sizes = list(shape)
    if sizes.count(-1) == 1:
        known = -1
        for size in sizes:
            known *= size
        sizes[sizes.index(-1)] = x.size // builtins.max(known, 1) if known else 0
    return x if tuple(sizes) == x.shape else make("reshape", (x,), shape=tuple(sizes))


def transpose(x: Node, axes: Sequence[int] | None = None) -> Node:
    """The axes in another order; all reversed if none is given."""
    order = tuple(reversed(range(x.rank))) if axes is None else tuple(a + x.rank if a < 0 else a for a in axes)
    return x if order == tuple(range(x.rank)) else make("transpose", (x,), axes=order)


def reverse(x: Node, axes: int | Sequence[int]) -> Node:
    """The elements along some axes in the opposite order."""
    return make("reverse", (x,), axes=_axes(x, axes))


def broadcast(x: Node, axes: Sequence[int], sizes: Sequence[int]) -> Node:
    """New axes of the sizes given, at the places ``axes`` of the output, along which x repeats."""
    return make("broadcast", (x,), axes=tuple(axes), sizes=tuple(sizes)) if axes else x


def broadcast_to(x: Node, shape: Sequence[int]) -> Node:
    """x repeated along new leading axes, until it has the shape given."""
    new = len(shape) - x.rank
    if new < 0 or tuple(shape[new:]) != x.shape:
        raise ShapeError(f"broadcast_to: {x!r} is not the end of the shape {list(shape)}; use graph.broadcast")
    return broadcast(x, range(new), shape[:new])


def broadcast_like(x: Node, like: Node, axes: int | Sequence[int] | None = None) -> Node:
    """x, reduced over ``axes`` of ``like``, repeated along them again: the way back from a reduction."""
    places = _axes(like, axes)
    return broadcast(x, places, [like.shape[a] for a in places])


def slice(x: Node, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None) -> Node:
    """The elements start, start + step, … below stop, for each axis (also ``x[1:5, ::2]``)."""
    steps = tuple(steps) if steps is not None else (1,) * x.rank
    return make("slice", (x,), starts=tuple(starts), stops=tuple(stops), steps=steps)


def pad(
    x: Node,
    low: Sequence[int],
    high: Sequence[int],
    interior: Sequence[int] | None = None,
    value: float = 0.0,
) -> Node:
    """``low`` elements before, ``high`` after and ``interior`` between, for each axis, all of one value."""
    inner = tuple(interior) if interior is not None else (0,) * x.rank
    return make("pad", (x,), low=tuple(low), high=tuple(high), interior=inner, value=float(value))


def concatenate(parts: Sequence[Node], axis: int = 0) -> Node:
    """Nodes joined along an axis that they have."""
    if len(parts) == 1:
        return parts[0]
    return make("concatenate", tuple(parts), axis=axis + parts[0].rank if parts and axis < 0 else axis)


def window(
    x: Node,
    axes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
) -> Node:
    """Sliding windows as extra axes at the end; no padding inside.

    >>> window(input("x", (5,)), [0], [3]).shape
    (3, 3)
    """
    ones = (1,) * len(axes)
    strides, dilations = tuple(strides or ones), tuple(dilations or ones)
    return make("window", (x,), axes=tuple(axes), sizes=tuple(sizes), strides=strides, dilations=dilations)


def fold(
    x: Node,
    axes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    lengths: Sequence[int],
) -> Node:
    """The overlapping sum of windows: the adjoint of `window` for inputs of these lengths."""
    parts = {"axes": axes, "sizes": sizes, "strides": strides, "dilations": dilations, "lengths": lengths}
    return make("fold", (x,), **{name: tuple(part) for name, part in parts.items()})


def gather(x: Node, index: Node, axis: int = 0, batch: int = 0) -> Node:
    """The slices of x at these indices along an axis; ``batch`` leading axes are shared. Out of range reads 0."""
    return make("gather", (x, index), axis=axis, batch=batch)


def scatter_add(u: Node, index: Node, length: int, axis: int = 0, batch: int = 0) -> Node:
    """u added up at these indices along an axis of this length: the adjoint of `gather`. Out of range is dropped."""
    return make("scatter_add", (u, index), axis=axis, batch=batch, length=length)


def zeros_like(x: Node) -> Node:
    """Zeros of the shape and dtype of x."""
    return full(x.shape, 0, x.dtype)
