"""The gradient check: the gradients of the graph beside slopes that are measured by moving the parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.protocol import Program
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError, GraphError
from chainrule.explain.differences import Slope, measure_slope
from chainrule.explain.point import as_float64, points, refuse_infinite
from chainrule.explain.stopping import with_stopped_values
from chainrule.explain.tables import number_text, table
from chainrule.gradients import gradients
from chainrule.graph import FLOATS, Graph, Node, broadcast_to, cast, constant, full
from chainrule.graph import sum as sum_of
from chainrule.keys import Key

if TYPE_CHECKING:
    from chainrule.run import Data, Run

Array = NDArray[Any]

#: Slopes measured as `measure_slope` does are good to about 1e-9 of themselves; a rule that is wrong in a sign, a
#: factor or an operand is off by far more than 1e-3. Between the two there is room for badly scaled data.
TOLERANCE = 1e-6
#: A measurement counts if it could see an error of the size of the tolerance ten times over.
_MARGIN = 0.1
_NUDGES = 3
_NUDGE = 1e-3


@dataclass(frozen=True)
class CheckRow:
    """What was measured of one parameter array.

    ``worst`` is the largest relative error, found at ``where`` (a direction, or an element), with the derivative
    ``found`` by the graph and the one ``measured``. ``count`` measurements were made; of these ``moved`` beside the
    point, since a kink lies there and so no single slope, and ``unresolved`` could not tell. ``status`` is "passed",
    "failed", or "unresolved" where none of them could.
    """

    name: str
    shape: tuple[int, ...]
    status: str
    worst: float
    where: str
    found: float
    measured: float
    count: int
    moved: int
    unresolved: int


@dataclass(frozen=True)
class GradientCheck:
    """The outcome of a gradient check: a row a parameter array; ``str`` of it is a table."""

    rows: tuple[CheckRow, ...]
    tolerance: float
    samples: tuple[int, ...] = ()
    seed: int = 0

    @property
    def passed(self) -> bool:
        """Whether at least one array could be measured, and none of them was wrong."""
        return any(row.status == "passed" for row in self.rows) and all(row.status != "failed" for row in self.rows)

    @property
    def worst(self) -> float:
        """The largest relative error of all that was measured; NaN if nothing was."""
        return max((row.worst for row in self.rows if row.status != "unresolved"), default=math.nan)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "passed": self.passed, "worst": self.worst}

    def text(self) -> str:
        """The table, the verdict, and what it rests on."""
        return "\n".join(_tell(self))

    def __str__(self) -> str:
        return self.text()


def check_gradients(
    run: Run,
    data: Data,
    *,
    samples: int | Sequence[int] = 8,
    directions: int = 2,
    coordinates: int = 6,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> GradientCheck:
    """Compare every gradient of a run's step with differences of its loss, in float64 at the run's parameters.

    For each array of parameters θ with gradient g: g·d beside the slope of t ↦ L(θ + t·d) at 0, for ``directions``
    random directions d of length 1, and gᵢ beside the slope in θᵢ for ``coordinates`` elements i, half of them those
    with the largest gradients. ``samples`` are the samples of the batch, or how many to choose by ``seed``. The
    relative error is |found − measured| over the larger of both, or over the root mean square of g if both are
    smaller. At a corner (the kink of a ReLU at exactly 0) there is no slope: it is measured beside it instead, with
    all parameters moved by 0.001 of their size, and counted.

    Raises `DataError` or `ShapeError` for data that does not fit, `NotFiniteError` for a loss that is not finite.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("iris")
    >>> run = cr.prepare(cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3)), train)
    >>> check_gradients(run, test).passed
    True
    """
    _refuse_settings(directions, coordinates, tolerance)
    _, given = run._data(data)
    total = len(next(iter(given.values())))
    if isinstance(samples, int):
        if isinstance(samples, bool) or samples < 1:
            raise ConfigurationError(f"samples is how many to take, at least 1, or a list of them, not {samples!r}")
        chosen = sorted(int(row) for row in Key(seed).child("samples").permutation(total)[:samples])
    else:
        chosen = list(samples)
    rows: list[CheckRow] = []
    found = points(run, data, chosen)
    for place, point in enumerate(found):
        title = f"{point.name or f'descent {place + 1}'}: " if len(found) > 1 else ""
        refuse_infinite(point.graph, point.arrays, f"the loss of {title or 'the step '}".rstrip(": "))
        slopes = {path: point.graph.outputs[f"gradient/{path}"] for path in point.parameters}
        named = {f"parameters/{path}": slope for path, slope in slopes.items()}
        checker = _Checker(point.graph.outputs["loss"], named, point.arrays, Key(seed).child(str(place)), tolerance)
        rows += [checker.row(name, title + name.removeprefix("parameters/"), directions, coordinates) for name in named]
    return GradientCheck(tuple(rows), tolerance, tuple(chosen), seed)


def check_graph(
    graph: Graph,
    arrays: Mapping[str, Array],
    *,
    wrt: Sequence[str] | None = None,
    directions: int = 2,
    coordinates: int = 6,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> GradientCheck:
    """The same for any graph: from its float inputs (or those in ``wrt``) to all of its float outputs.

    What is differentiated is the sum of the outputs, each element times a fixed random number. A graph in float32 is
    checked as the same graph in float64. Raises `GraphError` for an input that is not there or is no float.

    >>> from chainrule import graph
    >>> x = graph.input("x", (3,))
    >>> check_graph(graph.Graph({"y": graph.tanh(x) * x}), {"x": np.array([0.1, -0.2, 0.7])}).passed
    True
    """
    _refuse_settings(directions, coordinates, tolerance)
    wide = as_float64(graph)
    inputs = wide.inputs
    names = list(wrt) if wrt is not None else [name for name, node in inputs.items() if node.dtype in FLOATS]
    for name in names:
        if name not in inputs or inputs[name].dtype not in FLOATS:
            told = ", ".join(f"{each} ({node.dtype})" for each, node in graph.inputs.items())
            raise GraphError(f"the graph has no float input {name!r} to check; its inputs are {told}")
    loss = _weighted(wide, Key(seed).child("outputs"))
    if not names:
        raise GraphError("the graph has no float input, so there is no gradient to check")
    slopes = dict(zip(names, gradients(loss, [inputs[name] for name in names]), strict=True))
    given = {name: np.asarray(arrays[name], node.dtype) for name, node in inputs.items() if name in arrays}
    checker = _Checker(loss, slopes, given, Key(seed), tolerance)
    return GradientCheck(
        tuple(checker.row(name, name, directions, coordinates) for name in names), tolerance, seed=seed
    )


def _refuse_settings(directions: int, coordinates: int, tolerance: float) -> None:
    for name, value in (("directions", directions), ("coordinates", coordinates)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ConfigurationError(f"{name} is a whole number, 0 or more, not {value!r}")
    if directions + coordinates == 0:
        raise ConfigurationError("a check without directions and without coordinates would check nothing")
    if not 0 < tolerance < 1:
        raise ConfigurationError(f"tolerance is a number between 0 and 1, not {tolerance!r}")


def _weighted(graph: Graph, key: Key) -> Node:
    total = full((), 0, "float64")
    for name, node in graph.outputs.items():
        if node.dtype in FLOATS:
            weights = constant(key.child(name).uniform(node.shape, 0.5, 1.5), "float64")
            total = total + sum_of(cast(node, "float64") * broadcast_to(weights, node.shape))
    return total


@dataclass(frozen=True)
class _Probe:
    """A direction in one array: what it is called, and the derivative along it that a gradient says."""

    where: str
    move: Callable[[Array, float], Array]
    along: Callable[[Array], float]


class _Checker:
    """One loss with its gradients, ready to be run at the point and beside it."""

    def __init__(
        self, loss: Node, slopes: Mapping[str, Node], arrays: Mapping[str, Array], key: Key, tolerance: float
    ) -> None:
        self._slopes, self._key, self._tolerance = slopes, key, tolerance
        self._gradients = ReferenceEngine().compile(Graph(dict(slopes)))
        self._loss = loss
        self._places: list[tuple[dict[str, Array], dict[str, Array], Program]] = [self._at(dict(arrays))]

    def _at(self, arrays: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array], Program]:
        """A point: the arrays there, the gradients there, and the loss with what is stopped held at its value."""
        loss, held = with_stopped_values(self._loss, arrays)
        return held, self._gradients.run(arrays), ReferenceEngine().compile(Graph({"loss": loss}))

    def _place(self, number: int) -> tuple[dict[str, Array], dict[str, Array], Program]:
        """The point itself, then points beside it."""
        while len(self._places) <= number:
            arrays = dict(self._places[0][0])
            for name in self._slopes:
                size = math.sqrt(float(np.mean(arrays[name] ** 2))) or 1.0
                noise = self._key.child(f"beside {len(self._places)} {name}").normal(arrays[name].shape)
                arrays[name] = arrays[name] + _NUDGE * size * noise
            self._places.append(self._at(arrays))
        return self._places[number]

    def row(self, name: str, title: str, directions: int, coordinates: int) -> CheckRow:
        """All measurements of one array."""
        gradient = self._place(0)[1][name]
        count = moved = unresolved = 0
        worst = (-1.0, "", math.nan, math.nan)
        for probe in self._probes(name, gradient, directions, coordinates):
            count += 1
            for number in range(_NUDGES + 1):
                found, slope, typical = self._measure(name, probe, number)
                relative = self._relative(found, slope, typical)
                if not math.isnan(relative):
                    break
            if math.isnan(relative):
                unresolved += 1
                continue
            moved += number > 0
            if relative > worst[0]:
                worst = (relative, probe.where, found, slope.value)
        status = "unresolved" if worst[0] < 0 else "passed" if worst[0] <= self._tolerance else "failed"
        if worst[0] < 0:
            worst = (math.nan, "", math.nan, math.nan)
        return CheckRow(title, gradient.shape, status, *worst, count, moved, unresolved)

    def _relative(self, found: float, slope: Slope, typical: float) -> float:
        """The relative error, or NaN where the measurement cannot tell."""
        scale = max(abs(found), abs(slope.value), typical)
        error = abs(found - slope.value)
        if not math.isfinite(found):
            return math.inf
        if error == 0:
            return 0.0
        told = not slope.corner and slope.uncertainty <= _MARGIN * self._tolerance * scale
        return error / scale if told else math.nan

    def _measure(self, name: str, probe: _Probe, number: int) -> tuple[float, Slope, float]:
        arrays, found, loss = self._place(number)
        base = arrays[name]

        def along(t: float) -> float:
            return float(loss.run({**arrays, name: probe.move(base, t)})["loss"])

        gradient = found[name]
        typical = math.sqrt(float(np.mean(gradient**2))) if gradient.size else 0.0
        return probe.along(gradient), measure_slope(along), typical

    def _probes(self, name: str, gradient: Array, directions: int, coordinates: int) -> Iterator[_Probe]:
        if not gradient.size:
            return
        key = self._key.child(name)
        for number in range(directions):
            direction = key.child(f"direction {number}").normal(gradient.shape)
            direction /= math.sqrt(float(np.sum(direction**2))) or 1.0
            yield _along_direction(direction, f"direction {number + 1}")
        order = [int(place) for place in np.argsort(-np.abs(gradient), axis=None, kind="stable")[: coordinates // 2]]
        for place in (int(place) for place in key.child("coordinates").permutation(gradient.size)):
            if len(order) >= min(coordinates, gradient.size):
                break
            if place not in order:
                order.append(place)
        for place in order:
            yield _along_element(tuple(int(i) for i in np.unravel_index(place, gradient.shape)))


def _along_direction(direction: Array, where: str) -> _Probe:
    return _Probe(where, lambda base, t: base + t * direction, lambda gradient: float(np.sum(gradient * direction)))


def _along_element(index: tuple[int, ...]) -> _Probe:
    def move(base: Array, t: float) -> Array:
        moved = np.array(base)
        moved[index] += t
        return moved

    return _Probe(f"[{','.join(map(str, index))}]", move, lambda gradient: float(gradient[index]))


def _tell(check: GradientCheck) -> Iterator[str]:
    rows = [
        (
            row.name,
            "×".join(map(str, row.shape)) or "scalar",
            "–" if row.status == "unresolved" else f"{row.worst:.1e}",
            row.where,
            number_text(row.found),
            number_text(row.measured),
            {"passed": "ok", "failed": "FAILED"}.get(row.status, row.status),
        )
        for row in check.rows
    ]
    heads = ("parameter", "shape", "worst error", "at", "gradient", "measured", "")
    yield from table(heads, rows, right=(1, 2, 4, 5))
    count, moved = sum(row.count for row in check.rows), sum(row.moved for row in check.rows)
    lost = sum(row.unresolved for row in check.rows)
    yield ""
    verdict = "passed" if check.passed else "FAILED"
    yield f"{verdict}: worst relative error {check.worst:.1e}, tolerance {check.tolerance:g}, {count} measurements"
    told = f" of {len(check.samples)} samples" if check.samples else ""
    yield f"Slopes of the loss{told}, by central differences in float64, extrapolated to a step of 0."
    if moved:
        yield f"{moved} were taken beside a corner: a kink lies at the very point, where there is no single slope."
    if lost:
        yield f"{lost} could not be measured well enough to tell, and do not count."
