"""Transposes by blocks: every order of axes, every size around a block, every width of vectors, shared or not."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, blocks, program, sharing, turning
from chainrule.engines.native.machine import host, target
from chainrule.engines.native.module import write_module
from chainrule.graph import FLOATS, Graph, Node

Case = tuple[tuple[int, ...], tuple[int, ...]]

CASES: list[Case] = [
    *(((rows, columns), (1, 0)) for rows, columns in itertools.product((2, 16, 37), (1, 3, 31, 64))),
    *(((3, 17, 2, 20), order) for order in itertools.permutations(range(4)) if order[-1] != 3),
    *(((1, 18, 1, 33), order) for order in ((3, 2, 1, 0), (0, 3, 1, 2), (2, 1, 3, 0), (0, 1, 3, 2))),
    ((2, 3, 4, 5), (3, 1, 0, 2)),
    ((4, 5, 5), (2, 0, 1)),
]


def _turned(x: Node, order: tuple[int, ...], way: int) -> Node:
    """A transpose of what is in memory, of what is there in another shape, and of what has to be computed."""
    shape = x.attributes["shape"]
    if way == 1:
        x = g.reshape(g.input(x.attributes["name"], (x.size,), x.dtype), shape)
    if way == 2:
        x = g.reverse(x, 0) * 2
    return g.transpose(x, order)


@functools.cache
def _graph(dtype: str) -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    random = np.random.default_rng(0)
    nodes, arrays, expected = {}, {}, {}
    for number, (shape, order) in enumerate(CASES):
        way = number % 3
        name = f"x{number}"
        array = random.standard_normal(shape).astype(dtype)
        nodes[str(number)] = _turned(g.input(name, shape, dtype), order, way)
        arrays[name] = array.reshape(-1) if way == 1 else array
        expected[str(number)] = ((array[::-1] * 2) if way == 2 else array).transpose(order)
    return Graph(nodes), arrays, expected


def _wrong(dtype: str, engine: NativeEngine) -> list[str]:
    graph, arrays, expected = _graph(dtype)
    found = engine.compile(graph).run(arrays)
    return [f"{name}: {graph.outputs[name]!r}" for name in expected if not np.array_equal(found[name], expected[name])]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("cpu", ["", "haswell", "x86-64"])
def test_every_element_finds_its_place(cpu: str, dtype: str) -> None:
    if cpu and not (host().triple.startswith("x86_64") and target(cpu).runs_here):
        pytest.skip("this machine does not run code for that processor")
    assert _wrong(dtype, NativeEngine(cores=1, cpu=cpu)) == []


@pytest.mark.parametrize("unit", [1, 3, 16])
def test_parts_of_cores_meet_wherever_they_are_cut(unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "_SHORT", 0.0)
    monkeypatch.setattr(blocks, "SMALL", 0.0)
    monkeypatch.setattr(program, "_WAKING", 0.0)

    def cut(roots: list[Node], read: object, cores: int, *_: object) -> sharing.Share | None:
        # Along every axis in turn.
        node = roots[0]
        axis = len(node.inputs[0].shape) and (node.size + node.rank * sum(node.shape)) % max(node.rank, 1)
        return sharing.Share(axis, unit, node.shape[axis], cores) if node.rank and node.shape[axis] > unit else None

    monkeypatch.setattr(blocks, "share", cut)
    assert _wrong("float32", NativeEngine(cores=3, one_by_one="backwards")) == []


def test_vectors_in_another_order_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = turning._turned
    monkeypatch.setattr(turning, "_turned", lambda e, kind, vectors, block: whole(e, kind, vectors[::-1], block))
    assert len(_wrong("float64", NativeEngine(cores=1))) > 20


@pytest.mark.tiny
def test_blocks_are_moved_by_vectors() -> None:
    text = write_module(Graph({"y": g.transpose(g.input("x", (64, 48)))})).text
    assert "shufflevector" in text
    assert "load float," not in text
    straight = write_module(Graph({"y": g.transpose(g.input("x", (4, 6, 8)), (1, 0, 2))})).text
    assert "shufflevector" not in straight
