"""Where in its sequence a step stands: told by sines, by numbers that are learned, or by turning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.errors import CannotGoOnError, ConfigurationError, DtypeError, ShapeError
from chainrule.graph import Node
from chainrule.initializers import Initializer, Normal
from chainrule.layers.scope import Scope, one_input


@dataclass(frozen=True)
class SinusoidalPositions:
    """Sines and cosines of the place, added to each step: y = x + p, for any length.

    p[t, 2k] = sin(t / base^(2k/n)) and p[t, 2k + 1] = cos(t / base^(2k/n)), for x of (batch, time, n). Nothing is
    learned.

    >>> SinusoidalPositions().base
    10000.0

    Reference: A. Vaswani et al., "Attention is all you need", 2017.
    """

    base: float = 10000.0

    def __post_init__(self) -> None:
        _check_base("SinusoidalPositions", self.base)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, time, n) -> the same."""
        x = _sequences(scope, one_input(inputs))
        _, time, width = x.shape
        angles = _angles(time, -(-width // 2), width, self.base)
        places = np.stack([np.sin(angles), np.cos(angles)], -1).reshape(time, -1)[:, :width]
        return x + graph.broadcast_to(graph.constant(places, x.dtype), x.shape)

    def go_on(self, scope: Scope, *inputs: Node) -> Node:
        """The next position, (batch, 1, n) -> the same."""
        x = _sequences(scope, one_input(inputs))
        width = x.shape[-1]
        angles = _angles_at(scope.position, -(-width // 2), width, self.base)
        pairs = [graph.reshape(part, (-1, 1)) for part in (graph.sin(angles), graph.cos(angles))]
        here = graph.reshape(graph.concatenate(pairs, 1), (-1,))[:width]
        return x + graph.broadcast_to(graph.cast(here, x.dtype), x.shape)


@dataclass(frozen=True)
class LearnedPositions:
    """A row of numbers for each place up to ``length``, learned and added to each step: y = x + P.

    ``weight`` P is (length, n), for x of (batch, time, n); it starts normal, with deviation 0.02. Shorter sequences use
    its first rows.

    Raises `ShapeError` for a sequence that is longer.

    >>> LearnedPositions(64).length
    64

    Reference: J. Gehring et al., "Convolutional sequence to sequence learning", 2017.
    """

    length: int
    weight: Initializer | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.length, int) or isinstance(self.length, bool) or self.length < 1:
            raise ConfigurationError(f"LearnedPositions: length is a whole number above 0, not {self.length!r}")

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, time, n) -> the same."""
        x = _sequences(scope, one_input(inputs))
        _, time, width = x.shape
        if time > self.length:
            raise ShapeError(
                f"a sequence of {time} steps is longer than the {self.length} places there are: cut it, or make more "
                "places, which are learned anew"
            )
        weight = scope.parameter("weight", (self.length, width), self.weight or Normal(0.02))
        return x + graph.broadcast_to(weight[:time], x.shape)

    def go_on(self, scope: Scope, *inputs: Node) -> Node:
        """The next position, (batch, 1, n) -> the same."""
        x = _sequences(scope, one_input(inputs))
        if scope.positions > self.length:
            raise CannotGoOnError(f"there are {self.length} places, and {scope.positions} are wanted")
        weight = scope.parameter("weight", (self.length, x.shape[-1]), self.weight or Normal(0.02))
        return x + graph.broadcast_to(graph.gather(weight, scope.position), x.shape)


def rotated(x: Node, start: int | Node = 0, base: float = 10000.0) -> Node:
    """Queries or keys (batch, time, heads, d), turned by their places, so that a product of two knows their distance.

    The pair (xₖ, xₖ₊ₘ), m = d/2, turns by the angle t / base^(2k/d) at place t, counted from ``start``, a number, or
    an int32 scalar for one step alone.

    Differs from: the paper, where pairs are neighbours, (x₂ₖ, x₂ₖ₊₁): the same but for the order of the features.

    >>> rotated(graph.input("q", (2, 5, 4, 8))).shape
    (2, 5, 4, 8)

    Reference: J. Su et al., "RoFormer: enhanced transformer with rotary position embedding", 2021.
    """
    _, time, _, size = x.shape
    if size % 2:
        raise ShapeError(f"rotary places turn pairs, and a head of width {size} is odd")
    if isinstance(start, Node):
        if time != 1:
            raise ShapeError(f"a start that is a node turns one step, and {time} came")
        turns = _angles_at(start, size // 2, size, base)
        sine, cosine = graph.sin(turns), graph.cos(turns)
        factors = [graph.concatenate(pair) for pair in ((cosine, cosine), (-sine, sine))]
    else:
        angles = _angles(time, size // 2, size, base, start)
        pairs = (np.cos(angles),) * 2, (-np.sin(angles), np.sin(angles))
        factors = [graph.constant(np.concatenate(pair, -1)) for pair in pairs]
    cos, sin = (
        graph.broadcast(graph.reshape(graph.cast(one, x.dtype), (time, size)), [0, 2], [x.shape[0], x.shape[2]])
        for one in factors
    )
    turned = graph.concatenate([x[:, :, :, size // 2 :], x[:, :, :, : size // 2]], -1)
    return x * cos + turned * sin


def _angles(time: int, count: int, width: int, base: float, start: int = 0) -> NDArray[np.float64]:
    places, pairs = np.arange(start, start + time, dtype=np.float64), np.arange(count, dtype=np.float64)
    return places[:, None] / base ** (2 * pairs / width)


def _angles_at(place: Node, count: int, width: int, base: float) -> Node:
    """The same at one place, (count,): in float64, since those of late places are large."""
    pairs = np.arange(count, dtype=np.float64)
    return graph.broadcast_to(graph.cast(place, "float64"), (count,)) / graph.constant(base ** (2 * pairs / width))


def _check_base(who: str, base: float) -> None:
    if not isinstance(base, int | float) or isinstance(base, bool) or not 1 < base < float("inf"):
        raise ConfigurationError(f"{who}: base is a number above 1, not {base!r}")


def _sequences(scope: Scope, x: Node) -> Node:
    if x.rank != 3:
        raise ShapeError(f"wants sequences, (batch, time, features), and got {list(x.shape)}")
    if x.dtype != scope.dtype:
        raise DtypeError(f"wants {scope.dtype}, and got {x.dtype}; use graph.cast")
    return x
