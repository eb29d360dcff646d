"""Maps over whole arrays as one loop: where every operand is read straight through, the axes do not matter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.engines.native.grouping import reads
from chainrule.engines.native.sharing import Share
from chainrule.graph import ELEMENTWISE, Node, input, make, remake


def flat(
    roots: Sequence[Node], read: Sequence[Node], part: Share | None
) -> tuple[Sequence[Node], Sequence[Node], int] | None:
    """The roots and what they read with all axes made one, and how many elements there are for one of the shared axis.

    None where some operand is read in another order, or where the axes are one already.
    """
    shape, size = roots[0].shape, roots[0].size
    if len(shape) < 2 or size < 2 or (part is not None and math.prod(shape[: part.axis]) > 1):
        return None
    numbers = {node: number for number, node in enumerate(read)}
    leaves: dict[Node, Node] = {}
    made: dict[Node, Node] = {}
    scalars: list[Node] = []
    waiting = list(roots)
    while waiting:
        node = waiting[-1]
        if node in made:
            waiting.pop()
            continue
        if node in numbers or (node.op == "reshape" and node.inputs[0] in numbers):
            leaf = node if node in numbers else node.inputs[0]
            if leaf.size != size or (node is leaf and leaf.shape != shape):
                return None
            made[node] = leaves[leaf] = input(f"flat/{numbers[leaf]}", (size,), leaf.dtype)
        elif node.op == "broadcast" and not node.inputs[0].shape and node.shape == shape:
            made[node] = make("broadcast", node.inputs, axes=(0,), sizes=(size,))
            scalars.append(node.inputs[0])
        elif node.op in ELEMENTWISE and node.shape == shape:
            missing = [below for below in node.inputs if below not in made]
            if missing:
                waiting.extend(missing)
                continue
            made[node] = remake(node, tuple(made[below] for below in node.inputs))
        else:
            return None
        waiting.pop()
    if leaves.keys() & {*reads(scalars, {*read}), *scalars}:
        return None  # one element of an array is read in the old shape, where the array is read whole in the new one
    inner = 1 if part is None else size // shape[part.axis]
    return [made[root] for root in roots], [leaves.get(node, node) for node in read], inner
