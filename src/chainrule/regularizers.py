"""Penalties on weights, to be added to a loss: small weights make smooth functions, few weights simple ones.

Biases, and the scales and shifts of normalisation, are left alone unless ``biases`` is set: see `is_weight`. The rates
are inputs of the graph, or schedules: another one never recompiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import absolute
from chainrule.layers.scope import is_weight
from chainrule.optimizers.updates import Number, Tree, UpdateScope, check_rate

Term = tuple[str, Number, Callable[[Node], Node]]


class Regularizer(Protocol):
    """A penalty on parameters: one of your own needs nothing but this."""

    def apply(self, scope: UpdateScope, parameters: Tree) -> Node:
        """A scalar, from parameters by path; ``scope.number(name, value)`` makes a rate an input of the graph."""


@dataclass(frozen=True)
class Penalty:
    """Rates times functions of weights, summed: what the penalties here have in common.

    ``biases`` penalises biases, scales and shifts as well.
    """

    biases: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        for name, rate, _ in self.terms():
            check_rate(type(self).__name__, name, rate, 0.0, math.inf)

    def terms(self) -> Sequence[Term]:
        """A name, a rate, and what it is a rate of, for each term."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it penalises")

    def apply(self, scope: UpdateScope, parameters: Tree) -> Node:
        """The sum over terms and parameters."""
        chosen = [node for path, node in parameters.items() if self.biases or is_weight(path)]
        if not chosen:
            raise ConfigurationError(
                f"{type(self).__name__} has nothing to penalise: of {', '.join(parameters)} none is a weight; "
                "biases=True penalises biases, scales and shifts as well"
            )
        return _sum([scope.number(name, rate) * _sum([of(node) for node in chosen]) for name, rate, of in self.terms()])


@dataclass(frozen=True)
class L1(Penalty):
    """λ·Σ|w|, with λ = ``rate``: it moves each weight towards 0 by the same, and so makes many of them all but 0.

    Its slope at 0 is 0.

    >>> L1(1e-4).rate
    0.0001

    Reference: R. Tibshirani, "Regression shrinkage and selection via the lasso", 1996.
    """

    rate: Number

    def terms(self) -> Sequence[Term]:
        """One."""
        return (("rate", self.rate, _absolutes),)


@dataclass(frozen=True)
class L2(Penalty):
    """½·λ·Σw², with λ = ``rate``: it moves each weight towards 0 in proportion to it; its gradient is λ·w.

    With plain descent this is weight decay; with an optimizer that divides by the size of gradients, such as Adam, it
    is not, and decay that is decoupled from the gradient is another thing.

    >>> L2(1e-4).rate
    0.0001

    Reference: A. Krogh and J. Hertz, "A simple weight decay can improve generalization", 1991.

    Differs from: Keras, whose L2 has no ½: its rate is half of ours. PyTorch's weight_decay is this gradient, for
    biases too.
    """

    rate: Number

    def terms(self) -> Sequence[Term]:
        """One."""
        return (("rate", self.rate, _half_squares),)


@dataclass(frozen=True)
class ElasticNet(Penalty):
    """``l1``·Σ|w| + ½·``l2``·Σw²: both of the others.

    >>> ElasticNet(1e-5, 1e-4).l2
    0.0001

    Reference: H. Zou and T. Hastie, "Regularization and variable selection via the elastic net", 2005, without the ½.
    """

    l1: Number
    l2: Number

    def terms(self) -> Sequence[Term]:
        """Two."""
        return (("l1", self.l1, _absolutes), ("l2", self.l2, _half_squares))


def _absolutes(w: Node) -> Node:
    return graph.sum(absolute(w))


def _half_squares(w: Node) -> Node:
    return graph.sum(w**2) * 0.5


def _sum(nodes: Sequence[Node]) -> Node:
    total = nodes[0]
    for node in nodes[1:]:
        total = total + node
    return total
