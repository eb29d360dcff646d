"""A compiled program: its code, its arena, and the tables of pointers by which it is called."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.engines.native.binding import Binding, address
from chainrule.engines.native.blocks import size_in_bytes
from chainrule.engines.native.inspecting import Plan, Spent, kernel_text, loops, plan_of, spent
from chainrule.engines.native.lingering import Job
from chainrule.engines.native.machine import Code, assembly
from chainrule.engines.native.memory import ALIGNMENT
from chainrule.engines.native.module import Written
from chainrule.engines.native.panels import Panels
from chainrule.engines.native.team import Pace, Sync, Team, cores, team
from chainrule.engines.protocol import Array, Arrays, Program, check_arrays
from chainrule.graph import Graph, Node

#: Bytes of a large page of memory.
_LARGE = 1 << 21
#: Seconds of work below which no thread is woken for a call; and how soon a small one has to follow another for a
#: thread to be asked to stay awake.
_WAKING, _SOON = 100e-6, 200e-6
#: As many times as long as a small call took that had to wait for a thread, none is asked.
_REST = 20


class NativeProgram:
    """A graph as native code. Two threads may share one: they take turns, since there is one arena."""

    #: Each array that `run` gives is the caller's own: neither held here, nor one that was given.
    gives_new = True

    def __init__(self, graph: Graph, written: Written, code: Code, panels: Mapping[str, Panels] | None = None) -> None:
        self.graph, self.written, self.panels = graph, written, panels or {}
        self._code = code
        pointer, whole = ctypes.c_void_p, ctypes.c_int64
        call = ctypes.CFUNCTYPE(whole, whole, *[pointer] * 5, whole, pointer, *[whole] * 4, pointer)
        self._native = call(code.address("repeat"))
        self._alone, self._lead, self._serve = (
            ctypes.CFUNCTYPE(whole, pointer)(code.address(name)) for name in ("alone", "lead", "serve")
        )
        self._constants = [np.asarray(node.attributes["value"], order="C") for node in written.constants]
        self._lengths = np.array([node.shape[0] for node in written.resident] or [0], np.int64)
        self._arena = _aligned(written.block.size)
        #: The cores that it is written for, and whether a single run is worth waking the threads of the others.
        module = written.block.module
        self.cores = module.cores if written.block.shared and not module.one_by_one else 1
        self._worth_waking = self._worth_sharing(1)
        #: When the last run ended, and before when nobody is asked to take part in one.
        self._pace, self._last, self._not_before = Pace(self.cores), 0.0, 0.0
        #: For each core its cycles, the waiting first and then call by call.
        self.cycles = np.zeros((self.cores, len(module.calls) + 1), np.int64)
        self.runs, self.seconds = 0, 0.0
        #: How many calls of many runs recalled what other cores had read.
        self.recalls = 0
        self._lock = threading.Lock()
        #: Memory for weights in panels, from the last call.
        self._spare: dict[str, Array] = {}
        self._binding = Binding(graph, list(written.inputs), self._constants, self._replaced)
        self._sync = Sync()
        self._places = [pointer(array.ctypes.data) for array in (self._arena, self._lengths)]
        self._times = [pointer(row.ctypes.data) for row in self.cycles]
        #: What a single run is called with: where all of it lies is the same each time.
        self._job = Job(
            code.address("part"),
            ctypes.addressof(self._binding.table),
            self._arena.ctypes.data,
            self._lengths.ctypes.data,
            self.cycles.ctypes.data,
            self.cycles.strides[0],
            self._sync.address,
        )
        self._call_with = ctypes.addressof(self._job)
        #: The team whose boxes the job names.
        self._asked: Team | None = None

    @property
    def plan(self) -> Plan:
        """How many nodes, loops, kernels and bytes."""
        return plan_of(self.written.graph, self.written.block)

    def loops(self) -> str:
        """Every loop nest, and what it computes."""
        return loops(self)

    def llvm(self, kernel: str = "") -> str:
        """The LLVM of the program, or of one kernel, as it was written."""
        return kernel_text(self.written.text, kernel) if kernel else self.written.text

    def assembly(self) -> str:
        """The assembly of the program for the processor that it was written for."""
        return assembly(self.written.text, self.written.target)

    def profile(self) -> list[Spent]:
        """Where the time of all runs so far went, a row a loop and run; the engine has to be one that profiles."""
        return spent(self, self.seconds / max(self.runs, 1))

    def run(self, arrays: Arrays) -> dict[str, Array]:
        """The outputs by name; they are the caller's own."""
        if self.panels:
            check_arrays(self.graph, arrays)
            inputs = self.graph.inputs
            state = {name: arrays[name] for name in self.graph.outputs if name in inputs}
            after, logs = self.repeat(state, arrays, {"one run": np.zeros(1)})
            return {name: after[name] if name in state else logs[name][0] for name in self.graph.outputs}
        with self._lock:
            # The arrays are kept until the code has read them.
            _arrays, outputs = self._binding.bind(arrays)
            if self.cores > 1:
                self._once()
            else:
                start = time.perf_counter()
                self._alone(self._call_with)
                self.seconds += time.perf_counter() - start
                self.runs += 1
        return outputs

    def _once(self) -> None:
        """A single run, by as many cores as are worth it: threads that linger are asked first."""
        others, wanted, done = team(), self._pace.next(), 0
        start = time.perf_counter()
        if wanted > 1 and start >= self._not_before and others.take():
            try:
                if others is not self._asked:
                    self._asked, self._job.boxes, self._job.helpers = others, others.boxes, self.cores - 1
                done = self._lead(self._call_with)
                if done:
                    others.met = True
                elif not self._worth_waking and start - self._last < _SOON:
                    others.invite(min(wanted, cores()), self._stay)
            finally:
                others.give_back()
        if not done and self._worth_waking:
            self._shared(1, [*self._binding.table], (), (), -1, min(wanted, cores()))
            return
        if not done:
            self._alone(self._call_with)
        self._last = time.perf_counter()
        took = self._last - start
        if done and took > _WAKING and not self._worth_waking:
            # Somebody was put aside in the middle of his part, as happens where another program has the core.
            self._not_before = self._last + _REST * took
        self._pace.took(done or 1, took)
        self.seconds += took
        self.runs += 1

    def _stay(self, core: int) -> None:
        self._serve(team().box(core))

    @property
    def _replaced(self) -> list[str]:
        """The outputs that are written over the input of the same name."""
        outputs = self.written.graph.outputs
        return [name for name, node in outputs.items() if node in self.written.block.replaces]

    def repeat(
        self, state: Arrays, fixed: Arrays, each: Arrays, until: str = ""
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Many runs in one native call; see `chainrule.engines.protocol.Program`."""
        count = len(next(iter(each.values())))
        first = {**fixed, **state, **{name: array[0] for name, array in each.items()}}
        check_arrays(self.graph, first)
        replaced = self._replaced
        if not state.keys() >= {*replaced}:
            # What is written in place has to be fed back; here it is asked for run by run.
            return Program.repeat(self, state, fixed, each, until)
        slots: list[Array] = []
        moves: list[int] = []
        places = {name: place for place, name in enumerate(self.written.inputs)}
        for name, node in self.written.inputs.items():
            fed_back = name in state and name in self.graph.outputs
            array = each.get(name, first[name])
            if name in self.panels:
                slots.append(self.panels[name].split(array, _or_empty(self._spare.pop(name, None), node)))
            else:
                slots.append(_copied(array, node) if fed_back else np.asarray(array, order="C"))
            moves.append(size_in_bytes(node) if name in each else 0)
        slots += self._constants
        moves += [0] * len(self._constants)
        sides: dict[str, tuple[Array, Array]] = {}
        logs: dict[str, Array] = {}
        swaps: list[int] = []
        stop = -1
        for name, node in self.written.graph.outputs.items():
            stop = len(slots) if name == until else stop
            if name in replaced:
                rows = slots[places[name]]
                sides[name] = rows, rows
            elif name in state:
                rows = _empty(node)
                if name in places:
                    swaps += [places[name], len(slots)]
                    sides[name] = slots[places[name]], rows
                else:
                    sides[name] = rows, rows
            else:
                rows = logs[name] = np.empty((count, *node.shape), node.dtype)
            slots.append(rows)
            moves.append(size_in_bytes(node) if name in logs else 0)
        done = self._call(count, slots, moves, swaps, stop)
        # Each run leaves the new state on the output's side, and the sides change between two runs.
        now = {name: sides[name][done % 2] if name in sides else array for name, array in state.items()}
        for name, panels in self.panels.items():
            if name in sides:
                now[name] = panels.join(now[name])
                # Nobody else has it: new memory would be made and cleared page by page for each call.
                self._spare[name] = slots[places[name]]
        return now, {name: rows[:done] for name, rows in logs.items()}

    def _worth_sharing(self, count: int) -> bool:
        # A call that is over before another thread is awake is better done alone.
        return self.cores > 1 and count * self.written.block.seconds > _WAKING

    def _call(self, count: int, slots: Sequence[Array], moves: Sequence[int], swaps: Sequence[int], stop: int) -> int:
        wanted = min(self._pace.next(), cores()) if self._worth_sharing(count) else 1
        with self._lock:
            return self._shared(count, [address(array) for array in slots], moves, swaps, stop, wanted)

    def _shared(
        self, count: int, table: Sequence[Any], moves: Sequence[int], swaps: Sequence[int], stop: int, wanted: int
    ) -> int:
        """So many runs, by so many cores if they are to be had; each has a table of its own, which it moves on."""
        whole, pointer = ctypes.c_int64, ctypes.c_void_p
        moving, swapping = (whole * len(moves))(*moves), (whole * len(swaps))(*swaps)
        given = moving, len(moves), swapping, len(swaps), stop
        with team().lent(wanted) as lent:
            # Not one for all calls: after a second Ctrl-C, the other cores may still be at work on the last.
            sync = Sync()
            tables = [(pointer * len(table))(*table) for _ in range(lent)]

            def part(core: int) -> int:
                fixed = *self._places, self._times[core]
                return int(self._native(count, tables[core], *fixed, *given, core, lent, sync.address))

            start = time.perf_counter()
            if lent == 1:
                done = part(0)
            else:
                team().run(part, sync, lent, self._stay if count == 1 else None)
                done = sync.result
            self.recalls += sync.apart
            self._last = time.perf_counter()
            took = self._last - start
            if done and self._worth_sharing(count):
                self._pace.took(lent, took / done)
            self.seconds += took
            self.runs += done
        return done


def _or_empty(spare: Array | None, node: Node) -> Array:
    return _empty(node) if spare is None else spare


def _empty(node: Node) -> Array:
    """An array that begins with a cache line, so that no two cores share one where an axis is divided."""
    return _aligned(max(size_in_bytes(node), 1))[: size_in_bytes(node)].view(node.dtype).reshape(node.shape)


def _copied(array: Array, node: Node) -> Array:
    found = _empty(node)
    found[...] = array
    return found


def _aligned(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if size >= _LARGE and hasattr(mmap, "MADV_HUGEPAGE"):
        # In pages of 2 MB, since a product that goes down the columns of a large array touches a page with every row.
        memory = mmap.mmap(-1, size + _LARGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a system may be built without them
            memory.madvise(mmap.MADV_HUGEPAGE)
        raw = np.frombuffer(memory, np.uint8)
        return raw[-raw.ctypes.data % _LARGE :][:size]
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    return raw[-raw.ctypes.data % ALIGNMENT :]
