"""Noise in training and none in prediction: dropout, noise on activations, noise on weights. All of it from keys."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import FLOATS, Node
from chainrule.layers.checking import check_range
from chainrule.layers.scope import AnyLayer, Scope, is_weight, one_input


@dataclass(frozen=True)
class Dropout:
    """Each value is 0 with probability ``rate`` p, and otherwise divided by 1 - p; in prediction it is left alone.

    The mask is a function of (seed, step, path), new in each step. p is rounded to a multiple of 2⁻³².

    >>> Dropout(0.2).rate
    0.2

    Reference: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014, whose
    values are divided in training (inverted dropout) and not multiplied in prediction.
    """

    rate: float

    def __post_init__(self) -> None:
        check_range("Dropout", "rate", self.rate, 0.0, 1.0)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The same shape."""
        x = _floats(one_input(inputs))
        if not scope.training or self.rate == 0:
            return x
        return graph.select(_dropped(scope, x.shape, self.rate), 0.0, x * (1 / (1 - self.rate)))


@dataclass(frozen=True)
class SpatialDropout:
    """Each channel of a sample is 0 at all places with probability ``rate`` p, and otherwise divided by 1 - p.

    x is (batch, …, channels), such as images or sequences. Neighbours in an image are alike, so that `Dropout`, which
    drops each value by itself, takes little away from it. In prediction it is left alone.

    >>> SpatialDropout(0.2).rate
    0.2

    Reference: J. Tompson et al., "Efficient object localization using convolutional networks", 2015.
    """

    rate: float

    def __post_init__(self) -> None:
        check_range("SpatialDropout", "rate", self.rate, 0.0, 1.0)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The same shape."""
        x = _floats(one_input(inputs))
        if x.rank < 3:
            raise ShapeError(f"wants (batch, places…, channels), such as images, and got {list(x.shape)}: use Dropout")
        if not scope.training or self.rate == 0:
            return x
        places = range(1, x.rank - 1)
        dropped = _dropped(scope, (x.shape[0], x.shape[-1]), self.rate)
        dropped = graph.broadcast(dropped, places, [x.shape[axis] for axis in places])
        return graph.select(dropped, 0.0, x * (1 / (1 - self.rate)))


@dataclass(frozen=True)
class GaussianNoise:
    """In training, normal noise of mean 0 and this ``deviation`` is added to each value: y = x + σ·n.

    As a first layer it is noise on the inputs, in the units that the network sees, which are those of prepared data.

    >>> GaussianNoise(0.1).deviation
    0.1

    Reference: C. Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995.
    """

    deviation: float

    def __post_init__(self) -> None:
        check_range("GaussianNoise", "deviation", self.deviation, 0.0, math.inf)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The same shape."""
        x = _floats(one_input(inputs))
        if not scope.training or self.deviation == 0:
            return x
        return x + self.deviation * graph.cast(scope.normal("noise", x.shape), x.dtype)


@dataclass(frozen=True)
class WeightNoise:
    """A ``layer``, or a whole chain, whose weights have noise added while it trains: w + σ·n, with σ = ``deviation``.

    n is normal, and drawn anew in each step and each application; gradients are taken at the noisy weights, and the
    weights without noise are updated. Biases, scales and shifts stay as they are, and so do the paths: the parameters
    of `WeightNoise(Dense(64), 0.05)` are those of `Dense(64)`.

    >>> from chainrule.layers import Dense
    >>> WeightNoise(Dense(64), 0.05).deviation
    0.05

    Reference: A. Murray and P. Edwards, "Enhanced MLP performance and fault tolerance resulting from synaptic weight
    noise during training", 1994; A. Graves, "Practical variational inference for neural networks", 2011.
    """

    layer: AnyLayer
    deviation: float

    def __post_init__(self) -> None:
        if isinstance(self.layer, type) or not (hasattr(self.layer, "apply") or callable(self.layer)):
            raise ConfigurationError(f"WeightNoise: layer is a layer, such as Dense(64), not {self.layer!r}")
        check_range("WeightNoise", "deviation", self.deviation, 0.0, math.inf)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """What the layer gives."""
        if scope.training and self.deviation:
            scope = replace(scope, seen_as=(*scope.seen_as, self._noisy))
        return scope.apply(self.layer, *inputs, name="")

    def _noisy(self, scope: Scope, name: str, parameter: Node) -> Node:
        if not is_weight(name):
            return parameter
        return parameter + self.deviation * scope.normal(f"{name}/noise", parameter.shape)


def _dropped(scope: Scope, shape: Sequence[int], rate: float) -> Node:
    # Words below rate·2³² are dropped: an exact comparison of whole numbers, without a cast.
    return graph.lt(scope.bits("mask", shape), min(round(rate * 2**32), 2**32 - 1))


def _floats(x: Node) -> Node:
    if x.dtype not in FLOATS:
        raise DtypeError(f"wants floats, and got {x.dtype}; use graph.cast")
    return x
