"""rewrite(graph): the same values from fewer and simpler nodes, by one table of small rewrites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.graph.node import Node, constant, make
from chainrule.graph.ops import ELEMENTWISE
from chainrule.graph.printing import repeated_number
from chainrule.graph.program import Graph, remake
from chainrule.graph.rewrites import REWRITES

#: What an engine lends for folding constants: the value of a node from the values of its inputs.
Evaluate = Callable[[Node, Sequence[NDArray[Any]]], NDArray[Any]]

_LARGEST_FOLDED = 1024
_NEVER_FOLDED = frozenset(("broadcast", "scan", "last", "stack"))


def rewrite(graph: Graph, evaluate: Evaluate | None = None) -> Graph:
    """The graph with what is needless gone: neutral elements, cancellations, moves undone, repetitions computed once.

    Broadcasts rise through elementwise ops, reductions and contractions, so that what repeats is computed once. With
    ``evaluate``, what depends on constants alone becomes a constant; a broadcast stays a broadcast. ``stop_gradient``
    is erased: gradients are taken before, and derivations are read before.

    Values stay the same up to the rounding of reordered sums and the sign of a zero. x·0 and x − x are left alone:
    NaN and infinity keep their meaning. Origins, regions and the bodies of scans come along.

    >>> from chainrule import graph
    >>> x = graph.input("x", (2, 3))
    >>> y = graph.sum(graph.transpose(graph.transpose(-(-x))) * 1 + 0)
    >>> graph.show(rewrite(Graph({"y": y}))).splitlines()
    ['x  float32[2, 3]  input', 'y  float32[]      sum(x)']
    """
    simplify = _Simplifier(evaluate)
    return graph.map(lambda node, inputs: simplify(remake(node, inputs)))


class _Simplifier:
    """Applies the table until nothing changes; each node is looked at once."""

    def __init__(self, evaluate: Evaluate | None) -> None:
        self._evaluate = evaluate
        self._known: dict[Node, Node] = {}

    def __call__(self, node: Node) -> Node:
        if node not in self._known:
            simpler = self._step(node)
            self._known[node] = node if simpler is None else self(simpler)
        return self._known[node]

    def make(self, op: str, *inputs: Node, **attributes: Any) -> Node:
        return self(make(op, inputs, **attributes))

    def _step(self, node: Node) -> Node | None:
        for each in REWRITES.get(node.op, ()):
            simpler = each(node, self.make)
            if simpler is not None and simpler is not node:
                return simpler
        once = self._once(node)
        return self._folded(node) if once is None else once

    def _once(self, node: Node) -> Node | None:
        """f(broadcast(x)) is broadcast(f(x)), along the axes that all operands repeat on."""
        if node.op not in ELEMENTWISE or any(x.op != "broadcast" for x in node.inputs):
            return None
        shared = set.intersection(*({*x.attributes["axes"]} for x in node.inputs))
        if not shared:
            return None
        operands = []
        for x in node.inputs:
            left = [axis for axis in x.attributes["axes"] if axis not in shared]
            places = tuple(axis - sum(other < axis for other in shared) for axis in left)
            sizes = tuple(x.shape[axis] for axis in left)
            operands.append(self.make("broadcast", x.inputs[0], axes=places, sizes=sizes) if left else x.inputs[0])
        axes = tuple(sorted(shared))
        sizes = tuple(node.shape[axis] for axis in axes)
        return self.make("broadcast", self.make(node.op, *operands, **node.attributes), axes=axes, sizes=sizes)

    def _folded(self, node: Node) -> Node | None:
        """The constant that a node of constants is; never one that is much larger than what it is made of."""
        if self._evaluate is None or not node.inputs or node.op in _NEVER_FOLDED:
            return None
        sizes = [x.size for x in node.inputs if x.op == "constant"]
        if not sizes or node.size > max(_LARGEST_FOLDED, *sizes):
            return None
        numbers = [repeated_number(x) for x in node.inputs]
        if any(x.op != "constant" and number is None for x, number in zip(node.inputs, numbers, strict=True)):
            return None
        arrays = [
            x.attributes["value"] if x.op == "constant" else np.full(x.shape, number, x.dtype)
            for x, number in zip(node.inputs, numbers, strict=True)
        ]
        return constant(np.asarray(self._evaluate(node, arrays)), node.dtype)
