"""The batch as a step sees it: rows of the data taken inside the graph, prepared inside the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import FLOATS, Node, Shape

#: The numbers that prepare inputs and targets: run-time inputs, so that another fold of the data never recompiles.
PREPARING = ("shift", "scale", "target_shift", "target_scale")


@dataclass(frozen=True)
class DataSpec:
    """What the graph has to know of the data: how many samples, and each array's shape (a sample's) and dtype."""

    samples: int
    arrays: Mapping[str, tuple[Shape, str]]
    #: Shapes of the numbers that prepare: those that are absent prepare nothing.
    preparing: Mapping[str, Shape] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None


class Batch:
    """The samples of one step.

    ``batch["name"]`` is an array of the data, ``batch.inputs`` and ``batch.targets`` those of a data set, cast to the
    graph's float dtype and prepared: (inputs - shift)·scale. Labels and symbols (int32) stay integers.
    ``batch.size`` is known.
    """

    def __init__(self, spec: DataSpec, size: int, dtype: str, *, select: bool) -> None:
        self.spec, self.size, self.dtype = spec, size, dtype
        self._rows: dict[str, Node] = {}
        index = graph.input("batch/indices", (size,), "int32") if select else None
        for name, (shape, kind) in spec.arrays.items():
            if index is None:
                self._rows[name] = graph.input(f"batch/{name}", (size, *shape), kind)
            else:
                self._rows[name] = graph.gather(graph.input(f"data/{name}", (spec.samples, *shape), kind), index)

    def __getitem__(self, name: str) -> Node:
        if name not in self._rows:
            raise ConfigurationError(f"the data has no array {name!r}; it has {', '.join(self._rows)}")
        rows = self._rows[name]
        return graph.cast(rows, self.dtype) if rows.dtype in FLOATS else rows

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __len__(self) -> int:
        return self.size

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, if the targets are classes."""
        return self.spec.classes

    @property
    def inputs(self) -> Node:
        """The inputs, as the network sees them: floats, prepared, or symbols as they are."""
        if self["inputs"].dtype == "int32":
            return self["inputs"]
        return self._prepared(graph.cast(self["inputs"], self.dtype), "shift", "scale")

    @property
    def targets(self) -> Node:
        """The labels (integers), or the targets (floats), scaled as the network learns them."""
        rows = self["targets"]
        return self._prepared(rows, "target_shift", "target_scale") if rows.dtype in FLOATS else rows

    @property
    def weights(self) -> Node | None:
        """The weights of the samples, if they have any."""
        return self["weights"] if "weights" in self._rows else None

    def _prepared(self, x: Node, shift: str, scale: str) -> Node:
        shapes = self.spec.preparing
        if shift in shapes:
            x = x - self._number(shift, x)
        return x * self._number(scale, x) if scale in shapes else x

    def _number(self, name: str, like: Node) -> Node:
        number = graph.cast(graph.input(f"data/{name}", self.spec.preparing[name], "float32"), self.dtype)
        return graph.broadcast_to(number, like.shape)
