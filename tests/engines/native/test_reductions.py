"""Sums: a few rows at a time where the sums are few, in blocks where one is long; and every element once."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine
from chainrule.engines.native.module import write_module
from chainrule.graph import Graph, Node
from tests.engines.native.together import Together


def rows_at_a_time(*shape: int) -> int:
    """How many rows one turn of the loop reads."""
    text = write_module(Graph({"y": g.sum(g.input("x", shape), tuple(range(len(shape) - 1)))})).text
    found: list[str] = re.findall(r"^define internal void @sum_\d+\(.*?^}", text, re.MULTILINE | re.DOTALL)
    (kernel,) = found
    return kernel.count("= load ") - 1  # and the sum that is there


def test_few_sums_are_taken_some_rows_at_a_time() -> None:
    assert [rows_at_a_time(rows, 10) for rows in (64, 35, 30, 25, 18, 14)] == [8, 7, 6, 5, 6, 7]
    assert rows_at_a_time(3, 16, 10) == 8
    assert rows_at_a_time(31, 10) == 1  # no whole number of any
    assert rows_at_a_time(64, 40) == 1  # each sum has left the registers before it is added to again


def shapes(node: Node) -> list[tuple[int, ...]]:
    """What is stored on the way to a node, in order."""
    compiled: Any = NativeEngine(cores=1).compile(Graph({"y": node}))
    return [group[0].shape for group in compiled.written.block.groups]


def test_one_long_axis_is_summed_in_blocks_if_it_has_any() -> None:
    assert shapes(g.sum(g.input("x", (8192,)))) == [(64,), ()]
    assert shapes(g.sum(g.input("x", (5001,)))) == [()]
    assert shapes(g.sum(g.input("x", (4000,)))) == [()]


def test_what_is_dear_is_made_before_it_is_summed_along_short_rows() -> None:
    """A loop of few turns is none of vectors, and exp wants to be."""
    assert shapes(g.sum(g.exp(g.input("x", (4096, 8))), 1)) == [(4096, 8), (4096,)]
    assert shapes(g.sum(g.exp(g.input("x", (4096, 64))), 1)) == [(4096,)]
    assert shapes(g.sum(g.input("x", (4096, 8)) + g.input("y", (4096, 8)), 1)) == [(4096,)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("settings", [{"cores": 1}, {"cores": 3, "one_by_one": "forwards"}])
def test_every_row_is_added_once(dtype: str, settings: dict[str, Any]) -> None:
    together, random = Together(), np.random.default_rng(0)
    for shape in (
        (64, 10),
        (35, 3),
        (31, 16),
        (2, 2),
        (3, 16, 10),
        (6, 5, 2, 2),
        (1000, 4),
        (60, 40),
        (8192,),
        (5001,),
    ):
        x = g.input("x", shape, dtype)
        array = random.integers(-99, 99, shape).astype(dtype)
        nodes = [g.sum(x, tuple(range(axes))) for axes in range(1, len(shape) + 1)]
        together.add("×".join(map(str, shape)), nodes, {"x": array})
    together.compare(NativeEngine(**settings))
    for name in together.names:
        together.check(name, exact=True)  # whole numbers are added without rounding


def of_channels(shape: tuple[int, ...]) -> Graph:
    """What batch normalization begins with: of all samples and places, a number for each channel."""
    x = g.exp(g.input("x", shape, "float32") * 0.5)
    return Graph({"y": g.sum(x, tuple(range(len(shape) - 1)))})


def shapes_of_sums(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    block = NativeEngine(cores=2).compile(of_channels(shape)).written.block  # type: ignore[attr-defined]
    return [group[0].shape for group in block.groups if group[0].op == "sum"]


def test_a_sum_of_all_samples_is_first_one_of_each() -> None:
    # Sixteen channels are a line of the cache: no core could have some of them to itself.
    assert shapes_of_sums((64, 16, 16, 16)) == [(64, 16), (16,)]
    assert shapes_of_sums((64, 4, 4, 16)) == [(16,)]  # too little to be worth it
    assert shapes_of_sums((4096, 16)) == [(16,)]
    block = NativeEngine(cores=2).compile(of_channels((64, 16, 16, 16))).written.block  # type: ignore[attr-defined]
    part = next(part for group, part in block.shares.items() if group[0].shape == (64, 16))
    assert part is not None
    assert part.axis == 0


@pytest.mark.parametrize("shape", [(6, 16, 16, 16), (5, 9, 30, 37), (3, 64, 65)])
@pytest.mark.parametrize("settings", [{"cores": 1}, {"cores": 3, "one_by_one": "backwards"}])
def test_sums_of_samples_first_are_those_of_all(shape: tuple[int, ...], settings: dict[str, Any]) -> None:
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    found = NativeEngine(**settings).compile(of_channels(shape)).run({"x": x})["y"]
    expected = np.exp(x.astype(np.float64) * 0.5).sum(tuple(range(x.ndim - 1)))
    np.testing.assert_allclose(found, expected, rtol=2e-6)


@pytest.mark.parametrize("axes", [(1,), (1, 2), (2,), (0, 1)])
@pytest.mark.parametrize("settings", [{"cores": 1}, {"cores": 3, "one_by_one": "forwards"}])
def test_axes_in_the_middle_are_summed(axes: tuple[int, ...], settings: dict[str, Any]) -> None:
    x = np.random.default_rng(0).standard_normal((40, 12, 8, 37))
    graph = Graph({"y": g.sum(g.input("x", x.shape, "float64"), axes)})
    np.testing.assert_allclose(NativeEngine(**settings).compile(graph).run({"x": x})["y"], x.sum(axes), rtol=1e-12)
