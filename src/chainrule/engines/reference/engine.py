"""The reference engine: evaluates a graph node by node in NumPy. Slow, short, and right by definition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.engines.protocol import Array, Arrays, check_arrays
from chainrule.engines.reference.values import VALUES
from chainrule.errors import EngineError
from chainrule.graph import DTYPES, Graph, Node, topological
from chainrule.graph import rewrite as simplify

# Asking an array's dtype for its name costs more than many an op.
_DTYPES = {name: np.dtype(name) for name in DTYPES}


class ReferenceEngine:
    """Runs graphs in NumPy, in float32 and float64.

    It evaluates a graph as it is written down, which is what the ops mean; with ``rewrite`` it simplifies the graph
    first, as `chainrule.graph.rewrite` does.

    >>> from chainrule import graph
    >>> x = graph.input("x", (2,), "float64")
    >>> ReferenceEngine().compile(Graph({"y": x * x})).run({"x": np.array([3.0, 4.0])})["y"]
    array([ 9., 16.])
    """

    name = "reference"

    def __init__(self, *, rewrite: bool = False) -> None:
        self.rewrite = rewrite

    def compile(self, graph: Graph) -> ReferenceProgram:
        """Order the nodes and find out when each value is last needed."""
        if self.rewrite:
            graph = simplify(graph, evaluate)
        lacking = sorted({node.op for node in topological(graph.outputs.values(), bodies=True)} - set(VALUES))
        if lacking:
            raise EngineError(f"the reference engine lacks the ops {', '.join(lacking)}")
        return ReferenceProgram(graph)


class ReferenceProgram:
    """A graph made ready for the reference engine."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._plan = _Plan.of(tuple(graph.outputs.values()))
        self._inputs = graph.inputs

    def run(self, arrays: Arrays) -> dict[str, Array]:
        """The outputs by name; they are the caller's own, never views of the inputs."""
        check_arrays(self.graph, arrays)
        return self._run(arrays)

    def _run(self, arrays: Arrays) -> dict[str, Array]:
        given = {node: np.asarray(arrays[name]) for name, node in self._inputs.items()}
        results = self._plan.run(given)
        return {name: np.array(array) for name, array in zip(self.graph.outputs, results, strict=True)}

    def repeat(
        self, state: Arrays, fixed: Arrays, each: Arrays, until: str = ""
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run once for each slice of ``each``; see `chainrule.engines.protocol.Program`."""
        now = dict(state)
        rows: dict[str, list[Array]] = {name: [] for name in self.graph.outputs if name not in state}
        for index in range(len(next(iter(each.values())))):
            arrays = {**fixed, **now, **{name: array[index] for name, array in each.items()}}
            outputs = self.run(arrays) if index == 0 else self._run(arrays)
            now = {name: outputs.get(name, array) for name, array in now.items()}
            for name, row in rows.items():
                row.append(outputs[name])
            if until and not outputs[until]:
                break
        return now, {name: np.stack(row) for name, row in rows.items()}

    def trace(self, arrays: Arrays) -> Iterator[tuple[Node, Array]]:
        """Every node with its value, in the order of evaluation; a scan gives no value of its own."""
        check_arrays(self.graph, arrays)
        given = {node: np.asarray(arrays[name]) for name, node in self._inputs.items()}
        values: dict[Node, Any] = {}
        for node in self._plan.order:
            with np.errstate(all="ignore"):
                values[node] = _value(node, values, given, self._plan)
            if node.op != "scan":
                yield node, values[node]


@dataclass(frozen=True)
class _Plan:
    """Nodes in order; after which step each value may be dropped; the plans of the bodies of scans."""

    outputs: tuple[Node, ...]
    order: list[Node]
    dropped: list[list[Node]]
    bodies: Mapping[Node, tuple[_Plan, tuple[Node, ...]]]

    @staticmethod
    def of(outputs: tuple[Node, ...]) -> _Plan:
        order = topological(outputs)
        last_use = {below: step for step, node in enumerate(order) for below in node.inputs}
        dropped: list[list[Node]] = [[] for _ in order]
        for node, step in last_use.items():
            if node not in outputs:
                dropped[step].append(node)
        taken: dict[Node, dict[Node, None]] = {node: {} for node in order if node.op == "scan"}
        for node in order:
            if node.op == "stack":
                taken[node.inputs[0]][node.attributes["node"]] = None
        bodies = {scan: (_Plan.of((*scan.attributes["next"], *nodes)), tuple(nodes)) for scan, nodes in taken.items()}
        return _Plan(outputs, order, dropped, bodies)

    def run(self, given: Mapping[Any, Array]) -> list[Array]:
        values: dict[Node, Any] = {}
        # Infinities and NaN are values with a meaning here: whoever trains looks for them.
        with np.errstate(all="ignore"):
            for node, finished in zip(self.order, self.dropped, strict=True):
                values[node] = _value(node, values, given, self)
                for below in finished:
                    del values[below]
        return [values[node] for node in self.outputs]


def evaluate(node: Node, arrays: Sequence[Array]) -> Array:
    """The value of one node for the values of its inputs: what folds constants for `chainrule.graph.rewrite`."""
    with np.errstate(all="ignore"):
        return np.asarray(VALUES[node.op](node, *arrays)).astype(node.dtype, copy=False)


def _value(node: Node, values: Mapping[Node, Any], given: Mapping[Any, Array], plan: _Plan) -> Any:
    if node.op in ("input", "param"):
        return given[node]
    arrays = [values[below] for below in node.inputs]
    if node.op == "scan":
        return _scan(node, arrays, *plan.bodies[node])
    if node.op == "last":
        return arrays[0][0][node.attributes["index"]]
    if node.op == "stack":
        return arrays[0][1][node.attributes["node"]]
    value = np.asarray(VALUES[node.op](node, *arrays))
    return value if value.dtype == _DTYPES[node.dtype] else value.astype(node.dtype)


def _scan(
    scan: Node, arrays: Sequence[Array], body: _Plan, taken: Iterable[Node]
) -> tuple[list[Array], dict[Node, Array]]:
    """The last carries, and each node taken, stacked over time."""
    n_carry, n_xs, length = (scan.attributes[name] for name in ("n_carry", "n_xs", "length"))
    carries, xs, captured = list(arrays[:n_carry]), arrays[n_carry : n_carry + n_xs], arrays[n_carry + n_xs :]
    stacked = {node: np.zeros((length, *node.shape), node.dtype) for node in taken}
    params = {node.attributes["index"]: node for node in body.order if node.op == "param"}
    for step in reversed(range(length)) if scan.attributes["reverse"] else range(length):
        operands = [*carries, *(x[step] for x in xs), *captured]
        results = body.run({node: operands[index] for index, node in params.items()})
        carries = results[:n_carry]
        for node, row in zip(stacked, results[n_carry:], strict=True):
            stacked[node][step] = row
    return carries, stacked
