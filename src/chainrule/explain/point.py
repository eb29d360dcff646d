"""The losses of a step at a point: the graph and the float64 arrays that explaining and checking work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import DataError, NotFiniteError, ShapeError
from chainrule.graph import FLOATS, Build, Graph, Node, cast, constant, make
from chainrule.training import DataSpec, build_gradients

if TYPE_CHECKING:
    from chainrule.run import Data, Run

Array = NDArray[Any]


@dataclass(frozen=True)
class Point:
    """One descent of a step: its loss and gradients as a graph ("loss", "gradient/PATH"), and an array an input."""

    name: str
    graph: Graph
    arrays: Mapping[str, Array]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The paths of the parameters that this descent moves."""
        return tuple(name.removeprefix("gradient/") for name in self.graph.outputs if name.startswith("gradient/"))


def points(run: Run, data: Data, samples: Sequence[int]) -> list[Point]:
    """Each descent of a run's step, for a batch of these samples, in float64, at the run's own parameters.

    Raises `DataError` for a sample that the data does not have, `ShapeError` for data of another kind.
    """
    spec, given = run._data(data)
    for sample in samples:
        if isinstance(sample, bool) or not isinstance(sample, int | np.integer) or not 0 <= sample < spec.samples:
            raise DataError(f"there is no sample {sample!r}: the data has {spec.samples}, numbered from 0")
    for name, (shape, _) in run.spec.arrays.items() if run.spec is not None else ():
        if name == "weights" and name not in spec.arrays:
            continue  # samples without weights count 1 each, as where a run is evaluated
        if name not in spec.arrays:
            raise DataError(f"the run was made for data with {name!r}, and this data has {', '.join(spec.arrays)}")
        if spec.arrays[name][0] != shape:
            raise ShapeError(f"the run's {name} are {list(shape)} a sample, and these are {list(spec.arrays[name][0])}")
    rows = list(samples)
    small = DataSpec(len(rows), spec.arrays, spec.preparing, spec.classes)
    pool: dict[str, Any] = {**run.numbers, **run.arrays, "seed": run.seed & 0xFFFFFFFF}
    pool |= {f"batch/{name}": given[name][rows] for name in spec.arrays}
    pool |= {f"data/{name}": array for name, array in given.items() if name not in spec.arrays}
    found = []
    for descent, narrow in build_gradients(run.step, small, len(rows), "float64"):
        graph = as_float64(narrow)
        arrays = {name: np.asarray(pool[name], node.dtype) for name, node in graph.inputs.items()}
        found.append(Point(descent.name, graph, arrays))
    return found


def values_of(graph: Graph, arrays: Mapping[str, Array]) -> dict[Node, Array]:
    """Every node of a graph with its value, on the reference engine."""
    return dict(ReferenceEngine().compile(graph).trace(arrays))


def as_float64(graph: Graph) -> Graph:
    """The same graph with float64 in the place of float32, constants, casts and the bodies of scans included."""

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        attributes = dict(node.attributes)
        if attributes.get("dtype") in FLOATS:
            attributes["dtype"] = "float64"
        if node.op == "constant" and node.dtype in FLOATS:
            return constant(attributes["value"], "float64")
        if node.op == "cast" and attributes["dtype"] == inputs[0].dtype:
            return cast(inputs[0], inputs[0].dtype)
        return make(node.op, inputs, **attributes)

    with Build():
        return graph.map(change)


def refuse_infinite(graph: Graph, arrays: Mapping[str, Array], what: str) -> None:
    """Raise `NotFiniteError`, naming the node, if the value of a graph's first output is not finite."""
    name, output = next(iter(graph.outputs.items()))
    values = values_of(Graph({name: output}), arrays)
    if np.isfinite(values[output]).all():
        return
    for node, value in values.items():
        if node.op != "constant" and value.dtype.kind == "f" and not np.isfinite(value).all():
            kind = "NaN" if np.isnan(value).any() else "infinite"
            origin = graph.origins.get(node, "the graph")
            raise NotFiniteError(f"{what} is not finite: first {kind} in {node.op} of {origin}")
