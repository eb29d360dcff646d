"""What the tests of explaining share: small data sets, layers of our own, steps with several losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph as G  # noqa: N812
from chainrule.gradients import RULES
from chainrule.graph import Node

Array = NDArray[Any]


def numbers(samples: int = 6, inputs: int = 3, outputs: int = 1, seed: int = 0) -> cr.data.Dataset:
    """A regression of random numbers."""
    random = np.random.default_rng(seed)
    return cr.data.Dataset(random.normal(size=(samples, inputs)), random.normal(size=(samples, outputs)))


def classes(samples: int = 6, inputs: int = 3, kinds: int = 3, seed: int = 0) -> cr.data.Dataset:
    """Random samples of several classes."""
    random = np.random.default_rng(seed)
    names = tuple("abcdefghij"[:kinds])
    rows, labels = random.normal(size=(samples, inputs)), random.integers(0, kinds, samples)
    labels[0] = (labels[1:].max() + 1) % kinds  # never all of one class: such data are refused
    return cr.data.Dataset(rows, labels, classes=names)


@dataclass(frozen=True)
class Convolution:
    """3×3 windows, contracted with a kernel, and ReLU: a layer that the package does not know."""

    channels: int

    def apply(self, scope: cr.Scope, *inputs: Node) -> Node:
        (x,) = inputs
        weight = scope.parameter("weight", (3, 3, x.shape[-1], self.channels), cr.initializers.Glorot())
        bias = scope.parameter("bias", (self.channels,), cr.initializers.Constant(0.1))
        y = G.contract(G.window(G.pad(x, [0, 1, 1, 0], [0, 1, 1, 0]), [1, 2], [3, 3]), weight, "bhwcij,ijco->bhwo")
        return cr.relu(y + G.broadcast_to(bias, y.shape))


def pool(x: Node) -> Node:
    """The largest of each 2×2 square."""
    return G.max(G.window(x, [1, 2], [2, 2], [2, 2]), [4, 5])


@dataclass(frozen=True)
class Recurrent:
    """h ← tanh(x[t]·w + h·u), over the rows of a sample, with scan; the last h is given."""

    units: int

    def apply(self, scope: cr.Scope, *inputs: Node) -> Node:
        (x,) = inputs
        w = scope.parameter("weight", (x.shape[-1], self.units), cr.initializers.Glorot())
        u = scope.parameter("recurrent", (self.units, self.units), cr.initializers.Glorot())
        start = G.full((x.shape[0], self.units), 0, scope.dtype)

        def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            return [G.tanh(slices[0] @ w + carries[0] @ u)], []

        (h,), _ = G.scan(body, [start], [G.transpose(x, [1, 0, 2])])
        return h


def adversarial() -> cr.training.Step:
    """Two descents in one step; the second loss sees the first model as the first descent left it."""
    generator = cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3), name="generator")
    judge = cr.Chain(cr.Dense(4, cr.leaky_relu), cr.Dense(1), name="judge")
    loss = cr.losses.binary_cross_entropy

    @cr.step
    def step(state: Any, batch: Any) -> dict[str, Node]:
        made = state.apply(generator, state.normal((batch.size, 2)))
        yes, no = (G.full((batch.size, 1), value, state.dtype) for value in (1.0, 0.0))
        real, fake = state.apply(judge, batch.inputs), state.apply(judge, G.stop_gradient(made))
        first = loss(real, yes) + loss(fake, no)
        state.descend(first, judge, cr.optimizers.SGD(0.1))
        second = loss(state.apply(judge, made), yes)
        state.descend(second, generator, cr.optimizers.Adam(0.01))
        return {"judge": first, "generator": second}

    return step


def wrong_sign(*gradients: Node | None) -> tuple[Node | None, ...]:
    return tuple(None if each is None else -each for each in gradients)


def wrong_factor(*gradients: Node | None) -> tuple[Node | None, ...]:
    return tuple(None if each is None else 1.001 * each for each in gradients)


@contextmanager
def broken(op: str, change: Any) -> Iterator[None]:
    """A rule of the table, broken for a while."""
    right = RULES[op]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RULES, op, lambda *args, **attributes: change(*right(*args, **attributes)))
        yield


def jacobian(outputs: Sequence[Array]) -> Array:
    return np.stack([output.ravel() for output in outputs])
