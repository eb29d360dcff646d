"""How many loops, kernels and bytes well-known steps take: a lost fusion is a failing test."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native import NativeEngine, grouping, inspecting
from chainrule.graph import Graph, gather, input, sum, tanh

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
    "784-300-10, momentum": (cr.Chain(cr.Dense(300, cr.relu), cr.Dense(10)), MOMENTUM, (34, 34, 1119232, 8)),
    "784-300-10, Adam": (cr.Chain(cr.Dense(300, cr.sigmoid), cr.Dense(10)), cr.optimizers.Adam(), (34, 34, 1119232, 8)),
    "784-32-32-32-10, descent": (
        cr.Chain(*(cr.Dense(32, cr.tanh) for _ in range(3)), cr.Dense(10)), cr.optimizers.SGD(0.1), (53, 39, 226560, 6),
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
