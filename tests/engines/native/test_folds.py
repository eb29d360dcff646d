"""Folds of products as products of windows: the same numbers, and no fold left where there need be none."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, folds
from chainrule.engines.native.folds import unfold
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node

MANY = 150


def _drawn(seed: int) -> tuple[Node, bool]:
    """A fold of a product, perhaps with a slice of it, and whether a fold has to stay.

    Its letters stand in any order: b is the batch, c and o are channels, h and w places, i and j taps.
    """
    chance = random.Random(seed)
    axes = chance.choice((1, 2))
    taps, places = ([chance.randint(1, 4) for _ in range(axes)] for _ in range(2))
    strides = [chance.choice((1, 1, 2, 3)) for _ in range(axes)]
    dilations = [chance.choice((1, 1, 1, 2)) for _ in range(axes)]
    parts = zip(places, strides, dilations, taps, strict=True)
    lengths = [(p - 1) * s + d * (k - 1) + 1 + chance.randrange(s) for p, s, d, k in parts]
    place_letters, tap_letters = "hw"[:axes], "ij"[:axes]
    depthwise = chance.random() < 0.2
    left = list("b" + place_letters + ("c" if depthwise else "o"))
    right = list(tap_letters + ("c" if depthwise else "co"))
    out = list("bc" + place_letters)
    for letters in (left, right, out):
        chance.shuffle(letters)
    size = {"b": 2, "c": 3, "o": 2, **dict(zip(place_letters, places, strict=True))}
    size |= dict(zip(tap_letters, taps, strict=True))
    back, kernel = (
        g.input(name, [size[k] for k in letters], "float64") for name, letters in (("g", left), ("w", right))
    )
    operands = [(back, left), (kernel, right)]
    if chance.random() < 0.5:
        operands.reverse()
    (a, a_letters), (b, b_letters) = operands
    product = g.contract(a, b, f"{''.join(a_letters)},{''.join(b_letters)}->{''.join(out)}{tap_letters}")
    node = g.fold(product, [out.index(letter) for letter in place_letters], taps, strides, dilations, lengths)
    if chance.random() < 0.6:
        starts = [chance.randrange(length) for length in node.shape]
        stops = [chance.randint(start + 1, length) for start, length in zip(starts, node.shape, strict=True)]
        node = g.slice(node, starts, stops, [chance.choice((1, 1, 1, 2)) for _ in starts])
    stays = any(stride > 1 and dilation > 1 for stride, dilation in zip(strides, dilations, strict=True))
    return node, stays


def _arrays(graph: Graph, seed: int) -> dict[str, Any]:
    numbers = np.random.default_rng(seed)
    return {name: numbers.standard_normal(node.shape).astype(node.dtype) for name, node in graph.inputs.items()}


def _differences(many: int) -> list[int]:
    found = []
    for seed in range(many):
        graph = Graph({"y": _drawn(seed)[0]})
        arrays = _arrays(graph, seed)
        expected, lowered = (ReferenceEngine().compile(each).run(arrays)["y"] for each in (graph, unfold(graph)))
        if expected.shape != lowered.shape or not np.allclose(lowered, expected, rtol=1e-12, atol=1e-12):
            found.append(seed)
    return found


def test_the_sums_are_the_same() -> None:
    assert _differences(MANY) == []


def test_no_fold_stays_that_need_not() -> None:
    for seed in range(MANY):
        node, stays = _drawn(seed)
        assert any(left.op == "fold" for left in unfold(Graph({"y": node})).nodes) == stays


def test_a_kernel_that_is_not_turned_round_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds, "reverse", lambda x, axes: x)
    assert len(_differences(40)) > 10


def test_phases_in_another_order_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = folds._interleaved
    monkeypatch.setattr(folds, "_interleaved", lambda parts, axis: whole(parts[::-1], axis))
    assert len(_differences(40)) > 5


@pytest.mark.parametrize(("size", "stride", "around"), [(3, 1, 1), (3, 2, 1), (2, 2, 0), (4, 2, 1), (1, 2, 0)])
def test_the_gradient_of_a_convolution(size: int, stride: int, around: int) -> None:
    x, w = g.input("x", (2, 9, 8, 3)), g.input("w", (size, size, 3, 5))
    padded = g.pad(x, [0, around, around, 0], [0, around, around, 0])
    windows = g.window(padded, [1, 2], [size, size], [stride, stride])
    loss = g.sum(g.power(g.contract(windows, w, "bhwcij,ijco->bhwo"), 2))
    graph = Graph(dict(zip(("x", "w"), gradients(loss, [x, w]), strict=True)))
    arrays = _arrays(graph, 0)
    found, expected = (engine.compile(graph).run(arrays) for engine in (NativeEngine(), ReferenceEngine()))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)


@pytest.mark.tiny
def test_what_is_read_elsewhere_too_stays() -> None:
    a, b = g.input("a", (4, 2)), g.input("b", (3, 2))
    product = g.contract(a, b, "no,io->ni")
    fold = g.fold(product, [0], [3], [1], [1], [6])
    assert any(node.op == "fold" for node in unfold(Graph({"y": fold, "product": product})).nodes)
    assert not any(node.op == "fold" for node in unfold(Graph({"y": fold})).nodes)
    # Both the fold and a part of it: neither is computed twice.
    both = unfold(Graph({"y": fold, "part": fold[1:3]}))
    assert sum(node.op == "contract" for node in both.nodes) == 1
