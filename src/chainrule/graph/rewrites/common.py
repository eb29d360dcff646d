"""What the rewrites share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from chainrule.graph.node import Node
from chainrule.graph.printing import repeated_number


class Make(Protocol):
    """Makes a node and simplifies it, so that one rewrite can lead to the next."""

    def __call__(self, op: str, *inputs: Node, **attributes: Any) -> Node:
        """The simplest node known for this op, these inputs and attributes."""


Rewrite = Callable[[Node, Make], Node | None]


def is_number(node: Node, number: float) -> bool:
    """Whether a node is this number everywhere, known from how it was made."""
    value = repeated_number(node)
    return value is not None and not isinstance(value, bool) and value == number


def repeated(make: Make, x: Node, axes: Sequence[int], sizes: Sequence[int]) -> Node:
    """x with new axes, if there are any."""
    return make("broadcast", x, axes=tuple(axes), sizes=tuple(sizes)) if axes else x


def without(axes: Iterable[int], gone: Iterable[int]) -> list[int]:
    """Axes renumbered for an array in which some others are gone."""
    lost = sorted(gone)
    return [axis - sum(1 for other in lost if other < axis) for axis in axes if axis not in lost]


def same(condition: Callable[[Node], bool]) -> Rewrite:
    """The first operand itself, where a condition says that the op changes nothing."""
    return lambda node, make: node.inputs[0] if condition(node) else None
