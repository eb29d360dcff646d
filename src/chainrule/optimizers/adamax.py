"""Adamax: Adam with the largest gradient in the place of the root of the mean square."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule import graph
from chainrule.graph.composites import absolute, maximum
from chainrule.optimizers.adam import check_means
from chainrule.optimizers.updates import (
    Descend,
    Number,
    Optimizer,
    Part,
    Tree,
    Update,
    UpdateScope,
    running_mean,
    times,
    unbias,
)


@dataclass(frozen=True)
class AdamaxDirection(Part):
    """m ← β₁·m + (1 - β₁)·g; u ← max(β₂·u, |g| + ε); the direction is m̂ / u."""

    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "mean" and "largest" are remembered."""
        beta1, beta2 = scope.number("beta1", self.beta1), scope.number("beta2", self.beta2)
        epsilon, unbias1 = scope.number("epsilon", self.epsilon), unbias(scope, beta1)
        moved: Tree = {}
        for path, gradient in directions.items():
            mean = running_mean(scope, "mean", path, gradient, beta1)
            size = absolute(gradient) + graph.broadcast_to(epsilon, gradient.shape)
            largest = maximum(times(beta2, scope.remember("largest", path, gradient)), size)
            moved[path] = times(unbias1, mean) / scope.store("largest", path, largest)
        return moved


@dataclass(frozen=True)
class Adamax(Optimizer):
    """θ ← θ - η·m̂ / u, with m̂ as in Adam and u ← max(β₂·u, |g| + ε): a step is hardly ever longer than η.

    ``learning_rate`` is η, ``beta1`` and ``beta2`` the decay of mean and maximum; ``epsilon`` keeps u above 0.

    Differs from: the paper, which has no ε; Keras, whose epsilon is 1e-7 and is added to u, and whose learning rate is
    0.001. PyTorch is the same.

    >>> Adamax().learning_rate
    0.002

    Reference: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015, section 7.1.
    """

    learning_rate: Number = 0.002
    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8

    def __post_init__(self) -> None:
        check_means("Adamax", self.learning_rate, self.beta1, self.beta2, self.epsilon)

    def updates(self) -> tuple[Update, ...]:
        """Its direction, and descent along it."""
        return (AdamaxDirection(self.beta1, self.beta2, self.epsilon), Descend(self.learning_rate))
