"""Lion: the sign of the momentum, and nothing of its size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule.optimizers.decay import WeightDecay
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
    sign,
    times,
)


@dataclass(frozen=True)
class LionDirection(Part):
    """The direction is sign(β₁·m + (1 - β₁)·g); then m ← β₂·m + (1 - β₂)·g."""

    beta1: Number = 0.9
    beta2: Number = 0.99

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "mean" is remembered."""
        beta1, beta2 = scope.number("beta1", self.beta1), scope.number("beta2", self.beta2)
        moved: Tree = {}
        for path, gradient in directions.items():
            mean = scope.remember("mean", path, gradient)
            moved[path] = sign(times(beta1, mean) + times(1.0 - beta1, gradient))
            running_mean(scope, "mean", path, gradient, beta2)
        return moved


@dataclass(frozen=True)
class Lion(Optimizer):
    """θ ← θ - η·(sign(β₁·m + (1 - β₁)·g) + λ·θ), m ← β₂·m + (1 - β₂)·g: each weight moves by η, up or down.

    ``learning_rate`` is η, three to ten times smaller than Adam's; ``weight_decay`` is λ, as much larger than AdamW's,
    and does not touch biases (see `WeightDecay`). It remembers one array a parameter, Adam two.

    Differs from: Keras, whose weight decay is for all parameters. PyTorch does not have it.

    >>> Lion(weight_decay=0.1).beta2
    0.99

    Reference: X. Chen et al., "Symbolic discovery of optimization algorithms", 2023.
    """

    learning_rate: Number = 0.0001
    beta1: Number = 0.9
    beta2: Number = 0.99
    weight_decay: Number = 0.0

    def __post_init__(self) -> None:
        check_rate("Lion", "learning_rate", self.learning_rate, 0.0, math.inf)
        check_rate("Lion", "beta1", self.beta1, 0.0, 1.0)
        check_rate("Lion", "beta2", self.beta2, 0.0, 1.0)
        check_rate("Lion", "weight_decay", self.weight_decay, 0.0, math.inf)

    def updates(self) -> tuple[Update, ...]:
        """Its direction, decay if there is any, and descent."""
        decay = () if self.weight_decay == 0 else (WeightDecay(self.weight_decay),)
        return (LionDirection(self.beta1, self.beta2), *decay, Descend(self.learning_rate))
