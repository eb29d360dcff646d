"""How much a loss curves: the largest eigenvalue of its Hessian, and what that means for the learning rate.

The Hessian times a vector is the gradient of (gradient · vector), so a second pass backwards through the graph gives
it, for about the price of two gradients and without the matrix ever being there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.explain.tables import number_text
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node
from chainrule.graph.composites import absolute
from chainrule.keys import Key
from chainrule.layers.scope import PARAMETERS
from chainrule.optimizers import (
    SGD,
    AdaptiveClip,
    Averaging,
    ClipGlobalNorm,
    ClipNorm,
    ClipValue,
    Compose,
    MaxNorm,
    WeightDecay,
)
from chainrule.optimizers.driving import Descent
from chainrule.optimizers.updates import NUMBERS, global_norm, times
from chainrule.training.building import build_gradients

if TYPE_CHECKING:
    from chainrule.explain.health.measures import Probe
    from chainrule.run import Run

DIRECTION = "direction"
#: Products with the Hessian at the most, and the part of the eigenvalue that it may be off where they end earlier.
_ROUNDS, _NEAR = 60, 0.05
#: What may stand beside descent and leaves its stability as it is: bounds that do not bind near a minimum, and decay.
_BESIDE = (ClipValue, ClipNorm, ClipGlobalNorm, AdaptiveClip, WeightDecay, MaxNorm, Averaging)


@dataclass(frozen=True)
class Curvature:
    """The largest eigenvalue λ of the Hessian of a descent's loss, by its parameters, on the batch looked at.

    ``largest`` is λ, ``within`` how far from it an eigenvalue is at the most (‖H·v - λ·v‖ for the direction v found),
    ``products`` how many products with the Hessian that took. ``limit`` is the learning rate beyond which descent
    along v swings ever wider: 2/λ, with momentum μ 2·(1 + μ)/λ, in Nesterov's form 2·(1 + μ)/((1 + 2·μ)·λ); infinite
    where nothing curves upwards, and NaN for other optimizers, whose limit it is not. ``learning_rate`` and
    ``momentum`` are those of the next step. ``name`` is that of the descent, for a step that has several.

    Reference: J. Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021.
    """

    name: str
    largest: float
    within: float
    products: int
    optimizer: str
    learning_rate: float
    momentum: float
    limit: float

    def __str__(self) -> str:
        of = f" of {self.name}" if self.name else ""
        if not math.isfinite(self.largest):
            return f"curvature{of}: not finite"
        value = number_text(self.largest, 3)
        said = f"curvature{of}: the largest eigenvalue of the Hessian is {value} (± {number_text(self.within, 2)})"
        if self.largest <= 0:
            return f"{said}: the loss curves upwards nowhere here"
        if math.isnan(self.limit):
            plain = number_text(2 / self.largest, 3)
            return (
                f"{said}; plain descent would be stable up to a learning rate of 2/λ = {plain}. "
                f"{self.optimizer} makes its steps in its own way, and this limit is not its own"
                if self.optimizer
                else f"{said}; plain descent is stable up to a learning rate of 2/λ = {plain}"
            )
        what = f"descent with momentum {self.momentum:g}" if self.momentum else "descent"
        return (
            f"{said}: {what} is stable up to a learning rate of {number_text(self.limit, 3)}, "
            f"and it is {number_text(self.learning_rate, 3)}, {self.learning_rate / self.limit:.2g} times that"
        )


def curvatures(probe: Probe, rounds: int = _ROUNDS) -> tuple[Curvature, ...]:
    """The curvature of each descent of a run's step, at its parameters and on the batch of a probe.

    By power iteration, v ← H·v/‖H·v‖ from a random direction: as long as ``rounds`` say, or until λ = v·H·v is known
    to a twentieth. Where the eigenvalue of largest size is negative, or none stands out, once more with H + ‖H‖·I.

    Reference: R. von Mises and H. Pollaczek-Geiringer, 1929; B. Pearlmutter, "Fast exact multiplication by the
    Hessian", 1994.
    """
    run = probe.run
    given = {**run.numbers, **run.arrays, **probe.given}
    return tuple(
        _curvature(run, descent, _products(descent, slopes), given, rounds)
        for descent, slopes in build_gradients(run.step, probe.spec, probe.spec.samples, run.dtype)
    )


def _products(descent: Descent, slopes: Graph) -> Graph:
    """One round: the product with a direction, the eigenvalue by it, and the next direction."""
    with Build(dict(slopes.origins), dict(slopes.regions)) as build:
        first = {path: slopes.outputs[f"gradient/{path}"] for path in descent.gradients}
        parameters = [graph.input(f"{PARAMETERS}/{path}", one.shape, one.dtype) for path, one in first.items()]
        v = {path: graph.input(f"{DIRECTION}/{path}", one.shape, one.dtype) for path, one in first.items()}
        second = gradients(_dot(first, v), parameters)
        product = dict(zip(first, second, strict=True))
        found = _dot(v, product)
        apart = global_norm(product[path] - times(found, one) for path, one in v.items())
        shift = graph.input("shift", (), found.dtype)
        moved = {path: product[path] - times(shift, one) for path, one in v.items()}
        size = global_norm(moved.values())
        factor = 1.0 / graph.select(size > 0, size, 1)
        outputs = {"curvature": found, "apart": apart, "size": size, "going": apart > _NEAR * absolute(found)}
        outputs |= {f"{DIRECTION}/{path}": times(factor, one) for path, one in moved.items()}
        return Graph.of(outputs, build)


def _dot(a: Mapping[str, Node], b: Mapping[str, Node]) -> Node:
    first, *rest = (graph.sum(one * b[path]) for path, one in a.items())
    for one in rest:
        first = first + one
    return first


def _curvature(run: Run, descent: Descent, products: Graph, given: Mapping[str, Any], rounds: int) -> Curvature:
    program = run.engine.compile(products)
    inputs = products.inputs
    fixed = {name: np.asarray(given[name], node.dtype) for name, node in inputs.items() if name in given}
    key = Key(run.seed).child("curvature")
    start: dict[str, NDArray[Any]] = {
        name: key.child(name).normal(node.shape) for name, node in inputs.items() if name.startswith(DIRECTION)
    }
    length = math.sqrt(sum(float((one**2).sum()) for one in start.values()))
    start = {name: np.asarray(one / length, inputs[name].dtype) for name, one in start.items()}
    found: dict[str, NDArray[Any]] = {}
    count, shift = 0, 0.0
    for _ in range(2):
        each = {"shift": np.full(rounds, shift, inputs["shift"].dtype)}
        _, found = program.repeat(start, fixed, each, until="going")
        count += len(found["curvature"])
        # Upwards is where a step may be too long: the eigenvalues are moved, so that the highest has the largest size.
        if found["curvature"][-1] > 0 and not found["going"][-1]:
            break
        shift = -float(np.max(found["size"]))
    largest, within = float(found["curvature"][-1]), float(found["apart"][-1])
    optimizer, rate, momentum, share = _descent(run, descent.name)
    limit = math.nan if math.isnan(share) else share / largest if largest > 0 else math.inf
    return Curvature(descent.name, largest, within, count, optimizer, rate, momentum, limit)


def _descent(run: Run, name: str) -> tuple[str, float, float, float]:
    """The optimizer's name, its rate and momentum now, and what limit times eigenvalue is; NaN where it is unknown."""
    optimizer = run.optimizer
    parts = optimizer.parts if isinstance(optimizer, Compose) else () if optimizer is None else (optimizer,)
    descents = [part for part in parts if isinstance(part, SGD)]
    rest = [part for part in parts if not isinstance(part, (SGD, *_BESIDE))]
    if len(descents) != 1 or rest:
        return type((rest or [optimizer])[0]).__name__ if optimizer is not None else "", math.nan, math.nan, math.nan
    rate, momentum = (_number(run, f"{name}.{word}" if name else word) for word in ("learning_rate", "momentum"))
    momentum = momentum if descents[0].momentum != 0 else 0.0
    share = 2 * (1 + momentum) / ((1 + 2 * momentum) if descents[0].nesterov else 1)
    return "SGD", rate, momentum, share


def _number(run: Run, name: str) -> float:
    """A hyperparameter as it is now, or, where a schedule says it, as it was last."""
    known = run.numbers.get(f"{NUMBERS}/{name}")
    column = run.history.column(name)
    return float(known) if known is not None else float(column[-1]) if len(column) else math.nan
