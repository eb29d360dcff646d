"""The memory of a program: large arrays lie in large pages, where the system has them."""

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
from chainrule.graph import Graph

LARGE = 3 << 20
#: What Linux says of its memory, if it has large pages to give on demand.
MAPS = Path("/proc/self/smaps")
HAS_LARGE_PAGES = MAPS.exists() and Path("/sys/kernel/mm/transparent_hugepage").exists()


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
    array = program._aligned(LARGE)
    assert array.size == LARGE
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
