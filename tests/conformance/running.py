"""What the tests of graph transformations share: running whole graphs, random arrays, slopes along a direction."""

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
