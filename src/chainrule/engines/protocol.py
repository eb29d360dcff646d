"""What an engine is: compile a graph, then run it with arrays; it knows nothing of gradients, layers or training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DtypeError, EngineError, ShapeError
from chainrule.graph import Graph

Array = NDArray[Any]
Arrays = Mapping[str, Array]


class Program(Protocol):
    """A compiled graph."""

    graph: Graph

    def run(self, arrays: Arrays) -> dict[str, Array]:
        """The outputs by name, for arrays by the names of the inputs."""

    def repeat(
        self, state: Arrays, fixed: Arrays, each: Arrays, until: str = ""
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Run many times in one call, feeding outputs back into the inputs of the same name.

        ``state`` holds the first values of what is fed back, ``fixed`` what is the same each time, and ``each`` has one
        more leading axis: a slice for each run. It returns early after a run whose output ``until`` is false. Gives
        the last state, and every other output stacked over the runs.

        A program that derives from this class may leave it at this; an engine that is fast has its own.
        """
        now = dict(state)
        rows: dict[str, list[Array]] = {}
        for index in range(len(next(iter(each.values())))):
            outputs = self.run({**fixed, **now, **{name: array[index] for name, array in each.items()}})
            now = {name: outputs.get(name, array) for name, array in now.items()}
            for name, array in outputs.items():
                if name not in state:
                    rows.setdefault(name, []).append(array)
            if until and not outputs[until]:
                break
        return now, {name: np.stack(row) for name, row in rows.items()}


class Engine(Protocol):
    """A way to run graphs."""

    name: str

    def compile(self, graph: Graph) -> Program:
        """Prepare a graph for running; an op that the engine lacks raises `EngineError`, by name."""


def check_arrays(graph: Graph, arrays: Arrays) -> None:
    """Refuse arrays that are missing, or whose shape or dtype is not what the graph's inputs say."""
    for name, node in graph.inputs.items():
        if name not in arrays:
            raise EngineError(f"the graph wants an array for its input {name!r} ({node.dtype}{list(node.shape)})")
        array = np.asarray(arrays[name])
        if array.shape != node.shape:
            raise ShapeError(f"input {name!r} is {list(node.shape)}, and the array given is {list(array.shape)}")
        if array.dtype.name != node.dtype:
            raise DtypeError(f"input {name!r} is {node.dtype}, and the array given is {array.dtype.name}")
