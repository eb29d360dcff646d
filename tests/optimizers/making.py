"""What the tests of optimizers share: every setting in one table, two grounds to go down, and a point that goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import chainrule as cr
from chainrule.optimizers import (
    SGD,
    Accumulate,
    Adadelta,
    AdaGrad,
    Adam,
    Adamax,
    AdamDirection,
    AdamW,
    AdaptiveClip,
    AMSGrad,
    Averaging,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Compose,
    DeltaBarDelta,
    Descend,
    Downhill,
    Groups,
    Lion,
    MaxNorm,
    Momentum,
    NAdam,
    Noise,
    Optimizer,
    OwnRates,
    RMSprop,
    Rprop,
    Scale,
    WeightDecay,
)

Array = NDArray[Any]

START = (-1.2, 1.0)


def slower(step: cr.Node) -> cr.Node:
    """A schedule with a name, so that it can be written to a file."""
    return 0.001 / (1.0 + step / 500.0)


#: Every optimizer by itself, with a learning rate at which it goes down on both grounds.
ALONE: dict[str, Optimizer] = {
    "plain": SGD(0.001),
    "momentum": SGD(0.0005, momentum=0.9),
    "Nesterov": SGD(0.0005, momentum=0.9, nesterov=True),
    "momentum 0.5": SGD(0.001, momentum=0.5),
    "Rprop": Rprop(0.001),
    "Rprop, careful": Rprop(0.01, decrease=0.3, increase=1.1, maximum_step=0.05),
    "delta-bar-delta": DeltaBarDelta(0.0005, increase=2e-5, decrease=0.3),
    "AdaGrad": AdaGrad(0.2),
    "Adadelta": Adadelta(1.0, epsilon=1e-4),
    "Adadelta, long memory": Adadelta(0.5, rho=0.95, epsilon=1e-3),
    "RMSprop": RMSprop(0.01),
    "RMSprop, centred": RMSprop(0.005, rho=0.95, epsilon=1e-2, centred=True),
    "RMSprop with momentum": RMSprop(0.002, momentum=0.8),
    "RMSprop, both": RMSprop(0.001, rho=0.95, epsilon=1e-2, momentum=0.8, centred=True),
    "Adam": Adam(0.02),
    "Adam without momentum": Adam(0.02, beta1=0.0),
    "Adam with short memory": Adam(0.02, beta1=0.5, beta2=0.9, epsilon=1e-4),
    "AdamW": AdamW(0.02, weight_decay=0.01),
    "AMSGrad": AMSGrad(0.02),
    "Adamax": Adamax(0.03),
    "NAdam": NAdam(0.02),
    "Lion": Lion(0.005),
    "Lion with decay": Lion(0.005, beta2=0.95, weight_decay=0.01),
}

#: What is put together.
TOGETHER: dict[str, Optimizer] = {
    "composed": Compose(Momentum(0.9), Descend(0.0005)),
    "scheduled": SGD(slower),
    "rates and momentum": Compose(OwnRates(0.0002, increase=2e-6, decrease=0.3), Momentum(0.8), Downhill()),
    "warmed": Compose(Rprop(0.001), Scale(0.9)),
    "clipped by value": Compose(ClipValue(5.0), SGD(0.002, momentum=0.9)),
    "clipped by norm": Compose(ClipNorm(5.0), SGD(0.002, momentum=0.9)),
    "clipped by global norm": Compose(ClipGlobalNorm(5.0), Adam(0.02)),
    "clipped by unit": Compose(AdaptiveClip(0.5), RMSprop(0.01)),
    "coupled decay": Compose(WeightDecay(0.001), Adam(0.02)),
    "decoupled decay": Compose(AdamDirection(), WeightDecay(0.001), Descend(0.02)),
    "kept short": Compose(SGD(0.001), MaxNorm(3.0)),
    "averaged": Compose(ClipNorm(100.0), NAdam(0.02), Averaging(0.9)),
    "with noise": Compose(Noise(0.01), Adam(0.02)),
    "grouped": Groups({"pl*": AMSGrad(0.02)}, otherwise=SGD(0.001)),
    "accumulated": Accumulate(2, Compose(ClipGlobalNorm(5.0), Adam(0.05))),
    "accumulated twice": Accumulate(2, Accumulate(2, Compose(Adam(0.08), Averaging(0.9)))),
}
SETTINGS: dict[str, Optimizer] = {**ALONE, **TOGETHER}


@dataclass(frozen=True)
class Point:
    """A model that is nothing but a point (2,), to be moved about."""

    start: tuple[float, float] = START

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        given = self.start

        def first(key: Any, shape: tuple[int, ...]) -> Array:
            return np.array(given)

        return scope.parameter("place", (2,), first)


def parabola(p: cr.Node) -> cr.Node:
    """x² + 10·y²."""
    return p[0] ** 2 + 10 * p[1] ** 2


def rosenbrock(p: cr.Node) -> cr.Node:
    """(1 - x)² + 100·(y - x²)²: a narrow, bent valley that leads to (1, 1)."""
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


def rosenbrock_slope(p: Array) -> Array:
    x, y = p
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def descend(
    optimizer: Optimizer,
    ground: Callable[[cr.Node], cr.Node],
    steps: int,
    dtype: str = "float64",
    engine: str | None = None,
) -> tuple[cr.Run, dict[str, Array]]:
    """The run, and what it recorded: the place before each step, the loss there and so on.

    The ground is multiplied with the data, which are 1, so that a NaN among them makes a step that is not finite.
    """
    model = Point()

    @cr.step
    def down(state: Any, batch: Any) -> dict[str, cr.Node]:
        place = state.apply(model)
        loss = ground(place) * batch["one"][0]
        state.descend(loss, model, optimizer)
        return {"loss": loss, "x": place[0], "y": place[1]}

    run = cr.fit(down, ones(1, dtype), epochs=steps, batch_size=1, dtype=dtype, engine=engine)
    return run, run.history.steps


def ones(count: int, dtype: str = "float64") -> dict[str, Array]:
    """The data of `descend`."""
    return {"one": np.ones(count, dtype)}
