"""The rule of scan: one more scan, in the opposite direction, over what the first one kept.

The body is pulled back once, on placeholders. The gradient of a carry is carried back through time; the gradient of a
slice is stacked; the gradient of a captured operand is a sum over time, and wherever possible the sum is done outside
the loop, with time as one more letter of a contraction. What is taken out of a scan is not part of its identity, so the
forward values that are needed are stacked out of the very same scan: nothing runs twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from chainrule.gradients.keeping import DEAR, cheapest_to_keep, size_in_bytes
from chainrule.gradients.rules import differentiable
from chainrule.graph import (
    FLOATS,
    Node,
    broadcast,
    input,
    make,
    map_nodes,
    param,
    stack,
    sum,
    topological,
    transpose,
    zeros_like,
)  # fmt: skip
from chainrule.graph.building import canonical
from chainrule.graph.ops import TUPLE
from chainrule.graph.scanning import scan as build_scan

PullBack = Callable[[Mapping[Node, Node], Sequence[Node]], list[Node | None]]

_fresh = itertools.count()
#: Linear ops of one operand (pad, if it is with zeros).
_LINEAR = frozenset("neg reshape transpose reverse broadcast slice pad fold".split())


def pull_back_scan(
    scan: Node,
    readers: Sequence[tuple[Node, Node]],
    wanted: Sequence[bool],
    pull_back: PullBack,
) -> list[Node | None]:
    """The gradients of the operands of a scan, None where nothing passes or where none is ``wanted``.

    ``readers`` are the ``last`` and ``stack`` nodes of the scan, each with its cotangent; ``pull_back`` is
    backpropagation itself, as used for the body.
    """
    body = _Body(scan)
    n_carry, n_xs = scan.attributes["n_carry"], scan.attributes["n_xs"]
    seeds: dict[Node, Node] = {}
    given: dict[int, Node] = {}
    for reader, cotangent in readers:
        if reader.op == "last":
            given[reader.attributes["index"]] = cotangent
        else:
            _accumulate(seeds, body.inside(reader.attributes["node"]), body.slice_of(cotangent))
    floats = [number for number, want in enumerate(wanted) if want and scan.inputs[number].dtype in FLOATS]
    useful = _useful_carries(body, floats)
    wrt = [body.places[n] for n in sorted({*useful, *(n for n in floats if n >= n_carry)})]

    # A carry has a gradient if its last value is read, or if a later step hands one back: find them all.
    carried: dict[int, Node] = {}
    fresh = sorted(useful & set(given))
    while True:
        carried |= {n: body.place(scan.inputs[n], moving=True) for n in fresh}
        cotangents = dict(seeds)
        for number, place in carried.items():
            _accumulate(cotangents, body.next[number], place)
        found = {place: grad for place, grad in zip(wrt, pull_back(cotangents, wrt), strict=True) if grad is not None}
        fresh = sorted(n for n in useful - set(carried) if body.places[n] in found)
        if not fresh:
            break

    backward = _Reversed(body, carried, found)
    sums = {n: backward.total(found[body.places[n]]) for n in floats if n >= n_carry + n_xs and body.places[n] in found}
    rows = {
        n: backward.stacked(found[body.places[n]])
        for n in floats
        if n_carry <= n < n_carry + n_xs and body.places[n] in found
    }
    starts = backward.build(given, {**sums, **rows})
    return [starts.get(n) if wanted[n] else None for n in range(len(scan.inputs))]


def _accumulate(sums: dict[Node, Node], node: Node, more: Node) -> None:
    sums[node] = sums[node] + more if node in sums else more


def _plus(a: Node | None, b: Node | None) -> Node | None:
    return b if a is None else a if b is None else a + b


def _linear(node: Node) -> bool:
    """Whether the op of one operand and a sum change places."""
    return node.op in _LINEAR and not node.attributes.get("value")


def _useful_carries(body: _Body, wanted: Sequence[int]) -> set[int]:
    """The carries that anything wanted flows into; no other needs a gradient."""
    useful = {number for number in wanted if number < len(body.next)}
    while True:
        active = {body.places[number] for number in (*wanted, *useful)}
        for node in topological(body.next):
            if node.dtype in (*FLOATS, TUPLE) and differentiable(node) and any(x in active for x in node.inputs):
                active.add(node)
        more = {number for number, node in enumerate(body.next) if node in active and node.dtype in FLOATS}
        if more <= useful:
            return useful
        useful |= more


class _Body:
    """The body of a scan with placeholders in the place of its params, and what is known of each node made of them."""

    def __init__(self, scan: Node) -> None:
        self.scan = scan
        self.length: int = scan.attributes["length"]
        self._ticket = f"backward/{next(_fresh)}"
        self._count = itertools.count()
        #: Placeholders that change with time; those of the backward pass; what stands for them outside the loop.
        self.moving: set[Node] = set()
        self.backward: set[Node] = set()
        self.outside: dict[Node, Node] = {}
        n_carry, n_xs = scan.attributes["n_carry"], scan.attributes["n_xs"]
        self.places: list[Node] = []
        for number, operand in enumerate(scan.inputs):
            sliced = n_carry <= number < n_carry + n_xs
            place = self._placeholder(operand.shape[1:] if sliced else operand.shape, operand)
            self.places.append(place)
            if number < n_carry + n_xs:
                self.moving.add(place)
            if number >= n_carry:
                self.outside[place] = operand
        params = [param(number, place.shape, place.dtype) for number, place in enumerate(self.places)]
        self._from_params = dict(zip(params, self.places, strict=True))
        self._to_params = dict(zip(self.places, params, strict=True))
        self.next = [self.inside(node) for node in scan.attributes["next"]]

    def _placeholder(self, shape: tuple[int, ...], like: Node) -> Node:
        return input(f"{self._ticket}/{next(self._count)}", shape, like.dtype)

    def place(self, like: Node, shape: tuple[int, ...] | None = None, *, moving: bool) -> Node:
        """A placeholder of the backward pass."""
        place = self._placeholder(like.shape if shape is None else shape, like)
        self.backward.add(place)
        if moving:
            self.moving.add(place)
        return place

    def inside(self, node: Node) -> Node:
        """A node of the body, on placeholders."""
        self._from_params = map_nodes([node], known=self._from_params)
        return self._from_params[node]

    def slice_of(self, cotangent: Node) -> Node:
        """One step of the cotangent of a stack; of one that repeats along time, what it repeats."""
        if cotangent.op == "broadcast" and cotangent.attributes["axes"][0] == 0:
            (same,) = cotangent.inputs
            place = self.place(same, moving=False)
            self.outside[place] = same
            axes, sizes = cotangent.attributes["axes"][1:], cotangent.attributes["sizes"][1:]
            return broadcast(place, [axis - 1 for axis in axes], sizes)
        place = self.place(cotangent, cotangent.shape[1:], moving=True)
        self.outside[place] = cotangent
        return place

    def look(self, outputs: Sequence[Node]) -> None:
        """Find out, for all that the outputs need, what moves and what belongs to the backward pass."""
        for node in topological(outputs):
            for kind in (self.moving, self.backward):
                if any(below in kind for below in node.inputs):
                    kind.add(node)

    def forward(self, node: Node) -> bool:
        """Whether the first scan could give this node, step by step."""
        return node in self.moving and node not in self.backward

    def kept(self, node: Node) -> Node:
        """A forward node stacked over time, out of the scan itself."""
        self._to_params = map_nodes([node], known=self._to_params)
        return stack(self.scan, self._to_params[node])


class _Reversed:
    """The reversed scan while it is being planned; what it will give is written on placeholders, until it is built."""

    def __init__(self, body: _Body, carried: Mapping[int, Node], found: Mapping[Node, Node]) -> None:
        self._body = body
        self._carried = carried
        self._next = [found.get(body.places[number], zeros_like(place)) for number, place in carried.items()]
        self._own = set(topological(body.next))
        body.look([*found.values(), *self._next])
        #: What is asked for -> the placeholder that stands for it: sequences there are, rows and totals to be made.
        self._sequences: dict[Node, Node] = {}
        self._rows: dict[Node, Node] = {}
        self._totals: dict[Node, Node] = {}

    def _waiting(self, made: dict[Node, Node], node: Node, shape: tuple[int, ...]) -> Node:
        if node not in made:
            made[node] = self._body.place(node, shape, moving=False)
        return made[node]

    def stacked(self, node: Node) -> Node:
        """A node of the body or of its gradient, for all steps at once."""
        body = self._body
        if node not in body.moving:
            return broadcast(node, [0], [body.length])
        if node in body.outside:
            return self._waiting(self._sequences, node, (body.length, *node.shape))
        if node.op == "contract" and node not in self._rows:
            # The product with a captured operand needs no loop, if what it multiplies is stacked anyway.
            moving = [x in body.moving for x in node.inputs]
            known = [x in self._rows or x in body.outside for x in node.inputs]
            if moving != [True, True] and all(k or not m for k, m in zip(known, moving, strict=True)):
                return self._contract_over_time(node, moving, keep_time=True)
        return self._waiting(self._rows, node, (body.length, *node.shape))

    def total(self, node: Node) -> Node:
        """The sum over time of a gradient at each step: term by term outside the loop, and the rest in one carry."""
        terms, waiting = {node}, [node]
        while waiting:
            term = waiting.pop()
            more = set(term.inputs) - terms if term.op == "add" else set()
            terms |= more
            waiting.extend(more)
        parts: dict[Node, tuple[Node | None, Node | None]] = {}
        for term in topological([node]):
            if term in terms:
                if term.op == "add":
                    (out_a, rest_a), (out_b, rest_b) = (parts[x] for x in term.inputs)
                    parts[term] = _plus(out_a, out_b), _plus(rest_a, rest_b)
                else:
                    parts[term] = (self._peeled(term), None) if self._peels(term) else (None, term)
        outside, rest = parts[node]
        found = _plus(outside, None if rest is None else self._in_a_carry(rest))
        assert found is not None
        return found

    def _in_a_carry(self, node: Node) -> Node:
        self._body.look([node])
        if _linear(node) or (node.op in ("contract", "mul") and not self._all_move(node)):
            (narrow,) = (x for x in node.inputs if x in self._body.moving)
            if narrow.size < node.size or node.op == "mul":
                inputs = tuple(self.total(x) if x is narrow else x for x in node.inputs)
                return make(node.op, inputs, **node.attributes)
        return self._waiting(self._totals, node, node.shape)

    def _all_move(self, node: Node) -> bool:
        return all(x in self._body.moving for x in node.inputs)

    def _peels(self, node: Node) -> bool:
        """Whether a sum over time needs no carry."""
        body = self._body
        if node not in body.moving or node in body.outside:
            return True
        match node.op:
            case "sum":
                return True
            case "scatter_add":
                return node.inputs[1] in body.moving
            case "contract" if self._all_move(node):
                return True
            case "add":
                return all(map(self._peels, node.inputs))
            case "contract" | "mul" if not self._all_move(node):
                return all(self._peels(x) for x in node.inputs)
        return _linear(node) and self._peels(node.inputs[0])

    def _peeled(self, node: Node) -> Node:
        """The sum over time of what needs no carry for it."""
        body = self._body
        if node not in body.moving:
            return node * float(body.length)
        if node in body.outside:
            return sum(self.stacked(node), 0)
        match node.op:
            case "sum":
                return sum(self.stacked(node.inputs[0]), [0, *(axis + 1 for axis in node.attributes["axes"])])
            case "scatter_add":
                return self._scatter_over_time(node)
            case "contract" if self._all_move(node):
                return self._contract_over_time(node, [True, True], keep_time=False)
        # What is linear in what moves: a product keeps its other factor.
        keeps = node.op in ("contract", "mul")
        parts = (x if keeps and x not in body.moving else self._peeled(x) for x in node.inputs)
        return make(node.op, tuple(parts), **node.attributes)

    def _contract_over_time(self, node: Node, moving: Sequence[bool], keep_time: bool) -> Node:
        letters = [list(node.attributes[name]) for name in ("a_axes", "b_axes", "out_axes")]
        for part, timed in zip(letters, (*moving, keep_time), strict=True):
            if timed:
                part.insert(0, -1)
        a, b = (self.stacked(x) if moves else x for x, moves in zip(node.inputs, moving, strict=True))
        return make("contract", (a, b), **canonical(*letters))

    def _scatter_over_time(self, node: Node) -> Node:
        """Time becomes one more axis of the index, behind those that are shared."""
        axis, batch = node.attributes["axis"], node.attributes["batch"]
        (updates, index) = node.inputs
        u = self.stacked(updates) if updates in self._body.moving else broadcast(updates, [0], [self._body.length])
        i = self.stacked(index)
        u = transpose(u, [*range(1, axis + 1), 0, *range(axis + 1, u.rank)])
        i = transpose(i, [*range(1, batch + 1), 0, *range(batch + 1, i.rank)])
        return make("scatter_add", (u, i), **node.attributes)

    def build(self, given: Mapping[int, Node], promised: Mapping[int, Node]) -> dict[int, Node]:
        """Emit the scan; gives the gradients of the carries' first values, and what was promised on placeholders."""
        body, scan = self._body, self._body.scan
        answers = {place: outer for place, outer in body.outside.items() if place not in body.moving}
        answers |= {self._sequences[place]: body.outside[place] for place in self._sequences}
        loops = [*self._next, *self._totals]
        rows = [node for node in self._rows if not (body.forward(node) and self._from_scan(node))]
        answers |= {self._rows[node]: body.kept(node) for node in self._rows if node not in rows}

        targets = [*loops, *rows]
        kept = self._keep(targets)
        sources = {node: body.outside[node] if node in body.outside else body.kept(node) for node in kept}
        needed = topological(targets, stop=kept)
        given_outside = [node for node in needed if node in body.outside]
        sources |= {node: body.outside[node] for node in given_outside if node in body.moving}
        still = {node: body.outside[node] for node in given_outside if node not in body.moving}

        def step(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            known = {**still, **dict(zip(self._carried.values(), carries, strict=False))}
            mapping = map_nodes(targets, known={**known, **dict(zip(sources, slices, strict=True))})
            sums = [so_far + mapping[e] for so_far, e in zip(carries[len(self._next) :], self._totals, strict=True)]
            return [*(mapping[node] for node in self._next), *sums], [mapping[node] for node in rows]

        starts = [given.get(number, zeros_like(scan.inputs[number])) for number in self._carried]
        starts += [zeros_like(node) for node in self._totals]
        if targets:
            lasts, stacks = build_scan(
                step, starts, list(sources.values()), length=body.length, reverse=not scan.attributes["reverse"]
            )
            answers |= dict(zip((self._rows[node] for node in rows), stacks, strict=True))
            answers |= dict(zip(self._totals.values(), lasts[len(self._next) :], strict=True))
            result = dict(zip(self._carried, lasts, strict=False))
        else:
            result = {}
        mapping = map_nodes(promised.values(), known=answers)
        return {**result, **{number: mapping[node] for number, node in promised.items()}}

    def _from_scan(self, node: Node) -> bool:
        """Whether the first scan makes this node anyway."""
        return node in self._own or node.op in ("last", "stack")

    def _keep(self, targets: Sequence[Node]) -> list[Node]:
        """The forward values that the reversed scan reads."""
        body = self._body
        wanted: dict[Node, None] = {}
        for node in topological(targets):
            if node in body.backward:
                wanted |= dict.fromkeys(below for below in node.inputs if body.forward(below))
        wanted |= dict.fromkeys(node for node in targets if body.forward(node))
        already = {node for node in self._rows if body.forward(node) and self._from_scan(node)}

        def dear(node: Node) -> bool:
            return not node.inputs or (node.op in DEAR and self._from_scan(node)) or node in already

        return cheapest_to_keep(
            list(wanted),
            available=lambda node: node not in body.moving,
            dear=dear,
            weight=lambda node: 0 if node in body.outside or node in already else size_in_bytes(node),
        )
