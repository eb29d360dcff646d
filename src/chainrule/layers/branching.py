"""Layers side by side: a shortcut around some of them, and branches that come together again."""

from __future__ import annotations

from dataclasses import dataclass, field

from chainrule import graph
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.graph import Node
from chainrule.layers.chain import check_layer, check_layers
from chainrule.layers.scope import AnyLayer, Scope


@dataclass(frozen=True, init=False)
class Residual:
    """Layers with a shortcut around them: y = F(x) + x, or F(x) + P(x) with a ``projection`` P.

    F is ``layers``, one after another. Without a projection, they give what has the shape of x; with one, P brings x to
    the shape of F(x), such as `Conv2D(32, 1, stride=2)`. The paths are "0", "1", … and "projection". An activation
    after the sum is a layer after this one.

    >>> from chainrule.layers import Dense
    >>> Residual(Dense(8, graph.tanh), Dense(8)).projection is None
    True

    Reference: K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2016.
    """

    layers: tuple[AnyLayer, ...]
    projection: AnyLayer | None = field(default=None, kw_only=True)

    def __init__(self, *layers: AnyLayer, projection: AnyLayer | None = None) -> None:
        check_layers("Residual", layers)
        if projection is not None:
            check_layer("Residual: projection", projection)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "projection", projection)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The sum of both ways."""
        y, *_ = inputs
        for place, layer in enumerate(self.layers):
            y = scope.apply(layer, *(inputs if place == 0 else (y,)), name=place)
        if self.projection is not None:
            around = scope.apply(self.projection, *inputs, name="projection")
        elif len(inputs) == 1:
            (around,) = inputs
        else:
            raise ShapeError(f"without a projection there is one input to add, and {len(inputs)} came")
        if y.shape != around.shape:
            what = "the projection gives" if self.projection is not None else "what came in is"
            advice = "" if self.projection is not None else f": give a projection to {list(y.shape[1:])}"
            raise ShapeError(f"the layers give {list(y.shape)}, and {what} {list(around.shape)}{advice}")
        return y + around


@dataclass(frozen=True, init=False)
class Parallel:
    """Branches that see the same input, and whose outputs come together.

    ``combine`` is "concatenate", along the last axis, so that (…, m) and (…, n) give (…, m + n), or "add", of one
    shape. A branch is a layer, a chain, or a function of nodes; the paths are "0", "1", …

    >>> from chainrule.layers import Dense
    >>> len(Parallel(Dense(8), Dense(4)).branches)
    2

    Reference: C. Szegedy et al., "Going deeper with convolutions", 2015.
    """

    branches: tuple[AnyLayer, ...]
    combine: str = field(default="concatenate", kw_only=True)

    def __init__(self, *branches: AnyLayer, combine: str = "concatenate") -> None:
        check_layers("Parallel", branches)
        if combine not in ("concatenate", "add"):
            raise ConfigurationError(f"Parallel: combine is 'concatenate' or 'add', not {combine!r}")
        object.__setattr__(self, "branches", branches)
        object.__setattr__(self, "combine", combine)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The outputs of all branches as one."""
        outputs = [scope.apply(branch, *inputs, name=place) for place, branch in enumerate(self.branches)]
        adds = self.combine == "add"
        alike = {output.shape if adds else output.shape[:-1] for output in outputs}
        if len(alike) > 1:
            shapes = ", ".join(str(list(output.shape)) for output in outputs)
            raise ShapeError(
                f"the branches give {shapes}, which "
                + (
                    "are not of one shape to be added"
                    if adds
                    else "differ before the last axis, so cannot be joined along it"
                )
            )
        if not adds:
            return graph.concatenate(outputs, -1)
        first, *others = outputs
        for other in others:
            first = first + other
        return first
