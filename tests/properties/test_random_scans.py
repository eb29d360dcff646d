"""Scans with random bodies, loops within loops included: whatever is done to them, the unrolled loop says the same."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from chainrule import graph
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node, hoist, vectorize
from chainrule.graph.rewriting import rewrite
from tests.conformance.loops import F, Loop, loss_of
from tests.conformance.running import along, arrays_for, evaluate

SHAPE = (2, 3)
Pool = list[Node]


def _step(chance: random.Random, pool: Pool, captured: dict[str, Node], depth: int) -> Node:
    """One more value of the same shape, of some that there are."""
    a, b = chance.choice(pool), chance.choice(pool)
    w, m, bias, table = (captured[name] for name in ("w", "m", "bias", "table"))
    index = graph.cast(graph.floor(graph.sin(graph.sum(a, 1)) * 2 + 2), "int32")

    def inner() -> Node:
        return _loop(chance, [a, b], [], captured, depth - 1)[chance.randrange(2)]

    choices: list[Callable[[], Node]] = [
        lambda: graph.tanh(a + b),
        lambda: graph.sin(a) * b,
        lambda: a - 0.5 * b,
        lambda: graph.sigmoid(-a),
        lambda: graph.tanh(a @ m),
        lambda: graph.tanh(graph.contract(a, graph.sin(m), "bi,oi->bo")),
        lambda: a * w,
        lambda: a + graph.broadcast_to(bias, SHAPE),
        lambda: a * graph.sin(graph.broadcast(bias, [0], [2])) + w,
        lambda: graph.select(graph.le(a, b), a * w, graph.stop_gradient(b)),
        lambda: graph.broadcast_like(graph.sum(a * w, 1), a, 1),
        lambda: graph.broadcast_like(graph.max(a + b, 0), a, 0),
        lambda: graph.pad(graph.slice(a, [0, 1], [2, 3]), [0, 0], [0, 1]) + graph.reverse(b, 1),
        lambda: graph.reshape(graph.transpose(graph.reshape(a, (3, 2))), SHAPE),
        lambda: graph.concatenate([a[:, :1], graph.tanh(w)[:, 1:2], b[:, 2:]], 1),
        lambda: graph.tanh(a + graph.gather(table, index)),
        lambda: graph.sum(graph.window(graph.pad(a, [0, 1], [0, 1]), [1], [3]), 2) * 0.3,
        lambda: graph.contract(graph.tanh(a), graph.contract(a, b, "bi,bj->bij"), "bi,bij->bj") * 0.1,
        lambda: graph.tanh(a) / (1 + b**2),
    ]
    if depth:
        choices += [inner] * 3
    return chance.choice(choices)()


def _body(
    chance: random.Random, carries: int, captured: dict[str, Node], depth: int
) -> Callable[[list[Node], list[Node]], tuple[list[Node], list[Node]]]:
    seed = chance.random()

    def body(now: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        own = random.Random(seed)
        pool = [*now, *slices] or [captured["w"]]
        for _ in range(own.randrange(2, 8)):
            pool.append(_step(own, pool, captured, depth))
        return [own.choice(pool) for _ in range(carries)], [own.choice(pool) for _ in range(own.randrange(1, 3))]

    return body


def _loop(chance: random.Random, init: Pool, xs: Pool, captured: dict[str, Node], depth: int) -> list[Node]:
    body = _body(chance, len(init), captured, depth)
    lasts, stacks = graph.scan(body, init, xs, length=2, reverse=chance.random() < 0.5)
    return [*lasts, *(graph.sum(x, 0) for x in stacks)]


def _random(seed: int) -> Loop:
    chance = random.Random(seed)
    shapes = {"w": SHAPE, "m": (3, 3), "bias": (3,), "table": (4, 3)}
    captured = {name: graph.input(name, shape, F) for name, shape in shapes.items()}
    init = [graph.input(f"h{n}", SHAPE, F) for n in range(chance.randrange(1, 4))]
    length = chance.randrange(1, 4)
    xs = [graph.input(f"x{n}", (length, *SHAPE), F) for n in range(chance.randrange(3))]
    body = _body(chance, len(init), captured, depth=1)
    return Loop(body, init, xs, length, chance.random() < 0.5, list(captured.values()))


def _graphs(loop: Loop, chance: random.Random) -> tuple[Graph, Graph]:
    """The outputs, some gradients and some second ones: of the scan, and of the unrolled loop."""
    chosen = chance.sample(range(len(loop.floats)), chance.randrange(1, len(loop.floats) + 1))
    wrt = [loop.floats[n] for n in chosen]
    directions = [np.cos(np.arange(x.size) + x.rank).reshape(x.shape) for x in wrt]
    made = []
    read = chance.random()
    for outputs in (loop.scanned(), loop.unrolled()):
        some = [x for n, x in enumerate(outputs) if n == 0 or (read * 2 ** (n + 4)) % 1 < 0.6]
        loss = loss_of(some)
        nodes = [*outputs, *gradients(loss, wrt), *gradients(along(loss, wrt, directions), wrt)]
        made.append(Graph({str(n): node for n, node in enumerate(nodes)}))
    return made[0], made[1]


def _assert_close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], what: str) -> None:
    for name, array in expected.items():
        scale = 1 + np.abs(array).max(initial=0)
        assert np.abs(found[name] - array).max(initial=0) <= 1e-9 * scale, f"{what}: output {name}"


@pytest.mark.parametrize("seed", range(60))
def test_a_random_loop(seed: int) -> None:
    loop = _random(seed)
    chance = random.Random(seed + 1)
    scanned, unrolled = _graphs(loop, chance)
    arrays = arrays_for(loop.inputs, seed)
    expected = evaluate(unrolled, arrays)
    _assert_close(evaluate(scanned, arrays), expected, "the scan")
    hoisted = hoist(scanned)
    _assert_close(evaluate(hoisted, arrays), expected, "the hoisted scan")
    _assert_close(evaluate(hoist(rewrite(scanned)), arrays), expected, "the scan rewritten and hoisted")
    names = [node.attributes["name"] for node in loop.inputs if node.attributes["name"] in hoisted.inputs]
    batched = chance.sample(names, chance.randrange(1, len(names) + 1))
    other = arrays_for(loop.inputs, seed + 1000)
    both = {name: np.stack([array, other[name]]) if name in batched else array for name, array in arrays.items()}
    found = evaluate(vectorize(chance.choice((scanned, hoisted)), batched, 2), both)
    _assert_close({name: array[0] for name, array in found.items()}, expected, "the first of two")
    second = evaluate(unrolled, {name: other[name] if name in batched else arrays[name] for name in arrays})
    _assert_close({name: array[1] for name, array in found.items()}, second, "the second of two")
