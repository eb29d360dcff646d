"""Adam: a step for each weight, scaled by what its gradients have been; AdamW and AMSGrad, its two corrections."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import maximum, ne, sqrt
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
    times,
    unbias,
)


@dataclass(frozen=True)
class AdamDirection(Part):
    """m ← β₁·m + (1 - β₁)·g; v ← β₂·v + (1 - β₂)·g²; the direction is m̂ / (√v̂ + ε), corrected for the start at 0.

    With ``amsgrad`` the largest v so far stands in the place of v. With ``lazy``, where a whole row of a weight, along
    its first axis, has a gradient of 0, the row's m and v stay as they are, and the direction is 0.
    """

    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8
    amsgrad: bool = False
    lazy: bool = False

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The direction; "mean" and "square" are remembered, and "largest" if it counts."""
        beta1, beta2 = scope.number("beta1", self.beta1), scope.number("beta2", self.beta2)
        epsilon = scope.number("epsilon", self.epsilon)
        unbias1, unbias2 = unbias(scope, beta1), unbias(scope, beta2)
        moved: Tree = {}
        for path, gradient in directions.items():
            met = _rows_met(gradient) if self.lazy and gradient.rank > 1 else None
            mean = _running_mean(scope, "mean", path, gradient, beta1, met)
            square = _running_mean(scope, "square", path, gradient**2, beta2, met)
            if self.amsgrad:
                square = scope.store("largest", path, maximum(scope.remember("largest", path, square), square))
            root = sqrt(times(unbias2, square)) + graph.broadcast_to(epsilon, gradient.shape)
            direction = times(unbias1, mean) / root
            moved[path] = direction if met is None else graph.select(met, direction, 0.0)
        return moved


def _rows_met(gradient: Node) -> Node:
    """Where a row along the first axis has a gradient that is not all 0, in the shape of the gradient."""
    axes = tuple(range(1, gradient.rank))
    some = graph.max(graph.cast(ne(gradient, 0), "int32"), axes)
    return graph.broadcast_like(ne(some, 0), gradient, axes)


def _running_mean(scope: UpdateScope, what: str, path: str, x: Node, decay: Node, met: Node | None) -> Node:
    if met is None:
        return running_mean(scope, what, path, x, decay)
    old = scope.remember(what, path, x)
    return scope.store(what, path, graph.select(met, times(decay, old) + times(1.0 - decay, x), old))


@dataclass(frozen=True)
class Adam(Optimizer):
    """θ ← θ - η·m̂ / (√v̂ + ε), with running means m of the gradient and v of its square, corrected for their start.

    ``learning_rate`` is η, ``beta1`` and ``beta2`` the decay of the means, ``epsilon`` stands outside the root. With
    ``lazy`` a row of a weight that has no gradient in a step, such as that of a symbol which a batch does not meet,
    keeps its means and its place: another rule, that learns rare symbols by the steps that meet them alone. It holds
    for all weights of two axes or more; `Groups` limits it to an embedding's.

    Differs from: Keras, whose epsilon is 1e-7 and is added to the uncorrected root. PyTorch, where lazy is another
    class, SparseAdam.

    >>> Adam().learning_rate
    0.001

    Reference: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015.
    """

    learning_rate: Number = 0.001
    beta1: Number = 0.9
    beta2: Number = 0.999
    epsilon: Number = 1e-8
    lazy: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        check_means(type(self).__name__, self.learning_rate, self.beta1, self.beta2, self.epsilon)
        if not isinstance(self.lazy, bool):
            raise ConfigurationError(f"{type(self).__name__}: lazy is True or False, not {self.lazy!r}")

    def updates(self) -> tuple[Update, ...]:
        """Adam's direction, and descent along it."""
        return (AdamDirection(self.beta1, self.beta2, self.epsilon, lazy=self.lazy), Descend(self.learning_rate))


@dataclass(frozen=True)
class AdamW(Adam):
    """θ ← θ - η·(m̂ / (√v̂ + ε) + λ·θ): Adam with weight decay that is decoupled, not divided by √v̂.

    ``weight_decay`` is λ; the rest is as in `Adam`, but that the decay is never lazy. Biases, scales and shifts do not
    decay (see `WeightDecay`, and `Groups` for another choice).

    Differs from: PyTorch and Keras, where all parameters decay, biases too; Keras's λ is 0.004.

    >>> AdamW(0.001, weight_decay=0.05).weight_decay
    0.05

    Reference: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
    """

    weight_decay: Number = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rate("AdamW", "weight_decay", self.weight_decay, 0.0, math.inf)

    def updates(self) -> tuple[Update, ...]:
        """Adam's direction, to which the decay is added, and descent along both."""
        return (
            AdamDirection(self.beta1, self.beta2, self.epsilon, lazy=self.lazy),
            WeightDecay(self.weight_decay),
            Descend(self.learning_rate),
        )


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam whose steps are divided by the root of the largest v so far, so that they never grow again.

    θ ← θ - η·m̂ / (√v̂ + ε) with v̂ ← max over all steps; the settings are those of `Adam`.

    Differs from: the paper, which does not correct for the start at 0; PyTorch and this do. In PyTorch and Keras it is
    ``amsgrad=True`` of Adam.

    >>> AMSGrad(0.01).beta2
    0.999

    Reference: S. Reddi, S. Kale and S. Kumar, "On the convergence of Adam and beyond", 2018.
    """

    def updates(self) -> tuple[Update, ...]:
        """Adam's direction by the largest v, and descent along it."""
        return (
            AdamDirection(self.beta1, self.beta2, self.epsilon, amsgrad=True, lazy=self.lazy),
            Descend(self.learning_rate),
        )


def check_means(who: str, learning_rate: Number, beta1: Number, beta2: Number, epsilon: Number) -> None:
    """Refuse settings of Adam and its kin that mean nothing."""
    check_rate(who, "learning_rate", learning_rate, 0.0, math.inf)
    check_rate(who, "beta1", beta1, 0.0, 1.0)
    check_rate(who, "beta2", beta2, 0.0, 1.0)
    check_rate(who, "epsilon", epsilon, 0.0, math.inf)
