"""Layers in which a fault can be planted: as users write them, without the checks that the library's own have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import chainrule as cr
from chainrule import graph
from chainrule.graph.composites import mean
from chainrule.initializers import Constant, Normal


def softmax(z: cr.Node) -> cr.Node:
    """As one writes it down: the library does not know it by name."""
    e = graph.exp(z - graph.broadcast_like(graph.max(z, -1), z, -1))
    return e / graph.broadcast_like(graph.sum(e, -1), e, -1)


@dataclass(frozen=True)
class Softmax:
    """A last layer whose activation is a softmax."""

    units: int

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        return softmax(scope.apply(cr.Dense(self.units), *inputs, name="dense"))


class Normalised:
    """Batch normalisation by hand, which does not ask how large the batch is."""

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        (x,) = inputs
        scale = scope.parameter("scale", x.shape[-1:], Constant(1.0))
        apart = x - graph.broadcast_like(mean(x, 0), x, 0)
        factor = graph.power(mean(apart**2, 0) + 1e-5, -0.5)
        return apart * graph.broadcast_like(factor * scale, x, 0)


@dataclass(frozen=True)
class Unrolled:
    """A recurrence written out: one dense layer, applied ``steps`` times to its own output and the same input."""

    steps: int
    gain: float
    activation: Any = cr.identity

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        x = scope.apply(cr.Dense(32), *inputs, name="in")
        cell = cr.Dense(32, self.activation, weight=Normal(self.gain / 32**0.5), bias=False)
        h = x * 0.0
        for _ in range(self.steps):
            h = scope.apply(cell, h + x, name="cell")
        return h


@dataclass(frozen=True)
class Looped:
    """The same as a loop over the rows of an image of 8 by 8 pixels."""

    gain: float
    times: int = 2
    whole: bool = False

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        (x,) = inputs
        rows = graph.transpose(graph.reshape(x, (x.shape[0], 8, 8)), (1, 0, 2))
        rows = graph.concatenate([rows] * self.times, 0)
        into = scope.parameter("into", (8, 32), Normal(8**-0.5))
        again = scope.parameter("again", (32, 32), Normal(self.gain / 32**0.5))

        def step(carries: list[cr.Node], slices: list[cr.Node]) -> tuple[list[cr.Node], list[cr.Node]]:
            h = graph.contract(slices[0], into, "bi,ij->bj") + graph.contract(carries[0], again, "bi,ij->bj")
            return [h], [h]

        (end,), (all_of_them,) = graph.scan(step, [graph.full((x.shape[0], 32), 0, x.dtype)], [rows])
        return mean(all_of_them, 0) if self.whole else end
