"""An update rule of your own: AdaGrad, and clipping before it, as two small updates composed.

An update turns a direction for each parameter into another; it is graph, so every engine runs it. What it remembers is
saved in the checkpoint; what is a number can change without recompiling. Run it with:

    python examples/your_own_update.py

Reference: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning", 2011.
"""

from dataclasses import dataclass

import chainrule as cr
from chainrule.graph.composites import minimum, sqrt
from chainrule.optimizers import Compose, Descend, Tree, UpdateScope, times


@dataclass(frozen=True)
class AdaGrad:
    epsilon: float = 1e-6

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        moved = {}
        for path, gradient in directions.items():
            squares = scope.store("squares", path, scope.remember("squares", path, gradient) + gradient**2)
            moved[path] = gradient / (sqrt(squares) + self.epsilon)
        return moved


@dataclass(frozen=True)
class Clip:
    largest: float

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        length = sqrt(sum(cr.graph.sum(direction**2) for direction in directions.values()) + 1e-12)
        factor = minimum(scope.number("largest", self.largest) / length, 1)
        return {path: times(factor, direction) for path, direction in directions.items()}


train, test = cr.data.load("digits")
for name, optimizer in {
    "plain descent": cr.optimizers.SGD(0.1),
    "AdaGrad": Compose(AdaGrad(), Descend(0.1)),
    "clipped AdaGrad": Compose(Clip(1.0), AdaGrad(), Descend(0.1)),
}.items():
    run = cr.fit(cr.Chain(cr.Dense(32, cr.relu), cr.Dense(10)), train, optimizer=optimizer, epochs=10)
    print(f"{name:15}  loss {run.history.epochs[-1]['loss']:.4f}  test accuracy {run.evaluate(test)['accuracy']:.1%}")
