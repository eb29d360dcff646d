"""verify=True: every stored node of a program beside the reference engine's, and the first that differs by name."""

from __future__ import annotations

import numpy as np

from chainrule.engines.native.program import NativeProgram
from chainrule.engines.protocol import Array, Arrays, Program
from chainrule.errors import EngineError
from chainrule.graph import FLOATS, Graph, Node
from chainrule.graph.ops import TUPLE


def with_stored(graph: Graph, stored: set[Node]) -> Graph:
    """The graph, with every node that the program stores as an output of its own."""
    inside = [node for node in graph.nodes if node in stored and node.inputs and node.dtype != TUPLE]
    named = {f"stored/{number}": node for number, node in enumerate(inside)}
    return Graph({**graph.outputs, **named}, graph.origins, graph.regions)


class VerifiedProgram(NativeProgram):
    """A program that compares each stored node with the reference engine's, in each single run."""

    def run(self, arrays: Arrays) -> dict[str, Array]:
        """The outputs; `EngineError` names the first node that differs."""
        found = super().run(arrays)
        from chainrule.engines.reference import ReferenceEngine

        expected = ReferenceEngine().compile(self.graph).run(arrays)
        place = {node: number for number, node in enumerate(self.graph.nodes)}
        for name, node in sorted(self.graph.outputs.items(), key=lambda item: place[item[1]]):
            if not _alike(found[name], expected[name], node.dtype):
                raise EngineError(self._difference(node, found[name], expected[name]))
        return {name: array for name, array in found.items() if not name.startswith("stored/")}

    def repeat(
        self, state: Arrays, fixed: Arrays, each: Arrays, until: str = ""
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run by run, each compared."""
        return Program.repeat(self, state, fixed, each, until)

    def _difference(self, node: Node, found: Array, expected: Array) -> str:
        wrong = ~np.isclose(found, expected, rtol=1e-4, atol=1e-6, equal_nan=True)
        places = np.argwhere(wrong) if wrong.any() else np.argwhere(found != expected)
        place = tuple(map(int, places[0])) if len(places) else ()
        where = self.graph.origins.get(node)
        return (
            f"{node!r} of {where or 'the graph'} differs at {list(place)}: "
            f"native {found[place]}, reference {expected[place]} ({len(places)} of {found.size} elements differ)"
        )


def _alike(found: Array, expected: Array, dtype: str) -> bool:
    if dtype not in FLOATS:
        return bool((found == expected).all())
    epsilon = 2e-4 if dtype == "float32" else 1e-10
    with np.errstate(all="ignore"):
        scale = np.nanmax(np.abs(np.where(np.isfinite(expected), expected, 0)), initial=0.0)
    return bool(np.allclose(found, expected, rtol=epsilon, atol=epsilon * max(float(scale), 1e-30), equal_nan=True))
