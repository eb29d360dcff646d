"""Panels: a large weight is kept as panels of columns, so that what each core reads and updates lies by itself.

Where two cores share the rows of a matrix, each row has a place where the part of one ends and that of the other
begins; there they take cache lines from each other, row by row, step by step. So a weight of (K, N) that is divided by
columns is held as (N/32, K, 32) while a program has it, and so is all that is computed element by element on the way
from the product to the new weight. What the outside gives and gets has the shape that the graph says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from chainrule.engines.native.dividing import LAID_OUT_FOR, divided, feeds_of, on_the_way
from chainrule.engines.native.types import BYTES
from chainrule.engines.protocol import Array
from chainrule.graph import ELEMENTWISE, FLOATS, Graph, Node, constant, input, make, remake, topological
from chainrule.graph.building import canonical

WIDTH = 32
#: Weights of fewer bytes stay as they are.
_SMALL = 65536
#: The largest part of a panelled weight that may be padding.
_PADDING = 0.15


@dataclass(frozen=True)
class Panels:
    """How an array of ``rows`` × ``columns`` is kept: as (count, rows, 32), the last panel filled up with zeros."""

    rows: int
    columns: int

    @property
    def count(self) -> int:
        """How many panels there are."""
        return -(-self.columns // WIDTH)

    def split(self, array: Array, panels: Array) -> Array:
        """Write the array into panels, of which the last is filled up with zeros."""
        whole = self.columns // WIDTH
        panels[:whole] = array[:, : whole * WIDTH].reshape(self.rows, whole, WIDTH).transpose(1, 0, 2)
        if whole < self.count:
            rest = self.columns % WIDTH
            panels[whole, :, :rest] = array[:, whole * WIDTH :]
            panels[whole, :, rest:] = 0
        return panels

    def join(self, panels: Array) -> Array:
        """The array that panels are made of."""
        whole = self.columns // WIDTH
        array = np.empty((self.rows, self.columns), panels.dtype)
        array[:, : whole * WIDTH].reshape(self.rows, whole, WIDTH)[...] = panels[:whole].transpose(1, 0, 2)
        if whole < self.count:
            array[:, whole * WIDTH :] = panels[whole, :, : self.columns % WIDTH]
        return array


def in_panels(graph: Graph) -> tuple[Graph, dict[str, Panels]]:
    """The graph with its large weights, and what goes with them, in panels; and those inputs and outputs by name."""
    outputs = list(graph.outputs.values())
    feeds = feeds_of(graph)
    axes = divided(outputs, feeds, LAID_OUT_FOR)
    families = [_family(new, old, feeds) for new, old in feeds.items() if _wants(new, old, axes)]
    members = {old: feeds_new for family in families for old, feeds_new in family.items()}
    if not members:
        return graph, {}
    layout = _Layout(graph, members)
    names = {name: node for name, node in graph.inputs.items() if node in members}
    return layout.graph, {name: Panels(node.shape[0], node.shape[1]) for name, node in names.items()}


def _wants(new: Node, old: Node, axes: Mapping[Node, int]) -> bool:
    if old.rank != 2 or old.dtype not in FLOATS or old.size * BYTES[old.dtype] < _SMALL or axes.get(new) != 1:
        return False
    count = -(-old.shape[1] // WIDTH)
    return count >= LAID_OUT_FOR and count * WIDTH <= old.shape[1] * (1 + _PADDING)


def _family(new: Node, old: Node, feeds: Mapping[Node, Node]) -> dict[Node, Node]:
    """A weight and the state that goes with it, element by element, old -> new: what the new weight is computed of, and
    what is computed of that."""
    ways = {after: on_the_way(after) for after in feeds if (after.shape, after.dtype) == (new.shape, new.dtype)}
    found, way = {old: new}, {node for node in ways[new] if _of_its_own(node)}
    grown = True
    while grown:
        grown = False
        for after, nodes in ways.items():
            if feeds[after] not in found and not way.isdisjoint(nodes):
                found[feeds[after]] = after
                way |= {node for node in nodes if _of_its_own(node)}
                grown = True
    return found


def _of_its_own(node: Node) -> bool:
    """Whether a node belongs to one weight: a number that is spread over an array may belong to all."""
    return node.op not in ("broadcast", "constant")


class _Layout:
    """One walk through a graph: ``known`` has each node in its own shape, ``panels`` those that have panels, too.

    A matrix (K, N) has panels (P, K, 32); whatever else ends in N columns (…, P, 32), called its tiles.
    """

    def __init__(self, graph: Graph, members: Mapping[Node, Node]) -> None:
        self.members = members
        self.known: dict[Node, Node] = {}
        self.panels: dict[Node, Node] = {}
        self.tiles: dict[Node, Node] = {}
        news = set(members.values())
        self._shapes = {old.shape for old in members}
        for node in topological(graph.outputs.values()):
            self.known[node] = self._change(node)
        made = {name: self._panel(n) if n in news else self.known[n] for name, n in graph.outputs.items()}
        mapping = {**self.known, **self.tiles, **self.panels}
        origins = {mapping[node]: origin for node, origin in graph.origins.items() if node in mapping}
        self.graph = Graph(made, origins)

    def _change(self, node: Node) -> Node:
        if node in self.members:
            rows, columns = node.shape
            shape = (-(-columns // WIDTH), rows, WIDTH)
            self.panels[node] = input(node.attributes["name"], shape, node.dtype)
            return _matrix(self.panels[node], columns)
        if node.op == "contract" and any(below in self.members for below in node.inputs):
            found = self._product(node)
            if found is not None:
                return found
        if node.op in ELEMENTWISE and any(below in self.tiles for below in node.inputs):
            self.tiles[node] = remake(node, tuple(self._tile(below) for below in node.inputs))
            return _joined(self.tiles[node], node.shape[-1])
        if node.op == "sum":
            found = self._sum(node)
            if found is not None:
                return found
        return remake(node, tuple(self.known[below] for below in node.inputs))

    def _product(self, node: Node) -> Node | None:
        """A product with a weight in panels: its columns are columns of the product, or they are summed over."""
        place = 0 if node.inputs[0] in self.members else 1
        weight, other = node.inputs[place], node.inputs[1 - place]
        names = ("a_axes", "b_axes")
        letters, others = (list(node.attributes[names[n]]) for n in (place, 1 - place))
        out = list(node.attributes["out_axes"])
        row, column = letters
        fresh = max(*letters, *others) + 1
        panelled = [fresh, row, column]
        if column not in others and out[-1:] == [column]:
            spread, new_others, new_out = self.known[other], others, [*out[:-1], fresh, column]
        elif column in others and others[-1] == column and column not in out and other not in self.members:
            spread, new_others, new_out = self._masked(other), [*others[:-1], fresh, column], out
        else:
            return None
        product = _contract(self.panels[weight], panelled, spread, new_others, new_out, place == 0)
        if new_out is out:
            return product
        self.tiles[node] = product
        return _joined(product, node.shape[-1])

    def _sum(self, node: Node) -> Node | None:
        """A sum over tiles, or over panels, where they are: zeros are added, and nothing is read across."""
        (x,), axes = node.inputs, node.attributes["axes"]
        if x in self.tiles and x.rank - 1 in axes and len(axes) == x.rank:
            return make("sum", (self._masked(x),), axes=tuple(range(x.rank + 1)))
        if x in self.tiles and x.rank - 1 not in axes:
            self.tiles[node] = make("sum", (self._masked(x),), axes=axes)
            return _joined(self.tiles[node], x.shape[-1])
        if len(axes) == 2 and self._is_zero_outside(x):
            return make("sum", (self._panel(x),), axes=(0, 1, 2))
        if axes == (0,) and self._is_in_panels(x):
            self.tiles[node] = make("sum", (self._panel(x),), axes=(1,))
            return _joined(self.tiles[node], x.shape[-1])
        return None

    def _tile(self, node: Node) -> Node:
        """What ends in N columns, as tiles; what stands beyond N is not said."""
        if node in self.tiles:
            return self.tiles[node]
        columns = node.shape[-1]
        count = -(-columns // WIDTH)
        if node.op == "broadcast":
            axes, sizes = node.attributes["axes"], node.attributes["sizes"]
            (x,) = node.inputs
            if x.rank and node.rank - 1 not in axes:
                return make("broadcast", (self._tile(x),), axes=axes, sizes=sizes)
            if not x.rank:
                shape = (*node.shape[:-1], count, WIDTH)
                return make("broadcast", (self.known[x],), axes=tuple(range(len(shape))), sizes=shape)
            if node.rank - 1 in axes:
                # The last of the new axes becomes two.
                new, lengths = (*axes[:-1], node.rank - 1, node.rank), (*sizes[:-1], count, WIDTH)
                return make("broadcast", (self.known[x],), axes=new, sizes=lengths)
        made = self.known[node]
        if made.op == "contract":
            found = _split_columns(made, count)
            if found is not None:
                self.tiles[node] = found
                return found
        return _split(made, node.rank - 1, count)

    def _masked(self, node: Node) -> Node:
        """Tiles, with zeros beyond N."""
        tiles, columns = self._tile(node), node.shape[-1]
        return tiles if columns % WIDTH == 0 else _cut(tiles, columns)

    def _panel(self, node: Node) -> Node:
        """A matrix of a weight's shape, as panels."""
        if node not in self.panels:
            self.panels[node] = self._make_panel(node)
        return self.panels[node]

    def _make_panel(self, node: Node) -> Node:
        rows, columns = node.shape
        count = -(-columns // WIDTH)
        shape = (count, rows, WIDTH)
        if node.op in ELEMENTWISE:
            return remake(node, tuple(self._panel(below) for below in node.inputs))
        if node.op == "broadcast":
            (x,) = node.inputs
            axes = node.attributes["axes"]
            if axes == (0, 1):
                return make("broadcast", (self.known[x],), axes=(0, 1, 2), sizes=shape)
            if axes == (1,):
                return make("broadcast", (self.known[x],), axes=(0, 2), sizes=(count, WIDTH))
            return make("broadcast", (self._masked(x),), axes=(1,), sizes=(rows,))
        if node.op == "contract":
            found = self._gradient(node)
            if found is not None:
                return found
        return make("transpose", (_split(self.known[node], 1, count),), axes=(1, 0, 2))

    def _gradient(self, node: Node) -> Node | None:
        """A product of whose operands one has the columns: its tiles give the panels."""
        letters = [list(node.attributes[name]) for name in ("a_axes", "b_axes")]
        row, column = node.attributes["out_axes"]
        place = 0 if column in letters[0] else 1
        if column in letters[1 - place] or letters[place][-1] != column:
            return None
        fresh = max(*letters[0], *letters[1]) + 1
        tiles = self._masked(node.inputs[place])
        wide = [*letters[place][:-1], fresh, column]
        spread = self.known[node.inputs[1 - place]]
        return _contract(tiles, wide, spread, letters[1 - place], [fresh, row, column], place == 0)

    def _is_in_panels(self, node: Node) -> bool:
        """Whether a matrix is computed, element by element, of one that is in panels."""
        if node.shape not in self._shapes:
            return False
        if node.op in ELEMENTWISE:
            return any(self._is_in_panels(below) for below in node.inputs)
        return node in self.members or (node.op == "contract" and self._is_gradient(node))

    def _is_zero_outside(self, node: Node) -> bool:
        """Whether what is computed of zeros beyond N is zero, so that a sum over all panels is the sum."""
        if node.shape not in self._shapes:
            return False
        if node in self.members or node.op == "contract":
            return self.members.get(node) is not None or self._is_gradient(node)
        if node.op == "power":
            return node.attributes["exponent"] > 0 and self._is_zero_outside(node.inputs[0])
        if node.op in ("neg", "cast"):
            return self._is_zero_outside(node.inputs[0])
        return node.op in ("add", "sub", "mul") and all(self._is_zero_outside(below) for below in node.inputs)

    def _is_gradient(self, node: Node) -> bool:
        if not any(node in on_the_way(new) for new in self.members.values()):
            return False
        return self._gradient(node) is not None


def _contract(a: Node, a_axes: list[int], b: Node, b_axes: list[int], out: list[int], in_order: bool) -> Node:
    if in_order:
        return make("contract", (a, b), **canonical(a_axes, b_axes, out))
    return make("contract", (b, a), **canonical(b_axes, a_axes, out))


def _matrix(panels: Node, columns: int) -> Node:
    """Panels as the matrix that they are made of."""
    return _joined(make("transpose", (panels,), axes=(1, 0, 2)), columns)


def _joined(tiles: Node, columns: int) -> Node:
    """Tiles as what they are made of."""
    *outer, count, width = tiles.shape
    whole = make("reshape", (tiles,), shape=(*outer, count * width))
    if columns == count * width:
        return whole
    rank = whole.rank
    return make("slice", (whole,), starts=(0,) * rank, stops=(*outer, columns), steps=(1,) * rank)


def _split(x: Node, axis: int, count: int) -> Node:
    """An axis filled up with zeros, as two."""
    more = count * WIDTH - x.shape[axis]
    if more:
        none = (0,) * x.rank
        high = tuple(more if place == axis else 0 for place in range(x.rank))
        x = make("pad", (x,), low=none, high=high, interior=none, value=0.0 if x.dtype in FLOATS else 0)
    return make("reshape", (x,), shape=(*x.shape[:axis], count, WIDTH, *x.shape[axis + 1 :]))


def _split_columns(product: Node, count: int) -> Node | None:
    """A product whose last axis becomes two, if that axis is one of a smaller operand alone."""
    letters = [list(product.attributes[name]) for name in ("a_axes", "b_axes")]
    out = list(product.attributes["out_axes"])
    column = out[-1]
    place = 0 if column in letters[0] else 1
    if column in letters[1 - place] or 2 * product.inputs[place].size > product.size:
        return None
    axis = letters[place].index(column)
    fresh = max(*letters[0], *letters[1]) + 1
    wide = [*letters[place][:axis], fresh, *letters[place][axis:]]
    split = _split(product.inputs[place], axis, count)
    other = product.inputs[1 - place]
    return _contract(split, wide, other, letters[1 - place], [*out[:-1], fresh, column], place == 0)


def _cut(tiles: Node, columns: int) -> Node:
    """Tiles with zeros beyond the columns."""
    count = tiles.shape[-2]
    place = make("reshape", (make("iota", (), size=count * WIDTH, dtype="int32"),), shape=(count, WIDTH))
    limit = make("broadcast", (constant(columns, "int32"),), axes=(0, 1), sizes=(count, WIDTH))
    inside = make("lt", (place, limit))
    outer = tuple(range(tiles.rank - 2))
    whole = make("broadcast", (inside,), axes=outer, sizes=tiles.shape[:-2]) if outer else inside
    nothing = make("broadcast", (constant(0.0, tiles.dtype),), axes=tuple(range(tiles.rank)), sizes=tiles.shape)
    return make("select", (whole, tiles, nothing))
