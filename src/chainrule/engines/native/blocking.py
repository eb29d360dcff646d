"""Blocks of rows: loops that follow each other row by row are done together for some rows, while these are near.

A softmax is four loops, and each would send its whole array through memory to the next. Where every loop needs just its
own rows of what came before, all of them can go through a few rows, and then through the next few. What only they read
is not stored as a whole: each core has a block of it, written anew for each few rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chainrule.engines.native.grouping import Group, is_map
from chainrule.engines.native.sharing import Share, aligned, in_step
from chainrule.engines.native.types import BYTES
from chainrule.graph import Node

#: Bytes that loops hand on to each other, or read one after the other, before it is worth it; and those of a block.
_WORTH, _BLOCK = 1 << 19, 1 << 16


@dataclass(frozen=True)
class Chain:
    """Groups that are done together, so many rows at a time; a single group is done at once, and has no rows.

    ``local`` are the nodes of which only a block is kept.
    """

    groups: tuple[Group, ...]
    rows: int = 0
    local: frozenset[Node] = frozenset()


def chains(
    groups: Sequence[Group],
    reads: Mapping[Group, Sequence[Node]],
    shares: Mapping[Group, Share | None],
    waits: Mapping[Group, bool],
    kept: Collection[Node],
) -> list[Chain]:
    """The groups in their order, those together that are worth it; ``kept`` are nodes that are needed as a whole."""
    found: list[list[Group]] = []
    for group in groups:
        if found and not waits[group] and _joins(group, found[-1], reads, shares):
            found[-1].append(group)
        else:
            found.append([group])
    made: list[Chain] = []
    for part in found:
        chain = _chain(part, reads, shares, _readers(groups, reads), kept)
        made += [chain] if chain else [Chain((group,)) for group in part]
    return made


def _readers(groups: Sequence[Group], reads: Mapping[Group, Sequence[Node]]) -> dict[Node, set[Group]]:
    readers: dict[Node, set[Group]] = {}
    for group in groups:
        for node in reads[group]:
            readers.setdefault(node, set()).add(group)
    return readers


def _joins(
    group: Group, part: Sequence[Group], reads: Mapping[Group, Sequence[Node]], shares: Mapping[Group, Share | None]
) -> bool:
    """Whether a group needs just its own rows of what those before it compute, and some of that at least."""
    own, first = shares[group], shares[part[0]]
    if not all(_by_rows(each, shares[each]) for each in (part[0], group)):
        return False
    if own is None or first is None or (own.unit, own.size) != (first.unit, first.size):
        return False
    writer = {node: before for before in part for node in before}
    return all(in_step(group, reads[group], own, node, shares[writer[node]]) for node in reads[group] if node in writer)


def _by_rows(group: Group, part: Share | None) -> bool:
    """Whether a group goes through the rows of what it writes, and does not read all of something for each."""
    node = group[0]
    if part is None or part.axis != 0:
        return False
    if node.op == "contract":
        # A product reads the other operand anew for each block, unless its rows go along too.
        return all(node.attributes["out_axes"][0] in node.attributes[name] for name in ("a_axes", "b_axes"))
    return is_map(node) or (node.op in ("sum", "max", "argmax") and _inner(node))


def _inner(node: Node) -> bool:
    return 0 not in node.attributes["axes"]


def _chain(
    part: Sequence[Group],
    reads: Mapping[Group, Sequence[Node]],
    shares: Mapping[Group, Share | None],
    readers: Mapping[Node, set[Group]],
    kept: Collection[Node],
) -> Chain | None:
    share = shares[part[0]]
    if len(part) < 2 or share is None:
        return None
    own = {node for group in part for node in group}
    handed = {node for group in part for node in reads[group] if node in own}
    rows_of = Counter(
        node
        for group in part
        for node, run in aligned(group[0], 0, {*reads[group]}).items()
        if run is not None and run.axis == 0 and run.factor == 1
    )
    near = {*rows_of}
    again = {node for node, times in rows_of.items() if times > 1}
    if sum(_size(node) for node in handed | again) < _WORTH:
        return None
    row = sum(_size(node) for node in own | near) // share.size
    rows = max(_BLOCK // max(row, 1) // share.unit, 1) * share.unit
    if 2 * rows > share.size:
        return None
    local = frozenset(node for node in handed if node not in kept and readers[node] <= {*part})
    return Chain(tuple(part), rows, local)


def _size(node: Node) -> int:
    return node.size * BYTES[node.dtype]
