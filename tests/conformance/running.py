"""What the conformance tests share: running nodes on the reference engine, and finite differences along a direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node

Array = NDArray[Any]
Arrays = Mapping[str, Array]


def evaluate(whole: Graph, arrays: Arrays) -> dict[str, Array]:
    """Verify a graph and run it, with those of the arrays that it wants."""
    graph.verify(whole)
    return ReferenceEngine().compile(whole).run({name: arrays[name] for name in whole.inputs})


def run(outputs: Sequence[Node], arrays: Arrays) -> list[Array]:
    """The values of some nodes."""
    results = evaluate(Graph({str(n): node for n, node in enumerate(outputs)}), arrays)
    return [results[str(n)] for n in range(len(outputs))]


def arrays_for(nodes: Sequence[Node], seed: int = 0) -> dict[str, Array]:
    """Random arrays for input nodes: normal floats, small whole numbers, coins."""
    random = np.random.default_rng(seed)
    made: dict[str, Array] = {}
    for node in nodes:
        if node.dtype in graph.FLOATS:
            array: Array = random.normal(size=node.shape)
        else:
            array = random.integers(0, 2 if node.dtype == "bool" else 4, size=node.shape)
        made[node.attributes["name"]] = np.asarray(array, node.dtype)
    return made


def along(loss: Node, wrt: Sequence[Node], directions: Sequence[Array]) -> Node:
    """The derivative of a loss along a direction, as a node."""
    slope = graph.full((), 0, loss.dtype)
    for gradient, direction in zip(gradients(loss, wrt), directions, strict=True):
        slope = slope + graph.sum(gradient * graph.constant(direction))
    return slope


def difference(loss: Node, wrt: Sequence[Node], arrays: Arrays, directions: Sequence[Array], step: float) -> float:
    """The central difference of a loss along a direction."""
    sides = []
    for sign in (1, -1):
        moved = {
            node.attributes["name"]: arrays[node.attributes["name"]] + sign * step * direction
            for node, direction in zip(wrt, directions, strict=True)
        }
        sides.append(run([loss], {**arrays, **moved})[0])
    return float((sides[0] - sides[1]) / (2 * step))


def assert_slopes(loss: Node, wrt: Sequence[Node], arrays: Arrays, order: int = 2, tolerance: float = 1e-7) -> None:
    """Derivatives along random directions, up to an order, are those that central differences give (float64)."""
    random = np.random.default_rng(1)
    directions = [random.normal(size=node.shape) for node in wrt]
    for now in range(1, order + 1):
        slope = along(loss, wrt, directions)
        found = float(run([slope], arrays)[0])
        measured = difference(loss, wrt, arrays, directions, 1e-5)
        assert abs(found - measured) <= tolerance * (1 + abs(measured)), (
            f"derivative {now} along a direction: {found} from the rules, {measured} by differences"
        )
        loss = slope
