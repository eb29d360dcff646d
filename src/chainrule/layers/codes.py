"""What is asked of the code in the middle of an autoencoder: that little of it is active, or that it is normal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule import graph
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import mean
from chainrule.layers.checking import check_range
from chainrule.layers.divergences import bernoulli_divergence, normal_divergence
from chainrule.layers.scope import Scope, one_input


@dataclass(frozen=True)
class Sparsity:
    """Lets activations pass, and adds to the loss what keeps each unit's mean near ``target``: β·Σⱼ KL(ρ ‖ ρ̂ⱼ).

    ρ is ``target``, ρ̂ⱼ the mean of unit j over all axes but the last of this batch, and β is ``rate``. The activations
    are from 0 to 1, as behind a sigmoid. Large batches tell the mean better than small ones.

    >>> Sparsity(0.05, rate=0.1).target
    0.05

    Reference: A. Ng, "Sparse autoencoder", CS294A lecture notes, 2011.

    Differs from: Keras, whose activity_regularizer is L1 or L2 of the activations.
    """

    target: float = 0.05
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.target, int | float) or isinstance(self.target, bool) or not 0 < self.target < 1:
            raise ConfigurationError(f"Sparsity: target is a number between 0 and 1, not {self.target!r}")
        check_range("Sparsity", "rate", self.rate, 0.0, math.inf)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The same."""
        x = one_input(inputs)
        if x.rank < 2:
            raise ShapeError(f"wants a batch of rows, (batch, features), and got {list(x.shape)}")
        scope.add_loss(self.rate * graph.sum(bernoulli_divergence(self.target, mean(x, range(x.rank - 1)))))
        return x


@dataclass(frozen=True)
class GaussianCode:
    """A code that is drawn, z = μ + σ·ε, and kept near the standard normal distribution by what is added to the loss.

    The input, (batch, 2·n), is μ and log σ² side by side; ε is of the standard normal distribution, from the key of
    this step. Gradients pass to μ and σ (the reparameterisation). Added to the loss is β·KL(N(μ, σ²) ‖ N(0, 1)) of each
    sample, with β = ``rate``. With a loss that is -log p(x|z) summed over a sample, as `losses.binary_cross_entropy`
    and `losses.half_squared_error` are, and β = 1, loss and addition together are minus the evidence lower bound. In
    prediction the code is μ.

    Raises `ShapeError` for an odd number of features.

    >>> GaussianCode().rate
    1.0

    Reference: D. Kingma and M. Welling, "Auto-encoding variational Bayes", 2014; I. Higgins et al., "beta-VAE", 2017
    (the rate).
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        check_range("GaussianCode", "rate", self.rate, 0.0, math.inf)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, 2·n) -> (batch, n)."""
        x = one_input(inputs)
        if x.rank != 2 or x.shape[1] % 2:
            raise ShapeError(
                f"wants means and log variances side by side, (batch, 2·n), and got {list(x.shape)}: a code of n "
                "numbers comes after Dense(2·n)"
            )
        size = x.shape[1] // 2
        middle, log_variance = x[:, :size], x[:, size:]
        scope.add_loss(self.rate * normal_divergence(middle, log_variance))
        if not scope.training:
            return middle
        return middle + graph.exp(0.5 * log_variance) * scope.normal("noise", middle.shape)
