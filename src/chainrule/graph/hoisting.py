"""What needs no loop leaves it: what is the same at each step, and products, by the batching table applied to time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from chainrule.graph.building import param
from chainrule.graph.node import Node, make
from chainrule.graph.origins import Build
from chainrule.graph.program import Graph, map_nodes, remake, topological
from chainrule.graph.scanning import last, scan, stack
from chainrule.graph.vectorizing import Batching

#: Ops that are nothing but another way to read, and one that is made again at each step for less than it takes to keep.
_READ_AGAIN = frozenset("param constant iota broadcast reshape slice reverse window".split())


def hoist_invariant(graph: Graph) -> Graph:
    """The same graph with what is the same at each step of a loop made once, before it: a weight turned round.

    >>> from chainrule import graph
    >>> w = graph.input("w", (2, 2))
    >>> def body(carries, slices):
    ...     return [graph.contract(carries[0], graph.exp(w), "i,ij->j")], []
    >>> (h,), _ = graph.scan(body, [graph.input("h", (2,))], length=9)
    >>> [node.op for node in hoist_invariant(Graph({"h": h})).nodes if node.inputs]
    ['exp', 'scan', 'last']
    """
    return hoist(graph, lambda _: False)


def hoist(graph: Graph, wanted: Callable[[Node], bool] = lambda _: True) -> Graph:
    """The same graph with contractions outside the loops in which they need not stand, all steps in one.

    Those that are ``wanted``, and what is the same at each step. One that no carry reaches is made before its scan
    (x·W); one that reaches no carry, but is only stacked, is made after it (h·V), with what is made of it. Both are the
    body vectorized over time. Inner loops come first, so that a product may leave several. What is summed stays the
    same; the order within a sum is the engine's.

    >>> from chainrule import graph
    >>> x, w = graph.input("x", (9, 2)), graph.input("w", (2, 2))
    >>> def body(carries, slices):
    ...     return [graph.tanh(carries[0] + graph.contract(slices[0], w, "i,ij->j"))], []
    >>> (h,), _ = graph.scan(body, [graph.input("h", (2,))], [x])
    >>> [node for node in hoist(Graph({"h": h})).nodes if node.op == "contract"]
    [<contract float32[9, 2]>]
    """
    with Build(dict(graph.origins), dict(graph.regions)) as build:
        mapping = _map(list(graph.outputs.values()), wanted)
        return Graph.of({name: mapping[node] for name, node in graph.outputs.items()}, build)


def _map(outputs: Sequence[Node], wanted: Callable[[Node], bool]) -> dict[Node, Node]:
    taken: dict[Node, dict[Node, None]] = {}
    for node in topological(outputs):
        if node.op == "stack":
            taken.setdefault(node.inputs[0], {})[node.attributes["node"]] = None
    loops: dict[Node, _Loop] = {}

    def change(node: Node, inputs: tuple[Node, ...]) -> Node:
        match node.op:
            case "scan":
                loops[node] = _Loop(node, inputs, list(taken.get(node, ())), wanted)
                return node  # its readers ask the loop
            case "last":
                index: int = node.attributes["index"]
                return loops[node.inputs[0]].lasts[index]
            case "stack":
                return loops[node.inputs[0]].stacks[node.attributes["node"]]
        return remake(node, inputs)

    return map_nodes(outputs, change)


class _Loop:
    """A scan made again: ``lasts`` are its carries at the end, ``stacks`` what was taken of it, by body node."""

    def __init__(
        self, old: Node, inputs: tuple[Node, ...], taken: Sequence[Node], wanted: Callable[[Node], bool]
    ) -> None:
        n_carry, n_xs, length = (old.attributes[name] for name in ("n_carry", "n_xs", "length"))
        # Loops inside come first: what leaves them stands in this body.
        inside = _map([*old.attributes["next"], *taken], wanted)
        after = [inside[node] for node in old.attributes["next"]]
        given = [inside[node] for node in taken]
        sliced = range(n_carry, n_carry + n_xs)
        places = [param(n, x.shape[1:] if n in sliced else x.shape, x.dtype) for n, x in enumerate(inputs)]
        outside = dict(zip(places[n_carry:], inputs[n_carry:], strict=True))
        carries, slices = places[:n_carry], places[n_carry : n_carry + n_xs]

        carried, moving = _above([*after, *given], carries), _above([*after, *given], slices)
        early = _topmost([*after, *given], {x for x in moving - carried if _product(x, wanted)})
        late = set(topological(given, stop={*topological(after), *early}))
        sunk = _above(given, {node for node in late if _product(node, wanted)})
        # What the loop is made again with stands outside, and with it whatever is made of that alone.
        same = {*topological([*after, *given])} - carried - moving
        if not early and not sunk and all(node.op in _READ_AGAIN for node in same):
            node = make("scan", inputs, **{**old.attributes, "next": tuple(after)})
            self.lasts = [last(node, n) for n in range(n_carry)]
            self.stacks = {x: stack(node, inside[x]) for x in taken}
            return

        whole = Batching(length, outside, slices)
        sequences = {place: outside[place] for place in slices} | dict(zip(early, whole(early), strict=True))
        # What is still taken of the loop: what was, and what the sunk part reads.
        read_late = [x for node in topological(given) if node in sunk for x in node.inputs]
        rows = [x for x in dict.fromkeys([*given, *read_late]) if x in carried - sunk]
        targets = [*after, *rows]
        read = {x for node in topological(targets, stop=sequences) for x in node.inputs} | set(targets)
        sequences = {place: sequence for place, sequence in sequences.items() if place in read}

        def body(now: list[Node], step: list[Node]) -> tuple[list[Node], list[Node]]:
            known = {**outside, **dict(zip(carries, now, strict=True)), **dict(zip(sequences, step, strict=True))}
            mapping = map_nodes(targets, known=known)
            return [mapping[x] for x in after], [mapping[x] for x in rows]

        starts, reverse = inputs[:n_carry], old.attributes["reverse"]
        self.lasts, stacked = scan(body, starts, list(sequences.values()), length=length, reverse=reverse)
        whole.known |= dict(zip(rows, stacked, strict=True))
        whole.batched |= set(rows)
        self.stacks = {x: whole.whole(inside[x]) for x in taken}


def _product(node: Node, wanted: Callable[[Node], bool]) -> bool:
    return node.op == "contract" and wanted(node)


def _above(outputs: Iterable[Node], roots: Collection[Node]) -> set[Node]:
    """The roots, and all between them and the outputs."""
    above = set(roots)
    for node in topological(outputs):
        if any(below in above for below in node.inputs):
            above.add(node)
    return above


def _topmost(outputs: Iterable[Node], among: Collection[Node]) -> list[Node]:
    """Those of some nodes that are met first on the way down from the outputs."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    waiting = list(outputs)
    while waiting:
        node = waiting.pop()
        if node in among:
            found[node] = None
        elif node not in seen:
            seen.add(node)
            waiting.extend(node.inputs)
    return list(found)
