"""What each op means, once more, in loops and plain Python: independent of the engine that it is held against."""

from __future__ import annotations

import builtins
import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.graph import INTEGERS
from tests.conformance.cases import Case

Array = NDArray[Any]
Attributes = Mapping[str, Any]
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def expected(case: Case, arrays: Sequence[Array]) -> Array:
    """The value of a case for these arrays: floats in float64, whole numbers wrapped as their dtype wraps."""
    wide = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in arrays]
    return np.asarray(PLAIN[case.op](case.attributes, *wide))


def _each(function: Callable[..., Any], out: str | None = None) -> Callable[..., Array]:
    """A Python function of Python numbers, element by element."""

    def plain(attributes: Attributes, *arrays: Array) -> Array:
        dtype = arrays[-1].dtype.name if out is None else out
        values = [
            _wrapped(function(*numbers), dtype) for numbers in zip(*(a.ravel().tolist() for a in arrays), strict=True)
        ]
        return np.array(values, dtype=dtype).reshape(arrays[0].shape)

    return plain


def _wrapped(value: Any, dtype: str) -> Any:
    if dtype not in INTEGERS:
        return value
    information = np.iinfo(dtype)
    return (int(value) - int(information.min)) % 2**information.bits + int(information.min)


def _indexed(shape: Sequence[int], element: Callable[..., Any], dtype: Any) -> Array:
    """The array whose element at an index is what a function says."""
    out = np.zeros(tuple(shape), dtype=dtype)
    for index in np.ndindex(*shape):
        out[index] = element(index)
    return out


def _power(attributes: Attributes, x: Array) -> Array:
    return _each(lambda value: math.pow(value, attributes["exponent"]))(attributes, x)


def _cast(attributes: Attributes, x: Array) -> Array:
    dtype = attributes["dtype"]
    kind = {"f": float, "i": int, "u": int, "b": bool}[np.dtype(dtype).kind]
    return _each(kind, dtype)(attributes, x)


def _philox(seed: int, counter: int, word: int) -> int:
    """Philox-2x32-10 in Python integers, as the paper writes it."""
    left, right, key = counter, word, seed
    for number in range(10):
        key = (seed + number * 0x9E3779B9) % 2**32
        high, low = divmod(0xD256D193 * left, 2**32)
        left, right = high ^ key ^ right, low
    return left


def _crc(text: str) -> int:
    remainder = 0xFFFFFFFF
    for byte in text.encode():
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (0xEDB88320 * (remainder & 1))
    return remainder ^ 0xFFFFFFFF


def _random_bits(attributes: Attributes, seed: Array, counter: Array) -> Array:
    word = _crc(attributes["path"])
    return _each(lambda s, c: _philox(s, c, word))(attributes, seed, counter)


def _groups(x: Array, axes: Sequence[int]) -> tuple[list[int], Callable[[tuple[int, ...]], list[Any]]]:
    """The axes that stay, and for each place of theirs the elements reduced, in row-major order."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]

    def elements(place: tuple[int, ...]) -> list[Any]:
        found = []
        for inner in itertools.product(*(range(x.shape[axis]) for axis in axes)):
            index = dict(zip((*kept, *axes), (*place, *inner), strict=True))
            found.append(x[tuple(index[axis] for axis in range(x.ndim))].item())
        return found

    return [x.shape[axis] for axis in kept], elements


def _reduction(function: Callable[[list[Any]], Any], out: str | None = None) -> Callable[..., Array]:
    def plain(attributes: Attributes, x: Array) -> Array:
        shape, elements = _groups(x, attributes["axes"])
        dtype = out or x.dtype.name
        return _indexed(shape, lambda place: _wrapped(function(elements(place)), dtype), dtype)

    return plain


def _total(values: list[Any]) -> Any:
    return math.fsum(values) if any(isinstance(value, float) for value in values) else builtins.sum(values)


def _contract(attributes: Attributes, a: Array, b: Array) -> Array:
    parts = ["".join(_LETTERS[k] for k in attributes[name]) for name in ("a_axes", "b_axes", "out_axes")]
    return np.asarray(np.einsum(f"{parts[0]},{parts[1]}->{parts[2]}", a, b))


def _reshape(attributes: Attributes, x: Array) -> Array:
    flat = iter(x.ravel().tolist())
    return _indexed(attributes["shape"], lambda index: next(flat), x.dtype)


def _transpose(attributes: Attributes, x: Array) -> Array:
    axes = attributes["axes"]

    def element(index: tuple[int, ...]) -> Any:
        return x[tuple(index[axes.index(axis)] for axis in range(x.ndim))]

    return _indexed([x.shape[axis] for axis in axes], element, x.dtype)


def _reverse(attributes: Attributes, x: Array) -> Array:
    axes = attributes["axes"]
    return _indexed(
        x.shape,
        lambda index: x[
            tuple(n - 1 - i if a in axes else i for a, (i, n) in enumerate(zip(index, x.shape, strict=True)))
        ],
        x.dtype,
    )


def _broadcast(attributes: Attributes, x: Array) -> Array:
    new = dict(zip(attributes["axes"], attributes["sizes"], strict=True))
    old = iter(x.shape)
    shape = [new[axis] if axis in new else next(old) for axis in range(x.ndim + len(new))]
    return _indexed(shape, lambda index: x[tuple(i for a, i in enumerate(index) if a not in new)], x.dtype)


def _slice(attributes: Attributes, x: Array) -> Array:
    parts = list(zip(attributes["starts"], attributes["stops"], attributes["steps"], strict=True))
    shape = [len(range(*part)) for part in parts]
    return _indexed(shape, lambda index: x[tuple(p[0] + i * p[2] for i, p in zip(index, parts, strict=True))], x.dtype)


def _pad(attributes: Attributes, x: Array) -> Array:
    low, high, interior = (attributes[name] for name in ("low", "high", "interior"))
    shape = [
        before + size + after + between * builtins.max(size - 1, 0)
        for before, size, after, between in zip(low, x.shape, high, interior, strict=True)
    ]
    out = np.full(shape, attributes["value"], dtype=x.dtype)
    for index in np.ndindex(*x.shape):
        out[tuple(lo + i * (k + 1) for i, lo, k in zip(index, low, interior, strict=True))] = x[index]
    return out


def _concatenate(attributes: Attributes, *parts: Array) -> Array:
    axis = attributes["axis"]
    rows = [(part, place) for part in parts for place in range(part.shape[axis])]
    shape = (*parts[0].shape[:axis], len(rows), *parts[0].shape[axis + 1 :])

    def element(index: tuple[int, ...]) -> Any:
        part, place = rows[index[axis]]
        return part[(*index[:axis], place, *index[axis + 1 :])]

    return _indexed(shape, element, parts[0].dtype)


def _source(attributes: Attributes, index: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Where an element of a window comes from."""
    place = list(index[:rank])
    for number, axis in enumerate(attributes["axes"]):
        place[axis] = (
            place[axis] * attributes["strides"][number] + index[rank + number] * attributes["dilations"][number]
        )
    return tuple(place)


