"""The networks of the golden arrays, written with the op list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule import graph as g
from chainrule.graph import Node, composites

D = "float64"
Operands = Mapping[str, Node]


def mean(x: Node, axes: Any = None) -> Node:
    return composites.mean(x, axes)


def _strided(value: Any) -> list[int]:
    return list(value) if isinstance(value, tuple) else [value, value]


def convolution(p: Operands, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Node:
    """contract(window(pad(x)), w): every kind of convolution, images as (batch, channel, row, column)."""
    rows, columns = _strided(padding)
    x = g.pad(p["x"], [0, 0, rows, columns], [0, 0, rows, columns])
    seen = g.window(x, [2, 3], p["w"].shape[2:], _strided(stride), _strided(dilation))
    n, channels, height, width, *kernel = seen.shape
    out = p["w"].shape[0]
    seen = g.reshape(seen, (n, groups, channels // groups, height, width, *kernel))
    w = g.reshape(p["w"], (groups, out // groups, *p["w"].shape[1:]))
    return g.reshape(g.contract(seen, w, "ngcxyij,gocij->ngoxy"), (n, out, height, width))


def pooling(p: Operands, *, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Node:
    """max(window(pad(x, −∞)))."""
    rows, columns = _strided(padding)
    x = g.pad(p["x"], [0, 0, rows, columns], [0, 0, rows, columns], value=-np.inf)
    size = _strided(kernel_size)
    return g.max(g.window(x, [2, 3], size, _strided(stride or kernel_size), _strided(dilation)), (4, 5))


def picked(table: Node, labels: Node) -> Node:
    return g.gather(table, labels, axis=1, batch=1)


def cross_entropy(p: Operands) -> Node:
    if p["target"].dtype != D:
        return -mean(picked(composites.log_softmax(p["input"]), p["target"]))
    return -mean(g.sum(p["target"] * composites.log_softmax(p["input"]), 1))


def binary_cross_entropy(p: Operands) -> Node:
    return mean(composites.softplus(p["input"]) - p["target"] * p["input"])


def layer_norm(x: Node, weight: Node, bias: Node, epsilon: float = 1e-5) -> Node:
    last = x.rank - 1
    centred = x - g.broadcast_like(mean(x, last), x, last)
    scale = (mean(centred**2, last) + epsilon) ** -0.5
    return centred * g.broadcast_like(scale, x, last) * g.broadcast_to(weight, x.shape) + g.broadcast_to(bias, x.shape)


def block(p: Operands) -> Node:
    batch, time, width = p["x"].shape
    heads = 2
    normal = layer_norm(p["x"], p["weight1"], p["bias1"])
    q, k, v = (
        g.reshape(g.contract(normal, p[name], "bti,io->bto"), (batch, time, heads, width // heads))
        for name in ("query", "key", "values")
    )
    scores = g.contract(q, k, "bqhd,bkhd->bhqk") * (width // heads) ** -0.5
    future = g.broadcast(g.iota(time), (1,), (time,)) < g.broadcast(g.iota(time), (0,), (time,))
    weights = composites.softmax(g.select(g.broadcast_to(future, scores.shape), -np.inf, scores))
    seen = g.reshape(g.contract(weights, v, "bhqk,bkhd->bqhd"), (batch, time, width))
    x = p["x"] + g.contract(seen, p["out"], "bti,io->bto")
    hidden = g.contract(layer_norm(x, p["weight2"], p["bias2"]), p["up"], "bti,io->bto")
    hidden = hidden + g.broadcast_to(p["up_bias"], hidden.shape)
    hidden = hidden * 0.5 * (1 + g.erf(hidden / np.sqrt(2)))
    return x + g.contract(hidden, p["down"], "bti,io->bto") + g.broadcast_to(p["down_bias"], x.shape)


def _gates(x: Node, w: Node, b: Node, count: int) -> list[Node]:
    """A dense layer cut into gates."""
    whole = g.contract(x, w, "bi,oi->bo")
    whole = whole + g.broadcast_to(b, whole.shape)
    size = whole.shape[1] // count
    return [whole[:, n * size : (n + 1) * size] for n in range(count)]


def lstm(p: Operands) -> Node:
    def step(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h, c = carries
        pairs = zip(_gates(slices[0], p["w"], p["b"], 4), _gates(h, p["u"], p["c"], 4), strict=True)
        i, f, n, o = (a + b for a, b in pairs)
        c = g.sigmoid(f) * c + g.sigmoid(i) * g.tanh(n)
        h = g.sigmoid(o) * g.tanh(c)
        return [h, c], [h]

    zeros = g.full((p["x"].shape[1], 3), 0, D)
    return g.scan(step, [zeros, zeros], [p["x"]])[1][0]


def gru(p: Operands) -> Node:
    def step(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        (h,) = carries
        outside, inside = _gates(slices[0], p["w"], p["b"], 3), _gates(h, p["u"], p["c"], 3)
        r, z = (g.sigmoid(a + b) for a, b in zip(outside[:2], inside[:2], strict=True))
        h = (1 - z) * g.tanh(outside[2] + r * inside[2]) + z * h
        return [h], [h]

    return g.scan(step, [g.full((p["x"].shape[1], 3), 0, D)], [p["x"]])[1][0]
