"""Gradients of small weights are summed over each half of the samples: by a core that has made that half itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, blocks, engine, halving, steps
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node, make
from tests.engines.native.together import Together


def dense(samples: int = 1024, inner: int = 48, outer: int = 40) -> Graph:
    x, weight = g.input("x", (samples, inner)), g.input("weight", (inner, outer))
    y = g.tanh(x @ weight)
    return Graph({"y": y, "dweight": gradients(g.sum(y * y), [weight])[0]})


def convolution(samples: int = 8) -> Graph:
    """With a border, a stride and a first layer's few channels beside a second's."""
    x = g.input("x", (samples, 32, 32, 3))
    first, second = g.input("first", (3, 3, 3, 16)), g.input("second", (3, 3, 16, 16))
    letters = "nhwcij,ijco->nhwo"
    padding = [0, 1, 1, 0]
    y = g.tanh(g.contract(g.window(g.pad(x, padding, padding), [1, 2], [3, 3], [1, 1]), first, letters))
    z = g.contract(g.window(g.pad(y, padding, padding), [1, 2], [3, 3], [2, 2]), second, letters)
    loss = g.sum(z * z)
    return Graph({"loss": loss, **dict(zip(("dfirst", "dsecond"), gradients(loss, [first, second]), strict=True))})


def recurrence(length: int = 24, samples: int = 64, units: int = 48) -> Graph:
    """A loop whose weight's gradient is collected after it, and a product that its inputs come from."""
    x = g.input("x", (length, samples, 24))
    w, u = g.input("w", (24, units)), g.input("u", (units, units))

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h = g.tanh(slices[0] + carries[0] @ u)
        return [h], [h]

    _, (states,) = g.scan(body, [g.full((samples, units), 0.0, "float32")], [g.contract(x, w, "tbi,io->tbo")])
    loss = g.sum(states * states)
    return Graph({"loss": loss, **dict(zip(("dw", "du"), gradients(loss, [w, u]), strict=True))})


GRAPHS: dict[str, tuple[Callable[[], Graph], int]] = {
    "dense": (dense, 1),
    "convolution": (convolution, 2),
    "recurrence": (recurrence, 2),
}


def arrays_for(graph: Graph) -> dict[str, Any]:
    random = np.random.default_rng(7)
    return {name: 0.1 * random.standard_normal(x.shape, np.float32) for name, x in graph.inputs.items()}


def block(graph: Graph, cores: int = 2) -> Any:
    return NativeEngine(cores=cores).compile(graph).written.block  # type: ignore[attr-defined]


def halves(graph: Graph) -> list[Node]:
    """The products of two halves."""
    found = [node for group in block(graph).groups for node in group if node.op == "contract"]
    return [node for node in found if node.shape[0] == 2 and 0 not in (node.shape[1:] or (0,))]


@pytest.mark.parametrize("name", GRAPHS)
def test_halves_of_samples_are_taken_where_they_are_made(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SMALL", 0.0)  # so that two cores share the loop, too
    make, many = GRAPHS[name]
    found = halves(make())
    assert len(found) == many
    shares = block(make()).shares
    parts = [shares[group] for group in shares if group[0].op == "contract" and group[0].shape[0] == 2]
    assert [(part.axis, part.count) for part in parts if part is not None] == [(0, 2)] * many
    # What they are made from never goes to another core.
    waits = block(make()).waits
    assert not any(wait for group, wait in waits.items() if group[0].op == "contract" and group[0].shape[0] == 2)


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("settings", [{"cores": 1}, {"cores": 2}, {"cores": 3, "one_by_one": "backwards"}])
def test_they_are_the_gradients_of_the_definition(name: str, settings: dict[str, Any]) -> None:
    graph = GRAPHS[name][0]()
    together = Together()
    together.add(name, list(graph.outputs.values()), arrays_for(graph))
    together.compare(NativeEngine(**settings)).check_all()


@pytest.mark.parametrize("name", GRAPHS)
def test_the_bits_are_the_same_on_any_number_of_cores(name: str) -> None:
    graph = GRAPHS[name][0]()
    arrays = arrays_for(graph)
    one, two, three = (NativeEngine(cores=cores).compile(graph).run(arrays) for cores in (1, 2, 3))
    for key, array in one.items():
        np.testing.assert_array_equal(array, two[key])
        np.testing.assert_array_equal(array, three[key])


def test_large_weights_few_samples_and_odd_numbers_are_left_alone() -> None:
    assert not halves(dense(samples=64, inner=512, outer=512))
    assert not halves(dense(samples=128))
    assert not halves(dense(samples=1025))


def test_a_time_that_is_taken_for_the_samples_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving, "over_time", lambda *_: set())
    waits = block(recurrence()).waits
    assert any(wait for group, wait in waits.items() if group[0].op == "contract" and group[0].shape[0] == 2)


def test_halves_that_are_not_added_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = make

    def one_half(op: str, inputs: tuple[Node, ...], **attributes: Any) -> Node:
        return inputs[0][0] if op == "sum" else whole(op, inputs, **attributes)

    monkeypatch.setattr(halving, "make", one_half)
    graph = dense()
    together = Together()
    together.add("dense", list(graph.outputs.values()), arrays_for(graph))
    with pytest.raises(AssertionError):
        together.compare(NativeEngine(cores=1)).check_all()


def test_a_bias_over_time_is_summed_by_samples_first() -> None:
    x, bias = g.input("x", (96, 64, 48)), g.input("bias", (48,))

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h = g.tanh(slices[0] + carries[0] + g.broadcast(bias, [0], [64]))
        return [h], [h]

    _, (states,) = g.scan(body, [g.full((64, 48), 0.0, "float32")], [x])
    graph = Graph({"dbias": gradients(g.sum(states * states), [bias])[0]})
    sums = {group[0].shape for group in block(graph).groups if group[0].op == "sum"}
    assert {(64, 48), (48,)} <= sums
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "in_steps", lambda graph, axes: steps.in_steps(graph, {}))
        assert (64, 48) not in {group[0].shape for group in block(graph).groups if group[0].op == "sum"}
