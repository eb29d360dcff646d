"""Clipping: gradients that are too large made smaller, element by element, by array, all together, or by unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.graph import Node
from chainrule.graph.composites import maximum, minimum, sqrt
from chainrule.optimizers.updates import (
    Number,
    Part,
    Tree,
    UpdateScope,
    check_positive,
    global_norm,
    times,
    unit_axes,
)

_MAXIMUM = ("max_norm", "clip_norm", "clipnorm", "clip_value", "clipvalue", "clip", "threshold", "max_value")


class _Clip(Part):
    other_words: ClassVar[Mapping[str, str]] = dict.fromkeys(_MAXIMUM, "maximum")


def _factor(norm: Node, most: Node) -> Node:
    """c / ‖d‖ where that is below 1, else 1."""
    return graph.select(most < norm, most / norm, 1)


@dataclass(frozen=True)
class ClipValue(_Clip):
    """d ← min(max(d, -c), c), element by element, with c = ``maximum``. The direction changes, not only its length.

    >>> ClipValue(0.5).maximum
    0.5

    Reference: T. Mikolov, "Statistical language models based on neural networks", 2012.
    """

    maximum: Number

    def __post_init__(self) -> None:
        check_positive("ClipValue", "maximum", self.maximum)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """d between -c and c."""
        most = scope.number("maximum", self.maximum)
        return {
            path: minimum(
                maximum(direction, graph.broadcast_to(-most, direction.shape)),
                graph.broadcast_to(most, direction.shape),
            )
            for path, direction in directions.items()
        }


@dataclass(frozen=True)
class ClipNorm(_Clip):
    """d ← d·min(1, c / ‖d‖) for each parameter by itself, with c = ``maximum``.

    >>> ClipNorm(1.0).maximum
    1.0

    Reference: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", 2013.
    """

    maximum: Number

    def __post_init__(self) -> None:
        check_positive("ClipNorm", "maximum", self.maximum)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """Each d, of norm c at most."""
        most = scope.number("maximum", self.maximum)
        return {path: times(_factor(global_norm([d]), most), d) for path, d in directions.items()}


@dataclass(frozen=True)
class ClipGlobalNorm(_Clip):
    """d ← d·min(1, c / ‖d‖) with the norm over all parameters together: the length is bounded, the direction stays.

    ``maximum`` is c. A step records this norm as "gradient_norm" in any case, so that it costs no second pass; the
    record is of the gradients as they were before.

    Differs from: PyTorch, which divides by ‖d‖ + 1e-6, so that clipped gradients are a little shorter than c.

    >>> ClipGlobalNorm(1.0).maximum
    1.0

    Reference: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", 2013.
    """

    maximum: Number

    def __post_init__(self) -> None:
        check_positive("ClipGlobalNorm", "maximum", self.maximum)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """All d, of norm c together at most."""
        factor = _factor(global_norm(directions.values()), scope.number("maximum", self.maximum))
        return {path: times(factor, direction) for path, direction in directions.items()}


@dataclass(frozen=True)
class AdaptiveClip(Part):
    """g ← g·min(1, λ·max(‖w‖, ε) / ‖g‖) for each unit: a gradient is large or small beside the unit's own weights.

    ``factor`` is λ and ``epsilon`` ε, which lets weights move that are 0. The weights of a unit lie along all axes but
    the last; a parameter of one axis is taken as a whole. The paper leaves the last layer out:
    ``Groups({"2.*": Compose()}, otherwise=AdaptiveClip())``.

    >>> AdaptiveClip().factor
    0.01

    Reference: A. Brock, S. De, S. Smith and K. Simonyan, "High-performance large-scale image recognition without
    normalization", 2021.
    """

    factor: Number = 0.01
    epsilon: Number = 0.001

    other_words: ClassVar[Mapping[str, str]] = {
        "clipping": "factor",
        "clip_factor": "factor",
        "clipping_factor": "factor",
    }

    def __post_init__(self) -> None:
        check_positive("AdaptiveClip", "factor", self.factor)
        check_positive("AdaptiveClip", "epsilon", self.epsilon)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The clipped gradients."""
        factor, epsilon = scope.number("factor", self.factor), scope.number("epsilon", self.epsilon)
        moved: Tree = {}
        for path, gradient in directions.items():
            axes = unit_axes(gradient) or tuple(range(gradient.rank))
            norm, weight = (sqrt(graph.sum(x**2, axes)) for x in (gradient, parameters[path]))
            most = times(factor, maximum(weight, graph.broadcast_to(epsilon, weight.shape)))
            moved[path] = graph.broadcast_like(_factor(norm, most), gradient, axes) * gradient
        return moved
