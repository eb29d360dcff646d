"""What the law-suites share: running a node on the reference engine, and the central difference in a direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import FLOATS, Graph, Node, constant, sum, verify

Array = NDArray[Any]


def run(nodes: Sequence[Node], arrays: Mapping[str, Array]) -> list[Array]:
    """The values of some nodes, the graph of them verified first."""
    graph = verify(Graph({str(number): node for number, node in enumerate(nodes)}))
    return list(ReferenceEngine().compile(graph).run(arrays).values())


def named(nodes: Sequence[Node], arrays: Sequence[Array]) -> dict[str, Array]:
    """Arrays by the names of the inputs that they are for."""
    return {node.attributes["name"]: array for node, array in zip(nodes, arrays, strict=True)}


def weighted(node: Node, seed: int = 0) -> Node:
    """A scalar that every element of a float node enters with a weight of its own."""
    weights = np.random.default_rng([seed, node.size]).uniform(0.5, 1.5, node.shape)
    return sum(node * constant(weights, node.dtype))


def check_slopes(
    loss: Node, wrt: Sequence[Node], arrays: Mapping[str, Array], *, orders: int = 2, tolerance: float = 1e-8
) -> None:
    """Hold the gradient of a scalar against central differences in a random direction, and again, for its own slope.

    The difference is of fourth order: (8 (L(h) − L(−h)) − (L(2h) − L(−2h))) / 12h, with h = 10⁻³ along a direction of
    length about 1.
    """
    random = np.random.default_rng(7)
    floats = [node for node in wrt if node.dtype in FLOATS]
    for order in range(1, orders + 1):
        found = gradients(loss, floats)
        program = ReferenceEngine().compile(verify(Graph({"loss": loss})))
        slopes = run(found, arrays)
        size = max(1, np.sqrt(np.sum([node.size for node in floats])))
        direction = [random.standard_normal(node.shape) / size for node in floats]

        def along(step: float, program: Any = program, direction: Sequence[Array] = direction) -> float:
            moved = {
                node.attributes["name"]: arrays[node.attributes["name"]] + step * part
                for node, part in zip(floats, direction, strict=True)
            }
            return float(program.run({**arrays, **moved})["loss"])

        h = 1e-3
        measured = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
        parts = [float(np.sum(slope * part)) for slope, part in zip(slopes, direction, strict=True)]
        scale = (
            1 + abs(along(0.0)) + float(np.sum([np.sum(np.abs(s * p)) for s, p in zip(slopes, direction, strict=True)]))
        )
        assert np.isfinite(measured), f"order {order}: the measured slope is {measured}"
        assert abs(measured - np.sum(parts)) <= tolerance * scale, (
            f"order {order}: the rule gives the slope {np.sum(parts):.12g}, and differences measure {measured:.12g}"
        )
        # The next order looks at the slope itself, along fixed weights.
        terms = [sum(slope * constant(part, "float64")) for slope, part in zip(found, direction, strict=True)]
        loss = terms[0]
        for term in terms[1:]:
            loss = loss + term
