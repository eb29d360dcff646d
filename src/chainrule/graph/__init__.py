"""Computation graphs: nodes, the op list, shapes, building, mapping, verifying, vectorizing, rewriting and showing."""

from __future__ import annotations

from chainrule.graph.building import *  # noqa: F403
from chainrule.graph.node import Node, live_nodes, make
from chainrule.graph.ops import DTYPES, ELEMENTWISE, FLOATS, INTEGERS, OPS, Op
from chainrule.graph.origins import Build, Origin, Region, active_build, phase, scope
from chainrule.graph.program import Graph, map_nodes, remake, topological
from chainrule.graph.scanning import last, scan, stack
from chainrule.graph.verifying import verify
