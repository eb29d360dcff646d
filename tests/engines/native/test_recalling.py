"""Lines of the cache that another core has read are flushed before they are written anew, where that is faster."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, machine, program, recalling
from chainrule.engines.native.team import Sync
from chainrule.graph import Graph, Node

Array = NDArray[Any]
here = machine.target()
needed = pytest.mark.skipif(
    not recalling.known(here.triple, here.features), reason="this processor has no instruction for it"
)


def descent(samples: int = 511, units: int = 128) -> tuple[Graph, dict[str, Array]]:
    """A step whose hidden values are read by all cores: each makes its part of a weight's gradient from all of them.

    Their number is odd: of an even one, each core would read a half.
    """
    random = np.random.default_rng(0)
    arrays = {
        "x": random.standard_normal((samples, units), np.float32),
        "weight": 0.1 * random.standard_normal((units, units), np.float32),
    }
    x, weight = (g.input(name, array.shape, "float32") for name, array in arrays.items())
    hidden = g.tanh(x @ weight)
    gradient = g.contract(hidden, hidden * 0.5 - x, "bi,bo->io")
    return Graph({"weight": weight - gradient * 1e-4}), arrays


def after(cores: int = 2, samples: int = 511) -> dict[str, Array]:
    graph, arrays = descent(samples)
    compiled = NativeEngine(cores=cores).compile(graph)
    found, _ = compiled.repeat({"weight": arrays["weight"]}, {"x": arrays["x"]}, {"step": np.zeros(6)})
    return dict(found)


def block(graph: Graph, cores: int = 2) -> Any:
    return NativeEngine(cores=cores).compile(graph).written.block  # type: ignore[attr-defined]


def syncs(monkeypatch: pytest.MonkeyPatch, apart: int) -> list[Any]:
    """Each call's memory by which its cores know of each other, which says at first that lines are recalled or not."""
    made: list[Any] = []

    class Told(Sync):
        def __init__(self) -> None:
            super().__init__()
            made.append((ctypes.c_int64 * (recalling.APART + 1)).from_address(self.address))
            made[-1][recalling.APART] = apart
            made.append(self)  # whose memory it is

    monkeypatch.setattr(program, "Sync", Told)
    monkeypatch.setenv("CHAINRULE_THREADS", "2")
    return made


@needed
def test_what_another_core_has_read_is_recalled() -> None:
    graph, _ = descent()
    assert {node.shape for node in block(graph).lent} >= {(511, 128)}


@needed
def test_what_one_core_alone_reads_is_not() -> None:
    x, w = g.input("x", (512, 128), "float32"), g.input("w", (128, 128), "float32")
    hidden = g.tanh(x @ w)
    # Each row by itself: nobody reads another's.
    parts = hidden / g.broadcast_like(g.sum(hidden, 1), hidden, 1)
    assert not block(Graph({"parts": g.sum(parts * hidden, 1)})).lent


@needed
def test_one_core_recalls_nothing() -> None:
    graph, _ = descent()
    texts = {cores: NativeEngine(cores=cores).compile(graph).llvm() for cores in (1, 2)}  # type: ignore[attr-defined]
    assert "@recall(" not in texts[1]
    assert "@recall(" in texts[2]


@needed
@pytest.mark.parametrize("apart", [0, 1])
def test_recalling_changes_no_bit(monkeypatch: pytest.MonkeyPatch, apart: int) -> None:
    expected = after(cores=1)
    made = syncs(monkeypatch, apart)
    found = after()
    # A call as short as this one does not try, and does as it was told.
    assert made[-2][recalling.APART] == apart
    np.testing.assert_array_equal(found["weight"], expected["weight"])


@needed
def test_a_long_call_finds_out_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = 641  # another program than that of the tests above, which is kept
    expected = after(1, samples)
    monkeypatch.setattr(recalling, "_WORTH_TRYING", 1e-9)
    made = syncs(monkeypatch, 7)
    found = after(2, samples)
    assert made[-2][recalling.APART] in (0, 1)
    np.testing.assert_array_equal(found["weight"], expected["weight"])


def carried(length: int = 6, rows: int = 32, units: int = 128) -> Graph:
    """A loop that keeps each state for the weight's gradient after it."""
    x, w = g.input("x", (length, rows, units), "float32"), g.input("w", (units, units), "float32")
    start = g.input("start", (rows, units), "float32")

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        return [g.tanh(slices[0] + carries[0] @ w)], [carries[0]]

    (end,), (before,) = g.scan(body, [start], [x])
    return Graph({"end": end, "gradient": g.contract(before, x, "tbi,tbo->io")})


def test_each_core_keeps_its_part_of_a_state() -> None:
    (body,) = block(carried()).bodies.values()
    assert body.parts
    assert all(body.parts.values())


@pytest.mark.parametrize("settings", [{"cores": 1}, {"cores": 2}, {"cores": 3, "one_by_one": "backwards"}])
def test_states_that_are_kept_are_those_of_the_definition(settings: dict[str, Any]) -> None:
    graph = carried()
    random = np.random.default_rng(1)
    arrays = {name: 0.1 * random.standard_normal(node.shape, np.float32) for name, node in graph.inputs.items()}
    found = NativeEngine(**settings).compile(graph).run(arrays)
    state, states = arrays["start"], []
    for x in arrays["x"]:
        states.append(state)
        state = np.tanh(x + state @ arrays["w"])
    np.testing.assert_allclose(found["end"], state, atol=1e-5)
    np.testing.assert_allclose(found["gradient"], np.einsum("tbi,tbo->io", states, arrays["x"]), atol=1e-4)
