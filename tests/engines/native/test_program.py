"""Many runs in one call, whatever is fed back; and the memory of a program, which lies in large pages."""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, program
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph import Graph

LARGE = 3 << 20
#: What Linux says of its memory, if it has large pages to give on demand.
MAPS = Path("/proc/self/smaps")
HAS_LARGE_PAGES = MAPS.exists() and Path("/sys/kernel/mm/transparent_hugepage").exists()


ENGINES = {"alone": {"cores": 1}, "shared": {"cores": 2}, "verified": {"cores": 1, "verify": True}}


@pytest.mark.parametrize("settings", ENGINES.values(), ids=ENGINES)
def test_whatever_is_fed_back_many_runs_are_those_of_the_definition(settings: dict[str, Any]) -> None:
    x, w, count = g.input("x", (40, 30)), g.input("w", (40, 30)), g.input("count", (), "int32")
    inputs = np.arange(3 * 40 * 30, dtype=np.float32).reshape(3, 40, 30) % 7 - 3
    one = {"w": np.ones((40, 30), np.float32), "count": np.array(5, np.int32)}
    moved = Graph({"w": w * 0.5 - x, "count": count + 1, "sum": g.sum(w), "go": g.sum(x) < 1e9})
    replaced = Graph({"w": x + 1.0, "sum": g.sum(x)})  # nothing reads the state
    for graph, state, fixed in (
        (moved, one, {}),
        (moved, {"count": one["count"]}, {"w": one["w"]}),  # what could be written in place is given anew to each run
        (moved, {}, one),
        (replaced, {"w": one["w"]}, {}),
    ):
        until = "go" if "go" in graph.outputs else ""
        found, expected = (
            engine.compile(graph).repeat(state, fixed, {"x": inputs}, until)
            for engine in (NativeEngine(**settings), ReferenceEngine())
        )
        for ours, theirs in zip(found, expected, strict=True):
            assert ours.keys() == theirs.keys()
            for name, array in theirs.items():
                np.testing.assert_allclose(ours[name], array, rtol=1e-6, err_msg=name)


def is_to_be_in_large_pages(array: NDArray[Any]) -> bool:
    """Whether the system was asked for large pages where an array lies: the flag "hg" of that part of memory."""
    place, here = array.ctypes.data, False
    for line in MAPS.read_text().splitlines():
        bounds = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if bounds:
            here = int(bounds[1], 16) <= place < int(bounds[2], 16)
        elif here and line.startswith("VmFlags:"):
            return "hg" in line.split()
    return False


def test_a_large_array_lies_in_large_pages() -> None:
    arrays = [program._aligned(LARGE + 4096 * more) for more in range(4)]  # of which one might lie there by chance
    for more, array in enumerate(arrays):
        assert array.size == LARGE + 4096 * more
        assert not array.any()
        array[:] = 1
        if hasattr(mmap, "MADV_HUGEPAGE"):
            assert array.ctypes.data % (1 << 21) == 0


@pytest.mark.skipif(not HAS_LARGE_PAGES, reason="this system has no large pages, or does not tell")
def test_the_system_is_asked_for_large_pages() -> None:
    x = g.contract(g.input("a", (1024, 2)), g.input("b", (2, 1024)), "ij,jk->ik")
    compiled: Any = NativeEngine(cores=1).compile(Graph({"y": g.reverse(x, (0,)) + x}))
    assert compiled._arena.size > LARGE
    assert is_to_be_in_large_pages(compiled._arena)
    assert is_to_be_in_large_pages(program._empty(g.input("weight", (1024, 1024))))
    assert not is_to_be_in_large_pages(np.zeros(LARGE, np.uint8))


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="this system has no large pages")
def test_a_system_that_refuses_gives_small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(mmap.mmap):
        def madvise(self, *_: int) -> None:
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Refusing)
    assert not program._aligned(LARGE).any()