def _window(attributes: Attributes, x: Array) -> Array:
    shape = list(x.shape)
    for axis, size, stride, dilation in zip(
        *(attributes[n] for n in ("axes", "sizes", "strides", "dilations")), strict=True
    ):
        starts = [s for s in range(0, x.shape[axis], stride) if s + dilation * (size - 1) < x.shape[axis]]
        shape[axis] = len(starts)
    shape += attributes["sizes"]
    return _indexed(shape, lambda index: x[_source(attributes, index, x.ndim)], x.dtype)


def _fold(attributes: Attributes, x: Array) -> Array:
    rank = x.ndim - len(attributes["axes"])
    shape = list(x.shape[:rank])
    for axis, length in zip(attributes["axes"], attributes["lengths"], strict=True):
        shape[axis] = length
    out = np.zeros(shape, dtype=x.dtype)
    for index in np.ndindex(*x.shape):
        out[_source(attributes, index, rank)] += x[index]
    return out


def _gather(attributes: Attributes, x: Array, i: Array) -> Array:
    axis, batch = attributes["axis"], attributes["batch"]
    taken = i.ndim - batch

    def element(index: tuple[int, ...]) -> Any:
        at = int(i[(*index[:batch], *index[axis : axis + taken])])
        return x[(*index[:axis], at, *index[axis + taken :])] if 0 <= at < x.shape[axis] else 0

    return _indexed((*x.shape[:axis], *i.shape[batch:], *x.shape[axis + 1 :]), element, x.dtype)


def _scatter_add(attributes: Attributes, u: Array, i: Array) -> Array:
    axis, batch, length = attributes["axis"], attributes["batch"], attributes["length"]
    taken = i.ndim - batch
    out = np.zeros((*u.shape[:axis], length, *u.shape[axis + taken :]), u.dtype)
    for index in np.ndindex(*u.shape):
        at = int(i[(*index[:batch], *index[axis : axis + taken])])
        if 0 <= at < length:
            out[(*index[:axis], at, *index[axis + taken :])] += u[index]
    return out


def _loop(attributes: Attributes, h: Array, x: Array, w: Array) -> tuple[Array, Array]:
    rows = np.zeros((len(x), *h.shape))
    for step in reversed(range(len(x))) if attributes["reverse"] else range(len(x)):
        rows[step] = 2 * h
        h = np.tanh(h + np.einsum("bi,io->bo", x[step], w))
    return h, rows


def _scan(attributes: Attributes, *arrays: Array) -> Array:
    after, rows = _loop(attributes, *arrays)
    return np.concatenate([after[None], rows])


PLAIN: dict[str, Callable[..., Array]] = {
    "input": lambda attributes, x: x,
    "param": lambda attributes, x: np.array([x, x, x]),
    "constant": lambda attributes: attributes["value"],
    "iota": lambda attributes: np.array(list(range(attributes["size"])), dtype=attributes["dtype"]),
    "neg": _each(operator.neg),
    **{name: _each(getattr(math, name)) for name in "exp expm1 tanh erf sin cos log log1p floor".split()},
    "sigmoid": _each(lambda x: 1 / (1 + math.exp(-x))),
    "power": _power,
    "add": _each(operator.add),
    "sub": _each(operator.sub),
    "mul": _each(operator.mul),
    "div": _each(operator.truediv),
    "rem": _each(math.fmod),
    "lt": _each(operator.lt, "bool"),
    "le": _each(operator.le, "bool"),
    "eq": _each(operator.eq, "bool"),
    "and": _each(operator.and_),
    "or": _each(operator.or_),
    "xor": _each(operator.xor),
    "not": lambda attributes, x: _each(operator.not_ if x.dtype == bool else operator.invert)(attributes, x),
    "shift_left": _each(operator.lshift),
    "shift_right": _each(operator.rshift),
    "select": _each(lambda c, a, b: a if c else b),
    "cast": _cast,
    "stop_gradient": lambda attributes, x: x,
    "random_bits": _random_bits,
    "sum": _reduction(_total),
    "max": _reduction(builtins.max),
    "argmax": _reduction(lambda values: values.index(builtins.max(values)), "int32"),
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
    "last": lambda attributes, *arrays: _loop(attributes, *arrays)[0],
    "stack": lambda attributes, *arrays: _loop(attributes, *arrays)[1],
}
