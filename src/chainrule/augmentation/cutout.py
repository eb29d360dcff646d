"""Images with a hole."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule import graph
from chainrule.augmentation.samples import Samples, change_images
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope


@dataclass(frozen=True)
class Cutout:
    """A square of ``size`` pixels of each image is replaced by ``value``, as the network sees it.

    Its middle is any pixel, so that a part of the square may fall outside of the image.

    >>> Cutout(8).value
    0.0

    Reference: T. DeVries and G. Taylor, "Improved regularization of convolutional neural networks with cutout", 2017.
    """

    size: int
    value: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 0:
            raise ConfigurationError(f"Cutout: size is a whole number of pixels, 0 or more, not {self.size!r}")
        check_range("Cutout", "value", self.value, -1e30, 1e30)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Images with a hole."""

        def change(x: Node) -> Node:
            rows, columns = self._covered(scope, x, 1), self._covered(scope, x, 2)
            return graph.select(graph.logical_and(rows, columns), float(self.value), x)

        return change_images(samples, change, "Cutout")

    def _covered(self, scope: Scope, x: Node, axis: int) -> Node:
        batch, length = x.shape[0], x.shape[axis]
        start = graph.floor(length * scope.uniform(f"middle/{axis}", (batch,))) - float(self.size // 2)
        after = graph.broadcast(graph.cast(graph.iota(length), x.dtype), [0], [batch]) - graph.broadcast(
            start, [1], [length]
        )
        covered = graph.logical_and(graph.le(graph.zeros_like(after), after), graph.lt(after, float(self.size)))
        others = [a for a in (1, 2, 3) if a != axis]
        return graph.broadcast(covered, others, [x.shape[a] for a in others])
