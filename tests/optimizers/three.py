"""Three parameters whose gradients are given, and what an update makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import chainrule as cr
from chainrule import graph
from chainrule.keys import Key
from chainrule.optimizers import (
    Compose,
    Downhill,
    Optimizer,
    Update,
)  # fmt: skip
from tests.optimizers.making import Array

Arrays = dict[str, Array]
PARAMETERS: Arrays = {
    "weight": Key(0, "weight").normal((5, 4), 0.5), "bias": Key(0, "bias").normal((4,)), "scale": np.zeros(4),
}  # fmt: skip
GRADIENTS: Arrays = {
    "weight": Key(1, "weight").normal((5, 4), 3.0), "bias": Key(1, "bias").normal((4,)), "scale": np.zeros(4),
}  # fmt: skip


class Three:
    """Three parameters, whose gradients are what the data are."""

    def apply(self, scope: cr.Scope, *inputs: cr.Node) -> cr.Node:
        terms = []
        for (name, start), gradient in zip(PARAMETERS.items(), inputs, strict=True):
            node = scope.parameter(name, start.shape, lambda key, shape, start=start: start)
            terms.append(graph.sum(node * gradient))
        return terms[0] + terms[1] + terms[2]


def run_with(optimizer: Optimizer, gradients: Arrays = GRADIENTS, steps: int = 1, **settings: Any) -> cr.Run:
    model = Three()

    @cr.step
    def follow(state: Any, batch: Any) -> dict[str, cr.Node]:
        state.descend(state.apply(model, *(batch[name][0] for name in PARAMETERS)), model, optimizer)
        return {}

    data = {name: gradient[None] for name, gradient in gradients.items()}
    settings = {"dtype": "float64", "engine": "reference", **settings}
    return cr.fit(follow, data, epochs=steps, batch_size=1, **settings)


def made_of(update: Update, gradients: Arrays = GRADIENTS) -> Arrays:
    """What an update makes of the gradients."""
    moved = run_with(Compose(update, Downhill()), gradients).parameters
    return {name: start - moved[name] for name, start in PARAMETERS.items()}


def same(found: Arrays, expected: Arrays) -> None:
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-12, err_msg=name)


def length(arrays: Arrays) -> float:
    return float(np.sqrt(sum((array**2).sum() for array in arrays.values())))
