"""Pinning: each core of a call keeps to a processor of its own, where the call has all that the process may use.

Left to itself, the system sometimes runs two threads of a call on one processor and lets the other idle.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def pinned(core: int, count: int) -> Iterator[None]:
    """This thread on the processor of its core, and afterwards where it was allowed to be before."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    if len(allowed) != count or count < 2:
        yield
        return
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {sorted(allowed)[core]})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, allowed)
