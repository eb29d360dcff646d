"""What is done to the samples of a batch in training, in the graph and from keys: other inputs, mixtures of samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from chainrule import graph
from chainrule.graph import Node
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope
from chainrule.losses import weighted_mean


@dataclass(frozen=True)
class Samples:
    """The samples of a batch as a model is to see them, and what it is to make of them.

    ``inputs`` are (batch, …). ``goals`` are targets, each with the weights (batch,) of samples, or None for 1: one
    goal as a rule, and several where a sample is to become some of each. The loss is the mean over all goals by weight.
    """

    inputs: Node
    goals: tuple[tuple[Node, Node | None], ...]

    def mean(self, values: Callable[[Node], Node]) -> Node:
        """The mean over all goals, by weight, of numbers a sample, (batch,), that a function gives for targets."""
        rows = [values(targets) for targets, _ in self.goals]
        weights = [weight for _, weight in self.goals]
        if all(weight is None for weight in weights):
            return weighted_mean(graph.concatenate(rows))
        known = [
            graph.full(row.shape, 1, row.dtype) if weight is None else graph.cast(weight, row.dtype)
            for row, weight in zip(rows, weights, strict=True)
        ]
        return weighted_mean(graph.concatenate(rows), graph.concatenate(known))


class Augmentation(Protocol):
    """A change of samples: one of your own needs nothing but this."""

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Other samples; ``scope.uniform``, ``normal`` and ``bits`` draw random numbers, new in each step."""


@dataclass(frozen=True)
class Mixup:
    """Each sample becomes a mixture of itself and another of its batch: x = λ·xᵢ + (1 - λ)·xⱼ.

    λ is drawn for each sample from Beta(α, α) with α = ``alpha``; the partners are the batch turned by a random number
    of places, so that each sample is partner once. Targets are not mixed but both kept, with weights λ and 1 - λ: for
    the entropies this is the loss of mixed targets, for squared errors its gradient, and it holds for labels and any
    loss. Weights of samples go with them. A batch of one sample stays as it is.

    >>> Mixup(0.2).alpha
    0.2

    Reference: H. Zhang, M. Cisse, Y. Dauphin and D. Lopez-Paz, "mixup: beyond empirical risk minimization", 2018.

    Differs from: their code, which draws one λ a batch.
    """

    alpha: float

    def __post_init__(self) -> None:
        check_range("Mixup", "alpha", self.alpha, 0.001, math.inf)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Mixed inputs, and two goals for each."""
        x = samples.inputs
        size = x.shape[0]
        if size < 2:
            return samples
        share = symmetric_beta(scope, "share", (size,), self.alpha)
        turn = 1 + graph.rem(scope.bits("partner", ()), graph.full((), size - 1, "uint32"))
        places = graph.iota(size, "uint32") + graph.broadcast_to(turn, (size,))
        partner = graph.cast(graph.rem(places, graph.full((size,), size, "uint32")), "int32")
        own = graph.broadcast(share, range(1, x.rank), x.shape[1:])
        goals = []
        for targets, weights in samples.goals:
            other = None if weights is None else graph.gather(weights, partner)
            goals += [(targets, _times(share, weights)), (graph.gather(targets, partner), _times(1 - share, other))]
        return replace(samples, inputs=own * x + (1 - own) * graph.gather(x, partner), goals=tuple(goals))


def symmetric_beta(scope: Scope, name: str, shape: tuple[int, ...], alpha: float) -> Node:
    """Random numbers of the distribution Beta(α, α), with α = ``alpha``, from two uniform numbers each.

    ½ + ½·sign(cos 2πV)·√(Q/(1 + Q)), with Q = (U^(-1/α) - 1)·cos² 2πV, is exact for every α > 0, without rejection:
    t = √(2α·Q) is Bailey's form of Student's t with 2α degrees of freedom. U and V have 24 bits.

    Reference: L. Devroye, "Random variate generation in one line of code", 1996; R. Bailey, "Polar generation of random
    variates with the t-distribution", 1994.
    """
    angle = graph.cos(2 * math.pi * scope.uniform(f"{name}/angle", shape))
    logarithm = graph.log1p(-scope.uniform(f"{name}/radius", shape)) * (1 / alpha)
    # Q/(1 + Q) with both sides times U^(1/α), which may underflow to 0 where its inverse would overflow.
    part = -graph.expm1(logarithm) * angle**2
    half = 0.5 * graph.power(part / (graph.exp(logarithm) + part), 0.5)
    return 0.5 + graph.select(graph.lt(angle, 0), -half, half)


def _times(share: Node, weights: Node | None) -> Node:
    return share if weights is None else share * graph.cast(weights, share.dtype)
