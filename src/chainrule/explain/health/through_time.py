"""How much of a loss's gradient comes through a loop over time, from its last step back to each before it.

A loop adds up what enters at all of its steps, and what enters late hides what has come from far. So what enters at the
last step alone is followed: the loop is made once more with zeros added to its state before each step, and the gradient
by these zeros is the gradient by the state there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.curves import Curve
from chainrule.gradients.scan_rule import pull_back_scan
from chainrule.gradients.transform import pull_back_some
from chainrule.graph import FLOATS, Node, map_nodes, param
from chainrule.graph.composites import absolute, sqrt

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ThroughTime:
    """What a recurrence hands back of the gradient that enters at its end.

    ``norms[k]`` is ‖∂L/∂sₖ‖ with sₖ the whole state k steps before the end (of an LSTM both parts), over all samples of
    the batch: ``norms[0]`` by what comes out of the last step, the last of all by the state before the first. L is the
    loss as far as it sees the last step: where it sees others too, what enters there is left out. Steps that a mask
    leaves out do not count; where samples are of several lengths, the norm of those that are long enough is taken as if
    all were. ``where`` is the layer's path, empty for a model that is one layer.

    ``factor`` is what a step multiplies it by, (norms[reach]/norms[0])^(1/reach), with ``reach`` the distance beyond
    which nothing arrives that float32 can say; NaN where nothing enters. It prints as a curve.

    Reference: S. Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen", 1991; Y. Bengio, P. Simard and P.
    Frasconi, "Learning long-term dependencies with gradient descent is difficult", 1994.
    """

    where: str
    norms: tuple[float, ...]

    @property
    def steps(self) -> int:
        """How many steps the longest sequence has."""
        return len(self.norms) - 1

    @property
    def last(self) -> float:
        """The norm by what comes out of the last step."""
        return self.norms[0]

    @property
    def first(self) -> float:
        """The norm by the state before the first step."""
        return self.norms[-1]

    @property
    def reach(self) -> int:
        """The largest distance at which the norm is not 0."""
        return max((distance for distance, norm in enumerate(self.norms) if norm), default=0)

    @property
    def factor(self) -> float:
        """What a step multiplies the norm by, on average."""
        last, first = self.last, self.norms[self.reach]
        if not self.reach or not last:
            return math.nan
        return math.exp((math.log(first) - math.log(last)) / self.reach) if math.isfinite(first / last) else math.nan

    @property
    def name(self) -> str:
        """The layer in words."""
        return f"layer {self.where}" if self.where else "the model"

    def __str__(self) -> str:
        if not any(norm > 0 and math.isfinite(norm) for norm in self.norms):
            return f"{self.name}: no gradient enters at the last of {self.steps} steps"
        logs = [math.log10(norm) if norm > 0 else -math.inf for norm in self.norms]
        title = (
            f"{self.name}: log₁₀ of the gradient's norm; it is {self.last:.2g} at the end and {self.first:.2g} "
            f"{self.steps} steps before"
        )
        return Curve(range(len(logs)), logs, title, "steps before the end").drawn()


def is_recurrence(loop: Node, readers: Sequence[Node]) -> bool:
    """Whether a loop hands on a state of numbers, and anything reads what it gives."""
    return bool(_states(loop)) and any(reader.dtype in FLOATS for reader in readers)


def followed(loop: Node, slopes: Mapping[Node, Node], samples: int) -> dict[str, Node]:
    """The norms (time, rows) by the state before each step, in the order of the array; ``slopes`` are of its readers.

    Rows are samples, where the first axis is theirs, or one for all. Beside the norms "by_state": those of what enters,
    "entering" (rows,); at which step in the order of time it does, "end" (rows,), or -1; and, if a step may leave the
    state as it is, "there" (time, rows).
    """
    states, length = _states(loop), loop.attributes["length"]
    known = {reader: slope for reader, slope in slopes.items() if reader.dtype in FLOATS}
    lasts = {reader: slope for reader, slope in known.items() if reader.op == "last"}
    shared = [loop.inputs[n].shape[:1] for n in states] + [
        reader.shape[:1] if reader in lasts else reader.shape[1:2] for reader in known
    ]
    rows = samples if all(shape == (samples,) for shape in shared) else 1

    def flat(x: Node, time: int) -> Node:
        return graph.reshape(x, (time, rows, x.size // (time * rows)))

    order = graph.iota(length)
    order = graph.broadcast(length - 1 - order if loop.attributes["reverse"] else order, [1], [rows])
    there = _kept_by(loop, states)
    there = there if there is not None and there.shape == (length, rows) else None
    ends = []
    for reader, slope in known.items():
        time = 1 if reader in lasts else length
        enters = graph.max(absolute(flat(slope, time)), 2) > 0
        if there is not None and reader not in lasts:
            enters = graph.logical_and(enters, there)  # what comes out of another step is nothing
        place = graph.full((1, rows), length - 1, "int32") if reader in lasts else order
        ends.append(graph.max(graph.select(enters, place, -1), 0))
    end = graph.max(graph.concatenate([graph.reshape(one, (1, rows)) for one in ends], 0), 0)
    at_end = graph.eq(order, graph.broadcast(end, [0], [length]))
    seeds, entering = {}, []
    for reader, slope in known.items():
        if reader in lasts:
            seeds[reader] = slope
            entering.append(flat(slope, 1))
            continue
        whole = flat(slope, length)
        alone = graph.select(graph.broadcast(at_end, [2], whole.shape[2:]), whole, 0)
        seeds[reader] = graph.reshape(alone, slope.shape)
        entering.append(graph.reshape(graph.sum(alone, 0), (1, *whole.shape[1:])))
    by_state = [flat(one, length) for one in _by_states(loop, states, seeds)]
    found = {"by_state": _norms(by_state), "entering": graph.reshape(_norms(entering), (rows,)), "end": end}
    return found if there is None else found | {"there": there}


def norms_by_distance(found: Mapping[str, Any], reverse: bool) -> tuple[float, ...]:
    """The norm at each distance from the end, of the arrays that `followed` describes."""
    by_state, entering = (np.asarray(found[name], np.float64) for name in ("by_state", "entering"))
    there = np.asarray(found.get("there", np.ones(by_state.shape)), bool)
    if reverse:
        by_state, there = by_state[::-1], there[::-1]
    counted = there & (np.arange(len(by_state))[:, None] <= found["end"])
    distance = np.cumsum(counted[::-1], axis=0)[::-1]
    squares = np.bincount(distance[counted], (by_state[counted] / _scale(by_state)) ** 2, minlength=1)
    count = np.bincount(distance[counted], minlength=1)
    norms = _scale(by_state) * np.sqrt(squares[1:] / count[1:] * np.sum(found["end"] >= 0))
    return (float(np.linalg.norm(entering)), *norms.tolist())


def _scale(x: Floats) -> float:
    """What squares are divided by, so that they are neither too small nor too large."""
    largest = float(np.max(x, initial=0.0))
    return largest if 0 < largest < np.inf else 1.0


def _states(loop: Node) -> list[int]:
    return [n for n in range(loop.attributes["n_carry"]) if loop.inputs[n].dtype in FLOATS]


def _by_states(loop: Node, states: Sequence[int], seeds: Mapping[Node, Node]) -> list[Node]:
    """The gradients by the states before each step, (time, …)."""
    n_carry, n_xs, length = (loop.attributes[name] for name in ("n_carry", "n_xs", "length"))
    taken = [reader.attributes["node"] for reader in seeds if reader.op == "stack"]

    def body(now: list[Node], step: list[Node]) -> tuple[list[Node], list[Node]]:
        more = dict(zip(states, step[n_xs:], strict=True))
        given = [one + more[n] if n in more else one for n, one in enumerate(now)]
        outer = loop.inputs[n_carry + n_xs :]
        places = [*given, *step[:n_xs], *outer]
        mapping = map_nodes(
            [*loop.attributes["next"], *taken],
            known={param(n, one.shape, one.dtype): one for n, one in enumerate(places)},
        )
        return [mapping[node] for node in loop.attributes["next"]], [mapping[node] for node in taken]

    zeros = [graph.full((length, *loop.inputs[n].shape), 0, loop.inputs[n].dtype) for n in states]
    lasts, stacks = graph.scan(
        body, loop.inputs[:n_carry], [*loop.inputs[n_carry : n_carry + n_xs], *zeros],
        length=length, reverse=loop.attributes["reverse"],
    )  # fmt: skip
    outputs = iter(stacks)
    known = [
        (lasts[reader.attributes["index"]] if reader.op == "last" else next(outputs), seed)
        for reader, seed in seeds.items()
    ]
    again = lasts[0].inputs[0]
    wanted = [0 <= n - n_carry - n_xs < len(states) for n in range(len(again.inputs))]
    slopes = pull_back_scan(again, known, wanted, pull_back_some)[n_carry + n_xs :]
    return [zero if slope is None else slope for zero, slope in zip(zeros, slopes, strict=False)]


def _kept_by(loop: Node, states: Sequence[int]) -> Node | None:
    """The booleans of a step, (time, …), without which it leaves each state as it was."""
    n_carry, n_xs = loop.attributes["n_carry"], loop.attributes["n_xs"]
    found: set[int] = set()
    for n in states:
        after = loop.attributes["next"][n]
        if after.op != "select" or after.inputs[2].op != "param" or after.inputs[2].attributes["index"] != n:
            return None
        condition = after.inputs[0]
        while condition.op == "broadcast":
            (condition,) = condition.inputs
        index = condition.attributes["index"] if condition.op == "param" else -1
        if not n_carry <= index < n_carry + n_xs:
            return None
        found.add(index)
    return loop.inputs[found.pop()] if len(found) == 1 else None


def _norms(parts: Sequence[Node]) -> Node:
    """The norm over the last axis of all parts together; of what is too small to be squared as well."""
    x = graph.concatenate(list(parts), 2) if len(parts) > 1 else parts[0]
    largest = graph.max(absolute(x), 2)
    unit = graph.select(largest > 0, largest, 1)
    return largest * sqrt(graph.sum((x / graph.broadcast(unit, [2], [x.shape[2]])) ** 2, 2))
