"""Bodies of scans that together use every way in which a body may depend on its operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from chainrule import graph
from chainrule.graph import Node
from chainrule.graph.scanning import Body

F = "float64"
B, X, H = 2, 3, 4


@dataclass
class Loop:
    """A scan before it is built: also as a Python loop over the same body."""

    body: Body
    init: list[Node]
    xs: list[Node] = field(default_factory=list)
    length: int = 3
    reverse: bool = False
    #: Captured operands; gradients are taken for all floats of ``init``, ``xs`` and these.
    captured: list[Node] = field(default_factory=list)

    @property
    def inputs(self) -> list[Node]:
        return [*self.init, *self.xs, *self.captured]

    @property
    def floats(self) -> list[Node]:
        return [node for node in self.inputs if node.dtype in graph.FLOATS]

    def scanned(self) -> list[Node]:
        lasts, stacks = graph.scan(self.body, self.init, self.xs, length=self.length, reverse=self.reverse)
        return [*lasts, *stacks]

    def unrolled(self) -> list[Node]:
        """The same loop, step after step in Python."""
        carries: Sequence[Node] = self.init
        rows: dict[int, Sequence[Node]] = {}
        for step in reversed(range(self.length)) if self.reverse else range(self.length):
            carries, rows[step] = self.body(list(carries), [x[step] for x in self.xs])
        stacks = [
            graph.concatenate([graph.reshape(rows[step][n], (1, *row.shape)) for step in range(self.length)])
            for n, row in enumerate(rows[0])
        ]
        return [*carries, *stacks]


def _x(length: int, *shape: int, name: str = "x", dtype: str = F) -> Node:
    return graph.input(name, (length, *shape), dtype)


def _w(name: str, *shape: int) -> Node:
    return graph.input(name, shape, F)


def simple(length: int) -> Loop:
    w, u, b = _w("w", X, H), _w("u", H, H), _w("b", H)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h = graph.tanh(slices[0] @ w + carries[0] @ u + graph.broadcast_to(b, (B, H)))
        return [h], [h]

    return Loop(body, [_w("h", B, H)], [_x(length, B, X)], length, captured=[w, u, b])


def lstm(length: int) -> Loop:
    w, u, b = _w("w", X, 4 * H), _w("u", H, 4 * H), _w("b", 4 * H)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h, c = carries
        z = slices[0] @ w + h @ u + graph.broadcast_to(b, (B, 4 * H))
        i, f, g, o = (z[:, n * H : (n + 1) * H] for n in range(4))
        c = graph.sigmoid(f) * c + graph.sigmoid(i) * graph.tanh(g)
        h = graph.sigmoid(o) * graph.tanh(c)
        return [h, c], [h]

    return Loop(body, [_w("h", B, H), _w("c", B, H)], [_x(length, B, X)], length, captured=[w, u, b])


def lengths(length: int) -> Loop:
    """Rows of unequal length: behind its end a row keeps its state. The step is a carry of integers."""
    u, ends = _w("u", H, H), graph.input("ends", (B,), "int32")

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h, step = carries
        running = graph.broadcast(graph.lt(graph.broadcast(step, [0], [B]), ends), [1], [H])
        new = graph.select(running, graph.tanh(h @ u + slices[0]), h)
        return [new, step + 1], [new, step]

    init = [_w("h", B, H), graph.input("step", (), "int32")]
    return Loop(body, init, [_x(length, B, H)], length, captured=[u, ends])


def captured(length: int) -> Loop:
    """Captured operands in a contraction, a sum, elementwise, joined, padded, as a kernel, and used twice."""
    w, scale, bias, extra = _w("w", H + X, H), _w("scale", B, H), _w("bias", H), _w("extra", B, X)
    kernel, short = _w("kernel", 2), _w("short", B, H - 2)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        (h,) = carries
        joined = graph.concatenate([h, extra], 1) @ w
        padded = graph.sin(graph.pad(short, [0, 1], [0, 1]) * h)
        smooth = graph.contract(graph.window(graph.pad(h, [0, 1], [0, 0]), [1], [2]), kernel, "bhk,k->bh")
        h = graph.tanh(joined * scale + padded + smooth + graph.broadcast_to(bias, (B, H)) * slices[0])
        total = graph.sum(h * scale) + graph.sum(extra * extra)
        return [h * (1 + 0.1 * bias_rows(bias))], [h, total]

    def bias_rows(node: Node) -> Node:
        return graph.broadcast_to(graph.reshape(graph.reverse(node, 0), (H,)), (B, H))

    used = [w, scale, bias, extra, kernel, short]
    return Loop(body, [_w("h", B, H)], [_x(length, B, H)], length, captured=used)


def nested(length: int) -> Loop:
    """A loop in the loop; the inner one captures a carry, a slice and an outer weight, and is read in every way."""
    w, v = _w("w", H, H), _w("v", 2, H)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        (h,) = carries

        def inner(inside: list[Node], rows: list[Node]) -> tuple[list[Node], list[Node]]:
            k = graph.tanh(inside[0] @ w + h * slices[0] + graph.broadcast_to(rows[0], (B, H)))
            return [k, inside[1] * k], [k * k]

        (k, product), (squares,) = graph.scan(inner, [h, h], [v])
        return [k + graph.sum(squares, 0)], [product, squares]

    return Loop(body, [_w("h", B, H)], [_x(length, B, H)], length, captured=[w, v])


def params(length: int) -> Loop:
    """What is given out is a carry, a slice, a captured operand and a constant; two carries are one node."""
    w = _w("w", B)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        a, b = carries
        new = a * slices[0] + w
        return [new, new], [a, b, slices[0], w, graph.full((B,), 2, F), new]

    return Loop(body, [_w("a", B), _w("b", B)], [_x(length, B)], length, captured=[w])


def delay(length: int) -> Loop:
    """Carries that hand each other on, one that nothing reads, and one that is overwritten."""

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        a, b, idle, old = carries
        return [b * a, a, idle, slices[0]], [b + old]

    return Loop(body, [_w(name, B) for name in "abcd"], [_x(length, B)], length)


def without_gradient(length: int) -> Loop:
    """Integers, coins, what is stopped, and a statistic that the loss need not read."""
    w, table, index = _w("w", H), _w("table", 5, H), graph.input("index", (2,), "int64")

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h, mean, count, seen = carries
        labels, coin = slices
        row = graph.gather(table, labels) + graph.gather(table, graph.gather(index, graph.rem(count, 2)))
        h = graph.select(graph.broadcast(coin, [0], [H]), graph.tanh(h * w + row), graph.stop_gradient(h))
        return [h, mean * 0.9 + graph.sum(row) * 0.1, count + labels, seen ^ coin], [h, count, seen]

    init = [_w("h", H), _w("mean"), graph.input("count", (), "int32"), graph.input("seen", (), "bool")]
    xs = [_x(length, name="labels", dtype="int32"), _x(length, name="coin", dtype="bool")]
    return Loop(body, init, xs, length, captured=[w, table, index])


def tables(length: int) -> Loop:
    """Looking up in captured tables, along a later axis and with shared axes, and scattering into one."""
    table, shared, rows = _w("table", B, 4, 3), _w("shared", B, 4), _w("rows", 2, 3)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        (h,) = carries
        (index,) = slices
        picked = graph.gather(table, index, axis=1, batch=1)
        other = graph.gather(shared, index, axis=1, batch=1)
        anywhere = graph.gather(graph.transpose(rows), graph.rem(index, 3), axis=0)
        spread = graph.scatter_add(graph.sin(anywhere), index, 5, axis=0, batch=0)
        whole = graph.sum(picked, 2) * other + graph.sum(anywhere, 2)
        fixed = graph.gather(table, graph.full((2,), 1, "int32"), axis=2)
        return [graph.tanh(h + whole * graph.broadcast_to(graph.sum(spread), (B, 2)))], [picked, fixed]

    xs = [_x(length, B, 2, name="i", dtype="int32")]
    return Loop(body, [_w("h", B, 2)], xs, length, captured=[table, shared, rows])


def truncated(length: int) -> Loop:
    """The gradient is cut at every second step."""
    u = _w("u", H, H)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h, odd = carries
        before = graph.select(graph.broadcast(odd, [0, 1], [B, H]), graph.stop_gradient(h), h)
        h = graph.tanh(before @ u + slices[0])
        return [h, ~odd], [h]

    init = [_w("h", B, H), graph.input("odd", (), "bool")]
    return Loop(body, init, [_x(length, B, H)], length, captured=[u])


def without_sequences(length: int) -> Loop:
    """Nothing but a carry and a captured matrix, reduced by max."""
    m = _w("m", H, H)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        v = graph.contract(m, carries[0], "ij,j->i")
        largest = graph.max(v)
        return [graph.tanh(v - graph.broadcast(largest, [0], [H]))], [largest]

    return Loop(body, [_w("v", H)], [], length, captured=[m])


def shifted(length: int) -> Loop:
    """Captured operands that reach what is given out by linear steps alone, products with others among them."""
    p, m, s = _w("p", B, H), _w("m", H, H), _w("s", B, H)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        return [0.5 * carries[0] + slices[0]], [(p + slices[0]) @ m, (p - carries[0]) * s, -(slices[0] - p)]

    return Loop(body, [_w("h", B, H)], [_x(length, B, H)], length, captured=[p, m, s])


def attention(length: int) -> Loop:
    """A softmax over captured keys at each step, its operands contracted over several axes."""
    keys, values = _w("keys", B, 5, H), _w("values", B, 5, H)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        query = carries[0] + slices[0]
        scores = graph.contract(query, keys, "bh,bkh->bk")
        parts = graph.exp(scores - graph.broadcast_like(graph.stop_gradient(graph.max(scores, 1)), scores, 1))
        weights = parts / graph.broadcast_like(graph.sum(parts, 1), parts, 1)
        out = graph.contract(weights, values, "bk,bkh->bh")
        return [out], [weights]

    return Loop(body, [_w("q", B, H)], [_x(length, B, H)], length, captured=[keys, values])


def images(length: int) -> Loop:
    """A convolutional cell: windows of the state, a captured kernel, and pooling of what is given out."""
    kernel = _w("kernel", 3, 3, 2, 2)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        padded = graph.pad(carries[0], [0, 1, 1, 0], [0, 1, 1, 0])
        seen = graph.contract(graph.window(padded, [1, 2], [3, 3]), kernel, "bhwcij,ijco->bhwo")
        h = graph.tanh(seen + slices[0])
        pooled = graph.max(graph.window(h, [1, 2], [2, 2], [2, 2]), [4, 5])
        return [h], [pooled]

    return Loop(body, [_w("h", 1, 4, 4, 2)], [_x(length, 1, 4, 4, 2)], length, captured=[kernel])


LOOPS: dict[str, Callable[[int], Loop]] = {
    make.__name__: make
    for make in (
        simple, lstm, lengths, captured, nested, params, delay, without_gradient, tables, truncated, without_sequences,
        shifted, attention, images,
    )
}  # fmt: skip


def loss_of(outputs: Sequence[Node]) -> Node:
    """A scalar that depends on every element of the float outputs, each in another way."""
    total = graph.full((), 0, F)
    for place, node in enumerate(outputs):
        if node.dtype in graph.FLOATS:
            weights = np.cos(np.arange(node.size) + place).reshape(node.shape)
            total = total + graph.sum(graph.sin(node) * graph.constant(weights))
    return total
