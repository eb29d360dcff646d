"""Computation graphs: nodes, the op list, shapes, building, mapping, verifying, vectorizing, rewriting and showing."""

from __future__ import annotations

from chainrule.graph import building
from chainrule.graph.building import *
from chainrule.graph.hoisting import hoist, hoist_invariant
from chainrule.graph.node import Node, Scalar, Shape, live_nodes, make
from chainrule.graph.ops import DTYPES, ELEMENTWISE, FLOATS, INTEGERS, OPS, Op
from chainrule.graph.origins import Build, Origin, Region, active_build, phase, scope
from chainrule.graph.program import Graph, map_nodes, remake, topological
from chainrule.graph.rewriting import rewrite
from chainrule.graph.scanning import last, scan, stack
from chainrule.graph.showing import expression, show
from chainrule.graph.vectorizing import BATCHING, vectorize
from chainrule.graph.verifying import verify

__all__ = [
    "BATCHING", "DTYPES", "ELEMENTWISE", "FLOATS", "INTEGERS", "OPS", "Build", "Graph", "Node", "Op", "Origin",
    "Region", "Scalar", "Shape", "active_build", "expression", "hoist", "hoist_invariant", "last", "live_nodes",
    "make", "map_nodes", "phase", "remake", "rewrite", "scan", "scope", "show", "stack", "topological", "vectorize",
    "verify",
]  # fmt: skip
__all__ += building.__all__
