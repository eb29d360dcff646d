"""L-BFGS: Newton's direction by the last few steps and the changes of the gradient along them, with a line search."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.layers.scope import PARAMETERS
from chainrule.optimizers.driving import VALUE, DrivenStep, Driver, HostOptimizer, ValueAndGradient
from chainrule.optimizers.line_search import Found, strong_wolfe
from chainrule.optimizers.updates import OPTIMIZER, Tree, UpdateScope, check_rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chainrule.engines.protocol import Array, Arrays, Engine, Program

_STEPS, _CHANGES, _PAIRS = "steps", "changes", "pairs"


@dataclass(frozen=True)
class LBFGS(HostOptimizer):
    """θ ← θ - t·H·g: H is the inverse curvature by the last steps s and the changes y of the gradient along them.

    H starts as (sᵀy / yᵀy)·I with the newest pair, and takes up ``memory`` m pairs by the two-loop recursion,
    H ← (I - ρ·s·yᵀ)·H·(I - ρ·y·sᵀ) + ρ·s·sᵀ with ρ = 1 / yᵀs. The length t satisfies Wolfe's strong conditions, with
    c₁ = ``decrease`` and c₂ = ``curvature``, found in at most ``evaluations`` of loss and gradient. Each step of a
    training is ``iterations`` such steps on its batch, which has to be large, or all samples
    (``fit(…, batch_size=None)``): a line search believes the loss it sees. The mathematics between two evaluations is
    done in float64; with parameters of float32 the last digits of the loss end a search sooner.

    Where no length along the direction lowers the loss enough, the pairs are forgotten and -g is tried. Where that
    does not either, the parameters stay as they are, and a `RuntimeWarning` says so once (none where g is exactly 0).
    A history has "evaluations", and "step_length", the t of the last iteration: 0 where nothing was found.

    Raises `ConfigurationError` for settings that mean nothing; it is not composed with other updates.

    Differs from: PyTorch, whose default takes steps of a fixed length without a line search, and whose step is given a
    closure. SciPy's starts the same way, with a first length of 1 / ‖g‖.

    >>> LBFGS(memory=20).memory
    20

    Reference: J. Nocedal, "Updating quasi-Newton matrices with limited storage", 1980; D. Liu and J. Nocedal, "On the
    limited memory BFGS method for large scale optimization", 1989.
    """

    memory: int = 10
    iterations: int = 1
    evaluations: int = 20
    decrease: float = 1e-4
    curvature: float = 0.9

    def __post_init__(self) -> None:
        for name in ("memory", "iterations", "evaluations"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"LBFGS: {name} is a whole number above 0, not {value!r}")
        check_rate("LBFGS", "decrease", self.decrease, 0.0, 0.5)
        check_rate("LBFGS", "curvature", self.curvature, self.decrease, 1.0)
        if self.curvature <= self.decrease:
            raise ConfigurationError(
                f"LBFGS: curvature is above decrease, or no length may satisfy both: {self.curvature} and "
                f"{self.decrease}"
            )

    def declare(self, scope: UpdateScope, parameters: Tree) -> None:
        """The pairs, a row each, the newest last; how many there are."""
        size = sum(node.size for node in parameters.values())
        rows = graph.full((self.memory, size), 0, scope.record.dtype)
        scope.remember(_STEPS, "", rows)
        scope.remember(_CHANGES, "", rows)
        scope.remember(_PAIRS, "", graph.full((), 0, "int32"))

    def drive(self, step: DrivenStep, engine: Engine) -> Program:
        """The line search, about the compiled loss and gradient."""
        return _Driver(self, step, engine)


@dataclass
class _Point:
    """Parameters in one row, and what the loss is there."""

    parameters: Array
    value: float
    gradient: Array
    found: Mapping[str, Array] = field(repr=False)


class _Driver(Driver):
    def __init__(self, settings: LBFGS, step: DrivenStep, engine: Engine) -> None:
        super().__init__(step)
        self.settings = settings
        self._at = ValueAndGradient(step, engine)
        self._shapes = {path: node.shape for path, node in step.descents[0].parameters.items()}
        self._told = False
        self._evaluations = 0

    def run(self, arrays: Arrays) -> dict[str, Array]:
        """So many iterations on one batch."""
        self._evaluations = 0
        here = start = self._evaluate(arrays, _flat(arrays, [f"{PARAMETERS}/{path}" for path in self._shapes]))
        if not start.found["finite"]:
            return self.taken(arrays, start.found, {}, step_length=0.0, evaluations=1.0)
        memory = {name: arrays[f"{OPTIMIZER}/{name}"] for name in (_STEPS, _CHANGES)}
        pairs, length = int(arrays[f"{OPTIMIZER}/{_PAIRS}"]), 0.0
        for _ in range(self.settings.iterations):
            there, length = self._step(arrays, here, memory[_STEPS], memory[_CHANGES], pairs)
            if there is None and pairs:
                pairs = 0
                there, length = self._step(arrays, here, memory[_STEPS], memory[_CHANGES], pairs)
            if there is None:
                self._tell(arrays, here)
                break
            moves = (there.parameters - here.parameters, there.gradient - here.gradient)
            step, change = (move.astype(memory[_STEPS].dtype).astype(np.float64) for move in moves)  # as they are kept
            # Rounding can make the curvature along a step what it is not; a pair that is not above 0 spoils H.
            if step @ change > 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):
                memory[_STEPS] = np.concatenate([memory[_STEPS][1:], step[None]], dtype=memory[_STEPS].dtype)
                memory[_CHANGES] = np.concatenate([memory[_CHANGES][1:], change[None]], dtype=memory[_STEPS].dtype)
                pairs = min(pairs + 1, self.settings.memory)
            here = there
        kept = {f"{OPTIMIZER}/{name}": value for name, value in {**memory, _PAIRS: np.asarray(pairs)}.items()}
        return self.taken(
            arrays, start.found, self._shaped(here), kept,
            step_length=length, evaluations=float(self._evaluations),
        )  # fmt: skip

    def _step(
        self, arrays: Arrays, here: _Point, steps: Array, changes: Array, pairs: int
    ) -> tuple[_Point | None, float]:
        """The point that one line search leads to, and the length of the step; None where there is none."""
        first = len(steps) - pairs
        direction = -two_loops(here.gradient, steps[first:].astype(np.float64), changes[first:].astype(np.float64))
        slope, size = float(direction @ here.gradient), float(np.linalg.norm(direction))
        if not slope < 0:
            return None, 0.0
        points: dict[float, _Point] = {}

        def along(length: float) -> tuple[float, float]:
            point = points[length] = self._evaluate(arrays, here.parameters + length * direction)
            return point.value, float(point.gradient @ direction)

        settings = self.settings
        found: Found = strong_wolfe(
            along, here.value, slope, 1.0 if pairs else min(1.0, 1.0 / size),
            decrease=settings.decrease, curvature=settings.curvature, evaluations=settings.evaluations,
        )  # fmt: skip
        point = points.get(found.length)
        # In float32 a step may be so short that no parameter moves.
        return (
            (None, 0.0) if point is None or np.array_equal(point.parameters, here.parameters) else (point, found.length)
        )

    def _evaluate(self, arrays: Arrays, parameters: Array) -> _Point:
        shaped = self._split(parameters)
        rounded = {f"{PARAMETERS}/{p}": a.astype(arrays[f"{PARAMETERS}/{p}"].dtype) for p, a in shaped.items()}
        found = self._at({**arrays, **rounded})
        self._evaluations += 1
        gradient = _flat(found, [f"gradient/{path}" for path in self._shapes])
        return _Point(_flat(rounded, list(rounded)), float(found[VALUE]), gradient, found)

    def _shaped(self, point: _Point) -> dict[str, Array]:
        return self._split(point.parameters)

    def _split(self, row: Array) -> dict[str, Array]:
        sizes = [int(np.prod(shape)) for shape in self._shapes.values()]
        parts = np.split(row, np.cumsum(sizes)[:-1])
        return {path: part.reshape(shape) for (path, shape), part in zip(self._shapes.items(), parts, strict=True)}

    def _tell(self, arrays: Arrays, here: _Point) -> None:
        if self._told or not here.gradient.any():
            return
        self._told = True
        dtype = arrays[f"{PARAMETERS}/{next(iter(self._shapes))}"].dtype
        warnings.warn(
            f"L-BFGS found no lower loss along its direction nor along -g at step {int(arrays['step']) + 1} "
            f"(gradient norm {np.linalg.norm(here.gradient):.2g}): this is a minimum as far as {dtype} can tell, or "
            "the loss has a kink. The parameters stay as they are; StopAtGradient ends a training in time"
            + ("; dtype='float64' goes further" if dtype == np.float32 else ""),
            RuntimeWarning,
            stacklevel=2,
        )


def two_loops(gradient: Array, steps: Array, changes: Array) -> Array:
    """H·g by the two-loop recursion: ``steps`` and ``changes`` are (pairs, n), the newest last; float64.

    >>> two_loops(np.array([4.0, 2.0]), np.array([[1.0, 0.0]]), np.array([[4.0, 0.0]]))
    array([1. , 0.5])

    Reference: J. Nocedal, "Updating quasi-Newton matrices with limited storage", 1980.
    """
    q: Array = gradient.copy()
    if not len(steps):
        return q
    weights = []
    for s, y in zip(steps[::-1], changes[::-1], strict=True):
        weights.append((s @ q) / (y @ s))
        q = q - weights[-1] * y
    q = q * ((steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1]))
    for s, y, weight in zip(steps, changes, reversed(weights), strict=True):
        q = q + (weight - (y @ q) / (y @ s)) * s
    return q


def _flat(arrays: Arrays, names: list[str]) -> Array:
    row: Array = np.concatenate([np.ravel(arrays[name]) for name in names]).astype(np.float64)
    return row
