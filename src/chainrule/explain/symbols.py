"""Elements of nodes as symbols: their labels, their definitions, and local derivatives as formulas of them.

An element is written as scalar graph over the elements that have a name, and a local derivative is the op's rule
applied to that: the text is printed from the rule, as all formulas are.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.reference import VALUES
from chainrule.explain.naming import MOVES, name_nodes, subscript
from chainrule.explain.tables import number_text
from chainrule.gradients import RULES
from chainrule.graph import FLOATS, OPS, Graph, Node, constant, expression, full, input, make
from chainrule.graph.printing import repeated_number
from chainrule.layers.scope import PARAMETERS

Array = NDArray[Any]
Index = tuple[int, ...]

#: An element without a name is written out if that takes no more letters than this, and gets a name otherwise.
_LONGEST = 28
_LONGEST_SUM = 60
_DEEPEST = 12
_MOST_DEFINED = 16
_SMALL = {"i": "ᵢ", "j": "ⱼ", "k": "ₖ", "l": "ₗ", "m": "ₘ", "n": "ₙ", "o": "ₒ", "p": "ₚ"}


class Symbols:
    """The elements of one loss by name. ``values`` are those of its nodes."""

    def __init__(self, graph: Graph, loss: Node, values: Mapping[Node, Array]) -> None:
        self._values, self._regions = values, graph.regions
        self.names = name_nodes(graph, loss)
        #: Nodes that had no name and were given one, in the order in which they were met.
        self.given: dict[Node, str] = {}
        self._counts: Counter[str] = Counter()
        self._texts: dict[Node, str] = {}
        self._elements: dict[tuple[Node, int], Node] = {}

    def index(self, node: Node, place: int) -> Index:
        """The coordinates of a flat place."""
        return tuple(int(i) for i in np.unravel_index(place, node.shape)) if node.shape else ()

    def value(self, node: Node, place: int) -> float:
        """The value of an element."""
        return float(self._values[node].ravel()[place])

    def label(self, node: Node, place: int) -> str:
        """What an element is called, or its expression if that is short."""
        made = self.element(node, place)
        return self.text(multiplied([made]) if made.dtype in FLOATS else made)

    def definition(self, node: Node, place: int) -> str:
        """What a named element is made of, in terms of other elements; nothing for an input."""
        if not OPS[node.op].inputs:
            return ""
        region = self._regions.get(node)
        if region is not None and len(region.inputs) == 1 and region.inputs[0].shape == node.shape:
            return f"{region.name}({self.label(region.inputs[0], place)})"
        made = self._made(node, place, 0)
        return self._of_nodes(node) if made is None else self.text(multiplied([made]))

    def definitions(self, texts: Iterable[str]) -> list[tuple[str, str, str]]:
        """Name, definition and value of each node that was given a name, if it stands in the texts or in such a line.

        An array has its shape for a value.
        """
        told = {name: node for node, name in self.given.items()}
        waiting = list(texts)
        rows: dict[str, tuple[str, str, str]] = {}
        while waiting and len(rows) < _MOST_DEFINED:
            text = waiting.pop(0)
            for name in re.findall(r"[a-z_]+[₀-₉]+", text):
                if name in told and name not in rows:
                    node = told[name]
                    value = number_text(self.value(node, 0)) if node.size == 1 else f"an array {_sizes(node)}"
                    rows[name] = (name, self._of_nodes(node), value)
                    waiting.append(rows[name][1])
        return list(rows.values())

    def derivative(self, above: Node, place: int, position: int, below: int, number: float) -> Node | None:
        """∂above/∂below as a formula: the rule on symbols; None for an op whose elements cannot be told apart."""
        if OPS[above.op].family == "elementwise":
            operands = [self.element(x, place) for x in above.inputs]
            one = full((), 1, above.dtype)
            return RULES[above.op](one, self.element(above, place), *operands, **above.attributes)[position]
        if above.op == "contract":
            return self._partner(above, place, position, below)
        if OPS[above.op].family in ("move", "reduce", "index"):
            return constant(np.asarray(number))
        return None

    # ---- elements -------------------------------------------------------------------------------------------------

    def element(self, node: Node, place: int, depth: int = 0) -> Node:
        """An element as a scalar: a symbol if it has a name, and otherwise what it is made of."""
        known = self._elements.get((node, place))
        if known is None:
            made = None
            shallow = depth < _DEEPEST or repeated_number(node) is not None
            if node not in self.names and node not in self.given and shallow:
                made = self._made(node, place, depth)
                longest = _LONGEST_SUM if node.op == "contract" else _LONGEST
                if made is not None and made.op != "constant" and len(self.text(made)) > longest:
                    made = None
            known = self._elements[node, place] = self._symbol(node, place) if made is None else made
        return known

    def _made(self, node: Node, place: int, depth: int) -> Node | None:
        """An element in terms of those of the node's inputs, or None where it is made of too many."""
        number = repeated_number(node)
        if number is not None:
            return constant(np.asarray(number, node.dtype))
        if node.op in ("constant", "iota"):
            return constant(np.asarray(self._values[node].ravel()[place], node.dtype))
        if node.op == "cast" and node.inputs[0].op != "constant":
            return self.element(node.inputs[0], place, depth)
        if OPS[node.op].family == "elementwise" and node.op not in ("stop_gradient", "random_bits"):
            operands = tuple(self.element(x, place, depth + 1) for x in node.inputs)
            fitting = all(made.dtype == x.dtype for made, x in zip(operands, node.inputs, strict=True))
            return make(node.op, operands, **node.attributes) if fitting else None
        if node.op in MOVES:
            return self._moved(node, place, depth)
        if node.op in ("sum", "max") and node.size == node.inputs[0].size:
            return self.element(node.inputs[0], place, depth)
        if node.op == "contract":
            return self._products(node, place, depth)
        return None

    def _moved(self, node: Node, place: int, depth: int) -> Node | None:
        if node.op in ("stop_gradient", "reshape"):
            return self.element(node.inputs[0], place, depth)
        if node.op == "gather" and (node.inputs[1] not in self._values):
            return None
        attributes = {**node.attributes, "value": 0.0} if node.op == "pad" else node.attributes
        numbers, start = [], 1
        for x in node.inputs:
            numbers.append(np.arange(start, start + x.size, dtype=np.float64).reshape(x.shape))
            start += x.size
        if node.op == "gather":
            numbers[1] = self._values[node.inputs[1]]
        stand_in = make(
            node.op, tuple(input(f"x{n}", x.shape, _kind(x, node, n)) for n, x in enumerate(node.inputs)), **attributes
        )
        source = int(VALUES[node.op](stand_in, *numbers).ravel()[place]) - 1
        if source < 0:
            return constant(np.asarray(self._values[node].ravel()[place], node.dtype))
        for x in node.inputs:
            if source < x.size:
                return self.element(x, source, depth)
            source -= x.size
        return None

    def _products(self, node: Node, place: int, depth: int) -> Node | None:
        """A contraction as a sum of products: written out if there are two or fewer, and else as Σ."""
        a, b, out = (node.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
        size = dict(zip((*a, *b), (*node.inputs[0].shape, *node.inputs[1].shape), strict=True))
        fixed = dict(zip(out, self.index(node, place), strict=True))
        summed = [letter for letter in dict.fromkeys((*a, *b)) if letter not in out]
        if math.prod(size[letter] for letter in summed) > 2:
            return self._sigma(node, {**fixed, **_running(summed, size)})
        total: Node | None = None
        for at in np.ndindex(*(size[letter] for letter in summed)):
            here = {**fixed, **dict(zip(summed, at, strict=True))}
            parts = [
                self.element(x, _flat([here[letter] for letter in axes], x.shape), depth + 1)
                for x, axes in zip(node.inputs, (a, b), strict=True)
            ]
            if any(part.dtype != node.dtype for part in parts):
                return None
            term = parts[0] * parts[1]
            total = term if total is None else total + term
        return total

    def _sigma(self, node: Node, at: Mapping[int, Any]) -> Node | None:
        parts = []
        for x, name in zip(node.inputs, ("a_axes", "b_axes"), strict=True):
            if x not in self.names:
                return None
            parts.append(self.names[x] + _brackets(x, [at[letter] for letter in node.attributes[name]]))
        running = "".join(_SMALL[letter] for letter in at.values() if isinstance(letter, str))
        return self._atom(f"(Σ{running} {'·'.join(parts)})", node.dtype)

    def _partner(self, node: Node, place: int, position: int, below: int) -> Node:
        """The element of the other operand that a product of a contraction holds."""
        a, b, out = (node.attributes[name] for name in ("a_axes", "b_axes", "out_axes"))
        own, others = (a, b) if position == 0 else (b, a)
        at = dict(zip(out, self.index(node, place), strict=True))
        at |= dict(zip(own, self.index(node.inputs[position], below), strict=True))
        other = node.inputs[1 - position]
        return self.element(other, _flat([at[letter] for letter in others], other.shape))

    def _symbol(self, node: Node, place: int) -> Node:
        name = self.names.get(node) or self.given.get(node)
        if name is None:
            self._counts[node.op] += 1
            name = self.given[node] = node.op + subscript(self._counts[node.op])
        return self._atom(name + _brackets(node, self.index(node, place)), node.dtype)

    def _atom(self, text: str, dtype: str) -> Node:
        symbol = input(text, (), dtype)
        self._texts[symbol] = text
        return symbol

    def text(self, formula: Node) -> str:
        """A formula of elements as a line."""
        known = self._texts.get(formula)
        if known is None:
            return expression(formula, self._texts)
        return known[1:-1] if known.startswith("(Σ") else known

    def _of_nodes(self, node: Node) -> str:
        """A node as a line of whole arrays, those that only move elements left out."""
        known = {x: name for x, name in {**self.names, **self.given}.items() if x is not node}
        for x in Graph({"node": node}).nodes:
            if x not in known and x is not node and x.op in MOVES and len(x.inputs) == 1 and x.inputs[0] in known:
                known[x] = known[x.inputs[0]]
            if x.op == "stack":
                inside = x.attributes["node"]
                known.setdefault(inside, f"the {inside.op} of each step")  # a body is told in the graph's own listing
        return expression(node, known)


def _kind(x: Node, node: Node, position: int) -> str:
    return x.dtype if node.op == "gather" and position == 1 else "float64"


def _flat(index: Sequence[int], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(tuple(index), shape)) if shape else 0


def _sizes(node: Node) -> str:
    return "×".join(map(str, node.shape))


def _running(letters: Sequence[int], size: Mapping[int, int]) -> dict[int, Any]:
    names = iter(_SMALL)
    return {letter: next(names) if size[letter] > 1 else 0 for letter in letters}


def _brackets(node: Node, index: Sequence[Any]) -> str:
    """An index in brackets: of a parameter in full, and of what is computed without the axes of one element."""
    whole = node.op == "input" and str(node.attributes["name"]).startswith(f"{PARAMETERS}/")
    shown = [str(i) for i, size in zip(index, node.shape, strict=True) if whole or size > 1]
    return f"[{','.join(shown)}]" if shown else ""


def multiplied(formulas: Sequence[Node]) -> Node:
    """The product of some formulas, with its numbers multiplied out and ones left out.

    >>> y = input("y", ())
    >>> half, one = constant(0.5), constant(1.0)
    >>> expression(multiplied([half, one * (2 * (y - 3)), one]), {})
    'y − 3'
    """
    number, above, below = 1.0, [], []
    for formula in formulas:
        part, over, under = _factors(formula)
        number *= part
        above += over
        below += under
    dtype = formulas[0].dtype if formulas else "float64"
    head, *rest = [*above, *([] if above else [constant(np.asarray(abs(number), dtype))])]
    for factor in rest:
        head = head * factor
    if above and abs(number) != 1:
        head = abs(number) * head
    if below:
        bottom, *more = below
        for factor in more:
            bottom = bottom * factor
        head = head / bottom
    return -head if number < 0 else head


def _factors(formula: Node) -> tuple[float, list[Node], list[Node]]:
    number = repeated_number(formula)
    if number is not None:
        return float(number), [], []
    if formula.op == "neg":
        part, over, under = _factors(formula.inputs[0])
        return -part, over, under
    if formula.op in ("mul", "div"):
        (a, over, under), (b, over_b, under_b) = map(_factors, formula.inputs)
        if formula.op == "mul":
            return a * b, over + over_b, under + under_b
        if b != 0:
            return a / b, over + under_b, under + over_b
    return 1.0, [formula], []
