"""Layers one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.layers.scope import AnyLayer, Scope


@dataclass(frozen=True, init=False)
class Chain:
    """Layers applied one after another; the output of each is the input of the next.

    ``layers`` are layers or plain functions of nodes. Their paths are their places: "0", "1", …; the parameters are
    "0.weight", "0.bias", … A ``name`` tells models of one step apart ("generator.0.weight").

    >>> from chainrule.layers import Dense
    >>> len(Chain(Dense(64), Dense(10)).layers)
    2
    """

    layers: tuple[AnyLayer, ...]
    name: str = field(default="", kw_only=True)

    def __init__(self, *layers: AnyLayer, name: str = "") -> None:
        check_layers("Chain", layers)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "name", name)

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """The output of the last layer."""
        first, *rest = self.layers
        x = scope.apply(first, *inputs, name=0)
        for place, layer in enumerate(rest, 1):
            x = scope.apply(layer, x, name=place)
        return x


def check_layers(who: str, layers: Sequence[AnyLayer]) -> None:
    """Refuse what is no row of layers."""
    if not layers:
        raise ConfigurationError(f"{who}: at least one layer is needed")
    for place, layer in enumerate(layers):
        if isinstance(layer, list | tuple):
            raise ConfigurationError(f"{who}: entry {place} is a {type(layer).__name__}; give {who}(*layers)")
        check_layer(f"{who}: entry {place}", layer)


def check_layer(what: str, layer: AnyLayer) -> None:
    """Refuse what is neither a layer nor a function."""
    if not hasattr(layer, "apply") and not callable(layer):
        raise ConfigurationError(f"{what} is {layer!r}, which is neither a layer nor a function")
    if isinstance(layer, type):
        raise ConfigurationError(f"{what} is the class {layer.__name__}; give {layer.__name__}(…)")
