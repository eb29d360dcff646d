"""Memory that LLVM needed only for a moment: the pages of its library are given back after it was loaded or at work.

To load a library of such a size, the system reads a fifth of it, mostly once; to compile a program, another fifth.
What is given back is no copy of anything: it is read again, mostly from the system's cache of the file, if it is
needed again.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) .*?([^/\s]*)$")
#: Linux's number for: these pages are not needed for now.
_DONTNEED = 4


def give_back() -> None:
    """Give back the pages of LLVM's library that are as they are in its file; elsewhere than on Linux, do nothing."""
    for begin, size in _regions():
        _advise()(begin, size, _DONTNEED)
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _regions() -> list[tuple[int, int]]:
    """Where the library lies, begins and sizes; not what is written to, or was when it was loaded."""
    found: list[tuple[int, int]] = []
    with contextlib.suppress(OSError):
        here = False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            region = _REGION.match(line)
            if region:
                begin, end = (int(region[number], 16) for number in (1, 2))
                here = "llvmlite" in region[4] and region[3][:2] == "r-"
            elif here and line.split() == ["Anonymous:", "0", "kB"]:
                found.append((begin, end - begin))
    return found


@functools.cache
def _advise() -> Callable[[int, int, int], Any]:
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


@functools.cache
def _trim() -> Callable[[int], Any] | None:
    """The C library's function that gives back memory that is free, where it has one."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
