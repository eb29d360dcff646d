"""vectorize(graph, inputs, size): the same graph for many values of some inputs at once, by a batching rule per op."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chainrule.errors import GraphError, ShapeError
from chainrule.graph.building import broadcast, canonical, gather, input, param, scatter_add, transpose
from chainrule.graph.node import Node, make
from chainrule.graph.ops import ELEMENTWISE
from chainrule.graph.origins import Build
from chainrule.graph.program import Graph, map_nodes, remake
from chainrule.graph.scanning import last, stack

#: ``rule(batched, *operands, **attributes)``: the op on operands of which those flagged, at least one, have a new
#: leading axis; its value has that axis too.
BatchingRule = Callable[..., Node]
Flags = Sequence[bool]


def vectorize(graph: Graph, inputs: Iterable[str], size: int) -> Graph:
    """The graph for ``size`` values of the inputs named, at once: they and every output get a new leading axis.

    What does not depend on them is computed once; as an output it is repeated. Random bits are shared along the new
    axis, unless their seed or counter is batched. Origins and regions come along: a composite that keeps its name works
    element by element or over its last axes, so it is the same composite with an axis more in front.

    Raises `GraphError` for an input that the graph does not have.

    >>> from chainrule import graph
    >>> x, w = graph.input("x", (3,)), graph.input("w", (3, 2))
    >>> one = Graph({"y": graph.contract(x, w, "i,io->o")})
    >>> vectorize(one, ["x"], 5).outputs["y"]
    <contract float32[5, 2]>

    Reference: J. Bradbury et al., "JAX: composable transformations of Python+NumPy programs", 2018 (its ``vmap``).
    """
    names = list(inputs)
    missing = [name for name in names if name not in graph.inputs]
    if missing:
        raise GraphError(f"the graph has no input {missing[0]!r}; its inputs are {', '.join(map(repr, graph.inputs))}")
    if size < 0:
        raise ShapeError(f"vectorize: a batch cannot have {size} members")
    with Build(dict(graph.origins), dict(graph.regions)) as build:
        known = {}
        for name in names:
            old = graph.inputs[name]
            with build.inheriting(graph.origins.get(old)):
                known[old] = input(name, (size, *old.shape), old.dtype)
        batching = Batching(size, known, known)
        outputs = {}
        for name, node in graph.outputs.items():
            with build.inheriting(graph.origins.get(node)):
                outputs[name] = batching.whole(node)
    return Graph.of(outputs, build)


class Batching:
    """A graph, or the body of a scan, on its way to a batch: which old node became which new one.

    ``known`` gives the answers to begin with, ``batched`` the old nodes whose new ones have the new leading axis.
    """

    def __init__(self, size: int, known: Mapping[Node, Node], batched: Iterable[Node]) -> None:
        self.size = size
        self.known = dict(known)
        self.batched = set(batched)
        self._bodies: dict[Node, tuple[Batching, list[bool]]] = {}

    def __call__(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes, batched where they depend on something batched (then they are in ``batched``)."""
        self.known = map_nodes(nodes, self._change, known=self.known)
        return [self.known[node] for node in nodes]

    def whole(self, node: Node) -> Node:
        """The node with the new axis, repeated along it if nothing batched reaches the node."""
        (made,) = self([node])
        return made if node in self.batched else _repeat(made, self.size)

    def _change(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        match node.op:
            case "scan":
                return self._scan(node, inputs)
            case "last":
                index = node.attributes["index"]
                if self._bodies[node.inputs[0]][1][index]:
                    self.batched.add(node)
                return last(inputs[0], index)
            case "stack":
                return self._stack(node, inputs[0])
        flags = [below in self.batched for below in node.inputs]
        if not any(flags):
            return remake(node, inputs)
        self.batched.add(node)
        return BATCHING[node.op](flags, *inputs, **node.attributes)

    def _scan(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        """Time stays first; a carry is batched if its start is, or if any step hands a batched one back."""
        n_carry, n_xs = node.attributes["n_carry"], node.attributes["n_xs"]
        sliced = range(n_carry, n_carry + n_xs)
        flags = [below in self.batched for below in node.inputs]
        while True:
            known: dict[Node, Node] = {}
            for number, operand in enumerate(node.inputs):
                old = param(number, operand.shape[1:] if number in sliced else operand.shape, operand.dtype)
                known[old] = param(number, (self.size, *old.shape), old.dtype) if flags[number] else old
            body = Batching(self.size, known, [old for old, flag in zip(known, flags, strict=True) if flag])
            body(node.attributes["next"])
            carried = [flags[n] or after in body.batched for n, after in enumerate(node.attributes["next"])]
            if carried == flags[:n_carry]:
                break
            flags[:n_carry] = carried
        self._bodies[node] = body, carried
        new = [
            _time_first(x) if flags[n] and n in sliced
            else _repeat(x, self.size) if flags[n] and node.inputs[n] not in self.batched
            else x
            for n, x in enumerate(inputs)
        ]  # fmt: skip
        after = [body.whole(x) if flags[n] else body.known[x] for n, x in enumerate(node.attributes["next"])]
        return make("scan", tuple(new), **{**node.attributes, "next": tuple(after)})

    def _stack(self, node: Node, scan: Node) -> Node:
        body, _ = self._bodies[node.inputs[0]]
        inside = node.attributes["node"]
        stacked = stack(scan, body([inside])[0])
        if inside not in body.batched:
            return stacked
        self.batched.add(node)
        return _time_first(stacked)


def _repeat(x: Node, size: int) -> Node:
    return broadcast(x, [0], [size])


def _time_first(x: Node) -> Node:
    """The first two axes, those of the batch and of time, change places: the way there and the way back."""
    order = (1, 0, *range(2, x.rank))
    return x.inputs[0] if x.op == "transpose" and x.attributes["axes"] == order else transpose(x, order)


def _all(batched: Flags, operands: Sequence[Node]) -> tuple[Node, ...]:
    """The operands, each with the new axis."""
    size = next(x.shape[0] for flag, x in zip(batched, operands, strict=True) if flag)
    return tuple(x if flag else _repeat(x, size) for flag, x in zip(batched, operands, strict=True))


def _up(axes: Iterable[int]) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in axes)


def _elementwise(op: str) -> BatchingRule:
    return lambda batched, *operands, **attributes: make(op, _all(batched, operands), **attributes)


def _over_axes(op: str) -> BatchingRule:
    return lambda batched, x, axes, **form: make(op, (x,), axes=_up(axes), **form)


def _contract(batched: Flags, a: Node, b: Node, **letters: tuple[int, ...]) -> Node:
    new = [
        (-1, *letters[name]) if flag else letters[name]
        for name, flag in zip(("a_axes", "b_axes", "out_axes"), (*batched, True), strict=True)
    ]
    return make("contract", (a, b), **canonical(*new))


def _slice(batched: Flags, x: Node, *, starts: Any, stops: Any, steps: Any) -> Node:
    return make("slice", (x,), starts=(0, *starts), stops=(x.shape[0], *stops), steps=(1, *steps))


def _pad(batched: Flags, x: Node, *, low: Any, high: Any, interior: Any, value: float) -> Node:
    return make("pad", (x,), low=(0, *low), high=(0, *high), interior=(0, *interior), value=value)


def _behind(x: Node, place: int) -> Node:
    """The first axis moved to this place."""
    return transpose(x, [*range(1, place + 1), 0, *range(place + 1, x.rank)])


def _first(x: Node, place: int) -> Node:
    """The axis at this place moved to the front."""
    return transpose(x, [place, *range(place), *range(place + 1, x.rank)])


def _gather(batched: Flags, x: Node, i: Node, *, axis: int, batch: int) -> Node:
    match batched:
        case [True, True]:
            return gather(x, i, axis + 1, batch + 1)
        case [True, False]:
            return _first(gather(_behind(x, batch), i, axis + 1, batch), batch)
        case _:
            # The new axis is one more of the index, behind those it shares with x.
            return _first(gather(x, _behind(i, batch), axis, batch), axis)


def _scatter_add(batched: Flags, u: Node, i: Node, *, axis: int, batch: int, length: int) -> Node:
    if batched[1]:
        u, i = _all(batched, (u, i))
        return scatter_add(u, i, length, axis + 1, batch + 1)
    return _first(scatter_add(_behind(u, batch), i, length, axis + 1, batch), batch)


def _never(batched: Flags, *_: Node, **__: Any) -> Node:
    raise AssertionError("nothing batched reaches a leaf; a scan and its readers are batched with the body")


BATCHING: dict[str, BatchingRule] = {
    **dict.fromkeys("input param constant iota scan last stack".split(), _never),
    **{op: _elementwise(op) for op in sorted(ELEMENTWISE)},
    **{op: _over_axes(op) for op in "sum max argmax reverse broadcast window fold".split()},
    "contract": _contract,
    "reshape": lambda batched, x, shape: make("reshape", (x,), shape=(x.shape[0], *shape)),
    "transpose": lambda batched, x, axes: make("transpose", (x,), axes=(0, *_up(axes))),
    "slice": _slice,
    "pad": _pad,
    "concatenate": lambda batched, *parts, axis: make("concatenate", _all(batched, parts), axis=axis + 1),
    "gather": _gather,
    "scatter_add": _scatter_add,
}
