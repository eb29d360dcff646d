"""Rprop: each weight has a step of its own, and only the sign of its gradient counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph.composites import maximum, minimum
from chainrule.optimizers.updates import (
    Downhill,
    Number,
    Optimizer,
    Part,
    Tree,
    Update,
    UpdateScope,
    check_positive,
    check_rate,
    check_start,
    sign,
)


@dataclass(frozen=True)
class RpropDirection(Part):
    """Δ ← Δ·η⁺ where g·g' > 0 (g' is the gradient before), Δ·η⁻ where g·g' < 0, and there g ← 0; then sign(g)·Δ."""

    learning_rate: float = 0.01
    decrease: Number = 0.5
    increase: Number = 1.2
    minimum_step: Number = 1e-6
    maximum_step: Number = 50.0

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "step" and "gradient" are remembered."""
        names = ("decrease", "increase", "minimum_step", "maximum_step")
        numbers = [scope.number(name, getattr(self, name)) for name in names]
        moved: Tree = {}
        for path, gradient in directions.items():
            decrease, increase, least, most = (graph.broadcast_to(number, gradient.shape) for number in numbers)
            step = scope.remember("step", path, gradient, self.learning_rate)
            agreed = gradient * scope.remember("gradient", path, gradient)
            factor = graph.select(agreed > 0, increase, graph.select(agreed < 0, decrease, 1))
            step = scope.store("step", path, minimum(maximum(step * factor, least), most))
            kept = scope.store("gradient", path, graph.select(agreed < 0, 0, gradient))
            moved[path] = sign(kept) * step
        return moved


@dataclass(frozen=True)
class Rprop(Optimizer):
    """θ ← θ - sign(g)·Δ: the step Δ of a weight grows while its gradient keeps its sign, and shrinks when it turns.

    ``learning_rate`` is where each Δ begins; ``decrease`` is η⁻ and ``increase`` η⁺, ``minimum_step`` and
    ``maximum_step`` bound Δ. Signs of gradients of small batches are mostly noise: it is for batch descent
    (``batch_size=None``).

    Differs from: the paper, which also takes back the last step where the sign turns; this is the form without
    (Rprop⁻ with the gradient set to 0 there: iRprop⁻), as in PyTorch.

    >>> Rprop().increase
    1.2

    Reference: M. Riedmiller and H. Braun, "A direct adaptive method for faster backpropagation learning: the RPROP
    algorithm", 1993; C. Igel and M. Hüsken, "Improving the Rprop learning algorithm", 2000.
    """

    learning_rate: float = 0.01
    decrease: Number = 0.5
    increase: Number = 1.2
    minimum_step: Number = 1e-6
    maximum_step: Number = 50.0

    other_words: ClassVar[Mapping[str, str]] = {
        "etas": "decrease and increase", "step_sizes": "minimum_step and maximum_step",
    }  # fmt: skip

    def __post_init__(self) -> None:
        check_start("Rprop", "learning_rate", self.learning_rate)
        check_rate("Rprop", "decrease", self.decrease, 0.0, 1.0)
        check_rate("Rprop", "increase", self.increase, 1.0, math.inf)
        check_positive("Rprop", "minimum_step", self.minimum_step)
        check_positive("Rprop", "maximum_step", self.maximum_step)
        least, most = self.minimum_step, self.maximum_step
        if not callable(least) and not callable(most) and least > most:
            raise ConfigurationError(f"Rprop: minimum_step {least:g} is above maximum_step {most:g}")

    def updates(self) -> tuple[Update, ...]:
        """Its direction, and down along it."""
        return (
            RpropDirection(self.learning_rate, self.decrease, self.increase, self.minimum_step, self.maximum_step),
            Downhill(),
        )
