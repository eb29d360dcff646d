"""A step that is not finite, replayed on the reference engine, which names the first node to blame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.engines.protocol import Array
from chainrule.graph import Node

if TYPE_CHECKING:
    from chainrule.graph import Graph


def explain_not_finite(graph: Graph, arrays: Mapping[str, Array], record: Mapping[str, Any]) -> str:
    """Which node of a step was the first to be NaN or infinite, for the arrays that the step was given."""
    from chainrule.engines.choose import choose

    where = "which it is not on the reference engine"
    fixed: set[Node] = set()  # an infinity that the graph was built with is meant
    for node, value in choose("reference").compile(graph).trace(arrays):  # type: ignore[attr-defined]
        if node.op != "input" and fixed.issuperset(node.inputs):
            fixed.add(node)
        elif value.dtype.kind == "f" and not np.isfinite(value).all():
            kind = "NaN" if np.isnan(value).any() else "infinite"
            place = graph.origins.get(node) or "the graph"
            name = f"the input {node.attributes['name']}" if node.op == "input" else f"{node.op} of {place}"
            where = f"first {kind} in {name}, {node.dtype}{list(node.shape)}"
            break
    return (
        f"step {record['step']} is not finite (loss {record.get('loss', float('nan')):g}): {where}. "
        "The parameters are those before this step. A smaller learning rate, scaled inputs, or gradient clipping "
        "are the usual remedies"
    )
