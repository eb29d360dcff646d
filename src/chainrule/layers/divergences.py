"""How far one distribution is from another, in nats: Kullback and Leibler's divergence, where it has a closed form."""

from __future__ import annotations

import math

from chainrule import graph
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import maximum, minimum

#: How near to 0 and 1 a mean may come.
_END = 1e-6


def normal_divergence(mean: Node, log_variance: Node) -> Node:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½·Σⱼ (μⱼ² + σⱼ² - log σⱼ² - 1), for each sample: (batch, n) twice -> (batch,).

    ``mean`` is μ and ``log_variance`` log σ². It is 0 for μ = 0 and σ = 1, and above 0 otherwise.

    >>> normal_divergence(graph.input("m", (4, 2)), graph.input("v", (4, 2)))
    <mul float32[4]>

    Reference: D. Kingma and M. Welling, "Auto-encoding variational Bayes", 2014, appendix B.
    """
    if mean.shape != log_variance.shape or mean.rank < 2:
        raise ShapeError(
            f"normal_divergence takes a mean and a log variance, (batch, n) both, and got {list(mean.shape)} and "
            f"{list(log_variance.shape)}"
        )
    # expm1: near σ = 1 no digits are lost.
    return graph.sum(mean**2 + graph.expm1(log_variance) - log_variance, range(1, mean.rank)) * 0.5


def bernoulli_divergence(target: float, means: Node) -> Node:
    """KL(ρ ‖ ρ̂) = ρ·log(ρ/ρ̂) + (1 - ρ)·log((1 - ρ)/(1 - ρ̂)), element by element, the same shape.

    ``target`` is ρ, between 0 and 1, and ``means`` are ρ̂. Within 1e-6 of 0 and 1 they count as that far from them, and
    have no slope: the divergence itself has no end there.

    Raises `ConfigurationError` for a target that is not between 0 and 1.

    >>> bernoulli_divergence(0.05, graph.input("m", (10,)))
    <sub float32[10]>

    Reference: A. Ng, "Sparse autoencoder", CS294A lecture notes, 2011.
    """
    if not isinstance(target, int | float) or isinstance(target, bool) or not 0 < target < 1:
        raise ConfigurationError(f"bernoulli_divergence: target is a number between 0 and 1, not {target!r}")
    inside = minimum(maximum(means, _END), 1 - _END)
    entropy = target * math.log(target) + (1 - target) * math.log(1 - target)
    return entropy - target * graph.log(inside) - (1 - target) * graph.log1p(-inside)
