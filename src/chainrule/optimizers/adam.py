"""Adam: a step for each weight, scaled by what its gradients have been."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule import graph
from chainrule.graph.composites import sqrt
from chainrule.optimizers.updates import Descend, Number, Optimizer, Tree, Update, UpdateScope, check_rate, times


@dataclass(frozen=True)
class AdamDirection:
    """m ← β₁·m + (1 - β₁)·g; v ← β₂·v + (1 - β₂)·g²; the direction is m̂ / (√v̂ + ε), corrected for the start at 0."""

    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "mean" and "square" are remembered."""
        beta1, beta2 = scope.number("beta1", self.beta1), scope.number("beta2", self.beta2)
        epsilon = scope.number("epsilon", self.epsilon)
        # 1 - β^t as -expm1(t·log β): the exponent of the op power is static, and near 1 no digits are lost.
        count = scope.count()
        unbias1 = -1.0 / graph.expm1(count * graph.log(beta1))
        unbias2 = -1.0 / graph.expm1(count * graph.log(beta2))
        moved: Tree = {}
        for path, gradient in directions.items():
            mean = times(beta1, scope.remember("mean", path, gradient)) + times(1.0 - beta1, gradient)
            square = times(beta2, scope.remember("square", path, gradient)) + times(1.0 - beta2, gradient**2)
            scope.store("mean", path, mean)
            scope.store("square", path, square)
            root = sqrt(times(unbias2, square)) + graph.broadcast_to(epsilon, gradient.shape)
            moved[path] = times(unbias1, mean) / root
        return moved


@dataclass(frozen=True)
class Adam(Optimizer):
    """θ ← θ - η·m̂ / (√v̂ + ε), with running means m of the gradient and v of its square, corrected for their start.

    ``learning_rate`` is η, ``beta1`` and ``beta2`` the decay of the means, ``epsilon`` stands outside the root.

    Differs from: Keras, whose epsilon is 1e-7 and is added to the uncorrected root.

    >>> Adam().learning_rate
    0.001

    Reference: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015.
    """

    learning_rate: Number = 0.001
    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8

    def __post_init__(self) -> None:
        check_rate("Adam", "learning_rate", self.learning_rate, 0.0, math.inf)
        check_rate("Adam", "beta1", self.beta1, 0.0, 1.0)
        check_rate("Adam", "beta2", self.beta2, 0.0, 1.0)
        check_rate("Adam", "epsilon", self.epsilon, 0.0, math.inf)

    def updates(self) -> tuple[Update, ...]:
        """Adam's direction, and descent along it."""
        return (AdamDirection(self.beta1, self.beta2, self.epsilon), Descend(self.learning_rate))
