"""What keeps weights small: decay, coupled or decoupled, and a largest norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.graph.composites import sqrt
from chainrule.layers.scope import is_weight
from chainrule.optimizers.updates import (
    Number,
    Part,
    Tree,
    UpdateScope,
    check_positive,
    check_rate,
    times,
    unit_axes,
)


@dataclass(frozen=True)
class WeightDecay(Part):
    """d ← d + λ·θ, with λ = ``weight_decay``: weights shrink unless the gradient holds against it.

    Where it stands says which kind it is. Before an optimizer it is added to the gradient, and is the gradient of
    λ/2·‖θ‖² (L2, coupled): ``Compose(WeightDecay(0.01), SGD(0.1))``. Between a direction and the descent it is
    decoupled: ``Compose(AdamDirection(), WeightDecay(0.01), Descend(0.001))``, which is AdamW.

    Biases, and the scales and shifts of a normalisation, do not decay, unless ``biases=True``: the rule of
    `chainrule.regularizers`, by name. `Groups` makes another choice.

    Differs from: PyTorch and Keras, where all parameters decay.

    >>> WeightDecay(0.01).biases
    False

    Reference: A. Krogh and J. Hertz, "A simple weight decay can improve generalization", 1991; decoupled: I.
    Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
    """

    weight_decay: Number
    biases: bool = False

    wants: ClassVar[str] = "gradients"
    other_words: ClassVar[Mapping[str, str]] = dict.fromkeys(("decay", "l2", "factor", "rate"), "weight_decay")

    def __post_init__(self) -> None:
        check_rate("WeightDecay", "weight_decay", self.weight_decay, 0.0, math.inf)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """d + λ·θ for what decays, d for the rest."""
        decay = scope.number("weight_decay", self.weight_decay)
        return {
            path: direction + times(decay, parameters[path]) if self.biases or is_weight(path) else direction
            for path, direction in directions.items()
        }


@dataclass(frozen=True)
class MaxNorm(Part):
    """After a step each unit's incoming weights have a norm of at most c = ``maximum``; longer ones are shortened.

    The weights of a unit lie along all axes but the last, as in `Dense`; biases, scales, shifts and whatever has one
    axis are left alone. It stands after what descends: ``Compose(SGD(0.1), MaxNorm(3.0))``. The norm is right up
    to the rounding of the dtype.

    Differs from: Keras, where it is a constraint of each layer's kernel, with the axis to be said.

    >>> MaxNorm(3.0).maximum
    3.0

    Reference: N. Srivastava, G. Hinton, A. Krizhevsky, I. Sutskever and R. Salakhutdinov, "Dropout: a simple way to
    prevent neural networks from overfitting", 2014, section 5.1.
    """

    maximum: Number

    wants: ClassVar[str] = "moves"
    other_words: ClassVar[Mapping[str, str]] = {"max_value": "maximum", "max_norm": "maximum", "c": "maximum"}

    def __post_init__(self) -> None:
        check_positive("MaxNorm", "maximum", self.maximum)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The way to the shortened weights, where they would be too long."""
        maximum = scope.number("maximum", self.maximum)
        moved = dict(directions)
        for path, direction in directions.items():
            if is_weight(path) and direction.rank > 1:
                axes, new = unit_axes(direction), parameters[path] + direction
                norm = sqrt(graph.sum(new**2, axes))
                most = graph.broadcast_to(maximum, norm.shape)
                shortened = graph.broadcast_like(most / norm, new, axes) * new - parameters[path]
                moved[path] = graph.select(graph.broadcast_like(most < norm, new, axes), shortened, direction)
        return moved
