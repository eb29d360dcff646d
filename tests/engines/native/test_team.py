"""How many cores a call gets, where they run, and that all have ended when it has."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager

import numpy as np
import pytest

from chainrule.engines.native import NativeEngine, program, team
from chainrule.engines.native.pinning import pinned
from chainrule.engines.native.team import Pace
from chainrule.graph import Graph, contract, input


def _paced(together: float, alone: float, calls: int) -> list[int]:
    """The cores of so many calls, where a run takes this long by two, and by one."""
    pace, taken = Pace(2), []
    for _ in range(calls):
        cores = pace.next()
        taken.append(cores)
        pace.took(cores, together if cores == 2 else alone)
    return taken


def test_all_cores_are_taken_as_long_as_they_are_faster_together() -> None:
    taken = _paced(together=1.0, alone=1.8, calls=250)
    assert taken[:3] == [2, 2, 2]
    assert taken[3] == 1  # tried once, early on, and rarely after that
    assert taken.count(1) <= 4


def test_one_core_is_taken_where_two_are_slower_and_two_are_tried_again() -> None:
    taken = _paced(together=3.0, alone=1.8, calls=100)
    assert taken.count(1) > 80
    assert 5 < taken[4:].count(2) < 20


def test_a_program_for_one_core_never_asks() -> None:
    pace = Pace(1)
    assert [pace.next() for _ in range(10)] == [1] * 10


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not say where a thread may run")
def test_a_thread_is_pinned_where_a_call_has_all_there_is_and_free_afterwards() -> None:
    allowed = os.sched_getaffinity(0)
    with pinned(0, len(allowed)):
        inside = os.sched_getaffinity(0)
    assert os.sched_getaffinity(0) == allowed
    assert len(inside) == 1
    with pinned(0, len(allowed) + 1):
        assert os.sched_getaffinity(0) == allowed


def test_a_call_on_two_cores_ends_on_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_THREADS", "2")
    monkeypatch.setattr(program, "_WAKING", 0.0)
    seen: list[tuple[int, int]] = []

    def watched(core: int, count: int) -> AbstractContextManager[None]:
        seen.append((core, count))
        return pinned(core, count)

    monkeypatch.setattr(team, "pinned", watched)
    a, b = input("a", (96, 200)), input("b", (200, 64))
    compiled = NativeEngine(cores=2).compile(Graph({"c": contract(a, b, "ik,kj->ij")}))
    random = np.random.default_rng(0)
    given = {"a": random.random((96, 200), np.float32), "b": random.random((200, 64), np.float32)}
    found = compiled.run(given)["c"]
    np.testing.assert_allclose(found, given["a"] @ given["b"], rtol=1e-5)
    assert sorted(seen) == [(0, 2), (1, 2)]
    assert any(thread.name == "chainrule" for thread in threading.enumerate())
