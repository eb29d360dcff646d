"""RMSprop: gradients divided by the root of the running mean of their squares."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.graph.composites import maximum, sqrt
from chainrule.optimizers.sgd import Momentum
from chainrule.optimizers.updates import (
    Descend,
    Number,
    Optimizer,
    Part,
    Tree,
    Update,
    UpdateScope,
    check_positive,
    check_rate,
    running_mean,
)


@dataclass(frozen=True)
class RMSpropDirection(Part):
    """v ← ρ·v + (1 - ρ)·g²; the direction is g / (√v + ε); centred: g / (√(v - m²) + ε) with m ← ρ·m + (1 - ρ)·g."""

    rho: Number = 0.9
    epsilon: Number = 1e-8
    centred: bool = False

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "square" is remembered, and "mean" if it is centred."""
        rho, epsilon = scope.number("rho", self.rho), scope.number("epsilon", self.epsilon)
        moved: Tree = {}
        for path, gradient in directions.items():
            square = running_mean(scope, "square", path, gradient**2, rho)
            if self.centred:
                # A variance is never below 0, but the difference of two rounded numbers may be.
                square = maximum(square - running_mean(scope, "mean", path, gradient, rho) ** 2, 0)
            moved[path] = gradient / (sqrt(square) + graph.broadcast_to(epsilon, gradient.shape))
        return moved


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """θ ← θ - η·g / (√v + ε), with v the running mean of g², or, ``centred``, the running variance of g.

    ``learning_rate`` is η, ``rho`` the decay ρ of the means, ``epsilon`` stands outside the root and is above 0; with
    ``momentum`` μ, w ← μ·w + g / (√v + ε) and θ ← θ - η·w.

    Differs from: PyTorch, whose rho (called alpha) is 0.99 and whose learning rate is 0.01; Keras, whose epsilon is
    1e-7 and inside the root, and which has η inside the momentum. A variance that rounding makes negative is 0
    here, and NaN there. Where the gradient is constant the variance goes to 0, so that centred steps grow to η·g/ε: a
    larger epsilon, such as 1e-3, bounds them.

    >>> RMSprop(0.01, momentum=0.9).rho
    0.9

    Reference: T. Tieleman and G. Hinton, "Lecture 6.5: rmsprop", 2012; centred: A. Graves, "Generating sequences with
    recurrent neural networks", 2013.
    """

    learning_rate: Number = 0.001
    rho: Number = 0.9
    epsilon: Number = 1e-8
    momentum: Number = 0.0
    centred: bool = False

    other_words: ClassVar[Mapping[str, str]] = {"alpha": "rho", "decay": "rho", "beta": "rho", "beta2": "rho"}

    def __post_init__(self) -> None:
        check_rate("RMSprop", "learning_rate", self.learning_rate, 0.0, math.inf)
        check_rate("RMSprop", "rho", self.rho, 0.0, 1.0)
        check_positive("RMSprop", "epsilon", self.epsilon)
        check_rate("RMSprop", "momentum", self.momentum, 0.0, 1.0)

    def updates(self) -> tuple[Update, ...]:
        """Its direction, momentum if there is any, and descent."""
        direction, descend = RMSpropDirection(self.rho, self.epsilon, self.centred), Descend(self.learning_rate)
        return (direction, descend) if self.momentum == 0 else (direction, Momentum(self.momentum), descend)
