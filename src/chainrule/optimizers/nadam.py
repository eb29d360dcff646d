"""NAdam: Adam with momentum in Nesterov's form."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule import graph
from chainrule.graph.composites import sqrt
from chainrule.optimizers.adam import check_means
from chainrule.optimizers.updates import (
    Descend,
    Number,
    Optimizer,
    Part,
    Tree,
    Update,
    UpdateScope,
    check_rate,
    running_mean,
    times,
    unbias,
)


@dataclass(frozen=True)
class NAdamDirection(Part):
    """Adam's direction with the next step's momentum: (μₜ₊₁·m / (1 - Πμₜ₊₁) + (1 - μₜ)·g / (1 - Πμₜ)) / (√v̂ + ε).

    μₜ = β₁·(1 - 0.96^(t·ψ) / 2), with ψ = ``momentum_decay``; Πμₜ is the product of all so far.
    """

    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8
    momentum_decay: Number = 0.004

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "mean" and "square" are remembered, and once for all "momentum_product"."""
        beta1, beta2 = scope.number("beta1", self.beta1), scope.number("beta2", self.beta2)
        epsilon, decay = scope.number("epsilon", self.epsilon), scope.number("momentum_decay", self.momentum_decay)
        count = scope.count()
        now, after = (beta1 * (1.0 - 0.5 * graph.exp(t * decay * math.log(0.96))) for t in (count, count + 1.0))
        product = now * scope.remember("momentum_product", "", now, start=1.0)
        scope.store("momentum_product", "", product)
        of_gradient, of_mean = (1.0 - now) / (1.0 - product), after / (1.0 - product * after)
        unbias2 = unbias(scope, beta2)
        moved: Tree = {}
        for path, gradient in directions.items():
            mean = running_mean(scope, "mean", path, gradient, beta1)
            square = running_mean(scope, "square", path, gradient**2, beta2)
            root = sqrt(times(unbias2, square)) + graph.broadcast_to(epsilon, gradient.shape)
            moved[path] = (times(of_gradient, gradient) + times(of_mean, mean)) / root
        return moved


@dataclass(frozen=True)
class NAdam(Optimizer):
    """Adam that looks one step ahead along its momentum; the momentum grows from β₁/2 to β₁.

    ``learning_rate`` is η, ``beta1`` and ``beta2`` the decay of the means, ``epsilon`` stands outside the root,
    ``momentum_decay`` is ψ: with 0.004 the momentum has come half of its way after about 4000 steps.

    Differs from: Keras, whose epsilon is 1e-7, whose learning rate is 0.001 and which has no ψ of its own. PyTorch is
    the same.

    >>> NAdam().learning_rate
    0.002

    Reference: T. Dozat, "Incorporating Nesterov momentum into Adam", 2016.
    """

    learning_rate: Number = 0.002
    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8
    momentum_decay: Number = 0.004

    def __post_init__(self) -> None:
        check_means("NAdam", self.learning_rate, self.beta1, self.beta2, self.epsilon)
        check_rate("NAdam", "momentum_decay", self.momentum_decay, 0.0, math.inf)

    def updates(self) -> tuple[Update, ...]:
        """Its direction, and descent along it."""
        direction = NAdamDirection(self.beta1, self.beta2, self.epsilon, self.momentum_decay)
        return (direction, Descend(self.learning_rate))
