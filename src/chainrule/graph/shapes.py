"""The shape table: op -> (shape, dtype) of its output, or a `ShapeError` or `DtypeError` that shows the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.graph.ops import DTYPES, FLOATS, INTEGERS, OPS, TUPLE, fits

Shape = tuple[int, ...]
Result = tuple[Shape, str]


class Shaped(Protocol):
    """Anything with a shape and a dtype."""

    @property
    def shape(self) -> Shape:
        """The size along each axis."""

    @property
    def dtype(self) -> str:
        """The dtype of the elements."""


ShapeRule = Callable[..., Result]


def _text(x: Shaped) -> str:
    return f"{x.dtype}{list(x.shape)}"


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ShapeError(message)


def _dtype_in(op: str, x: Shaped, allowed: tuple[str, ...]) -> None:
    if x.dtype not in allowed:
        raise DtypeError(f"{op} takes {' or '.join(allowed)}, and got {_text(x)}; use graph.cast")


def _axes(op: str, x: Shaped, axes: Shape) -> None:
    wrong = [a for a in axes if not 0 <= a < len(x.shape)]
    _check(
        not wrong and len(set(axes)) == len(axes),
        f"{op}: axes {list(axes)} are not distinct axes of {_text(x)}",
    )


def _declared(op: str) -> ShapeRule:
    def rule(inputs: tuple[Shaped, ...], *, shape: Shape, dtype: str, **_: Any) -> Result:
        if dtype not in DTYPES:
            raise DtypeError(f"{op}: there is no dtype {dtype!r}; the dtypes are {', '.join(DTYPES)}")
        _check(all(isinstance(n, int) and n >= 0 for n in shape), f"{op}: {shape} is not a shape")
        return shape, dtype

    return rule


def _constant(inputs: tuple[Shaped, ...], *, value: Any) -> Result:
    if value.dtype.name not in DTYPES:
        raise DtypeError(f"a constant cannot be {value.dtype.name}; the dtypes are {', '.join(DTYPES)}")
    return value.shape, value.dtype.name


def _iota(inputs: tuple[Shaped, ...], *, size: int, dtype: str) -> Result:
    _check(size >= 0, f"iota: {size} is negative")
    if dtype not in (*FLOATS, *INTEGERS):
        raise DtypeError(f"iota counts in floats or integers, not {dtype}")
    return (size,), dtype


def _elementwise(op: str, allowed: tuple[str, ...], out: str | None = None) -> ShapeRule:
    def rule(inputs: tuple[Shaped, ...], **_: Any) -> Result:
        first = inputs[0]
        for other in inputs[1:]:
            same_shape(op, first, other)
            same_dtype(op, first, other)
        _dtype_in(op, first, allowed)
        return first.shape, out or first.dtype

    return rule


def same_shape(op: str, a: Shaped, b: Shaped) -> None:
    """Refuse two operands of different shapes: nothing is stretched silently."""
    if a.shape != b.shape:
        raise ShapeError(
            f"{op}: the shapes {list(a.shape)} and {list(b.shape)} differ; nothing is stretched silently: "
            "use graph.broadcast_to or graph.reshape on one of them"
        )


def same_dtype(op: str, a: Shaped, b: Shaped) -> None:
    """Refuse two operands of different dtypes: nothing is promoted silently."""
    if a.dtype != b.dtype:
        raise DtypeError(f"{op}: {_text(a)} and {_text(b)} differ in dtype; use graph.cast on one")


def _select(inputs: tuple[Shaped, ...]) -> Result:
    condition, a, b = inputs
    _dtype_in("select", condition, ("bool",))
    same_shape("select", condition, a)
    return _elementwise("select", DTYPES)((a, b))


def _cast(inputs: tuple[Shaped, ...], *, dtype: str) -> Result:
    if dtype not in DTYPES:
        raise DtypeError(f"cast: there is no dtype {dtype!r}; the dtypes are {', '.join(DTYPES)}")
    return inputs[0].shape, dtype


def _reduce(op: str, allowed: tuple[str, ...], out: str | None = None) -> ShapeRule:
    def rule(inputs: tuple[Shaped, ...], *, axes: Shape) -> Result:
        (x,) = inputs
        _axes(op, x, axes)
        _dtype_in(op, x, allowed)
        _check(
            op == "sum" or all(x.shape[a] for a in axes),
            f"{op} of no elements: {_text(x)} over axes {list(axes)}",
        )
        return tuple(n for a, n in enumerate(x.shape) if a not in axes), out or x.dtype

    return rule


def _contract(inputs: tuple[Shaped, ...], *, a_axes: Shape, b_axes: Shape, out_axes: Shape) -> Result:
    a, b = inputs
    same_dtype("contract", a, b)
    _dtype_in("contract", a, FLOATS)
    for name, x, axes in (("a", a, a_axes), ("b", b, b_axes)):
        _check(
            len(axes) == len(x.shape),
            f"contract: {len(axes)} letters for operand {name}, which is {_text(x)}",
        )
    sizes: dict[int, int] = {}
    for axes, shape in ((a_axes, a.shape), (b_axes, b.shape)):
        for letter, size in zip(axes, shape, strict=True):
            known = sizes.setdefault(letter, size)
            _check(
                known == size,
                f"contract: {_text(a)} and {_text(b)} meet on an axis of {known} in one and {size} in the other",
            )
    for letter in {*a_axes, *b_axes, *out_axes}:
        count = [axes.count(letter) for axes in (a_axes, b_axes, out_axes)]
        _check(
            max(count) == 1 and sum(count) >= 2,
            "contract: each letter stands in exactly two or three of a, b and out, never twice in one; "
            f"letter {letter} stands {count} times. Sum or broadcast that axis by itself",
        )
    return tuple(sizes[letter] for letter in out_axes), a.dtype


def _reshape(inputs: tuple[Shaped, ...], *, shape: Shape) -> Result:
    (x,) = inputs
    _check(min((*shape, 0)) >= 0, f"reshape: {list(shape)} is not a shape; graph.reshape takes one -1 at most")
    have, want = math.prod(x.shape), math.prod(shape)
    _check(have == want, f"reshape: {_text(x)} has {have} elements, and {list(shape)} would need {want}")
    return shape, x.dtype


def _transpose(inputs: tuple[Shaped, ...], *, axes: Shape) -> Result:
    (x,) = inputs
    _axes("transpose", x, axes)
    _check(len(axes) == len(x.shape), f"transpose: {list(axes)} does not name every axis of {_text(x)}")
    return tuple(x.shape[a] for a in axes), x.dtype


def _reverse(inputs: tuple[Shaped, ...], *, axes: Shape) -> Result:
    _axes("reverse", inputs[0], axes)
    return inputs[0].shape, inputs[0].dtype


def _broadcast(inputs: tuple[Shaped, ...], *, axes: Shape, sizes: Shape) -> Result:
    (x,) = inputs
    rank = len(x.shape) + len(axes)
    _check(len(axes) == len(sizes), f"broadcast: {len(axes)} axes and {len(sizes)} sizes")
    _check(min((*sizes, 0)) >= 0, f"broadcast: sizes {list(sizes)} are not all 0 or more")
    _check(tuple(sorted(set(axes))) == axes, f"broadcast: axes {list(axes)} are not increasing")
    _check(all(0 <= a < rank for a in axes), f"broadcast: axes {list(axes)} of {_text(x)} give {rank} axes only")
    new = dict(zip(axes, sizes, strict=True))
    old = iter(x.shape)
    return tuple(new[a] if a in new else next(old) for a in range(rank)), x.dtype


def _slice(inputs: tuple[Shaped, ...], *, starts: Shape, stops: Shape, steps: Shape) -> Result:
    (x,) = inputs
    _check(
        len(starts) == len(stops) == len(steps) == len(x.shape),
        f"slice: one range an axis of {_text(x)}, please",
    )
    for start, stop, step, size in zip(starts, stops, steps, x.shape, strict=True):
        _check(0 <= start <= stop <= size and step >= 1, f"slice: {start}:{stop}:{step} of an axis of {size}")
    return tuple(len(range(*part)) for part in zip(starts, stops, steps, strict=True)), x.dtype


def _pad(inputs: tuple[Shaped, ...], *, low: Shape, high: Shape, interior: Shape, value: float) -> Result:
    (x,) = inputs
    _check(
        len(low) == len(high) == len(interior) == len(x.shape),
        f"pad: one amount an axis of {_text(x)}, please",
    )
    _check(min((*low, *high, *interior, 0)) >= 0, "pad: amounts are not negative; use graph.slice to cut")
    if not fits(value, x.dtype):
        raise DtypeError(f"pad: {value} is not a number that {_text(x)} could hold; use graph.cast")
    parts = zip(x.shape, low, high, interior, strict=True)
    return tuple(n + lo + hi + inner * max(n - 1, 0) for n, lo, hi, inner in parts), x.dtype


def _concatenate(inputs: tuple[Shaped, ...], *, axis: int) -> Result:
    _check(len(inputs) > 0, "concatenate: nothing to join")
    first = inputs[0]
    _axes("concatenate", first, (axis,))
    for other in inputs[1:]:
        same_dtype("concatenate", first, other)
        alike = len(other.shape) == len(first.shape) and all(
            m == n for a, (m, n) in enumerate(zip(first.shape, other.shape, strict=True)) if a != axis
        )
        _check(alike, f"concatenate: {_text(first)} and {_text(other)} differ beside axis {axis}")
    total = sum(x.shape[axis] for x in inputs)
    return (*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype


def window_count(length: int, size: int, stride: int, dilation: int) -> int:
    """How many windows fit: floor((length - dilation (size - 1) - 1) / stride) + 1."""
    return (length - dilation * (size - 1) - 1) // stride + 1


def _window_attributes(op: str, x: Shaped, axes: Shape, sizes: Shape, strides: Shape, dilations: Shape) -> None:
    _axes(op, x, axes)
    _check(
        len(axes) == len(sizes) == len(strides) == len(dilations) and min((*sizes, *strides, *dilations, 1)) >= 1,
        f"{op}: axes {list(axes)} want as many sizes, strides and dilations, each 1 or more",
    )


def _window(inputs: tuple[Shaped, ...], *, axes: Shape, sizes: Shape, strides: Shape, dilations: Shape) -> Result:
    (x,) = inputs
    _window_attributes("window", x, axes, sizes, strides, dilations)
    shape = list(x.shape)
    for axis, size, stride, dilation in zip(axes, sizes, strides, dilations, strict=True):
        left = shape[axis] - dilation * (size - 1) - 1
        _check(
            left >= 0,
            f"window: {shape[axis]} - {dilation}·({size} - 1) - 1 = {left} is negative: "
            f"the window is larger than axis {axis} of {_text(x)}",
        )
        shape[axis] = window_count(shape[axis], size, stride, dilation)
    return (*shape, *sizes), x.dtype


def _fold(
    inputs: tuple[Shaped, ...], *, axes: Shape, sizes: Shape, strides: Shape, dilations: Shape, lengths: Shape
) -> Result:
    (x,) = inputs
    _window_attributes("fold", x, axes, sizes, strides, dilations)
    _dtype_in("fold", x, FLOATS)
    rank = len(x.shape) - len(axes)
    _check(x.shape[rank:] == sizes, f"fold: the last axes of {_text(x)} are not the window's {list(sizes)}")
    shape = list(x.shape[:rank])
    for axis, size, stride, dilation, length in zip(axes, sizes, strides, dilations, lengths, strict=True):
        _check(
            axis < rank and 0 < window_count(length, size, stride, dilation) == shape[axis],
            f"fold: {length} elements do not give {shape[axis]} windows of {size} by {stride}, dilation {dilation}",
        )
        shape[axis] = length
    return tuple(shape), x.dtype


def _gather(inputs: tuple[Shaped, ...], *, axis: int, batch: int) -> Result:
    x, i = inputs
    _axes("gather", x, (axis,))
    _dtype_in("gather: the index", i, ("int32", "int64", "uint8", "uint32"))
    _check(
        0 <= batch <= axis and x.shape[:batch] == i.shape[:batch],
        f"gather: {_text(x)} and the index {_text(i)} do not share {batch} leading axes before axis {axis}",
    )
    return (*x.shape[:axis], *i.shape[batch:], *x.shape[axis + 1 :]), x.dtype


def _scatter_add(inputs: tuple[Shaped, ...], *, axis: int, batch: int, length: int) -> Result:
    u, i = inputs
    _dtype_in("scatter_add: the index", i, ("int32", "int64", "uint8", "uint32"))
    _dtype_in("scatter_add", u, FLOATS)
    taken = len(i.shape) - batch
    _check(
        0 <= batch <= axis <= len(u.shape) - taken
        and u.shape[:batch] == i.shape[:batch]
        and u.shape[axis : axis + taken] == i.shape[batch:],
        f"scatter_add: {_text(u)} does not hold the axes of the index {_text(i)} at axis {axis} (batch {batch})",
    )
    _check(length >= 0, f"scatter_add: a length of {length} is negative")
    return (*u.shape[:axis], length, *u.shape[axis + taken :]), u.dtype


def _scan(
    inputs: tuple[Shaped, ...],
    *,
    next: tuple[Shaped, ...],
    n_carry: int,
    n_xs: int,
    length: int,
    reverse: bool,
) -> Result:
    _check(length >= 0, f"scan: {length} steps are not possible")
    _check(len(next) == n_carry, f"scan: {n_carry} carries and {len(next)} next values")
    _check(
        len(inputs) >= n_carry + n_xs,
        f"scan: {len(inputs)} inputs for {n_carry} carries and {n_xs} sequences",
    )
    for number, (start, after) in enumerate(zip(inputs, next, strict=False)):
        if (start.shape, start.dtype) != (after.shape, after.dtype):
            raise ShapeError(
                f"scan: carry {number} starts as {_text(start)} and comes back as {_text(after)}; they must be alike"
            )
    for number, x in enumerate(inputs[n_carry : n_carry + n_xs]):
        _check(
            len(x.shape) > 0 and x.shape[0] == length,
            f"scan: sequence {number} is {_text(x)}, and the scan takes {length} steps along the first axis",
        )
    return (), TUPLE


def _last(inputs: tuple[Any, ...], *, index: int) -> Result:
    (scan,) = inputs
    _check(scan.op == "scan", f"last reads a scan, not {scan.op}")
    _check(0 <= index < scan.attributes["n_carry"], f"last: there is no carry {index}")
    return scan.inputs[index].shape, scan.inputs[index].dtype


def _stack(inputs: tuple[Any, ...], *, node: Shaped) -> Result:
    (scan,) = inputs
    _check(scan.op == "scan", f"stack reads a scan, not {scan.op}")
    return (scan.attributes["length"], *node.shape), node.dtype


def _random_bits(inputs: tuple[Shaped, ...], *, path: str) -> Result:
    return _elementwise("random_bits", ("uint32",))(inputs)


_NUMBERS = (*FLOATS, *INTEGERS)
_LOGIC = ("bool", *INTEGERS)
_FLOAT_UNARY = "exp log log1p expm1 tanh erf sin cos sigmoid power floor"

_RULES: dict[str, ShapeRule] = {
    "input": _declared("input"),
    "param": _declared("param"),
    "constant": _constant,
    "iota": _iota,
    **{op: _elementwise(op, FLOATS) for op in _FLOAT_UNARY.split()},
    **{op: _elementwise(op, _NUMBERS) for op in "neg add sub mul rem".split()},
    "div": _elementwise("div", FLOATS),
    **{op: _elementwise(op, DTYPES, out="bool") for op in "lt le eq".split()},
    **{op: _elementwise(op, _LOGIC) for op in "and or xor not".split()},
    **{op: _elementwise(op, INTEGERS) for op in "shift_left shift_right".split()},
    "select": _select,
    "cast": _cast,
    "stop_gradient": _elementwise("stop_gradient", DTYPES),
    "random_bits": _random_bits,
    "sum": _reduce("sum", _NUMBERS),
    "max": _reduce("max", _NUMBERS),
    "argmax": _reduce("argmax", _NUMBERS, out="int32"),
    "contract": _contract,
    "reshape": _reshape,
    "transpose": _transpose,
    "reverse": _reverse,
    "broadcast": _broadcast,
    "slice": _slice,
    "pad": _pad,
    "concatenate": _concatenate,
    "window": _window,
    "fold": _fold,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "scan": _scan,
    "last": _last,
    "stack": _stack,
}


def _counted(op: str, rule: ShapeRule) -> ShapeRule:
    if OPS[op].variadic:
        return rule

    def counted(inputs: tuple[Shaped, ...], **attributes: Any) -> Result:
        if len(inputs) != len(OPS[op].inputs):
            raise GraphError(f"{op} takes {len(OPS[op].inputs)} inputs, and got {len(inputs)}")
        return rule(inputs, **attributes)

    return counted


SHAPES: dict[str, ShapeRule] = {op: _counted(op, rule) for op, rule in _RULES.items()}
