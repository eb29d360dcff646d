"""A node as a readable line, and a graph as a listing, both written by the print table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainrule.graph.node import Node
from chainrule.graph.ops import TUPLE
from chainrule.graph.printing import PRINTING, Level, Text, call, repeated_number
from chainrule.graph.program import Graph, topological


class _Writer:
    """Texts of nodes by node; what has a name is written as its name."""

    def __init__(self, names: Mapping[Node, str], letters: Mapping[Node, str] | None = None) -> None:
        self._names, self._letters = names, letters or {}
        self._texts: dict[Node, Text] = {}

    def __call__(self, operand: Node, level: Level = Level.ANY, *, leading: bool = True) -> str:
        text = Text(self._names[operand]) if operand in self._names else self._texts[operand]
        bare = text.level >= level and (leading or not text.text.startswith("−"))
        return text.text if bare else f"({text.text})"

    def letters(self, operand: Node) -> str | None:
        return self._letters.get(operand)

    def line(self, node: Node) -> str:
        """The node itself in terms of what has a name, its own name apart."""
        if any(below not in self._names and below not in self._texts for below in node.inputs):
            # Walked without recursion, so that a deep graph is no trouble.
            for below in topological(node.inputs, stop={*self._names, *self._texts} - {node}):
                self._look_into(below)
                self._texts[below] = self._write(below)
        self._look_into(node)
        self._texts[node] = self._write(node)
        return self._texts[node].text

    def _look_into(self, node: Node) -> None:
        """What a stack takes of a loop stands in its body, where no input leads."""
        if node.op == "stack":
            inside = node.attributes["node"]
            if inside not in self._names and inside not in self._texts:
                self.line(inside)

    def _write(self, node: Node) -> Text:
        return PRINTING.get(node.op, call(node.op, *node.attributes))(node, self)


def expression(node: Node, names: Mapping[Node, str], letters: Mapping[Node, str] | None = None) -> str:
    """A node as one line, in terms of the nodes that have a name; what has none is written out down to the leaves.

    ``letters`` gives the axes of some nodes letters, which the contractions of them then keep.

    >>> from chainrule import graph
    >>> x, y = graph.input("x", (3,)), graph.input("y", (3,))
    >>> total = x + y
    >>> expression(graph.tanh(total) * (1 - total**2), {total: "t"})
    'tanh(t)·(1 − t²)'
    """
    return _Writer(names, letters).line(node)


def show(graph: Graph) -> str:
    """A listing of a graph: a line for each node, with its short name, dtype and shape, expression and origin.

    Numbers are written where they are used; the body of a scan stands indented below it; an output that is called as an
    input is, since it is its next value, is written with a prime: ``step′``.

    >>> from chainrule.graph import Build, input, scope, sum, tanh
    >>> with Build() as build:
    ...     x = input("x", (2, 3))
    ...     with scope("0"):
    ...         h = tanh(x)
    ...     loss = sum(h * 2)
    >>> print(show(Graph.of({"loss": loss}, build)))
    x     float32[2, 3]  input
    n1    float32[2, 3]  tanh(x)  0
    n2    float32[2, 3]  n1·2
    loss  float32[]      sum(n2)
    """
    outputs: dict[Node, str] = {}
    for name, node in graph.outputs.items():
        if node.op != "input":
            outputs.setdefault(node, name + "′" * (name in graph.inputs))
    names: dict[Node, str] = {}
    rows = [*_rows(graph, graph.nodes, names, outputs, "n", "")]
    again = ((name, node) for name, node in graph.outputs.items() if names[node].rstrip("′") != name)
    rows += [(name, _kind(node), names[node], "") for name, node in again]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    widths.append(max((len(row[2]) for row in rows if row[3]), default=0))
    return "\n".join("  ".join(map(str.ljust, row, (*widths, 0))).rstrip() for row in rows)


_Row = tuple[str, str, str, str]


def _rows(
    graph: Graph, order: list[Node], names: dict[Node, str], given: Mapping[Node, str], prefix: str, indent: str
) -> Iterator[_Row]:
    """Name, kind, expression and origin of each node; ``names`` grows as nodes are met, ``given`` names are kept."""
    count = 0
    inner: dict[Node, dict[Node, str]] = {}
    writer = _Writer(names)
    for node in order:
        if node in names:
            continue
        line = "input" if node.op == "input" else writer.line(node)
        if node.op == "stack":
            scan = node.inputs[0]
            line = expression(node, {**inner[scan], scan: names[scan]})
        if node.op == "input":
            names[node] = node.attributes["name"]
        elif node in given:
            names[node] = given[node]
        elif repeated_number(node) is None:
            count += 1
            names[node] = f"{prefix}{count}"
        else:
            continue
        yield indent + names[node], _kind(node), line, _where(graph, node)
        if node.op == "scan":
            inner[node] = {}
            yield from _body(graph, node, order, names, inner[node], indent + "  ")


def _body(
    graph: Graph, scan: Node, order: list[Node], names: dict[Node, str], inner: dict[Node, str], indent: str
) -> Iterator[_Row]:
    """The rows of a scan's body: carries are numbered, slices and captured nodes go by the name they have outside."""
    n_carry, n_xs = scan.attributes["n_carry"], scan.attributes["n_xs"]
    taken = [node.attributes["node"] for node in order if node.op == "stack" and node.inputs[0] is scan]
    after = scan.attributes["next"]
    body = topological([*after, *taken])
    writer = _Writer(names)
    for node in body:
        if node.op == "param":
            index = node.attributes["index"]
            outside = writer(scan.inputs[index]) if scan.inputs[index] in names else writer.line(scan.inputs[index])
            inner[node] = f"carry{index}" if index < n_carry else outside + "[t]" * (index < n_carry + n_xs)
    yield from _rows(graph, body, inner, {}, f"{names[scan]}.", indent)
    numbers = _Writer(inner)
    for index, node in enumerate(after):
        yield indent + f"carry{index}", _kind(node), f"← {inner.get(node) or numbers.line(node)}", ""


def _kind(node: Node) -> str:
    return "scan" if node.dtype == TUPLE else f"{node.dtype}{list(node.shape)}"


def _where(graph: Graph, node: Node) -> str:
    origin, region = graph.origins.get(node), graph.regions.get(node)
    place = "" if origin is None else str(origin) if origin.path else f"({origin.phase})"
    place = "" if place == "(forward)" else place
    return f"{place} [{region.name}]".strip() if region is not None else place
