"""Batch normalization and dropout as small layers: graph like any other, and no part of the library yet."""

from __future__ import annotations

from dataclasses import dataclass

import chainrule as cr
from benchmarks.speed.workload import EPSILON, KEPT
from chainrule import graph
from chainrule.graph.composites import mean
from chainrule.initializers import Constant
from chainrule.layers.scope import one_input


@dataclass(frozen=True)
class BatchNorm:
    """y = γ·(x - μ)/√(σ² + ε) + β, with μ and σ² of the batch, and in prediction their running means.

    Reference: S. Ioffe and C. Szegedy, "Batch normalization", 2015.
    """

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        """(batch, units) -> (batch, units)."""
        x = one_input(inputs)
        units = x.shape[1:]
        scale = scope.parameter("scale", units, Constant(1.0))
        shift = scope.parameter("shift", units, Constant(0.0))
        running_mean = scope.state("mean", units, Constant(0.0))
        running_variance = scope.state("variance", units, Constant(1.0))
        if scope.training:
            center = mean(x, 0)
            apart = x - graph.broadcast_to(center, x.shape)
            variance = mean(apart**2, 0)
            unbiased = variance * (x.shape[0] / max(x.shape[0] - 1, 1))
            scope.update("mean", KEPT * running_mean + (1 - KEPT) * center)
            scope.update("variance", KEPT * running_variance + (1 - KEPT) * unbiased)
        else:
            apart, variance = x - graph.broadcast_to(running_mean, x.shape), running_variance
        factor = graph.power(variance + EPSILON, -0.5) * scale
        return apart * graph.broadcast_to(factor, x.shape) + graph.broadcast_to(shift, x.shape)


@dataclass(frozen=True)
class Dropout:
    """Each value is 0 with probability ``rate``, and otherwise divided by 1 - ``rate``; in prediction it is left alone.

    Reference: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.
    """

    rate: float

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        """The same shape."""
        x = one_input(inputs)
        if not scope.training:
            return x
        # Words below rate·2³² are dropped: an exact comparison of whole numbers, without a cast.
        dropped = graph.lt(scope.bits("mask", x.shape), round(self.rate * 2**32))
        return graph.select(dropped, 0.0, x * (1 / (1 - self.rate)))
