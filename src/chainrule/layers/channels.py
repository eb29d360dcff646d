"""Channels added and chosen, and values brought to another scale, without anything learned."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import FLOATS, Node
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope, one_input
from chainrule.layers.windows import is_whole


@dataclass(frozen=True)
class PadChannels:
    """More channels, the new ones 0: (batch, …, n) -> (batch, …, ``channels``).

    With `MaxPool2D(1, stride=2)` before it, it is the shortcut without parameters of residual networks.

    >>> PadChannels(32)
    PadChannels(channels=32)

    Reference: K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2016, option A.
    """

    channels: int

    def __post_init__(self) -> None:
        if not is_whole(self.channels, 1):
            raise ConfigurationError(f"PadChannels: channels is a whole number above 0, not {self.channels!r}")

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, n) -> (batch, …, channels)."""
        x = one_input(inputs)
        if x.rank < 2 or x.shape[-1] > self.channels:
            raise ShapeError(
                f"wants (batch, …, channels) with {self.channels} channels at most, and got {list(x.shape)}"
            )
        before = (0,) * (x.rank - 1)
        return graph.pad(x, (*before, 0), (*before, self.channels - x.shape[-1]))


@dataclass(frozen=True)
class SelectChannels:
    """Some channels, in the order given; one may come several times: (batch, …, n) -> (batch, …, len(channels)).

    Before a `Conv2D` with groups it says which channels each group sees: connections by a table.

    >>> SelectChannels((0, 2)).channels
    (0, 2)
    """

    channels: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = tuple(self.channels) if isinstance(self.channels, list | tuple) else ()
        if not numbers or not all(map(is_whole, numbers)):
            raise ConfigurationError(
                f"SelectChannels: channels is a tuple of channel numbers from 0 on, not {self.channels!r}"
            )
        object.__setattr__(self, "channels", numbers)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, n) -> (batch, …, channels)."""
        x = one_input(inputs)
        if x.rank < 2 or max(self.channels) >= x.shape[-1]:
            raise ShapeError(f"wants (batch, …, channels) with a channel {max(self.channels)}, and got {list(x.shape)}")
        return graph.gather(x, graph.constant(np.asarray(self.channels, np.int32)), axis=x.rank - 1)


@dataclass(frozen=True)
class Rescale:
    """Each value times ``scale``, plus ``offset``: y = s·x + o, the same in training and prediction.

    >>> Rescale(2.0, -1.0)
    Rescale(scale=2.0, offset=-1.0)
    """

    scale: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        check_range("Rescale", "scale", self.scale, -math.inf, math.inf)
        check_range("Rescale", "offset", self.offset, -math.inf, math.inf)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The same shape."""
        x = one_input(inputs)
        if x.dtype not in FLOATS:
            raise DtypeError(f"wants floats, and got {x.dtype}; use graph.cast")
        return x * float(self.scale) + float(self.offset)
