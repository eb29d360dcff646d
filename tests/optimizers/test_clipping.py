"""Clipping: what is too long becomes shorter, by its definition, and nothing that is not finite is hidden by it."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import NotFiniteError
from chainrule.optimizers import (
    SGD,
    AdaptiveClip,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Compose,
    Optimizer,
    Tree,
    Update,
    UpdateScope,
)  # fmt: skip
from chainrule.optimizers.updates import global_norm
from chainrule.training import build_step
from tests.optimizers.making import Array
from tests.optimizers.three import GRADIENTS, PARAMETERS, length, made_of, run_with, same
from tests.training.making import line


def brock(gradient: Array, weight: Array, factor: float, epsilon: float) -> Array:
    """Equation 3 of the paper, unit by unit; a vector is one unit."""
    if gradient.ndim == 1:
        most = factor * max(float(np.linalg.norm(weight)), epsilon)
        norm = np.linalg.norm(gradient)
        return gradient * most / norm if norm > most else gradient
    return np.stack([brock(g, w, factor, epsilon) for g, w in zip(gradient.T, weight.T, strict=True)], axis=1)


def test_clipping_by_value() -> None:
    same(made_of(ClipValue(0.7)), {name: np.clip(g, -0.7, 0.7) for name, g in GRADIENTS.items()})


def test_clipping_by_norm_is_for_each_parameter() -> None:
    found = made_of(ClipNorm(1.5))
    same(found, {name: g * min(1.0, 1.5 / max(float(np.linalg.norm(g)), 1e-9)) for name, g in GRADIENTS.items()})
    assert np.linalg.norm(found["weight"]) == pytest.approx(1.5)


def test_clipping_by_the_global_norm_keeps_the_direction() -> None:
    found = made_of(ClipGlobalNorm(1.5))
    assert length(found) == pytest.approx(1.5)
    same(found, {name: g * 1.5 / length(GRADIENTS) for name, g in GRADIENTS.items()})


@pytest.mark.parametrize("clip", [ClipValue(1e3), ClipNorm(1e3), ClipGlobalNorm(1e3), AdaptiveClip(1e6)])
def test_what_is_short_enough_is_left_as_it_is(clip: Update) -> None:
    one, other = run_with(Compose(clip, SGD(0.1))), run_with(SGD(0.1))
    for name, array in other.parameters.items():
        assert one.parameters[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("clip", [ClipValue(1.0), ClipNorm(1.0), ClipGlobalNorm(1.0), AdaptiveClip()])
def test_a_gradient_of_zero_stays_zero(clip: Update) -> None:
    zeros = {name: np.zeros_like(g) for name, g in GRADIENTS.items()}
    same(made_of(clip, zeros), zeros)


@pytest.mark.parametrize("clip", [ClipValue(1.0), ClipNorm(1.0), ClipGlobalNorm(1.0), AdaptiveClip()])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_clipping_does_not_hide_what_is_not_finite(clip: Update, wrong: float) -> None:
    with pytest.raises(NotFiniteError):
        made_of(clip, {**GRADIENTS, "bias": np.array([1.0, wrong, 0.0, 0.0])})


def test_adaptive_clipping_is_the_paper_s() -> None:
    for factor, epsilon in ((0.3, 1e-3), (2.0, 1.5)):
        expected = {name: brock(g, PARAMETERS[name], factor, epsilon) for name, g in GRADIENTS.items()}
        same(made_of(AdaptiveClip(factor, epsilon)), expected)
    with pytest.raises(AssertionError):
        same(made_of(AdaptiveClip(0.31)), {n: brock(g, PARAMETERS[n], 0.3, 1e-3) for n, g in GRADIENTS.items()})


class Backwards(ClipGlobalNorm):
    """The same norm, summed in another order."""

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        norm = global_norm(reversed(list(directions.values())))
        return {path: graph.broadcast_to(1.0 / norm, d.shape) * d for path, d in directions.items()}


def test_the_global_norm_is_the_one_that_the_step_records() -> None:
    """No node more than the comparison, the quotient and the choice: no second pass over the gradients."""

    def operations(optimizer: Optimizer) -> list[str]:
        run = cr.prepare(cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(1)), line(8), optimizer=optimizer, engine="reference")
        assert run.spec is not None
        nodes = build_step(run.step, run.spec, 4).graph
        return [node.op for node in graph.topological(nodes.outputs.values())]

    plain, clipped = operations(SGD(0.1)), operations(Compose(ClipGlobalNorm(1.0), SGD(0.1)))
    for op, more in (("sum", 0), ("power", 0), ("lt", 1), ("div", 1)):
        assert clipped.count(op) == plain.count(op) + more, op
    other = operations(Compose(Backwards(1.0), SGD(0.1)))
    assert other.count("power") > plain.count("power")
