"""K-FAC: the natural gradient of dense layers, by Kronecker factors of the Fisher matrix, on the host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Graph
from chainrule.layers.scope import PARAMETERS
from chainrule.optimizers.driving import VALUE, DrivenStep, Driver, HostOptimizer, ValueAndGradient
from chainrule.optimizers.kronecker import (
    FIRST,
    SECOND,
    affine_layers,
    damped_inverses,
    factors_graph,
    paired,
    products_graph,
    second_moments,
)
from chainrule.optimizers.updates import OPTIMIZER, Tree, UpdateScope, check_positive, check_rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chainrule.engines.protocol import Array, Arrays, Engine, Program

#: What is remembered: factors and their damped inverses for each layer, the last step, λ, γ, and how many factors came.
_INPUTS, _SLOPES, _INVERSE = "inputs", "slopes", "inverse_"
_LAST, _DAMPING, _TIKHONOV = "last", "damping", "tikhonov"
#: In so many first steps the inverses are made anew each time, since the factors still change much.
_BEGINNING = 3
#: Where λ and γ end.
_LEAST, _MOST = 1e-12, 1e12


@dataclass(frozen=True)
class KFAC(HostOptimizer):
    """δ = α·Δ + μ·δ₀ with Δ = -(A⁻¹ ⊗ G⁻¹)·∇h for each dense layer: the natural gradient, Kronecker-factored.

    A = E[a·aᵀ] is of what a layer is given (with a 1 for the bias), G = E[g·gᵀ] of the gradients at its sums, for
    targets that are drawn from the network's own predictions; both are averaged over steps, with the weight
    min(1 - 1/k, ``decay``) for what was. The inverses are of A + π·γ·I and G + γ/π·I and are made anew after every
    ``inverse_interval`` steps (T₃), on the host, in float64. γ, first √λ, is compared with ω₂·γ and γ/ω₂ after every
    ``tikhonov_interval`` steps (T₂), ω₂ = 0.95^(T₂/2). α and μ minimise the exact quadratic model
    M(δ) = ½·δᵀ(F + λ·I)δ + ∇hᵀδ, F being the Fisher matrix of the batch (and the curvature of penalties);
    δ₀ is the step before. λ, first ``damping``, changes by ω₁ = 0.95^T₁ after every ``damping_interval`` steps (T₁), by
    how much of what M promised has come true.

    Batches are to be large: hundreds of samples. λ is in units of the loss's curvature; 150 is the paper's, for
    losses that are summed over the outputs, and too much for `mean_squared_error`. A history has "damping",
    "tikhonov", "step_scale" α and "step_momentum" μ.

    Raises `ConfigurationError` for a model with parameters of other layers than `Dense`, for a layer that is applied
    twice, for a loss without `Loss.sample`, and for settings that mean nothing. It is not composed with other updates.

    Differs from: the paper, where factors and F are of parts of the batch; here they are of all of it. Each sample
    counts once in the factors; in F and the gradient it counts by its weight.

    >>> KFAC(damping=10.0).inverse_interval
    20

    Reference: J. Martens and R. Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature",
    2015.
    """

    damping: float = 150.0
    decay: float = 0.95
    damping_interval: int = 5
    tikhonov_interval: int = 20
    inverse_interval: int = 20
    momentum: bool = True

    def __post_init__(self) -> None:
        check_positive("KFAC", "damping", self.damping)
        check_rate("KFAC", "decay", self.decay, 0.0, 1.0)
        for name in ("damping_interval", "tikhonov_interval", "inverse_interval"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"KFAC: {name} is a whole number of steps above 0, not {value!r}")
        if not isinstance(self.momentum, bool):
            raise ConfigurationError(
                f"KFAC: momentum is True or False, since μ is found, not set; not {self.momentum!r}"
            )

    def declare(self, scope: UpdateScope, parameters: Tree) -> None:
        """Factors and inverses of each layer, the last step, and the two dampings."""
        for weight, bias in paired({path: node.shape for path, node in parameters.items()}).items():
            rows, units = parameters[weight].shape
            for what, size in ((_INPUTS, rows + (bias is not None)), (_SLOPES, units)):
                square = graph.full((size, size), 0, parameters[weight].dtype)
                scope.remember(what, weight, square)
                scope.remember(_INVERSE + what, weight, square)
        for path, node in parameters.items():
            scope.remember(_LAST, path, node)
        number = graph.full((), 0, "float64")
        scope.remember(_DAMPING, "", number, self.damping)
        scope.remember(_TIKHONOV, "", number, math.sqrt(self.damping))

    def drive(self, step: DrivenStep, engine: Engine) -> Program:
        """Four graphs: loss and gradients, factors, products with the Fisher matrix, and the loss alone."""
        return _Driver(self, step, engine)


class _Move(NamedTuple):
    """A step that may be taken: what the model promises of it, δ by path, α, μ, and the inverses and γ behind it."""

    promise: float
    step: dict[str, Array]
    scale: float
    momentum: float
    inverses: dict[str, Array]
    tikhonov: float


class _Driver(Driver):
    def __init__(self, settings: KFAC, step: DrivenStep, engine: Engine) -> None:
        super().__init__(step)
        self.settings = settings
        self._layers = affine_layers(step)
        self._paths = tuple(step.descents[0].parameters)
        self._at = ValueAndGradient(step, engine)
        self._factors = engine.compile(factors_graph(step, self._layers))
        self._products = engine.compile(products_graph(step))
        self._loss = engine.compile(Graph({VALUE: step.descents[0].loss}))

    def run(self, arrays: Arrays) -> dict[str, Array]:
        """One step."""
        settings, number = self.settings, int(arrays["step"])
        damping, tikhonov = (float(arrays[f"{OPTIMIZER}/{name}"]) for name in (_DAMPING, _TIKHONOV))
        found = self._at(arrays)
        if not found["finite"]:
            return self.taken(arrays, found, {}, damping=damping, tikhonov=tikhonov, step_scale=0.0, step_momentum=0.0)
        gradients = self._at.gradients(found)
        memory = self._averaged(arrays, number)
        choosing = number > 0 and number % settings.tikhonov_interval == 0
        choices = [tikhonov]
        if choosing:
            change = 0.95 ** (settings.tikhonov_interval / 2)
            choices = [tikhonov, tikhonov * change, tikhonov / change]
        anew = choosing or number < _BEGINNING or number % settings.inverse_interval == 0
        known = {name: arrays[name] for name in arrays if name.startswith(f"{OPTIMIZER}/{_INVERSE}")}
        moves = []
        for choice in choices:
            inverses = self._inverted(memory, choice) if anew else known
            moves.append(self._move(arrays, gradients, inverses, choice, damping))
        best = min(moves, key=lambda move: move.promise)
        new = {path: arrays[f"{PARAMETERS}/{path}"] + step for path, step in best.step.items()}
        if (number + 1) % settings.damping_interval == 0:
            damping = self._adapted(arrays, new, float(found[VALUE]), best.promise, damping)
        memory |= best.inverses | {f"{OPTIMIZER}/{_LAST}/{path}": step for path, step in best.step.items()}
        memory[f"{OPTIMIZER}/{_DAMPING}"] = np.asarray(damping)
        memory[f"{OPTIMIZER}/{_TIKHONOV}"] = np.asarray(min(max(best.tikhonov, _LEAST), _MOST))
        return self.taken(
            arrays, found, new, memory,
            damping=damping, tikhonov=best.tikhonov, step_scale=best.scale, step_momentum=best.momentum,
        )  # fmt: skip

    def _averaged(self, arrays: Arrays, number: int) -> dict[str, Array]:
        """The factors of all steps so far, by the names of memory."""
        found = self._factors.run({name: arrays[name] for name in self._factors.graph.inputs})
        kept = min(1.0 - 1.0 / (number + 1), self.settings.decay)
        memory = {}
        for layer in self._layers:
            for what, now in zip((_INPUTS, _SLOPES), second_moments(found, layer), strict=True):
                name = f"{OPTIMIZER}/{what}/{layer.weight}"
                memory[name] = (kept * arrays[name] + (1.0 - kept) * now).astype(arrays[name].dtype)
        return memory

    def _inverted(self, memory: Mapping[str, Array], tikhonov: float) -> dict[str, Array]:
        """The damped inverses, by the names of memory, in the dtype of the factors."""
        inverses = {}
        for layer in self._layers:
            inputs, slopes = (memory[f"{OPTIMIZER}/{what}/{layer.weight}"] for what in (_INPUTS, _SLOPES))
            for what, inverse in zip((_INPUTS, _SLOPES), damped_inverses(inputs, slopes, tikhonov), strict=True):
                inverses[f"{OPTIMIZER}/{_INVERSE}{what}/{layer.weight}"] = inverse.astype(inputs.dtype)
        return inverses

    def _move(
        self,
        arrays: Arrays,
        gradients: Mapping[str, Array],
        inverses: dict[str, Array],
        tikhonov: float,
        damping: float,
    ) -> _Move:
        """The direction Δ by these inverses, and the best step in the plane of Δ and δ₀."""
        direction: dict[str, Array] = {}
        for layer in self._layers:
            left, right = (inverses[f"{OPTIMIZER}/{_INVERSE}{what}/{layer.weight}"] for what in (_INPUTS, _SLOPES))
            direction |= layer.parted(-(left @ layer.joined(gradients) @ right))
        last = {path: arrays[f"{OPTIMIZER}/{_LAST}/{path}"] for path in self._paths}
        given = {f"{which}/{path}": tree[path] for which, tree in ((FIRST, direction), (SECOND, last)) for path in tree}
        found = self._products.run({name: {**arrays, **given}[name] for name in self._products.graph.inputs})
        pairs = ((FIRST, direction), (SECOND, last))
        model = np.array([
            [float(found[f"{one} {other}" if one <= other else f"{other} {one}"]) + damping * _inner(u, v)
             for other, v in pairs] for one, u in pairs
        ])  # fmt: skip
        slope = np.array([_inner(gradients, tree) for _, tree in pairs])
        with_last = self.settings.momentum and model[1, 1] > 0
        scale, momentum = _lowest(model, slope, with_last)
        step = {path: scale * direction[path] + momentum * last[path] for path in self._paths}
        promise = 0.5 * (scale * slope[0] + momentum * slope[1])
        return _Move(promise, step, scale, momentum, inverses, tikhonov)

    def _adapted(
        self, arrays: Arrays, parameters: Mapping[str, Array], before: float, promise: float, damping: float
    ) -> float:
        """λ after Levenberg and Marquardt: smaller where the loss fell as the model said, larger where it did not."""
        new = {f"{PARAMETERS}/{path}": value.astype(arrays[f"{PARAMETERS}/{path}"].dtype)
               for path, value in parameters.items()}  # fmt: skip
        pool = {**arrays, **new}
        after = float(self._loss.run({name: pool[name] for name in self._loss.graph.inputs})[VALUE])
        change = 0.95**self.settings.damping_interval
        kept = (after - before) / promise if promise < 0 and math.isfinite(after) else 0.0
        if kept > 0.75:
            return max(damping * change, _LEAST)
        return min(damping / change, _MOST) if kept < 0.25 else damping


def _lowest(model: Array, slope: Array, both: bool) -> tuple[float, float]:
    """Where ½·xᵀBx + bᵀx is smallest; with the second direction only if asked for and B can tell the two apart."""
    if both:
        determinant = model[0, 0] * model[1, 1] - model[0, 1] * model[1, 0]
        if determinant > 1e-10 * model[0, 0] * model[1, 1]:
            scale, momentum = np.linalg.solve(model, -slope)
            return float(scale), float(momentum)
    return (float(-slope[0] / model[0, 0]) if model[0, 0] > 0 else 0.0), 0.0


def _inner(one: Mapping[str, Array], other: Mapping[str, Array]) -> float:
    return float(sum(np.sum(one[path].astype(np.float64) * other[path]) for path in other))
