"""Fusion: which nodes are stored, and which stored nodes share a loop.

Everything between two stored nodes is written into the loop that needs it. Stored nodes of one shape that are plain
maps share a loop where their order allows it, so that what they both read is read once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from chainrule.engines.native.layouts import wide_view
from chainrule.engines.native.nests import LEAST
from chainrule.engines.native.turning import turns
from chainrule.engines.native.windows import stepped_over
from chainrule.graph import ELEMENTWISE, Node, topological

#: Ops that are never written into the loop of another.
OWN_LOOPS = frozenset("sum max argmax contract fold scatter_add concatenate scan last stack".split())
#: Ops of a loop over time, which waits inside and reads its operands as a whole.
LOOP_OPS = frozenset("scan last stack".split())
#: Ops that only move: what is read through them is what lies behind.
MOVES = frozenset("reshape transpose reverse broadcast slice window".split())
#: Ops that read an element more than once, so that what they read should not be computed anew each time.
_REPEATING = frozenset("broadcast window gather contract fold".split())
_DEAR = frozenset("exp log log1p expm1 tanh erf sin cos sigmoid rem random_bits gather pad div".split())

#: Elements of an array that does not stay in the nearest cache.
_LARGE = 8192

Group = tuple[Node, ...]


def stored_nodes(outputs: Sequence[Node], given: Iterable[Node]) -> set[Node]:
    """The nodes that get memory of their own, for these outputs; ``given`` have it already."""
    order = topological(outputs)
    # A scan reads its operands as arrays, whatever they are.
    stored = {*given, *outputs, *(below for node in order if node.op == "scan" for below in node.inputs)}
    users: dict[Node, list[Node]] = {}
    for node in order:
        for below in node.inputs:
            users.setdefault(below, []).append(node)
    cost: dict[Node, int] = {}

    def readers(node: Node) -> list[Node]:
        """Who reads a node, be it as another shape."""
        found: list[Node] = []
        for user in users.get(node, []):
            straight = user.op in ("reshape", "slice") and user not in stored
            found += readers(user) if straight and node.op in ELEMENTWISE | {"reshape", "slice"} else [user]
        return found

    for node in order:
        own = 0 if node.op in MOVES or not node.inputs else 8 if _is_dear(node) else 1
        total = own + sum(cost[below] for below in node.inputs)
        if node not in stored and stepped_over(node, users):
            cost[node] = 0  # what it is a border of is stored, see below
            continue
        always = node.op in OWN_LOOPS or node.op in ("input", "param") or (node.op == "constant" and node.shape)
        bordered = any(stepped_over(user, users) for user in users.get(node, []))
        shaped = node.op == "reshape" and node.inputs[0] in stored  # the same memory
        worth = bordered or (not shaped and _worth_storing(node, readers(node), total))
        if always or (node not in stored and worth):
            stored.add(node)
        cost[node] = 0 if node in stored else total
    return stored


def _is_dear(node: Node) -> bool:
    # A small whole power is a few products.
    return node.op in _DEAR or (node.op == "power" and node.attributes["exponent"] not in (1, 2, 3, 4))


def _worth_storing(node: Node, users: Sequence[Node], cost: int) -> bool:
    """Whether computing a node once and storing it is less than computing it wherever it is read."""
    if any(wide_view(node, user) for user in users):
        return True
    if cost == 0 or (node.size == 1 and cost < 4):
        return False
    if any(user.op in _REPEATING and (user.op != "gather" or user.inputs[0] is node) for user in users):
        return True
    if cost >= 8 and node.size > _LARGE and any(_in_short_rows(user) for user in users):
        return True
    return (len(users) > 1 and cost >= 8) or cost > 60


def _in_short_rows(user: Node) -> bool:
    """Whether a node is reduced along rows that are too short to be vectors: what is dear is better made before."""
    if user.op not in ("sum", "max"):
        return False
    (x,), axes = user.inputs, user.attributes["axes"]
    return x.rank - 1 in axes and x.shape[-1] < LEAST


def reads(roots: Sequence[Node], stored: set[Node]) -> list[Node]:
    """The stored nodes that the loop of these roots reads, in the order in which they are met."""
    found: dict[Node, None] = {}
    seen: set[Node] = set()
    waiting = [below for root in reversed(roots) for below in reversed(root.inputs)]
    while waiting:
        node = waiting.pop()
        if node in stored:
            if node not in roots:
                found[node] = None
        elif node not in seen:
            seen.add(node)
            waiting.extend(reversed(node.inputs))
    return list(found)


def read_by(group: Group, stored: set[Node]) -> Sequence[Node]:
    """The stored nodes that a group reads, be it a loop over time, which reads all of its operands."""
    return group[0].inputs if group[0].op in LOOP_OPS else reads(group, stored)


def groups(order: Sequence[Node], stored: set[Node]) -> list[Group]:
    """Stored nodes in their order, plain maps of one shape together where nothing stands in between.

    A map joins the last loop of its shape if whatever it reads is there before that loop begins, or is computed by the
    loop itself, element by element; a large one only where the two have something to read in common: a processor
    follows a few arrays through memory, and not dozens.
    """
    found: list[list[Node]] = []
    touched: list[set[Node]] = []
    place: dict[Node, int] = {}
    latest: dict[tuple[int, ...], int] = {}
    for node in order:
        target = latest.get(node.shape, -1) if is_map(node) else -1
        if target >= 0:
            near, far = near_and_far(node, stored)
            joined = found[target]
            before = all(place.get(below, -1) < target for below in near | far if below not in joined)
            apart = node.size > _LARGE and near.isdisjoint(touched[target])
            if not before or apart or any(below in joined for below in far):
                target = -1
        if target < 0:
            target = len(found)
            found.append([])
            touched.append(set())
            if is_map(node):
                latest[node.shape] = target
        found[target].append(node)
        if is_map(node):
            touched[target] |= {node} | near_and_far(node, stored)[0]
        place[node] = target
    return [tuple(group) for group in found]


def without_inner(found: Sequence[Group], stored: set[Node], kept: Collection[Node]) -> list[Group]:
    """The groups without what nobody reads but their own loop, which has it at hand: it is no longer ``stored``.

    ``kept`` are nodes that are wanted outside.
    """
    wanted = {*kept}
    for group in found:
        wanted.update(read_by(group, stored))
    made = [tuple(node for node in group if node in wanted or not is_map(node)) for group in found]
    stored -= {node for group in found for node in group} - {node for group in made for node in group}
    return [group for group in made if group]


def is_map(node: Node) -> bool:
    """Whether a stored node is computed element by element, in whichever order."""
    return node.op not in OWN_LOOPS and node.op not in ("input", "param") and not turns(node)


def far(root: Node, stored: set[Node]) -> set[Node]:
    """The stored nodes that a map reads at other places than its own index."""
    return near_and_far(root, stored)[1]


def near_and_far(root: Node, stored: set[Node]) -> tuple[set[Node], set[Node]]:
    """The stored nodes that a map reads at its own index, and those that it reads anywhere else."""
    near: set[Node] = set()
    far: set[Node] = set()
    seen: set[tuple[Node, bool]] = set()
    waiting = [(root, True)]
    while waiting:
        node, same = waiting.pop()
        if (node, same) in seen:
            continue
        seen.add((node, same))
        if node in stored and node is not root:
            (near if same else far).add(node)
            continue
        here = same and node.op in ELEMENTWISE
        waiting.extend((below, here) for below in node.inputs)
    return near, far
