"""Many small graphs as one: a module is compiled once for all of them, and each is compared under its own name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.protocol import Engine
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph import FLOATS, Graph, Node, input, map_nodes, topological

Array = NDArray[Any]
#: What another order of summation and our own mathematics may change.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


class Together:
    """Graphs and their arrays by name; `compare` runs all of them on an engine, and `check` looks at one."""

    def __init__(self) -> None:
        self.outputs: dict[str, Node] = {}
        self.arrays: dict[str, Array] = {}
        self.names: list[str] = []
        self._found: dict[str, Array] = {}
        self._expected: dict[str, Array] = {}

    def add(self, name: str, nodes: Sequence[Node], arrays: Mapping[str, Array]) -> None:
        """Take up a graph; its inputs are renamed, so that they meet no others."""
        inputs = {node.attributes["name"]: node for node in topological(nodes) if node.op == "input"}
        known = {node: input(f"{name}/{old}", node.shape, node.dtype) for old, node in inputs.items()}
        mapping = map_nodes(nodes, known=known)
        self.outputs |= {f"{name}: {number}": mapping[node] for number, node in enumerate(nodes)}
        self.arrays |= {f"{name}/{old}": np.asarray(arrays[old]) for old in inputs}
        self.names.append(name)

    def compare(self, engine: Engine) -> Together:
        """Run on an engine and on the reference."""
        graph = Graph(self.outputs)
        self._expected = ReferenceEngine().compile(graph).run(self.arrays)
        self._found = engine.compile(graph).run(self.arrays)
        return self

    def check(self, name: str, *, exact: bool = False) -> None:
        """The outputs of one graph agree: floats up to rounding, everything else to the bit."""
        numbers = [output for output in self.outputs if output.startswith(f"{name}: ")]
        assert numbers
        for output in numbers:
            found, expected = self._found[output], self._expected[output]
            assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
            if exact or expected.dtype.name not in FLOATS:
                np.testing.assert_array_equal(found, expected, err_msg=output)
            else:
                loose = TOLERANCE[expected.dtype.name]
                scale = float(np.abs(expected[np.isfinite(expected)]).max(initial=1.0))
                np.testing.assert_allclose(found, expected, rtol=loose, atol=loose * scale, err_msg=output)

    def check_all(self) -> None:
        """All of them agree."""
        for name in self.names:
            self.check(name)
