"""Ctrl-C between two calls into the engine, never in the middle of what belongs together."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def interruption(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C inside calls ``stop``; a second one, for those who cannot wait, raises KeyboardInterrupt.

    Only the main thread of a process gets signals; elsewhere, and where Ctrl-C is ignored or is somebody else's,
    nothing changes.
    """
    alone = threading.current_thread() is threading.main_thread()
    if not alone or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def first(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
