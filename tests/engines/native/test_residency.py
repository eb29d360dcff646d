"""The pages of LLVM's library: not resident once it has done its work, and as good as before when it works again."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from chainrule.engines.native import residency
from chainrule.engines.native.machine import Code, compile_object, host

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")
TEXT = "define i64 @answer(ptr %a) { ret i64 42 }"


def _resident() -> int:
    """Megabytes of the library that lie in the memory of this process, what it has written left out."""
    found, here = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            here = "libllvmlite" in line and " r-" in line
        elif here and line.startswith("Rss:"):
            found += int(line.split()[1])
        elif here and line.startswith("Anonymous:"):
            found -= int(line.split()[1])
    return found // 1000


def test_what_is_read_to_compile_is_given_back() -> None:
    first = compile_object(TEXT, host())
    assert _resident() <= 2
    assert compile_object(TEXT, host()) == first
    assert _resident() <= 2
    assert Code(first).address("answer")


def test_nothing_that_is_written_is_ever_given_back() -> None:
    residency._regions.cache_clear()
    regions = residency._regions()
    assert regions
    lines = Path("/proc/self/maps").read_text().splitlines()
    kinds = {int(line.split("-")[0], 16): line.split()[1] for line in lines if "llvmlite" in line}
    assert {kinds[begin] for begin, _ in regions} == {"r--p", "r-xp"}
    assert len(regions) < len(kinds)


def test_where_the_system_tells_nothing_nothing_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path) -> str:
        raise FileNotFoundError(self)

    residency._regions.cache_clear()
    monkeypatch.setattr(Path, "read_text", refused)
    residency.give_back()
    assert residency._regions() == []
    residency._regions.cache_clear()
