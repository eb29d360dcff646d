"""The loop: the one graph of the step, executed many times. Everything else is a callback."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.engines.protocol import Array, Engine, Program
from chainrule.errors import NotFiniteError
from chainrule.graph import Node
from chainrule.layers.scope import AnyLayer
from chainrule.training.batch import DataSpec
from chainrule.training.callbacks import Callback
from chainrule.training.feeds import Feed
from chainrule.training.history import History
from chainrule.training.interrupt import interruption
from chainrule.training.step import BuiltStep, Step, build_step, initial_state

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
        self._callbacks: Sequence[Callback] = ()
        self._restored: dict[str, Any] = {}
        self._programs: list[tuple[DataSpec, int, BuiltStep, Program]] = []

    def stop(self, reason: str) -> None:
        """Ask the loop to end, and say why."""
        self.stopped = self.stopped or reason

    def remembered(self) -> dict[str, Any]:
        """What the callbacks keep for a resumed training, by place and name."""
        now = {f"{place} {type(callback).__name__}": callback.state() for place, callback in enumerate(self._callbacks)}
        return {**self._restored, **{name: state for name, state in now.items() if state}}

    def restore_callbacks(self, states: Mapping[str, Any]) -> None:
        """What `remembered` gave: handed to the callbacks of the next loop."""
        self._restored = dict(states)

    def built(self, spec: DataSpec, size: int) -> tuple[BuiltStep, Program]:
        """The step's graph for a batch size, compiled when it is first met."""
        for known, known_size, built, program in self._programs:
            if known == spec and known_size == size:
                return built, program
        built = build_step(self.step, spec, size, self.dtype)
        program = self.engine.compile(built.graph)
        self._programs.append((spec, size, built, program))
        if not self.arrays:
            self.arrays = initial_state(built, self.seed)
        self.numbers = {**built.numbers, **self.numbers}
        return built, program

    def known_layers(self) -> tuple[tuple[AnyLayer, str], ...]:
        """Every layer object of the step, with the path of its parameters."""
        if self.spec is None:
            return ()
        if not self._programs:
            self.built(self.spec, min(self.batch_size, self.spec.samples))
        return self._programs[0][2].layers

    def loop(
        self,
        samples: int,
        feed: Feed,
        epochs: int,
        callbacks: Sequence[Callback] = (),
        validate: Measure | None = None,
    ) -> None:
        """Train until ``epochs`` epochs are done, a callback stops it, or Ctrl-C: all leave the state whole."""
        self.stopped = ""
        self.built(feed.spec, min(self.batch_size, samples))
        self._callbacks = callbacks
        for place, callback in enumerate(callbacks):
            # Handed over once: a callback that has gone on since knows better than the checkpoint did.
            kept = self._restored.pop(f"{place} {type(callback).__name__}", None)
            if kept is not None:
                callback.restore(kept)
            callback.on_start(self)
        try:
            with interruption(lambda: self.stop("interrupted")):
                while self.epoch < epochs and not self.stopped:
                    self._epoch(samples, feed, callbacks)
                    if self.offset < samples:
                        break
                    self.epoch, self.offset = self.epoch + 1, 0
                    record = self._record(validate)
                    for callback in callbacks:
                        callback.on_epoch(self, record)
        except KeyboardInterrupt:
            self.stop("interrupted")
        finally:
            feed.close()
            for callback in callbacks:
                callback.on_end(self)

    def _epoch(self, samples: int, feed: Feed, callbacks: Sequence[Callback]) -> None:
        count = 1
        while self.offset < samples and not self.stopped:
            fed = feed.take(self.epoch, self.offset, count, lambda: bool(self.stopped))
            if fed is None:
                return
            spec, data, indices = feed.spec, fed.data, fed.indices
            waited = {} if fed.waited is None else {"waited": fed.waited / len(indices)}
            start = time.perf_counter()
            records = self._call(spec, data, indices)
            seconds = time.perf_counter() - start
            done = int(self.arrays["step"]) - records[0]["step"] + 1  # a step that is not finite has not been taken
            self.offset += done * indices.shape[1]
            for record in records[:done]:
                # What was waited for the data is time too: samples per second are those that a clock on the wall sees.
                self.history.add_step({**record, "seconds": (seconds + (fed.waited or 0.0)) / len(records), **waited})
            busy = time.perf_counter() - start
            for callback in callbacks if done else ():
                callback.on_steps(self, records[:done])
            if done < len(records):
                self.stopped = "not finite"
                built, _ = self.built(spec, indices.shape[1])
                raise NotFiniteError(self._explain_not_finite(built, data, indices[done], records[done]))
            # As many as fit into a call at this speed, but no leap on the word of one measurement.
            count = max(1, min(round(len(indices) * _SECONDS_PER_CALL / max(busy, 1e-9)), 8 * count))

    def _call(self, spec: DataSpec, data: Mapping[str, Array], indices: Array) -> list[dict[str, Any]]:
        _, program = self.built(spec, indices.shape[1])
        dtype = np.dtype(self.dtype)
        fixed: dict[str, Array] = {f"data/{name}": array for name, array in data.items()}
        fixed |= {name: np.asarray(value, dtype) for name, value in self.numbers.items()}
        fixed["seed"] = np.asarray(self.seed & 0xFFFFFFFF, np.uint32)
        arrays, logs = program.repeat(self.arrays, fixed, {"batch/indices": indices}, until="finite")
        first, size = int(self.arrays["step"]), indices.shape[1]
        self.arrays = arrays
        rate = {
            name.rpartition("/")[2]: value for name, value in self.numbers.items() if name.endswith("learning_rate")
        }
        return [
            {"step": first + row + 1, "epoch": self.epoch + 1, "samples": size}
            | {name: column[row].item() for name, column in logs.items() if name != "finite"}
            | rate
            for row in range(len(logs["finite"]))
        ]

    def _explain_not_finite(
        self, built: BuiltStep, data: Mapping[str, Array], rows: Array, record: dict[str, Any]
    ) -> str:
        """Replay the step on the reference engine, and name the first node that is not finite."""
        from chainrule.engines.choose import choose

        arrays = {**self.arrays, **{f"data/{name}": array for name, array in data.items()}, "batch/indices": rows}
        arrays |= {name: np.asarray(value, self.dtype) for name, value in self.numbers.items()}
        arrays["seed"] = np.asarray(self.seed & 0xFFFFFFFF, np.uint32)
        where = "which it is not on the reference engine"
        fixed: set[Node] = set()  # an infinity that the graph was built with is meant
        for node, value in choose("reference").compile(built.graph).trace(arrays):  # type: ignore[attr-defined]
            if node.op != "input" and fixed.issuperset(node.inputs):
                fixed.add(node)
            elif value.dtype.kind == "f" and not np.isfinite(value).all():
                kind = "NaN" if np.isnan(value).any() else "infinite"
                place = built.graph.origins.get(node) or "the graph"
                name = f"the input {node.attributes['name']}" if node.op == "input" else f"{node.op} of {place}"
                where = f"first {kind} in {name}, {node.dtype}{list(node.shape)}"
                break
        return (
            f"step {record['step']} is not finite (loss {record.get('loss', float('nan')):g}): {where}. "
            "The parameters are those before this step. A smaller learning rate, scaled inputs, or gradient clipping "
            "are the usual remedies"
        )

    def _record(self, validate: Measure | None) -> dict[str, Any]:
        record = self.history.last_epoch()
        if validate is not None:
            record |= {f"validation_{name}": value for name, value in validate().items()}
        self.history.epochs.append(record)
        return record
