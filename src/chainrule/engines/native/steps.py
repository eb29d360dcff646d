"""Sums in two steps: a large array that becomes one number, or a few, is first summed block by block, by all cores."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.engines.native.sharing import tile_rows
from chainrule.graph import Graph, Node, make, remake, reshape, topological

#: What may as well be computed once more, where another loop has computed it too.
_CHEAP = frozenset("neg add sub mul lt le eq and or not select cast".split())
#: Fewer terms than this are summed at once.
_MANY = 4096
#: The blocks that an array with one long axis is cut into.
_BLOCKS = 64


def in_steps(graph: Graph, axes: Mapping[Node, int]) -> Graph:
    """The graph with each large sum to one number as sums of blocks, and their sum: the same on any number of cores.

    A block is what a core takes at a time where the array is made, so that it is summed where it was written: ``axes``
    tells of arrays that are divided along another axis than the first.
    """

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        made = remake(node, inputs)
        if made.op != "sum":
            return made
        return _blocks_first(made, axes) if made.size == 1 else _samples_first(made, axes.get(node.inputs[0]) == 1)

    return graph.map(change)


def _blocks_first(node: Node, axes: Mapping[Node, int]) -> Node:
    (x,) = node.inputs
    if len(node.attributes["axes"]) < x.rank:
        return node
    if x.size < _MANY:
        # As one row, so that it is summed in vectors.
        return node if x.rank < 2 else make("sum", (_in_blocks(x, (x.size,)),), axes=(0,))
    axis = max((axes[below] for below in topological([x]) if below in axes and below.shape == x.shape), default=0)
    if axis == x.rank - 1 and axis > 0:
        columns = make("sum", (x,), axes=tuple(range(axis)))
        return make("sum", (columns,), axes=(0,))
    shape = [size for size in x.shape if size > 1]
    if len(shape) == 1:
        blocks = _BLOCKS
    elif len(shape) == 2:
        blocks = shape[0] // tile_rows(shape[0])
        blocks = blocks if shape[0] % tile_rows(shape[0]) == 0 and blocks > 1 else shape[0]
    else:
        blocks = shape[0]
    if x.size % blocks:
        return node
    rows = make("sum", (_in_blocks(x, (blocks, x.size // blocks)),), axes=(1,))
    return make("sum", (rows,), axes=(0,))


def _samples_first(node: Node, timed: bool) -> Node:
    """A sum over all samples and all places of an image, as of batch normalization: of each sample by itself first.

    The few numbers that it comes to cannot be divided between cores without each reading what all have written. So
    with the times of a sample.
    """
    (x,) = node.inputs
    summed = node.attributes["axes"]
    whole = summed == tuple(range(x.rank - 1)) and len(summed) > 1
    if not whole or x.shape[timed] < 2 or x.size // x.shape[timed] < _MANY:
        return node
    others = tuple(axis for axis in summed if axis != timed)
    return make("sum", (make("sum", (x,), axes=others),), axes=(0,))


def _in_blocks(x: Node, shape: tuple[int, ...]) -> Node:
    """What is computed element by element, from blocks of what it is computed from: those lie straight in memory."""
    if x.op == "broadcast" and not x.inputs[0].shape:
        return make("broadcast", x.inputs, axes=tuple(range(len(shape))), sizes=shape)
    if x.op in _CHEAP or (x.op == "power" and x.attributes["exponent"] == 2):
        return remake(x, tuple(_in_blocks(below, shape) for below in x.inputs))
    return reshape(x, shape)
