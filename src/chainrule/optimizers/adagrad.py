"""AdaGrad and Adadelta: a step for each weight by what all of its gradients, or its last ones, have been."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.graph.composites import sqrt
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
class AdaGradDirection(Part):
    """G ← G + g²; the direction is g / (√G + ε)."""

    epsilon: Number = 1e-10

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "total" is remembered."""
        epsilon = scope.number("epsilon", self.epsilon)
        moved: Tree = {}
        for path, gradient in directions.items():
            total = scope.store("total", path, scope.remember("total", path, gradient) + gradient**2)
            moved[path] = gradient / (sqrt(total) + graph.broadcast_to(epsilon, gradient.shape))
        return moved


@dataclass(frozen=True)
class AdaGrad(Optimizer):
    """θ ← θ - η·g / (√G + ε), with G the sum of all g² so far: weights that seldom have a gradient take longer steps.

    ``learning_rate`` is η; ``epsilon`` stands outside the root and is above 0, since a G of 0 is divided by.

    Differs from: Keras, whose G starts at 0.1, whose epsilon is 1e-7 and inside the root, and whose learning rate is
    0.001. PyTorch is the same; its lr_decay is a schedule here.

    >>> AdaGrad(0.1).learning_rate
    0.1

    Reference: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.
    """

    learning_rate: Number = 0.01
    epsilon: Number = 1e-10

    def __post_init__(self) -> None:
        check_rate("AdaGrad", "learning_rate", self.learning_rate, 0.0, math.inf)
        check_positive("AdaGrad", "epsilon", self.epsilon)

    def updates(self) -> tuple[Update, ...]:
        """Its direction, and descent along it."""
        return (AdaGradDirection(self.epsilon), Descend(self.learning_rate))


@dataclass(frozen=True)
class AdadeltaDirection(Part):
    """v ← ρ·v + (1 - ρ)·g²; the direction is d = √(u + ε) / √(v + ε)·g; u ← ρ·u + (1 - ρ)·d²."""

    rho: Number = 0.9
    epsilon: Number = 1e-6

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "square" and "moved" are remembered."""
        rho, epsilon = scope.number("rho", self.rho), scope.number("epsilon", self.epsilon)
        moved: Tree = {}
        for path, gradient in directions.items():
            spread = graph.broadcast_to(epsilon, gradient.shape)
            square = running_mean(scope, "square", path, gradient**2, rho)
            direction = sqrt(scope.remember("moved", path, gradient) + spread) / sqrt(square + spread) * gradient
            running_mean(scope, "moved", path, direction**2, rho)
            moved[path] = direction
        return moved


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """θ ← θ - η·√(u + ε) / √(v + ε)·g: steps in the units of the weights, from the sizes of the steps before.

    v and u are running means of g² and of the squared steps, of decay ``rho``; ``learning_rate`` is η, and 1 is the
    paper's method; ``epsilon`` is what the first steps come from.

    Differs from: Keras, whose learning rate is 0.001, rho 0.95 and epsilon 1e-7. PyTorch is the same.

    >>> Adadelta().rho
    0.9

    Reference: M. Zeiler, "ADADELTA: an adaptive learning rate method", 2012.
    """

    learning_rate: Number = 1.0
    rho: Number = 0.9
    epsilon: Number = 1e-6

    other_words: ClassVar[Mapping[str, str]] = {"decay": "rho", "beta": "rho"}

    def __post_init__(self) -> None:
        check_rate("Adadelta", "learning_rate", self.learning_rate, 0.0, math.inf)
        check_rate("Adadelta", "rho", self.rho, 0.0, 1.0)
        check_positive("Adadelta", "epsilon", self.epsilon)

    def updates(self) -> tuple[Update, ...]:
        """Its direction, and descent along it."""
        return (AdadeltaDirection(self.rho, self.epsilon), Descend(self.learning_rate))
