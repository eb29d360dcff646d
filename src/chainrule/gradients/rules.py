"""The rule table: for each op, the chain rule as graph. g is the gradient of the output y; a, b, x are the inputs.

A rule gives the gradient of each input, or None where none passes. Rules are made of ops, so second derivatives come
free; and a formula is a rule printed on symbols, so no second text has to be kept true.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule.graph import (
    FLOATS,
    OPS,
    Node,
    argmax,
    broadcast,
    broadcast_like,
    cast,
    cos,
    eq,
    exp,
    fold,
    gather,
    iota,
    make,
    pad,
    reshape,
    reverse,
    scatter_add,
    select,
    sin,
    slice,
    sum,
    transpose,
    window,
)  # fmt: skip
from chainrule.graph.building import canonical

Rule = Callable[..., tuple[Node | None, ...]]


def nothing(g: Node, y: Node, *inputs: Node, **_: Any) -> tuple[None, ...]:
    """The rule of an op through which no gradient passes."""
    return (None,) * len(inputs)


def _contract(g: Node, y: Node, a: Node, b: Node, *, a_axes: Any, b_axes: Any, out_axes: Any) -> tuple[Node, Node]:
    da = make("contract", (g, b), **canonical(out_axes, b_axes, a_axes))
    db = make("contract", (g, a), **canonical(out_axes, a_axes, b_axes))
    return da, db


def _max(g: Node, y: Node, x: Node, *, axes: tuple[int, ...]) -> tuple[Node]:
    sizes = [x.shape[axis] for axis in axes]
    others = [axis for axis in range(x.rank) if axis not in axes]
    position = broadcast(reshape(iota(math.prod(sizes)), sizes), others, [x.shape[axis] for axis in others])
    chosen = eq(position, broadcast_like(argmax(x, axes), x, axes))
    return (select(chosen, broadcast_like(g, x, axes), 0),)


def _broadcast(g: Node, y: Node, x: Node, *, axes: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[Node]:
    return (sum(g, axes),)


def _slice(g: Node, y: Node, x: Node, *, starts: Any, stops: Any, steps: Any) -> tuple[Node]:
    ends = [s + max(n - 1, 0) * k + min(n, 1) for s, n, k in zip(starts, y.shape, steps, strict=True)]
    high = [size - end for size, end in zip(x.shape, ends, strict=True)]
    return (pad(g, starts, high, [step - 1 for step in steps]),)


def _pad(g: Node, y: Node, x: Node, *, low: Any, high: Any, interior: Any, value: float) -> tuple[Node]:
    return (slice(g, low, [m - h for m, h in zip(y.shape, high, strict=True)], [n + 1 for n in interior]),)


def _concatenate(g: Node, y: Node, *parts: Node, axis: int) -> tuple[Node, ...]:
    pieces, start = [], 0
    for part in parts:
        stop = start + part.shape[axis]
        low, high = [0] * y.rank, list(y.shape)
        low[axis], high[axis], start = start, stop, stop
        pieces.append(slice(g, low, high))
    return tuple(pieces)


def _window(g: Node, y: Node, x: Node, *, axes: Any, **form: Any) -> tuple[Node]:
    return (fold(g, axes, lengths=[x.shape[axis] for axis in axes], **form),)


def _power(g: Node, y: Node, x: Node, *, exponent: float) -> tuple[Node | None]:
    if exponent == 0:
        return (None,)
    return (g * (2 * x) if exponent == 2 else g if exponent == 1 else g * (exponent * x ** (exponent - 1)),)


def _cast(g: Node, y: Node, x: Node, *, dtype: str) -> tuple[Node | None]:
    return (cast(g, x.dtype) if x.dtype in FLOATS and dtype in FLOATS else None,)


def _transpose(g: Node, y: Node, x: Node, *, axes: tuple[int, ...]) -> tuple[Node]:
    return (transpose(g, [axes.index(axis) for axis in range(x.rank)]),)


def _scan_has_its_own(*_: Any, **__: Any) -> tuple[Node | None, ...]:
    raise AssertionError("a scan and its readers are pulled back together, by gradients/scan_rule.py")


RULES: dict[str, Rule] = {
    "neg": lambda g, y, x: (-g,),
    "exp": lambda g, y, x: (g * y,),
    "log": lambda g, y, x: (g / x,),
    "log1p": lambda g, y, x: (g / (1 + x),),
    "expm1": lambda g, y, x: (g * (y + 1),),
    "tanh": lambda g, y, x: (g * (1 - y**2),),
    "erf": lambda g, y, x: (g * (2 / math.sqrt(math.pi) * exp(-(x**2))),),
    "sin": lambda g, y, x: (g * cos(x),),
    "cos": lambda g, y, x: (g * -sin(x),),
    "sigmoid": lambda g, y, x: (g * y * (1 - y),),
    "power": _power,
    "add": lambda g, y, a, b: (g, g),
    "sub": lambda g, y, a, b: (g, -g),
    "mul": lambda g, y, a, b: (g * b, g * a),
    "div": lambda g, y, a, b: (g / b, -(g * y) / b),
    "rem": lambda g, y, a, b: (g, -(g * (a - y)) / b),
    "select": lambda g, y, c, a, b: (None, select(c, g, 0), select(c, 0, g)),
    "cast": _cast,
    "sum": lambda g, y, x, axes: (broadcast_like(g, x, axes),),
    "broadcast": _broadcast,
    "max": _max,
    "contract": _contract,
    "reshape": lambda g, y, x, shape: (reshape(g, x.shape),),
    "transpose": _transpose,
    "reverse": lambda g, y, x, axes: (reverse(g, axes),),
    "slice": _slice,
    "pad": _pad,
    "concatenate": _concatenate,
    "window": _window,
    "fold": lambda g, y, x, lengths, **form: (window(g, **form),),
    "gather": lambda g, y, x, i, axis, batch: (scatter_add(g, i, x.shape[axis], axis, batch), None),
    "scatter_add": lambda g, y, u, i, axis, batch, length: (gather(g, i, axis, batch), None),
    **dict.fromkeys(("scan", "last", "stack"), _scan_has_its_own),
    **dict.fromkeys("input param constant iota floor lt le eq and or xor not".split(), nothing),
    **dict.fromkeys("shift_left shift_right argmax stop_gradient random_bits".split(), nothing),
}


def differentiable(node: Node) -> bool:
    """Whether a gradient can pass back through this node at all."""
    return bool(OPS[node.op].inputs) and RULES[node.op] is not nothing
