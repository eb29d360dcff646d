"""What the tests of schedules share: every schedule in one table, with its formula in plain Python beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.engines.choose import choose
from chainrule.graph import Graph, vectorize
from chainrule.layers.scope import Record
from chainrule.optimizers.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    OneCycle,
    Piecewise,
    Polynomial,
    Schedule,
    Step,
    WarmRestarts,
    Warmup,
)
from chainrule.optimizers.updates import Number, UpdateScope

Floats = NDArray[np.float64]
Formula = Callable[[int], float]


def cosine(share: float) -> float:
    return (1 + math.cos(math.pi * share)) / 2


def restarts(initial: float, period: float, growth: float, final: float) -> Formula:
    """Period after period, as the paper has it: no logarithm."""
    begins = [0.0]
    lengths = [period]
    while begins[-1] < 3e9 and len(begins) < 20_000:
        begins.append(begins[-1] + lengths[-1])
        lengths.append(lengths[-1] * growth)

    def at(t: int) -> float:
        if growth == 1:
            return final + (initial - final) * cosine((t % period) / period)
        here = int(np.searchsorted(begins, t, side="right")) - 1
        return final + (initial - final) * cosine((t - begins[here]) / lengths[here])

    return at


def one_cycle(initial: float, peak: float, final: float, steps: float, rise: float) -> Formula:
    def at(t: int) -> float:
        top = rise * steps
        if t < top:
            return initial + (peak - initial) * (1 - cosine(t / top))
        return final + (peak - final) * cosine(min((t - top) / (steps - top), 1.0))

    return at


def halving(step: Any) -> Any:
    """A plain function of one's own."""
    return 0.2 / (1.0 + step / 500.0)


#: Each schedule, and what it gives at step t.
TABLE: dict[str, tuple[Schedule, Formula]] = {
    "constant": (Constant(0.2), lambda t: 0.2),
    "step": (Step(0.2, 0.3, every=150), lambda t: 0.2 * 0.3 ** (t // 150)),
    "step, of 7": (Step(0.2, 0.999, every=7), lambda t: 0.2 * 0.999 ** (t // 7)),
    "exponential": (Exponential(0.2, 0.995), lambda t: 0.2 * 0.995**t),
    "exponential, slow": (Exponential(0.2, 0.1, every=900), lambda t: 0.2 * 0.1 ** (t / 900)),
    "exponential, near 1": (Exponential(0.2, 0.999999), lambda t: 0.2 * math.exp(t * math.log(0.999999))),
    "inverse time": (InverseTime(0.2, 0.01), lambda t: 0.2 / (1 + 0.01 * t)),
    "linear": (Polynomial(0.2, 800, final=0.02), lambda t: 0.02 + 0.18 * (1 - min(t, 800) / 800)),
    "polynomial": (Polynomial(0.2, 800, power=2.5), lambda t: 0.2 * (1 - min(t, 800) / 800) ** 2.5),
    "rising": (Polynomial(0.0, 90, final=0.9), lambda t: 0.9 * min(t, 90) / 90),
    "cosine": (Cosine(0.2, 999, final=0.01), lambda t: 0.01 + 0.19 * cosine(min(t, 999) / 999)),
    "cosine, one step": (Cosine(0.2, 1), lambda t: 0.2 if t == 0 else 0.0),
    "restarts": (WarmRestarts(0.2, 70, growth=2, final=0.001), restarts(0.2, 70, 2, 0.001)),
    "equal restarts": (WarmRestarts(0.2, 70), restarts(0.2, 70, 1, 0.0)),
    "restarts, tenfold": (WarmRestarts(0.2, 1, growth=10, final=0.1), restarts(0.2, 1, 10, 0.1)),
    "restarts, growing by 1.3": (WarmRestarts(0.2, 10, growth=1.3), restarts(0.2, 10, 1.3, 0.0)),
    "one cycle": (OneCycle(0.5, 1000), one_cycle(0.02, 0.5, 2e-6, 1000, 0.3)),
    "a cycle of momentum": (
        OneCycle(0.85, 400, rise=0.45, initial=0.95, final=0.9),
        one_cycle(0.95, 0.85, 0.9, 400, 0.45),
    ),
    "warm-up": (Warmup(50, 0.2), lambda t: 0.2 * min((t + 1) / 50, 1)),
    "warm-up of a cosine": (
        Warmup(50, Cosine(0.2, 900)),
        lambda t: min((t + 1) / 50, 1) * 0.2 * cosine(min(t / 900, 1)),
    ),
    "warm-up of a function": (Warmup(9, halving), lambda t: min((t + 1) / 9, 1) * halving(t)),
    "piecewise": (Piecewise((200, 650), (0.2, 0.02, 0.002)), lambda t: 0.2 if t < 200 else 0.02 if t < 650 else 0.002),
    "joined": (
        Piecewise((30, 300), (Polynomial(0.1, 30, final=0.2), 0.05, Warmup(4, Exponential(0.2, 0.99)))),
        lambda t: (
            0.1 + 0.1 * t / 30 if t < 30 else 0.05 if t < 300 else min((t - 299) / 4, 1) * 0.2 * 0.99 ** (t - 300)
        ),
    ),
}  # fmt: skip
SCHEDULES: dict[str, Schedule] = {name: schedule for name, (schedule, _) in TABLE.items()}

#: The beginning, all that happens in the first thousands of steps, and far steps: where float32 ends, where int32 does.
STEPS = [*range(3000), 9_999, 10_000, 99_999, 10**6 - 1, 10**6, *range(2**24 - 2, 2**24 + 4), 2**31 - 2, 2**31 - 1]


def graph_of(schedule: Number, dtype: str) -> tuple[Graph, dict[str, float]]:
    """The graph by which an update comes to a number, and the numbers that are its inputs."""
    scope = UpdateScope(Record(dtype), "", graph.input("step", (), "int32"), {})
    return Graph({"rate": scope.number("rate", schedule)}), scope.numbers


def given(schedule: Number, steps: Sequence[int], dtype: str = "float64", engine: str = "reference") -> Floats:
    """What a schedule gives in a training, at many steps."""
    one, numbers = graph_of(schedule, dtype)
    many = vectorize(one, ["step"], len(steps)) if "step" in one.inputs else one
    arrays = {name: np.asarray(numbers[name], node.dtype) for name, node in many.inputs.items() if name != "step"}
    if "step" in many.inputs:
        arrays["step"] = np.asarray(steps, np.int32)
    found = choose(engine).compile(many).run(arrays)["rate"]
    return np.broadcast_to(found, (len(steps),))
