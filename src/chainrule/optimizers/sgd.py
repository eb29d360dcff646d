"""Gradient descent: plain, with momentum, and in Nesterov's form."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule.errors import ConfigurationError
from chainrule.optimizers.updates import Descend, Number, Optimizer, Part, Tree, Update, UpdateScope, check_rate, times


@dataclass(frozen=True)
class Momentum(Part):
    """v ← μ·v + g; the direction is v, or, in Nesterov's form, g + μ·v.

    Reference: B. Polyak, "Some methods of speeding up the convergence of iteration methods", 1964; Nesterov's form as
    in I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum", 2013.
    """

    momentum: Number = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_rate("Momentum", "momentum", self.momentum, 0.0, 1.0)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The velocity, remembered as "velocity"."""
        mu = scope.number("momentum", self.momentum)
        moved: Tree = {}
        for path, gradient in directions.items():
            velocity = times(mu, scope.remember("velocity", path, gradient)) + gradient
            scope.store("velocity", path, velocity)
            moved[path] = gradient + times(mu, velocity) if self.nesterov else velocity
        return moved


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: θ ← θ - η·g; with momentum μ, v ← μ·v + g and θ ← θ - η·v (Nesterov: θ ← θ - η·(g + μ·v)).

    ``learning_rate`` is η and ``momentum`` μ, each a number or a schedule. With the batch size of a fit it is batch
    (all samples), mini-batch, or stochastic (one sample) gradient descent.

    Differs from: Keras, which folds η into the velocity (v ← μ·v - η·g); for a constant η the steps are the same.

    >>> SGD(learning_rate=0.1, momentum=0.9).momentum
    0.9

    Reference: H. Robbins and S. Monro, "A stochastic approximation method", 1951.
    """

    learning_rate: Number = 0.01
    momentum: Number = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_rate("SGD", "learning_rate", self.learning_rate, 0.0, math.inf)
        check_rate("SGD", "momentum", self.momentum, 0.0, 1.0)
        if self.nesterov and self.momentum == 0:
            raise ConfigurationError("SGD: nesterov=True wants a momentum above 0, such as 0.9")

    def updates(self) -> tuple[Update, ...]:
        """Momentum, if there is any, and descent."""
        descend = Descend(self.learning_rate)
        return (descend,) if self.momentum == 0 else (Momentum(self.momentum, self.nesterov), descend)
