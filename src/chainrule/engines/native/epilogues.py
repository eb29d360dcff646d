"""Epilogues: what is computed element by element of a product is computed tile by tile, while the tile is near.

A bias and an activation, or the slope of one, would otherwise be a loop of their own through the whole product.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from chainrule.engines.native.grouping import Group, is_map, near_and_far, read_by
from chainrule.engines.native.tiles import tile
from chainrule.graph import Node

#: Elements of the last axis below which a tile has no vectors worth the name.
_LEAST = 16
#: What a loop by itself reads by vectors with a mask, and a tile would not.
_APART = frozenset({"gather", "pad", "window"})


def with_epilogues(found: Sequence[Group], stored: set[Node], kept: Collection[Node]) -> list[Group]:
    """The groups, a product together with the map that reads it first; the product stands first in such a group.

    A product that nobody else reads, and that is not ``kept``, is no longer ``stored``: its tiles are written where the
    first of the maps goes, and become that; or on the stack, where that map takes the place of what it reads.
    """
    read = {group: read_by(group, stored) for group in found}
    made = list(found)
    for product in found:
        users = [group for group in made if product[0] in read.get(group, [])]
        if not users or not _joins(product[0], users[0], stored):
            continue
        merged = (product[0], *users[0])
        if len(users) == 1 and product[0] not in kept:
            stored.discard(product[0])
        made = [merged if group == users[0] else group for group in made if group != product]
        read[merged] = [*read[product], *read[users[0]]]
    return made


def _joins(product: Node, group: Group, stored: set[Node]) -> bool:
    if product.op != "contract" or tile(product, stored) is None or product.shape[-1] < _LEAST:
        return False
    if not is_map(group[0]) or group[0].dtype != product.dtype or any(root.shape != product.shape for root in group):
        return False
    reached = [near_and_far(root, stored) for root in group]
    if any(product in far for _, far in reached):
        return False
    return not _between(group, stored) & _APART


def _between(group: Group, stored: set[Node]) -> set[str]:
    """The ops of what a group computes without storing it."""
    ops: set[str] = set()
    seen: set[Node] = set()
    waiting = [*group]
    while waiting:
        node = waiting.pop()
        if node in seen or (node in stored and node not in group):
            continue
        seen.add(node)
        ops.add(node.op)
        waiting.extend(node.inputs)
    return ops
