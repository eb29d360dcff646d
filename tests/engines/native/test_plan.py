"""How many loops, kernels and bytes well-known steps take: a lost fusion is a failing test."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from benchmarks import networks
from chainrule import graph as g
from chainrule.engines.native import NativeEngine, blocks, engine, grouping, inspecting
from chainrule.graph import Build, Graph, Node, gather, input, sum, tanh

MOMENTUM = cr.optimizers.SGD(0.1, momentum=0.9)


def pixels(samples: int = 64) -> cr.data.Dataset:
    random = np.random.default_rng(0)
    labels = np.arange(samples) % 10
    images = random.integers(0, 256, (samples, 784), dtype=np.uint8)
    return cr.data.from_arrays(images, labels, preparation=cr.data.Preparation(scale=1 / 255))


def plan(model: cr.Chain, optimizer: Any, batch_size: int = 32) -> tuple[int, int, int, int]:
    """Loops, kernels and bytes of the arena on one core, and how often two wait for each other in a step."""
    alone, two = (_plan(model, optimizer, batch_size, cores) for cores in (1, 2))
    return alone.calls, alone.kernels, alone.arena, two.waits


def _plan(model: cr.Chain, optimizer: Any, batch_size: int, cores: int) -> inspecting.Plan:
    run = cr.prepare(model, pixels(), optimizer=optimizer, batch_size=batch_size, engine=NativeEngine(cores=cores))
    found: Any = run.built(run.spec, batch_size)[1]  # type: ignore[arg-type]
    plan: inspecting.Plan = found.plan
    return plan


GOLDEN = {
    "784-300-10, momentum": (cr.Chain(cr.Dense(300, cr.relu), cr.Dense(10)), MOMENTUM, (34, 34, 1188480, 7)),
    "784-300-10, Adam": (cr.Chain(cr.Dense(300, cr.sigmoid), cr.Dense(10)), cr.optimizers.Adam(), (34, 34, 1188480, 7)),
    "784-32-32-32-10, descent": (
        cr.Chain(*(cr.Dense(32, cr.tanh) for _ in range(3)), cr.Dense(10)), cr.optimizers.SGD(0.1), (47, 38, 222656, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_well_known_steps_take_no_more_than_they_did(name: str) -> None:
    model, optimizer, golden = GOLDEN[name]
    assert plan(model, optimizer) == golden


def test_a_lost_fusion_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model, optimizer, golden = GOLDEN["784-300-10, momentum"]
    monkeypatch.setattr(grouping, "_worth_storing", lambda node, users, cost: cost > 0)
    found = plan(model, optimizer)
    assert found[0] > golden[0]
    assert found[2] > golden[2]


def convolutional() -> Graph:
    """Two convolutions, the second with a stride; pooling in between."""
    network = networks.Network()
    with Build() as build:
        images = network.given("x", np.zeros((16, 16, 16, 8), np.float32))
        labels = network.given("labels", np.zeros(16, np.int32))
        x = networks.relu(network.convolution("first", images, 16))
        x = g.max(g.window(x, [1, 2], [2, 2], [2, 2]), [4, 5])
        x = networks.relu(network.convolution("second", x, 16))
        x = networks.relu(network.convolution("third", x, 32, stride=2))
        logits = network.dense("last", g.reshape(x, (16, -1)), 10)
        return Graph.of(networks.momentum(network, networks.cross_entropy(logits, labels)), build)


def recurrent(batch: int = 16, length: int = 12, width: int = 32, units: int = 64) -> Graph:
    """An LSTM that is asked at the end."""
    network = networks.Network()
    with Build() as build:
        steps = network.given("x", np.zeros((length, batch, width), np.float32))
        labels = network.given("labels", np.zeros(batch, np.int32))
        w, u = (network.parameter(name, size, 4 * units, fan_in=size) for name, size in (("w", width), ("u", units)))
        bias = network.parameter("bias", 4 * units)

        def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            h, c = carries
            z = slices[0] @ w + h @ u + g.broadcast_to(bias, (batch, 4 * units))
            i, f, new, o = (z[:, n * units : (n + 1) * units] for n in range(4))
            c = g.sigmoid(f) * c + g.sigmoid(i) * g.tanh(new)
            return [g.sigmoid(o) * g.tanh(c), c], []

        (h, _), _ = g.scan(body, [g.full((batch, units), 0.0, "float32")] * 2, [steps])
        loss = networks.cross_entropy(network.dense("last", h, 10), labels)
        return Graph.of(networks.momentum(network, loss), build)


def attention() -> Graph:
    """One layer of a transformer."""
    return networks.transformer(batch=4, length=32, layers=1, width=64, heads=4, symbols=17)[0]


def plan_of(graph: Graph) -> tuple[int, int, int, int]:
    """The same of a step that is written with ops; it is planned and written, and not compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_code", lambda *_: (None, "nowhere"))
        patch.setattr(engine, "NativeProgram", lambda graph, written, *_: inspecting.plan_of(graph, written.block))
        plans: list[Any] = [NativeEngine(cores=cores).compile(graph) for cores in (1, 2)]
    alone, two = plans
    return alone.calls, alone.kernels, alone.arena, two.waits


