"""Delta-bar-delta: a learning rate for each weight that adapts itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule import graph
from chainrule.optimizers.updates import (
    Downhill,
    Number,
    Optimizer,
    Part,
    Tree,
    Update,
    UpdateScope,
    check_rate,
    check_start,
    running_mean,
)


@dataclass(frozen=True)
class OwnRates(Part):
    """ε ← ε + κ where δ̄·δ > 0, ε·(1 - φ) where δ̄·δ < 0; the direction is ε·δ; then δ̄ ← θ·δ̄ + (1 - θ)·δ."""

    learning_rate: float = 0.01
    increase: Number = 0.001
    decrease: Number = 0.1
    smoothing: Number = 0.7

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "rate" and "mean" are remembered."""
        numbers = [scope.number(name, getattr(self, name)) for name in ("increase", "decrease")]
        smoothing = scope.number("smoothing", self.smoothing)
        moved: Tree = {}
        for path, gradient in directions.items():
            increase, decrease = (graph.broadcast_to(number, gradient.shape) for number in numbers)
            rate = scope.remember("rate", path, gradient, self.learning_rate)
            agreed = gradient * scope.remember("mean", path, gradient)
            shrunk = graph.select(agreed < 0, rate * (1.0 - decrease), rate)
            rate = scope.store("rate", path, graph.select(agreed > 0, rate + increase, shrunk))
            running_mean(scope, "mean", path, gradient, smoothing)
            moved[path] = rate * gradient
        return moved


@dataclass(frozen=True)
class DeltaBarDelta(Optimizer):
    """w ← w - ε·δ with a rate ε for each weight, which grows while the gradient δ points where it has pointed.

    ``learning_rate`` is where each ε begins; ``increase`` is κ, which is added, ``decrease`` φ, the part that is taken
    away, ``smoothing`` θ the decay of the mean δ̄ of the gradients before. It is for batch descent
    (``batch_size=None``), or for large batches.

    Differs from: PyTorch and Keras, which do not have it. With momentum it is
    ``Compose(OwnRates(0.01), Momentum(0.9), Downhill())``.

    >>> DeltaBarDelta(0.1, increase=0.035, decrease=0.333).smoothing
    0.7

    Reference: R. Jacobs, "Increased rates of convergence through learning rate adaptation", 1988.
    """

    learning_rate: float = 0.01
    increase: Number = 0.001
    decrease: Number = 0.1
    smoothing: Number = 0.7

    def __post_init__(self) -> None:
        check_start("DeltaBarDelta", "learning_rate", self.learning_rate)
        check_rate("DeltaBarDelta", "increase", self.increase, 0.0, math.inf)
        check_rate("DeltaBarDelta", "decrease", self.decrease, 0.0, 1.0)
        check_rate("DeltaBarDelta", "smoothing", self.smoothing, 0.0, 1.0)

    def updates(self) -> tuple[Update, ...]:
        """The rates of the weights, and down along them."""
        return (OwnRates(self.learning_rate, self.increase, self.decrease, self.smoothing), Downhill())
