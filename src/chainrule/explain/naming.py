"""Names that a learner reads: which nodes of a loss are x, t, net, h, logits, and what the others are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from chainrule.graph import FLOATS, Graph, Node
from chainrule.layers.scope import PARAMETERS, STATE

#: Ops that only move elements: what they give goes by the name of what they were given.
MOVES = frozenset("reshape transpose reverse broadcast slice pad concatenate window gather cast stop_gradient".split())
_OUTSIDE = frozenset(("", "loss", "step", "optimizer", "accuracy", "predict"))
_ON_LOGITS = frozenset(("log_softmax", "softmax", "softplus"))
_DATA = {"inputs": "x", "targets": "t", "weights": "sample_weight"}
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscript(number: int) -> str:
    """A number as small digits below the line.

    >>> subscript(12)
    '₁₂'
    """
    return str(number).translate(_SUBSCRIPT)


def name_nodes(graph: Graph, loss: Node) -> dict[Node, str]:
    """The nodes of a loss that have a name of their own, by what is known of where they came from.

    Parameters go by their paths; x and t are inputs and targets as the network sees them; in each layer ``net`` is the
    weighted sum and ``h`` what the activation makes of it; the last layer gives ``out``, or ``logits`` where the loss
    takes logits; a composite goes by its own name. A layer's path stands before a name that several layers have.
    """
    nodes = Graph({"loss": loss}).nodes
    readers: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for below in node.inputs:
            readers[below].append(node)
    learned = _after([node for node in nodes if _is(node, PARAMETERS)], nodes)
    names: dict[Node, str] = {}
    for node in nodes:
        if node.op == "input":
            names[node] = node.attributes["name"].removeprefix(f"{PARAMETERS}/").removeprefix(f"{STATE}/")
    for node in nodes:
        if _is(node, "batch"):
            _name_data(node, nodes, readers, learned, names)
        elif _is_updated(graph, node):
            # A step that descends twice: the second loss sees the parameters as the first descent left them.
            names[node] = names.get(node.inputs[0].inputs[0], "θ") + "′"
    _name_random(nodes, readers, learned, names)
    _name_layers(graph, nodes, readers, learned, names)
    taken = Counter(names.values())
    for node in nodes:
        region = graph.regions.get(node)
        if region is not None and node in learned and node not in names:
            taken[region.name] += 1
            number = taken[region.name]
            names[node] = region.name + (subscript(number) if number > 1 else "")
    return names | {loss: "loss"}


def _is(node: Node, kind: str) -> bool:
    return node.op == "input" and str(node.attributes["name"]).startswith(f"{kind}/")


def _is_updated(graph: Graph, node: Node) -> bool:
    origin = graph.origins.get(node)
    inside = node.inputs[0] if node.op == "stop_gradient" else node
    return origin is not None and origin.path == "optimizer" and node.op == "stop_gradient" and inside.op == "add"


def _after(starts: Iterable[Node], nodes: Iterable[Node]) -> set[Node]:
    """The starts and all that depends on them."""
    met = set(starts)
    for node in nodes:
        if any(below in met for below in node.inputs):
            met.add(node)
    return met


def _name_data(
    raw: Node, nodes: list[Node], readers: Mapping[Node, list[Node]], learned: Collection[Node], names: dict[Node, str]
) -> None:
    """The name goes to the array as the network sees it: cast, shifted and scaled; for labels, as rows of 0 and 1."""
    kind = str(raw.attributes["name"]).removeprefix("batch/")
    name = _DATA.get(kind, kind)
    if kind == "targets" and raw.dtype not in FLOATS:
        names[raw] = "label"
        behind = _after([raw], nodes)
        floats = [node for node in nodes if node in behind and node not in learned and node.dtype in FLOATS]
        for node in floats[:1]:
            names[node] = name
        return
    here = raw
    while True:
        onwards = [node for node in readers[here] if node.op == "cast" or _prepares(node)]
        if not onwards:
            break
        here = onwards[0]
    names[here] = name


def _name_random(
    nodes: list[Node], readers: Mapping[Node, list[Node]], learned: Collection[Node], names: dict[Node, str]
) -> None:
    """Random numbers are named where they meet what is learned."""
    drawn = _after([node for node in nodes if node.op == "random_bits"], nodes) - set(learned)
    count = 0
    for node in nodes:
        meets = node in drawn and node.dtype in FLOATS and any(reader in learned for reader in readers[node])
        if meets and node not in names and node.op not in MOVES:
            count += 1
            names[node] = "random" + (subscript(count) if count > 1 else "")


def _prepares(node: Node) -> bool:
    if node.op not in ("sub", "mul"):
        return False
    other = node.inputs[1]
    while other.op in ("broadcast", "cast"):
        other = other.inputs[0]
    return _is(other, "data")


def _name_layers(
    graph: Graph,
    nodes: list[Node],
    readers: Mapping[Node, list[Node]],
    learned: Collection[Node],
    names: dict[Node, str],
) -> None:
    # A model that is one layer has no path; what else has none is then taken to belong to it.
    bare = any(_is(node, PARAMETERS) and "." not in names[node] for node in nodes)
    places: dict[str, list[Node]] = {}
    for node in nodes:
        origin = graph.origins.get(node)
        inside = origin is not None and (origin.path not in _OUTSIDE or (bare and not origin.path))
        if origin is not None and inside and node in learned and node.op != "input":
            places.setdefault(origin.path, []).append(node)
    found: list[tuple[str, str, Node]] = []
    for path, group in places.items():
        sums = [_with_bias(node, readers, names) for node in group if node.op == "contract" and _weighs(node, names)]
        for total in sums:
            made = _activation(graph, total, group)
            found += [(path, "net", total), *([(path, "h", made)] if made is not None else [])]
        if not sums:
            given = [node for node in group if any(reader not in group for reader in readers[node])]
            found += [(path, "h", node) for node in given if node.op not in MOVES]
    last = {node: word for path, _, node in found if (word := _word(node, path, graph, readers))}
    named = [(path, last.get(node, word), node) for path, word, node in found if node not in names]
    several = Counter(word for _, word, _ in named)
    counted: Counter[str] = Counter()
    for path, word, node in named:
        full = word if several[word] == 1 or not path else f"{path}.{word}"
        counted[full] += 1
        names[node] = full + (subscript(counted[full]) if counted[full] > 1 else "")


def _weighs(node: Node, names: Mapping[Node, str]) -> bool:
    """Whether a contraction is one with a parameter."""
    return any(_is_parameter(below, names) for below in node.inputs)


def _is_parameter(node: Node, names: Mapping[Node, str]) -> bool:
    while node.op in MOVES and node not in names:
        node = node.inputs[0]
    return _is(node, PARAMETERS) or names.get(node, "").endswith("′")


def _with_bias(node: Node, readers: Mapping[Node, list[Node]], names: Mapping[Node, str]) -> Node:
    for reader in readers[node]:
        if reader.op == "add" and any(x is not node and _is_parameter(x, names) for x in reader.inputs):
            return reader
    return node


def _activation(graph: Graph, total: Node, group: Iterable[Node]) -> Node | None:
    """What the same layer makes of the weighted sum, element by element."""
    for node in group:
        region = graph.regions.get(node)
        if region is not None and total in region.inputs and node.shape == total.shape:
            return node
    for node in group:
        if node.inputs == (total,) and node.op not in MOVES and node.shape == total.shape:
            return node
    return None


def _word(node: Node, path: str, graph: Graph, readers: Mapping[Node, list[Node]]) -> str:
    """What a layer's output is called if it is the last one: "out", or "logits" where the loss takes it as logits."""
    word = ""
    for reader in readers[node]:
        origin = graph.origins.get(reader)
        if origin is None or (origin.path in _OUTSIDE and origin.path != path):
            word = "out"
    for region in graph.regions.values():
        if word and node in region.inputs and region.name in _ON_LOGITS:
            return "logits"
    return word
