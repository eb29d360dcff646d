"""The samples of a batch on their way to a model, what changes them, and several changes one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from chainrule import graph
from chainrule.errors import ShapeError
from chainrule.graph import Node
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


def change_images(samples: Samples, change: Callable[[Node], Node], what: str) -> Samples:
    """Samples whose images, (batch, height, width, channels) or (batch, height, width), a function has changed.

    The function sees channels in any case. Raises `ShapeError` for samples that are no images.
    """
    x = samples.inputs
    if x.rank not in (3, 4):
        raise ShapeError(
            f"{what} changes images, (batch, height, width, channels), and got {list(x.shape)}; load them as images, "
            "as in cr.data.load('mnist', images=True), and let the model begin with Flatten() if it wants rows"
        )
    changed = change(graph.reshape(x, (*x.shape, 1) if x.rank == 3 else x.shape))
    return replace(samples, inputs=graph.reshape(changed, x.shape))


def spread(scope: Scope, name: str, size: int, most: float) -> Node:
    """A random number a sample, (size,), spread evenly from -most to most."""
    return most * (2.0 * scope.uniform(name, (size,)) - 1.0)


def over_pixels(numbers: Node, like: Node) -> Node:
    """A number a sample, (batch,), repeated over all that the sample has in ``like``."""
    return graph.broadcast(numbers, range(1, like.rank), like.shape[1:])