WRITTEN = {
    "convolutions": (convolutional, (42, 41, 884736, 5)),
    "LSTM": (recurrent, (28, 28, 684672, 30)),
    "attention": (attention, (117, 79, 1219648, 18)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_steps_of_other_kinds_take_no_more_than_they_did(name: str) -> None:
    step, golden = WRITTEN[name]
    assert plan_of(step()) == golden


@pytest.mark.parametrize("name", WRITTEN)
def test_a_lost_fusion_is_seen_there_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step, golden = WRITTEN[name]
    whole = grouping._worth_storing
    monkeypatch.setattr(grouping, "_worth_storing", lambda node, users, cost: cost > 0 or whole(node, users, cost))
    assert plan_of(step())[0] > golden[0]


def test_folds_that_stay_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "unfold", lambda graph, **_: graph)
    assert plan_of(convolutional())[2] > WRITTEN["convolutions"][1][2]


def test_ten_thousand_steps_take_no_more_memory_than_ten() -> None:
    resource: Any = pytest.importorskip("resource", reason="this system does not say how much memory was used")
    data, rows = input("data/x", (1000, 8)), input("rows", (4,), "int32")
    state = input("state", (8,))
    after = tanh(state + sum(gather(data, rows), 0))
    program = NativeEngine().compile(Graph({"state": after, "loss": sum(after)}))
    given: dict[str, Any] = {"data/x": np.ones((1000, 8), np.float32)}
    now: Any = {"state": np.zeros(8, np.float32)}

    def run(calls: int) -> int:
        nonlocal now
        for _ in range(calls):
            now, _ = program.repeat(now, given, {"rows": np.zeros((10, 4), np.int32)})
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    before = run(10)
    grown = run(1000) - before  # kilobytes, and bytes on macOS
    assert grown < (2**20 if sys.platform == "darwin" else 2**10)


def _maps(size: int) -> Any:
    """Two arrays that become new, each by itself; and two more that read the same."""
    names = ("a", "b", "c", "d", "e")
    a, b, c, d, e = (g.input(name, (size,)) for name in names)
    return NativeEngine().compile(Graph({"a": a * 2.0, "b": b * 3.0, "c": c + e, "d": d * e}))


def test_large_maps_share_a_loop_only_where_they_read_the_same() -> None:
    assert [len(group) for group in _maps(64).written.block.groups] == [4]
    assert [len(group) for group in _maps(100_000).written.block.groups] == [1, 1, 2]


def test_what_only_its_own_loop_reads_is_not_stored() -> None:
    x = g.input("x", (100,))
    step = g.exp(x)
    outputs = {"y": step * x, "z": step + x}
    assert NativeEngine().compile(Graph(outputs)).plan.stored == 0  # type: ignore[attr-defined]
    turned = {**outputs, "sum": g.sum(step)}
    assert NativeEngine().compile(Graph(turned)).plan.stored == 400  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", [False, True])
def test_loops_stand_behind_what_they_read_and_before_it_is_written_over(
    fault: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the order in which the loops are done; the fault puts the small ones first."""
    monkeypatch.setattr(engine, "_code", lambda *_: (None, "nowhere"))
    monkeypatch.setattr(engine, "NativeProgram", lambda graph, written, *_: written.block)
    if fault:
        monkeypatch.setattr(blocks, "early", lambda groups, *_: sorted(groups, key=lambda group: int(group[0].size)))
    wrong = []
    for step in (convolutional, attention):
        block: Any = NativeEngine(cores=2).compile(step())
        place = {node: number for number, group in enumerate(block.groups) for node in group}
        for number, group in enumerate(block.groups):
            wrong += [node for node in block.read[group] if place.get(node, -1) >= number]
            olds = [block.replaces[node] for node in group if node in block.replaces]
            wrong += [old for old in olds for later in block.groups[number + 1 :] if old in block.read[later]]
    assert bool(wrong) == fault
