"""The order of loops: what is small is done as early as it can be, so that the cores wait for each other less often.

Between two waits the cores go through some loops. A small loop that stands behind a wait, but needs nothing of what
came just before it, goes in front of that wait; else what reads it would have to wait once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chainrule.engines.native.grouping import Group
from chainrule.engines.native.sharing import Share, in_step
from chainrule.engines.native.types import BYTES
from chainrule.graph import Node

#: Bytes of what is done earlier than it need be, at most: it takes memory for longer.
_SMALL = 1 << 16


def early(
    groups: Sequence[Group],
    reads: Mapping[Group, Sequence[Node]],
    shares: Mapping[Group, Share | None],
    replaces: Mapping[Node, Node],
) -> list[Group]:
    """The groups in another order that is right as well; roots in ``replaces`` are written over what others read."""
    phase: dict[Group, int] = {}
    writer: dict[Node, Group] = {}
    readers: dict[Node, list[Group]] = {}
    floor = now = 0
    for group in groups:
        if group[0].op in ("scan", "last", "stack"):
            floor = now = max([now, *phase.values()]) + 1  # a loop over time has waits of its own
            phase[group] = now
        else:
            least = floor
            for node in reads[group]:
                if node in writer:
                    apart = not in_step(group, reads[group], shares[group], node, shares[writer[node]])
                    least = max(least, phase[writer[node]] + apart)
            for root in group:
                for reader in readers.get(replaces[root], []) if root in replaces else []:
                    apart = not in_step(reader, reads[reader], shares[reader], replaces[root], shares[group])
                    least = max(least, phase[reader] + apart)
            if sum(root.size * BYTES[root.dtype] for root in group) > _SMALL:
                now = max(now, least)
                least = now
            phase[group] = least
        writer |= dict.fromkeys(group, group)
        for node in reads[group]:
            readers.setdefault(node, []).append(group)
    return sorted(groups, key=lambda group: phase[group])
