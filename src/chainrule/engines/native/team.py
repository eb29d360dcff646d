"""The team: threads that take part in native calls, one for each further core that this process may use."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.engines.native.lingering import BOX_BYTES
from chainrule.engines.native.pinning import pinned
from chainrule.engines.native.recalling import APART
from chainrule.engines.native.repeating import FINISHED, RESULT, SYNC_BYTES, YIELD

#: Variables by which a user, or joblib in its workers, says how many threads there may be.
_VARIABLES = ("CHAINRULE_THREADS", "OMP_NUM_THREADS")

#: The most cores that one call can have, and seconds from one invitation to the next: at least, and at most in vain.
_MOST, _AGAIN, _AT_MOST = SYNC_BYTES - 8 * FINISHED, 1e-3, 0.25


def cores() -> int:
    """How many cores a program may use: CHAINRULE_THREADS, what joblib leaves a worker, or all that the process has."""
    for name in _VARIABLES:
        wanted = os.environ.get(name, "").split(",")[0].strip()
        if wanted.isdigit() and int(wanted) > 0:
            return min(int(wanted), _MOST)
    return _available()


@functools.cache
def _available() -> int:
    """The cores that this process may use: two threads of a core are one, and a quota of time is kept."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings = set()
    for cpu in allowed:
        with contextlib.suppress(OSError):
            siblings.add(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text())
    count = len(siblings) or len(allowed)
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, int(quota) // int(period)))
    return count


@functools.cache
def _give_way() -> int:
    """The address of the system's function by which a thread lets others have its core."""
    if sys.platform == "win32":
        return int(ctypes.cast(ctypes.windll.kernel32.SwitchToThread, ctypes.c_void_p).value or 0)
    return int(ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0)


class Sync:
    """The memory by which the cores of one call know of each other."""

    def __init__(self) -> None:
        raw = np.zeros(SYNC_BYTES + 128, np.uint8)
        self._bytes = raw[-raw.ctypes.data % 128 :][:SYNC_BYTES]
        self._words = self._bytes.view(np.int64)
        self._words[YIELD] = _give_way()
        self.address = self._bytes.ctypes.data

    @property
    def result(self) -> int:
        """What the call gave, which is the same for every core."""
        return int(self._words[RESULT])

    @property
    def apart(self) -> bool:
        """Whether it was found that lines which another core has read are better recalled before they are written."""
        return bool(self._words[APART])

    def finished(self, core: int) -> bool:
        """Whether a core has come to the end of the call: it says so itself, as the last thing it does."""
        return bool(self._bytes[8 * FINISHED + core])


class Pace:
    """How many cores the next call gets: all of them, as long as they are faster together than one alone.

    Where another program has one of the cores, all wait for the one that has to share. So the time of a run is
    watched, and now and then the other way is tried; the results are the same bits either way.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._recent: dict[int, float] = {}
        self._calls = 0

    def next(self) -> int:
        """The number of cores to take."""
        self._calls += 1
        together, alone = self._recent.get(self._cores), self._recent.get(1)
        if self._cores == 1 or together is None:
            return self._cores
        if alone is None:
            return 1 if self._calls > _FIRST_TRY else self._cores
        faster = 1 if alone < together else self._cores
        if self._calls % (_TRY_ALL if faster == 1 else _TRY_ONE) == 0:
            return self._cores + 1 - faster
        return faster

    def took(self, cores: int, seconds: float) -> None:
        """Note the seconds of one run."""
        self._recent[cores] = seconds


#: Calls before one core is tried for the first time, and between later tries of one core, and of all.
_FIRST_TRY, _TRY_ONE, _TRY_ALL = 3, 100, 8

Part = Callable[[int], Any]


class _Job:
    def __init__(self, part: Part, sync: Sync, count: int, after: Part | None) -> None:
        self.part, self.sync, self.after = part, sync, after
        self.begun = [False] * count
        self.ended = [threading.Event() for _ in range(count)]

    def __call__(self, core: int) -> None:
        if self.begun[core]:  # handed over twice where Ctrl-C came just then
            return
        self.begun[core] = True
        with pinned(core, len(self.begun)):
            self.part(core)
        self.ended[core].set()
        if self.after is not None:
            self.after(core)


class Team:
    """Threads that wait for work; one call at a time has them, and another meanwhile does without."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: list[queue.SimpleQueue[Part]] = []
        self._invited, self._pause = -math.inf, _AGAIN
        #: Whether anybody who lingered has taken part since the last invitation.
        self.met = True
        self._raw = np.zeros((_MOST + 1) * BOX_BYTES, np.uint8)
        #: Where the boxes are by which those who linger are asked; `lingering` says what is in one.
        self.boxes = self._raw.ctypes.data + -self._raw.ctypes.data % BOX_BYTES

    @contextlib.contextmanager
    def lent(self, count: int) -> Iterator[int]:
        """How many cores a call gets, the caller's own included: those that it wants, or one where they are taken."""
        if count < 2 or not self._lock.acquire(blocking=False):
            yield 1
            return
        try:
            self._grow(count)
            yield count
        finally:
            self._lock.release()

    def take(self) -> bool:
        """Whether the team is the caller's now, who has to give it back; `lent` without the waking."""
        return self._lock.acquire(blocking=False)

    def give_back(self) -> None:
        """End what `take` began."""
        self._lock.release()

    def box(self, core: int) -> int:
        """Where the box of a core is."""
        return self.boxes + (core - 1) * BOX_BYTES

    def invite(self, count: int, stay: Part) -> None:
        """Have the threads of so many cores do ``stay(core)``, if they are not about to; whoever calls has the team."""
        now = time.perf_counter()
        if now - self._invited > self._pause:
            # Whoever came too late for any call took time from others, as where all cores are busy.
            self._pause, self.met = _AGAIN if self.met else min(2 * self._pause, _AT_MOST), False
            self._invited = now
            self._grow(count)
            for jobs in self._queues[: count - 1]:
                jobs.put(stay)

    def _grow(self, count: int) -> None:
        while len(self._queues) < count - 1:
            self._queues.append(queue.SimpleQueue())
            threading.Thread(
                target=_work, args=(self._queues[-1], len(self._queues)), name="chainrule", daemon=True
            ).start()

    def run(self, part: Part, sync: Sync, count: int, after: Part | None = None) -> None:
        """Do ``part(core)`` on so many cores, the caller's being the first; all have ended when this returns.

        The others then do ``after(core)``, for which nobody waits.

        Ctrl-C may come between any two lines here. The others cannot end without the first, so it is put off until
        all have: what each line did can be seen, and is not done twice.
        """
        job, interrupted = _Job(part, sync, count, after), False
        while not all(ended.is_set() for ended in job.ended[1:]) or not sync.finished(0):
            try:
                for core in range(1, count):
                    if not job.begun[core]:
                        self._queues[core - 1].put(job)
                with pinned(0, count):
                    if not sync.finished(0):
                        part(0)
                for ended in job.ended[1:]:
                    ended.wait()
            except KeyboardInterrupt:
                interrupted = True
        if interrupted:
            raise KeyboardInterrupt


def _work(jobs: queue.SimpleQueue[Part], core: int) -> None:
    while True:
        job = jobs.get()
        job(core)
        del job


_teams = [Team()]


def team() -> Team:
    """The team of this process."""
    return _teams[0]


def _after_fork() -> None:
    # The threads of the parent are not here.
    _teams[0] = Team()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
