"""The loop: the one graph of the step, executed many times. Everything else is a callback."""

from __future__ import annotations

import copy
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from chainrule.engines.protocol import Array, Engine, Program
from chainrule.errors import ConfigurationError, NotFiniteError
from chainrule.layers.scope import PARAMETERS, AnyLayer
from chainrule.metrics import Metric
from chainrule.training.batch import DataSpec
from chainrule.training.building import BuiltStep, build_step, initial_state, refuse_other_state
from chainrule.training.callbacks import Callback
from chainrule.training.feeds import Feed
from chainrule.training.history import History
from chainrule.training.interrupt import interruption
from chainrule.training.not_finite import explain_not_finite
from chainrule.training.step import Step

Measure = Callable[[], dict[str, float]]

#: Calls into the engine, with the records of their steps, take about this long: progress, Ctrl-C and callbacks are to
#: wait for no more than 0.1 s, or a step that is longer, and a machine may be twice as slow as it was a moment ago.
_SECONDS_PER_CALL = 0.05


class Training:
    """A step, its state, its data and its history: what a loop goes on with, and what a checkpoint holds.

    ``arrays`` is the state: parameters, layer state, optimizer state and the step's number, by name. ``epoch`` and
    ``offset`` say where in the data the next batch begins, so that a training can be cut anywhere and gone on with.
    """

    def __init__(self, step: Step, engine: Engine, *, batch_size: int, dtype: str, seed: int) -> None:
        self.step, self.engine = step, engine
        self.batch_size, self.dtype, self.seed = batch_size, dtype, seed
        self.arrays: dict[str, Array] = {}
        self.numbers: dict[str, float] = {}
        self.spec: DataSpec | None = None
        self.epoch, self.offset = 0, 0
        self.history = History()
        self.stopped = ""
        #: Whether state, place and history belong together: not so where a second Ctrl-C has cut a step in two.
        self.whole = True
        #: What is measured on the validation data beside the means of the step's own measures.
        self.metrics: tuple[Metric, ...] = ()
        self._callbacks: Sequence[Callback] = ()
        self._restored: dict[str, Any] = {}
        self._graphs: list[tuple[DataSpec, int, BuiltStep]] = []
        self._programs: dict[BuiltStep, Program] = {}
        self._pauses: set[int] = set()
        self._count = 1

    def stop(self, reason: str) -> None:
        """Ask the loop to end, and say why."""
        self.stopped = self.stopped or reason

    def pause_at(self, step: int) -> None:
        """Ask the loop to let a call end with this step, so that it can be stopped or saved exactly there."""
        self._pauses.add(step)

    def moment(self) -> Self:
        """This training as it is now, to be saved later: going on with the other does not change it."""
        still = copy.copy(self)
        still.arrays, still.numbers = dict(self.arrays), dict(self.numbers)
        still._callbacks, still._restored = (), self.remembered()
        return still

    def aside(self, step: Step) -> Self:
        """This training as it is now, to try another step: what that does is unknown to this one."""
        other = self.moment()
        other.step, other.history, other._restored = step, History(), {}
        other._graphs, other._programs, other._pauses = [], {}, set()
        return other

    def remembered(self) -> dict[str, Any]:
        """What the callbacks keep for a resumed training, by name."""
        now = {name: callback.state() for name, callback in _named(self._callbacks)}
        return {**self._restored, **{name: state for name, state in now.items() if state}}

    def restore_callbacks(self, states: Mapping[str, Any]) -> None:
        """What `remembered` gave: handed to the callbacks of the next loop."""
        self._restored = dict(states)

    def graph(self, spec: DataSpec, size: int) -> BuiltStep:
        """The step's graph for a batch size, built when it is first met."""
        for known, known_size, built in self._graphs:
            if known == spec and known_size == size:
                return built
        built = build_step(self.step, spec, size, self.dtype)
        for name, declared in built.declared.items():
            if name.startswith(PARAMETERS) and name in self.arrays and self.arrays[name].shape != declared.shape:
                raise ConfigurationError(
                    f"{name} is {list(self.arrays[name].shape)}, and for samples of {_sizes(spec)} it would be "
                    f"{list(declared.shape)}: in batches of several lengths, no parameter may depend on the length"
                )
        if self._graphs:
            refuse_other_state(self._graphs[0][2], self._graphs[0][1], built, size)
        self._graphs.append((spec, size, built))
        if not self.arrays:
            self.arrays = initial_state(built, self.seed)
        self.numbers = {**built.numbers, **self.numbers}
        return built

    def built(self, spec: DataSpec, size: int) -> tuple[BuiltStep, Program]:
        """The step's graph for a batch size, compiled when it is first met."""
        built = self.graph(spec, size)
        if built not in self._programs:
            host = built.host
            self._programs[built] = self.engine.compile(built.graph) if host is None else host.drive(built, self.engine)
        return built, self._programs[built]

    def any_graph(self, spec: DataSpec) -> BuiltStep:
        """A graph of the step for whatever batch size: which layers there are is the same in all. None is compiled."""
        return self._graphs[0][2] if self._graphs else self.graph(spec, min(self.batch_size, spec.samples))

    def known_layers(self) -> tuple[tuple[AnyLayer, str], ...]:
        """Every layer object of the step, with the path of its parameters."""
        return self.any_graph(self.spec).layers if self.spec is not None else ()

    def loop(
        self,
        samples: int,
        feed: Feed,
        epochs: float,
        callbacks: Sequence[Callback] = (),
        validate: Measure | None = None,
    ) -> None:
        """Train until ``epochs`` epochs are done, a callback stops it, or Ctrl-C: all leave the state whole."""
        self.built(feed.spec, min(self.batch_size, samples))
        self.stopped, self._callbacks, self._pauses, self._count = "", callbacks, set(), 1
        for name, callback in _named(callbacks):
            # Handed over once: a callback that has gone on since knows better than the checkpoint did.
            kept = self._restored.pop(name, None)
            if kept is not None:
                callback.restore(kept)
            callback.on_start(self)
        try:
            with interruption(lambda: self.stop("interrupted")):
                while self.epoch < epochs and not self.stopped:
                    self._epoch(samples, feed, callbacks)
                    if self.offset < samples:
                        break
                    record = self.history.last_epoch()
                    if validate is not None:
                        record |= {f"validation_{name}": value for name, value in validate().items()}
                    self.history.epochs.append(record)
                    self.epoch, self.offset = self.epoch + 1, 0
                    for callback in callbacks:
                        callback.on_epoch(self, record)
                    self._rest(callbacks)
        except KeyboardInterrupt:
            self.stop("interrupted")
        finally:
            feed.close()
            for callback in callbacks:
                callback.on_end(self)
            self._rest(callbacks)

    def _epoch(self, samples: int, feed: Feed, callbacks: Sequence[Callback]) -> None:
        while self.offset < samples and not self.stopped:
            step = int(self.arrays["step"])
            self._pauses = {pause for pause in self._pauses if pause > step}
            most = min([self._count, *(pause - step for pause in self._pauses)])
            fed = feed.take(self.epoch, self.offset, most, lambda: bool(self.stopped))
            if fed is None:
                return
            waited = {} if fed.waited is None else {"waited": fed.waited / len(fed.indices)}
            start = time.perf_counter()
            spec = fed.spec or feed.spec
            arrays, records = self._call(spec, fed.data, fed.indices)
            seconds = time.perf_counter() - start
            done = int(arrays["step"]) - step  # a step that is not finite has not been taken
            self.whole = False  # a second Ctrl-C, which does not wait, may come between these
            self.arrays = arrays
            self.offset += done * fed.indices.shape[1]
            for record in records[:done]:
                # What was waited for the data is time too: samples per second are those that a clock on the wall sees.
                self.history.add_step({**record, "seconds": (seconds + (fed.waited or 0.0)) / len(records), **waited})
            self.whole = True
            busy = time.perf_counter() - start
            for callback in callbacks if done else ():
                callback.on_steps(self, records[:done])
            if done < len(records):
                self.stopped = "not finite"
                built, _ = self.built(spec, fed.indices.shape[1])
                given = {**arrays, **self._fixed(built, fed.data), "batch/indices": fed.indices[done]}
                raise NotFiniteError(explain_not_finite(built.graph, given, records[done]))
            self._rest(callbacks)
            # As many as fit into a call at this speed, but no leap on the word of one measurement; and the next epoch
            # goes on with as many, or short epochs would be all beginning.
            self._count = max(1, min(round(len(fed.indices) * _SECONDS_PER_CALL / max(busy, 1e-9)), 8 * self._count))

    def _call(
        self, spec: DataSpec, data: Mapping[str, Array], indices: Array
    ) -> tuple[dict[str, Array], list[dict[str, Any]]]:
        """Take a step for each row of indices: the state after them, and their records."""
        built, program = self.built(spec, indices.shape[1])
        arrays, logs = program.repeat(self.arrays, self._fixed(built, data), {"batch/indices": indices}, until="finite")
        first, size = int(self.arrays["step"]), indices.shape[1]
        rate = {
            name.rpartition("/")[2]: value for name, value in self.numbers.items() if name.endswith("learning_rate")
        }
        return arrays, [
            {"step": first + row + 1, "epoch": self.epoch + 1, "samples": size}
            | {name: column[row].item() for name, column in logs.items() if name != "finite"}
            | rate
            for row in range(len(logs["finite"]))
        ]

    def _fixed(self, built: BuiltStep, data: Mapping[str, Array]) -> dict[str, Array]:
        """What is the same for each step of a call."""
        fixed = {f"data/{name}": array for name, array in data.items()}
        fixed |= {name: np.asarray(value, built.dtypes.get(name, self.dtype)) for name, value in self.numbers.items()}
        return fixed | {"seed": np.asarray(self.seed & 0xFFFFFFFF, np.uint32)}

    def _rest(self, callbacks: Sequence[Callback]) -> None:
        for callback in callbacks:
            callback.on_rest(self)


def _sizes(spec: DataSpec) -> str:
    return " and ".join(f"{name} {list(shape)}" for name, (shape, _) in spec.arrays.items())


def _named(callbacks: Sequence[Callback]) -> list[tuple[str, Callback]]:
    """Callbacks by the name of their class and a count: by these names a resumed run finds again what they kept."""
    counts: Counter[str] = Counter()
    found = []
    for callback in callbacks:
        kind = type(callback).__name__
        found.append((f"{kind} {counts[kind]}", callback))
        counts[kind] += 1
    return found
