"""The dense layer, and flattening before it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import leaky_relu, relu
from chainrule.initializers import Constant, Glorot, He, Initializer
from chainrule.layers.scope import Scope, one_input

Activation = Callable[[Node], Node]
_LETTERS = "abcdefgh"


@dataclass(frozen=True)
class Dense:
    """Units that each see every input: y = f(x·W + b).

    ``x`` is (batch, n) (or has more leading axes), ``weight`` W is (n, units), ``bias`` b is (units,); ``activation``
    is f, and without one the layer is linear. The first weights are He's for ReLU and Glorot's otherwise, biases start
    at 0, unless ``weight`` and ``bias_start`` say otherwise; ``bias=False`` leaves b out.

    Differs from: PyTorch, whose weight is (units, n) and whose first weights are uniform(±1/√n).

    >>> Dense(10).units
    10

    Reference: D. Rumelhart, G. Hinton and R. Williams, "Learning representations by back-propagating errors", 1986.
    """

    units: int
    activation: Activation | None = None
    bias: bool = True
    weight: Initializer | None = None
    bias_start: Initializer = Constant(0.0)

    def __post_init__(self) -> None:
        if not isinstance(self.units, int) or isinstance(self.units, bool) or self.units < 1:
            raise ConfigurationError(f"Dense: units is a whole number above 0, not {self.units!r}")
        if self.activation is not None and not callable(self.activation):
            raise ConfigurationError(f"Dense: activation is a function such as chainrule.relu, not {self.activation!r}")

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(…, n) -> (…, units)."""
        x = one_input(inputs)
        if x.rank < 2:
            raise ShapeError(f"wants a batch of rows, (batch, features), and got {list(x.shape)}")
        if x.dtype != scope.dtype:
            raise DtypeError(f"wants {scope.dtype}, and got {x.dtype}; use graph.cast")
        weight = scope.parameter("weight", (x.shape[-1], self.units), self.weight or usual_weight(self.activation))
        letters = _LETTERS[: x.rank - 1]
        y = graph.contract(x, weight, f"{letters}i,io->{letters}o")
        if self.bias:
            y = y + graph.broadcast_to(scope.parameter("bias", (self.units,), self.bias_start), y.shape)
        return self.activation(y) if self.activation else y


def usual_weight(activation: Activation | None) -> Initializer:
    """The first weights that suit what follows them: He's for ReLU, Glorot's otherwise."""
    function = getattr(activation, "func", activation)
    return He() if function in (relu, leaky_relu) else Glorot()


@dataclass(frozen=True)
class Flatten:
    """All axes but the batch in one: (batch, a, b, …) -> (batch, a·b·…)."""

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …) -> (batch, features)."""
        x = one_input(inputs)
        return graph.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


@dataclass(frozen=True)
class Reshape:
    """Each sample in another shape: (batch, …) -> (batch, *shape)."""

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = tuple(self.shape) if isinstance(self.shape, list | tuple) else ()
        whole = all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes)
        if not whole or not isinstance(self.shape, list | tuple):
            raise ConfigurationError(f"Reshape: shape is a tuple of whole numbers above 0, not {self.shape!r}")
        object.__setattr__(self, "shape", sizes)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …) -> (batch, *shape)."""
        x = one_input(inputs)
        return graph.reshape(x, (x.shape[0], *self.shape))
