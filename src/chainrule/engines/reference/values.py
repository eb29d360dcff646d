"""The value table: op -> NumPy, a few lines each. This is the definition of every op, for every dtype it takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.graph import Node
from chainrule.keys import path_word, philox

Array = NDArray[Any]
Value = Callable[..., Any]

_erf = np.frompyfunc(math.erf, 1, 1)


def _sigmoid(node: Node, x: Array) -> Any:
    # e^-|x| never overflows, so both tails keep all their digits.
    tail = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, tail) / (1 + tail)


def _rem(node: Node, a: Array, b: Array) -> Any:
    return np.fmod(a, b)


def _cast(node: Node, x: Array) -> Array:
    return x.astype(node.dtype)


def _max(node: Node, x: Array) -> Any:
    return np.max(x, axis=node.attributes["axes"])


def _argmax(node: Node, x: Array) -> Any:
    axes = node.attributes["axes"]
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    flat = np.transpose(x, [*kept, *axes]).reshape([*node.shape, math.prod(x.shape[axis] for axis in axes)])
    return np.argmax(flat, axis=-1).astype(np.int32)


def _contract(node: Node, a: Array, b: Array) -> Array:
    """Each contraction is a batched matrix product: a letter stands in a, b and out, or in two of the three."""
    p, q, out = (node.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
    batch = [k for k in out if k in p and k in q]
    rows = [k for k in out if k not in q]
    columns = [k for k in out if k not in p]
    summed = [k for k in p if k not in out]
    size = {**dict(zip(p, a.shape, strict=True)), **dict(zip(q, b.shape, strict=True))}

    def matrices(x: Array, letters: Sequence[int], left: list[int], right: list[int]) -> Array:
        x = x.transpose([letters.index(k) for k in (*batch, *left, *right)])
        return x.reshape(
            [*(size[k] for k in batch), math.prod(size[k] for k in left), math.prod(size[k] for k in right)]
        )

    product = matrices(a, p, rows, summed) @ matrices(b, q, summed, columns)
    order = [*batch, *rows, *columns]
    return product.reshape([size[k] for k in order]).transpose([order.index(k) for k in out])


def _broadcast(node: Node, x: Array) -> Array:
    return np.broadcast_to(np.expand_dims(x, node.attributes["axes"]), node.shape)


def _slice(node: Node, x: Array) -> Array:
    return x[tuple(map(slice, *(node.attributes[name] for name in ("starts", "stops", "steps"))))]


def _pad(node: Node, x: Array) -> Array:
    out = np.full(node.shape, node.attributes["value"], dtype=node.dtype)
    low, interior = node.attributes["low"], node.attributes["interior"]
    out[tuple(slice(lo, lo + n * (k + 1), k + 1) for lo, n, k in zip(low, x.shape, interior, strict=True))] = x
    return out


def _window_parts(node: Node) -> tuple[Any, ...]:
    return tuple(node.attributes[name] for name in ("axes", "sizes", "strides", "dilations"))


def _window(node: Node, x: Array) -> Array:
    # The new axes step through memory as the old ones do, by the dilation: a view, as the definition has it.
    axes, _, strides, dilations = _window_parts(node)
    steps = list(x.strides)
    inner = [x.strides[axis] * dilation for axis, dilation in zip(axes, dilations, strict=True)]
    for axis, stride in zip(axes, strides, strict=True):
        steps[axis] *= stride
    return np.lib.stride_tricks.as_strided(x, node.shape, [*steps, *inner], writeable=False)


def _fold(node: Node, x: Array) -> Array:
    axes, sizes, strides, dilations = _window_parts(node)
    out = np.zeros(node.shape, dtype=node.dtype)
    for place in np.ndindex(*sizes):
        where = [slice(None)] * out.ndim
        for axis, at, stride, dilation in zip(axes, place, strides, dilations, strict=True):
            where[axis] = slice(at * dilation, at * dilation + (x.shape[axis] - 1) * stride + 1, stride)
        out[tuple(where)] += x[(..., *place)]
    return out


def _in_range(index: Array, length: int) -> tuple[Array, Array]:
    valid = (index >= 0) & (index < length)
    return np.where(valid, index, 0).astype(np.int64), valid


def _gather(node: Node, x: Array, index: Array) -> Array:
    axis, batch = node.attributes["axis"], node.attributes["batch"]
    if batch:
        lead = math.prod(x.shape[:batch])
        xs, indices = x.reshape(lead, *x.shape[batch:]), index.reshape(lead, *index.shape[batch:])
        parts = [_take(part, at, axis - batch) for part, at in zip(xs, indices, strict=True)]
        return np.stack(parts).reshape(node.shape) if parts else np.zeros(node.shape, node.dtype)
    return _take(x, index, axis)


def _take(x: Array, index: Array, axis: int) -> Array:
    if x.shape[axis] == 0:
        return np.zeros((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype)
    at, valid = _in_range(index, x.shape[axis])
    taken = np.take(x, at, axis=axis)
    if not valid.all():
        taken[(slice(None),) * axis + (~valid,)] = 0
    return taken


def _scatter_add(node: Node, u: Array, index: Array) -> Array:
    axis, batch, length = (node.attributes[name] for name in ("axis", "batch", "length"))
    out = np.zeros(node.shape, dtype=node.dtype)
    lead = math.prod(node.shape[:batch])
    targets, updates = out.reshape(lead, *out.shape[batch:]), u.reshape(lead, *u.shape[batch:])
    for target, update, at in zip(targets, updates, index.reshape(lead, *index.shape[batch:]), strict=True):
        safe, valid = _in_range(at, length)
        place = (slice(None),) * (axis - batch)
        np.add.at(target, (*place, safe[valid]), update[(*place, valid)])
    return out


def _random_bits(node: Node, seed: Array, counter: Array) -> Array:
    return philox(seed, counter, path_word(node.attributes["path"]))


def _elsewhere(node: Node, *_: Array) -> Array:
    raise AssertionError(f"{node.op} has no value of its own: the engine supplies it")


def _ufunc(function: Callable[..., Any]) -> Value:
    return lambda node, *arrays: function(*arrays)


VALUES: dict[str, Value] = {
    **dict.fromkeys(("input", "param", "scan", "last", "stack"), _elsewhere),
    "constant": lambda node: node.attributes["value"],
    "iota": lambda node: np.arange(node.attributes["size"], dtype=node.dtype),
    "neg": _ufunc(np.negative),
    "exp": _ufunc(np.exp),
    "log": _ufunc(np.log),
    "log1p": _ufunc(np.log1p),
    "expm1": _ufunc(np.expm1),
    "tanh": _ufunc(np.tanh),
    "erf": lambda node, x: np.asarray(_erf(x), dtype=node.dtype),
    "sin": _ufunc(np.sin),
    "cos": _ufunc(np.cos),
    "sigmoid": _sigmoid,
    "power": lambda node, x: (
        x * x if node.attributes["exponent"] == 2 else np.power(x, x.dtype.type(node.attributes["exponent"]))
    ),
    "add": _ufunc(np.add),
    "sub": _ufunc(np.subtract),
    "mul": _ufunc(np.multiply),
    "div": _ufunc(np.divide),
    "rem": _rem,
    "floor": _ufunc(np.floor),
    "lt": _ufunc(np.less),
    "le": _ufunc(np.less_equal),
    "eq": _ufunc(np.equal),
    "and": _ufunc(np.bitwise_and),
    "or": _ufunc(np.bitwise_or),
    "xor": _ufunc(np.bitwise_xor),
    "not": _ufunc(np.invert),
    "shift_left": _ufunc(np.left_shift),
    "shift_right": _ufunc(np.right_shift),
    "select": _ufunc(np.where),
    "cast": _cast,
    "stop_gradient": lambda node, x: x,
    "random_bits": _random_bits,
    "sum": lambda node, x: np.sum(x, axis=node.attributes["axes"], dtype=node.dtype),
    "max": _max,
    "argmax": _argmax,
    "contract": _contract,
    "reshape": lambda node, x: x.reshape(node.shape),
    "transpose": lambda node, x: x.transpose(node.attributes["axes"]),
    "reverse": lambda node, x: np.flip(x, node.attributes["axes"]),
    "broadcast": _broadcast,
    "slice": _slice,
    "pad": _pad,
    "concatenate": lambda node, *parts: np.concatenate(parts, axis=node.attributes["axis"]),
    "window": _window,
    "fold": _fold,
    "gather": _gather,
    "scatter_add": _scatter_add,
}
