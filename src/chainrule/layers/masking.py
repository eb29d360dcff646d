"""Sequences of several lengths in one batch: which steps are there, and which only fill the array."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import INTEGERS, Node
from chainrule.graph.composites import ne
from chainrule.layers.chain import check_layer
from chainrule.layers.scope import AnyLayer, Scope


@dataclass(frozen=True)
class Masked:
    """A ``layer``, or a whole chain, for which steps that are nothing but padding do not exist.

    Its input is (batch, time) of indices, where the index ``padding`` fills up, or (batch, time, features), where a
    step all of whose features are ``padding`` does. A second input says the lengths instead, whole numbers (batch,).
    Layers in here that go along time see which steps are there (`Scope.mask`): recurrent layers keep their state over
    the others, attention looks at none of them, `GlobalAveragePool` and `GlobalMaxPool` leave them out, and what comes
    out there is 0. They are selected, never multiplied: whatever stands in the padding changes no bit of any result.
    The paths stay as they are without it.

    >>> from chainrule.layers import Chain, Dense, Embedding, LSTM
    >>> model = Masked(Chain(Embedding(1000, 32), LSTM(64), Dense(2)), padding=0)
    >>> model.padding
    0

    Differs from: PyTorch, which packs sequences; Keras, where each layer says by itself whether it makes a mask.
    """

    layer: AnyLayer
    padding: float = 0

    def __post_init__(self) -> None:
        check_layer("Masked: layer", self.layer)
        if not isinstance(self.padding, int | float) or isinstance(self.padding, bool):
            raise ConfigurationError(f"Masked: padding is the number that fills up, not {self.padding!r}")

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """What the layer gives."""
        if len(inputs) not in (1, 2):
            raise ShapeError(f"takes sequences, and lengths if they are known, and got {len(inputs)} inputs")
        x = inputs[0]
        if x.rank not in (2, 3):
            raise ShapeError(f"wants (batch, time) or (batch, time, features), and got {list(x.shape)}")
        if len(inputs) == 2:
            mask = steps_below(inputs[1], x)
            x = where(mask, x, self.padding)  # what stands there, NaN perhaps, must not come near a weight's gradient
        else:
            mask = self._filled(x)
        return replace(scope, mask=mask).apply(self.layer, x, name="")

    def _filled(self, x: Node) -> Node:
        there = ne(x, self.padding)
        return there if x.rank == 2 else ne(graph.sum(graph.cast(there, "int32"), 2), 0)


def steps_below(lengths: Node, x: Node) -> Node:
    """The mask (batch, time) of sequences of these lengths."""
    batch, time = x.shape[:2]
    if lengths.shape != (batch,):
        raise ShapeError(f"lengths are one whole number a sequence, ({batch},), and these are {list(lengths.shape)}")
    if lengths.dtype not in INTEGERS:
        raise DtypeError(f"lengths are whole numbers, and these are {lengths.dtype}; use graph.cast")
    steps = graph.broadcast(graph.iota(time, lengths.dtype), [0], [batch])
    return graph.lt(steps, graph.broadcast(lengths, [1], [time]))


def mask_of(scope: Scope, x: Node) -> Node | None:
    """The mask of sequences (batch, time, …), if there is one; one of other steps is refused."""
    if scope.mask is not None and scope.mask.shape != x.shape[:2]:
        raise ShapeError(
            f"the mask is of {list(scope.mask.shape)} steps, and {list(x.shape[:2])} came: a layer in between has "
            "changed their number, so put Masked around the layers before it alone"
        )
    return scope.mask


def where(mask: Node | None, x: Node, other: float = 0.0) -> Node:
    """x (batch, time, …) at the steps that are there, and a number at the others."""
    if mask is None:
        return x
    return graph.select(graph.broadcast(mask, range(2, x.rank), x.shape[2:]), x, other)
