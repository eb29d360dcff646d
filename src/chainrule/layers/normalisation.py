"""Normalisation: activations brought to mean 0 and variance 1, by the batch or by the sample, and scaled anew."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule import graph
from chainrule.errors import DtypeError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import mean
from chainrule.initializers import Constant
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope, one_input


@dataclass(frozen=True)
class BatchNorm:
    """Each feature brought to mean 0 and variance 1 over the batch: y = γ·(x - μ)/√(σ² + ε) + β.

    μ and σ² are the mean and the variance over all axes but the last, so over the batch for (batch, n), and over batch
    and places for images (batch, height, width, channels); ``epsilon`` is ε. Learned are ``scale`` γ, first 1, and
    ``shift`` β, first 0, one of each a feature. The state ``mean`` and ``variance`` runs after those of the batches,
    r ← m·r + (1 - m)·batch with m = ``momentum``, the variance as an estimate of the data's (divided by n - 1, not n);
    prediction uses it in the place of μ and σ². The shift makes the bias of a layer right before this one idle:
    `Dense(64, bias=False)`.

    One object that is applied to several inputs, as a judge is to real and to made samples, normalises each by itself,
    and its running statistics follow them in turn.

    Raises `ShapeError` in training where a feature has one value alone: a batch of one sample; and `ConfigurationError`
    where one object is applied behind its own output: each place of a network has a `BatchNorm()` of its own.

    >>> BatchNorm().momentum
    0.9

    Reference: S. Ioffe and C. Szegedy, "Batch normalization", 2015.

    Differs from: PyTorch, whose momentum is 1 - m (0.1) and whose scale and shift are called weight and bias. Keras,
    whose m is 0.99 and ε 0.001, whose running variance is divided by n, and which calls them gamma and beta.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        check_range("BatchNorm", "momentum", self.momentum, 0.0, 1.0)
        check_range("BatchNorm", "epsilon", self.epsilon, 0.0, 1.0)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, n) -> the same."""
        x = _checked(scope, one_input(inputs))
        features = x.shape[-1:]
        scale = scope.parameter("scale", features, Constant(1.0))
        shift = scope.parameter("shift", features, Constant(0.0))
        running_mean = scope.state("mean", features, Constant(0.0))
        running_variance = scope.state("variance", features, Constant(1.0))
        if scope.training:
            count = x.size // max(features[0], 1)
            if count == 1:
                raise ShapeError(
                    "one sample has no variance, so it cannot be normalised by its batch: give batches of two or more "
                    "(the last of an epoch too: it is what samples divided by batch_size leave), or use LayerNorm"
                )
            axes = tuple(range(x.rank - 1))
            center = mean(x, axes)
            apart = x - graph.broadcast_to(center, x.shape)
            variance = mean(apart**2, axes)
            kept = self.momentum
            scope.update("mean", kept * running_mean + (1 - kept) * center)
            unbiased = variance * (count / max(count - 1, 1))
            scope.update("variance", kept * running_variance + (1 - kept) * unbiased)
        else:
            apart, variance = x - graph.broadcast_to(running_mean, x.shape), running_variance
        factor = graph.power(variance + self.epsilon, -0.5) * scale
        return apart * graph.broadcast_to(factor, x.shape) + graph.broadcast_to(shift, x.shape)


@dataclass(frozen=True)
class LayerNorm:
    """Each sample brought to mean 0 and variance 1 over its features: y = γ·(x - μ)/√(σ² + ε) + β.

    μ and σ² are the mean and the variance over the last axis; ``epsilon`` is ε. Learned are ``scale`` γ, first 1, and
    ``shift`` β, first 0, one of each a feature. Nothing depends on the batch, so training and prediction are alike.

    >>> LayerNorm().epsilon
    1e-05

    Reference: J. Ba, J. Kiros and G. Hinton, "Layer normalization", 2016.

    Differs from: Keras, whose ε is 0.001 and whose scale and shift are gamma and beta; PyTorch calls them weight and
    bias, and takes the shape of the axes to normalise over.
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        check_range("LayerNorm", "epsilon", self.epsilon, 0.0, 1.0)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, n) -> the same."""
        x = _checked(scope, one_input(inputs))
        features = x.shape[-1:]
        if features == (1,):
            raise ShapeError("over one feature the result is 0 whatever comes in: give it more, or use BatchNorm")
        scale = scope.parameter("scale", features, Constant(1.0))
        shift = scope.parameter("shift", features, Constant(0.0))
        apart = x - graph.broadcast_like(mean(x, -1), x, -1)
        factor = graph.power(mean(apart**2, -1) + self.epsilon, -0.5)
        normal = apart * graph.broadcast_like(factor, x, -1)
        return normal * graph.broadcast_to(scale, x.shape) + graph.broadcast_to(shift, x.shape)


def _checked(scope: Scope, x: Node) -> Node:
    if x.rank < 2:
        raise ShapeError(f"wants a batch of rows, (batch, features), and got {list(x.shape)}")
    if x.dtype != scope.dtype:
        raise DtypeError(f"wants {scope.dtype}, and got {x.dtype}; use graph.cast")
    return x
