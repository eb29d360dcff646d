"""Local derivatives, element by element: which elements of an operand a node's elements depend on, and how strongly.

All of it comes from the rule table. A rule applied to a cotangent g gives Jᵀ·g, with J the matrix of local
derivatives; pulling a v back through that, which is linear in g, gives J·v. Probing with zeros and ones then tells the
entries of J. What is known beforehand is only how far an op reaches, so that many entries come out of one probe.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.protocol import Program
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import pull_back
from chainrule.graph import FLOATS, OPS, Graph, Node, input, remake

Array = NDArray[Any]

#: Ops of which each element of the output reads at most one element of an operand…
_ONE_SOURCE = frozenset("reshape transpose reverse broadcast slice pad concatenate window gather".split())
#: … and of which each element of the operand goes to at most one element of the output.
_ONE_TARGET = frozenset("sum max fold scatter_add".split())


class Edges(NamedTuple):
    """Some entries of a local Jacobian: places among the given rows of the operand, flat places of the output."""

    rows: Array
    targets: Array
    derivatives: Array


def operands_of(node: Node) -> tuple[Node, ...]:
    """What a node is made of; a reader of a scan is taken together with the scan, as one op."""
    return node.inputs[0].inputs if node.op in ("last", "stack") else node.inputs


def edges(node: Node, position: int, rows: Array, values: Mapping[Node, Array]) -> Iterator[Edges]:
    """The local derivatives of a node's elements by those elements ``rows`` (flat) of one of its operands.

    An edge whose derivative happens to be 0 is there as well for elementwise ops and contractions; nowhere else.
    """
    probe = _Probe(node, position, values)
    x, y = probe.operand, node
    if x.dtype not in FLOATS or y.dtype not in FLOATS:
        return
    if OPS[y.op].family == "elementwise":
        derivatives = probe.pull(np.ones(y.shape))
        yield Edges(np.arange(len(rows)), rows, derivatives.ravel()[rows])
    elif y.op in _ONE_TARGET:
        yield from _by_target(probe, rows)
    elif y.op in _ONE_SOURCE:
        yield _by_source(probe, rows, np.arange(len(rows)))
    elif y.op == "contract":
        yield from _contraction(probe, rows)
    elif len(rows) <= y.size:
        for place, row in enumerate(rows):
            column = probe.push(_ones(x.shape, row)).ravel()
            targets = np.flatnonzero(column)
            yield Edges(np.full(len(targets), place), targets, column[targets])
    else:
        for target in range(y.size):
            line = probe.pull(_ones(y.shape, target)).ravel()[rows]
            places = np.flatnonzero(line)
            yield Edges(places, np.full(len(places), target), line[places])


def _ones(shape: tuple[int, ...], places: Any, values: Any = 1.0) -> Array:
    flat = np.zeros(math.prod(shape))
    flat[places] = values
    return flat.reshape(shape)


def _by_target(probe: _Probe, rows: Array) -> Iterator[Edges]:
    derivatives = probe.pull(np.ones(probe.node.shape)).ravel()[rows]
    numbered = probe.pull(_numbers(probe.node.shape)).ravel()[rows]
    places = np.flatnonzero(derivatives)
    targets = np.rint(numbered[places] / derivatives[places]).astype(np.int64) - 1
    yield Edges(places, targets, derivatives[places])


def _by_source(probe: _Probe, rows: Array, chosen: Array) -> Edges:
    """Edges from the ``chosen`` of the rows, no two of which reach the same element of the output."""
    shape = probe.operand.shape
    sources = np.rint(probe.push(_ones(shape, rows[chosen], chosen + 1.0), plain=True)).astype(np.int64).ravel()
    derivatives = probe.push(_ones(shape, rows[chosen])).ravel()
    targets = np.flatnonzero(sources)
    return Edges(sources[targets] - 1, targets, derivatives[targets])


def _contraction(probe: _Probe, rows: Array) -> Iterator[Edges]:
    """Probes that separate the letters which are summed, or those that the operand lacks: whichever are fewer."""
    names = ("a_axes", "b_axes", "out_axes")
    a, b, out = (probe.node.attributes[name] for name in names)
    own = a if probe.position == 0 else b
    summed = _group(probe.operand.shape, [axis for axis, letter in enumerate(own) if letter not in out], rows)
    free = [axis for axis, letter in enumerate(out) if letter not in own]
    count = math.prod(probe.node.shape[axis] for axis in free)
    if len(np.unique(summed)) <= count:
        for group in np.unique(summed):
            yield _by_source(probe, rows, np.flatnonzero(summed == group))
        return
    everything = np.arange(probe.node.size)
    lacking = _group(probe.node.shape, free, everything)
    for group in range(count):
        chosen = everything[lacking == group]
        numbered = probe.pull(_ones(probe.node.shape, chosen, chosen + 1.0), plain=True).ravel()[rows]
        derivatives = probe.pull(_ones(probe.node.shape, chosen)).ravel()[rows]
        targets = np.rint(numbered).astype(np.int64)
        places = np.flatnonzero(targets)
        yield Edges(places, targets[places] - 1, derivatives[places])


def _group(shape: tuple[int, ...], axes: list[int], places: Array) -> Array:
    """A number for each place that tells apart its coordinates on these axes, and no others."""
    group = np.zeros(len(places), np.int64)
    coordinates = np.unravel_index(places, shape) if shape else ()
    for axis in axes:
        group = group * shape[axis] + coordinates[axis]
    return group


def _numbers(shape: tuple[int, ...]) -> Array:
    return np.arange(1.0, math.prod(shape) + 1).reshape(shape)


class _Probe:
    """One node and one of its operands, on inputs of their own, with the rule's Jᵀ and, pulled back again, J."""

    def __init__(self, node: Node, position: int, values: Mapping[Node, Array]) -> None:
        self.node, self.position = node, position
        operands = operands_of(node)
        self.operand = operands[position]
        self._arrays = {f"x{n}": values[below] for n, below in enumerate(operands)}
        fresh = tuple(input(f"x{n}", below.shape, below.dtype) for n, below in enumerate(operands))
        self._ones = self._arrays | {
            f"x{n}": np.ones(below.shape, below.dtype)
            for n, below in enumerate(operands)
            if below.dtype in FLOATS and n != position
        }
        y = remake(node, (remake(node.inputs[0], fresh),) if node.op in ("last", "stack") else fresh)
        self._x, self._g = fresh[position], input("g", y.shape, y.dtype)
        self._pulled = pull_back({y: self._g}, [self._x])[0] if self._x.dtype in FLOATS else self._x
        self._programs: dict[str, Program] = {}

    def pull(self, g: Array, *, plain: bool = False) -> Array:
        """Jᵀ·g; ``plain`` with ones for the other operands, which leaves what is connected with what."""
        return self._run("pull", plain, g=g)

    def push(self, v: Array, *, plain: bool = False) -> Array:
        """J·v."""
        return self._run("push", plain, v=v)

    def _run(self, which: str, plain: bool, **given: Array) -> Array:
        if which not in self._programs:
            node = self._pulled
            if which == "push":
                (node,) = pull_back({self._pulled: input("v", self._x.shape, self._x.dtype)}, [self._g])
            self._programs[which] = ReferenceEngine().compile(Graph({"out": node}))
        program = self._programs[which]
        wanted = program.graph.inputs
        # What is linear in g has a derivative by it that no g changes, even where the graph of a loop mentions one.
        given.setdefault("g", np.zeros(self._g.shape))
        fitting = {name: array.astype(wanted[name].dtype) for name, array in given.items() if name in wanted}
        return program.run({**(self._ones if plain else self._arrays), **fitting})["out"]
