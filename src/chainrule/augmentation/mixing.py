"""Two samples in one: mixtures of samples, and pieces of one in another, which count for the targets of both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from chainrule import graph
from chainrule.augmentation.samples import Samples, change_images
from chainrule.graph import Node
from chainrule.graph.composites import maximum, minimum
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope


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
        partner = _partner(scope, size)
        own = graph.broadcast(share, range(1, x.rank), x.shape[1:])
        mixed = own * x + (1 - own) * graph.gather(x, partner)
        return replace(samples, inputs=mixed, goals=_both(samples, partner, share))


@dataclass(frozen=True)
class CutMix:
    """A rectangle of each image is replaced by that of another of its batch.

    The rectangle has the image's proportions and 1 - λ of its area, with λ drawn from Beta(α, α), α = ``alpha``, and
    its centre anywhere, so that a part of it may fall outside. Both targets are kept, as with `Mixup`, with the shares
    of the area that each then has. A batch of one sample stays as it is.

    >>> CutMix().alpha
    1.0

    Reference: S. Yun, D. Han, S. Oh, S. Chun, J. Choe and Y. Yoo, "CutMix: regularization strategy to train strong
    classifiers with localizable features", 2019.

    Differs from: their code, which draws one rectangle a batch.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_range("CutMix", "alpha", self.alpha, 0.001, math.inf)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Images with a piece of another, and two goals for each."""
        size = samples.inputs.shape[0]
        if size < 2:
            return samples
        partner = _partner(scope, size)
        side = graph.power(1 - symmetric_beta(scope, "share", (size,), self.alpha), 0.5)
        areas: list[Node] = []

        def cut(x: Node) -> Node:
            inside = None
            area = graph.full((size,), 1, x.dtype)
            for axis, length in ((1, x.shape[1]), (2, x.shape[2])):
                middle = length * scope.uniform(f"middle/{axis}", (size,))
                low = graph.floor(maximum(middle - 0.5 * length * side, 0.0))
                high = graph.floor(minimum(middle + 0.5 * length * side, float(length)))
                area = area * (high - low) / length
                place = graph.cast(graph.iota(length), x.dtype)
                place = graph.broadcast(
                    place, [a for a in range(4) if a != axis], [x.shape[a] for a in range(4) if a != axis]
                )
                bounds = [graph.broadcast(bound, [1, 2, 3], x.shape[1:]) for bound in (low, high)]
                here = graph.logical_and(graph.le(bounds[0], place), graph.lt(place, bounds[1]))
                inside = here if inside is None else graph.logical_and(inside, here)
            areas.append(area)
            assert inside is not None
            return graph.select(inside, graph.gather(x, partner), x)

        changed = change_images(samples, cut, "CutMix")
        return replace(changed, goals=_both(samples, partner, 1 - areas[0]))


def _partner(scope: Scope, size: int) -> Node:
    """For each sample another: the batch turned by a random number of places, so that each is partner once."""
    turn = 1 + graph.rem(scope.bits("partner", ()), graph.full((), size - 1, "uint32"))
    places = graph.iota(size, "uint32") + graph.broadcast_to(turn, (size,))
    return graph.cast(graph.rem(places, graph.full((size,), size, "uint32")), "int32")


def _both(samples: Samples, partner: Node, share: Node) -> tuple[tuple[Node, Node | None], ...]:
    """The goals of each sample, and those of its partner, with their shares."""
    goals: list[tuple[Node, Node | None]] = []
    for targets, weights in samples.goals:
        other = None if weights is None else graph.gather(weights, partner)
        goals += [(targets, _times(share, weights)), (graph.gather(targets, partner), _times(1 - share, other))]
    return tuple(goals)


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
