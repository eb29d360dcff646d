"""What no other core needs lies in memory of each core's own: no line of it ever goes to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, blocks, program, sharing
from chainrule.graph import Graph
from tests.engines.native.test_halving import arrays_for, recurrence
from tests.engines.native.test_plan import attention


def rows(samples: int = 64, units: int = 96) -> Graph:
    """Two layers and a softmax: each row of it needs nothing of the others."""
    x, first, second = g.input("x", (samples, units)), g.input("first", (units, units)), g.input("second", (units, 32))
    hidden = g.tanh(x @ first)
    exponents = g.exp(hidden @ second)
    return Graph({"shares": exponents / g.broadcast_like(g.sum(exponents, 1), exponents, 1)})


def across(samples: int = 96, units: int = 16) -> Graph:
    """Rows that are mixed."""
    x, mix = g.input("x", (samples, units)), g.input("mix", (samples, samples))
    return Graph({"mixed": mix @ g.tanh(x * 2.0), "rows": g.sum(g.tanh(x * 2.0), 1)})


def block(graph: Graph, **settings: Any) -> Any:
    return NativeEngine(**settings).compile(graph).written.block  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SMALL", 0.0)
    monkeypatch.setattr(sharing, "_SHORT", 0.0)
    monkeypatch.setattr(program, "_WAKING", 0.0)


def test_rows_that_only_their_own_core_reads_are_near() -> None:
    found = block(rows(), cores=2)
    assert {node.shape for node in found.near} >= {(64, 96), (64, 32)}
    # Each core has its half and nothing else, and what it has begins with a page.
    assert found.near[next(node for node in found.near if node.shape == (64, 96))] == 32 * 96 * 4
    assert found.behind % 4096 == found.each % 4096 == 0
    assert found.size == found.behind + 2 * found.each


def test_what_others_read_is_not() -> None:
    assert not block(across(), cores=2).near


def test_one_core_has_one_memory() -> None:
    assert not block(rows(), cores=1).near


GRAPHS: dict[str, Callable[[], Graph]] = {
    "rows": rows,
    "across": across,
    "recurrence": recurrence,
    "attention": attention,
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("cores", [2, 3, 5])
def test_the_bits_are_those_of_one_core_however_many_come(
    name: str, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = GRAPHS[name]()
    arrays = arrays_for(graph) | {
        key: np.zeros(node.shape, node.dtype) for key, node in graph.inputs.items() if node.dtype != "float32"
    }
    expected = NativeEngine(cores=1).compile(graph).run(arrays)
    compiled = NativeEngine(cores=cores).compile(graph)
    for come in (1, 2, cores):
        monkeypatch.setattr(program, "cores", lambda come=come: come)
        found = compiled.run(arrays)
        for key, array in expected.items():
            np.testing.assert_array_equal(found[key], array)


def test_what_others_read_would_be_seen_if_it_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "in_step", lambda *_: True)
    graph = across()
    arrays = arrays_for(graph)
    expected = NativeEngine(cores=1).compile(graph).run(arrays)["mixed"]
    found = NativeEngine(cores=3, one_by_one="forwards").compile(graph).run(arrays)["mixed"]
    assert not np.allclose(found, expected)
