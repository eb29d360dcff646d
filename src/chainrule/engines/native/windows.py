"""Windows: a product reads an array through what only moves elements, its borders included, and nothing of it is made.

An operand such as ``window(pad(x))`` is x at an index that each letter of the product adds something to. Where that
lies on a border there is nothing to add up: the taps that reach outside are stepped over, and no border is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from chainrule.engines.native.text import Value, Writer
from chainrule.graph import FLOATS, Node

#: Ops between a border and the product that reads across it.
_BETWEEN = frozenset({"window", "reverse", "slice"})
#: The most taps along the axis of a tile's rows: each has instructions of its own.
_TAPS = 8
#: An array with fewer channels is small, and its border written soon enough.
_CHANNELS = 4


@dataclass(frozen=True)
class Place:
    """An index along one axis: a constant, and a step for each letter."""

    constant: int
    steps: Mapping[int, int]

    def scaled(self, factor: int, constant: int = 0) -> Place:
        """factor · place + constant."""
        steps = {letter: factor * step for letter, step in self.steps.items()}
        return Place(factor * self.constant + constant, steps)

    def plus(self, other: Place) -> Place:
        """The sum of two places."""
        steps = dict(self.steps)
        for letter, step in other.steps.items():
            steps[letter] = steps.get(letter, 0) + step
        return Place(self.constant + other.constant, steps)

    def at(self, w: Writer, known: Mapping[int, Value]) -> Value:
        """The index, its letters known."""
        found: Value = self.constant
        for letter, step in self.steps.items():
            found = w.add(found, w.mul(known[letter], step))
        return found


@dataclass(frozen=True)
class View:
    """An operand as an array that is stored: a place for each of its axes; those in ``open`` may lie outside."""

    base: Node
    places: tuple[Place, ...]
    open: frozenset[int]

    def within(self, known: Mapping[int, int]) -> bool:
        """Whether an element is inside, all letters of the open axes known."""
        for axis in self.open:
            place = self.places[axis]
            at = place.constant + sum(known[letter] * step for letter, step in place.steps.items())
            if not 0 <= at < self.base.shape[axis]:
                return False
        return True

    def with_letter(self, letter: int) -> list[int]:
        """The open axes whose places a letter moves."""
        return [axis for axis in self.open if letter in self.places[axis].steps]

    def along(self, letter: int) -> bool:
        """Whether a letter moves along the last axis alone, element by element, and no other does."""
        *others, last = self.places
        straight = last == Place(0, {letter: 1}) and len(self.places) - 1 not in self.open
        return straight and all(letter not in place.steps for place in others)

    def bounds(self, w: Writer, letter: int, size: int, known: Mapping[int, Value]) -> tuple[Value, Value]:
        """From where to where a letter stays inside, as far as that is settled by the letters that are known."""
        low, high = [0], [size]  # type: tuple[list[Value], list[Value]]
        for axis in self.with_letter(letter):
            place, length = self.places[axis], self.base.shape[axis]
            others = {k: step for k, step in place.steps.items() if k != letter}
            if any(k not in known for k in others):
                continue
            rest, step = Place(place.constant, others).at(w, known), place.steps[letter]
            if step > 0:
                low.append(_divided(w, w.sub(step - 1, rest), step))
                high.append(_divided(w, w.sub(length + step - 1, rest), step))
            else:
                low.append(_divided(w, w.add(rest, -length - step), -step))
                high.append(_divided(w, w.add(rest, -step), -step))
        return largest(w, *low), smallest(w, *high)


def _divided(w: Writer, a: Value, b: int) -> Value:
    """a / b rounded down, or 0 where a is negative."""
    return w.div(largest(w, a, 0), b)


def largest(w: Writer, *values: Value) -> Value:
    """The largest of some indices."""
    return _chosen(w, values, max, "sgt")


def smallest(w: Writer, *values: Value) -> Value:
    """The smallest of some indices."""
    return _chosen(w, values, min, "slt")


def _chosen(w: Writer, values: Sequence[Value], among: Callable[[list[int]], int], word: str) -> Value:
    numbers = [value for value in values if isinstance(value, int)]
    found: Value = among(numbers) if numbers else values[0]
    for value in values:
        if isinstance(value, str) and value != found:
            better = w.emit(f"icmp {word} i64 {value}, {found}")
            found = w.emit(f"select i1 {better}, i64 {value}, i64 {found}")
    return found


def view(operand: Node, letters: Sequence[int], stored: Collection[Node]) -> View | None:
    """An operand, whose axes have these letters, as a stored array; None where something in between is computed."""
    node, places, beyond = operand, [Place(0, {letter: 1}) for letter in letters], frozenset[int]()
    while node not in stored:
        attributes = node.attributes
        if not node.inputs or not node.size:
            return None
        x = node.inputs[0]
        match node.op:
            case "window":
                taps, inner = places[x.rank :], places[: x.rank]
                moves = zip(attributes["axes"], attributes["strides"], attributes["dilations"], taps, strict=True)
                for axis, stride, dilation, tap in moves:
                    inner[axis] = inner[axis].scaled(stride).plus(tap.scaled(dilation))
                places = inner
            case "reverse":
                axes = attributes["axes"]
                places = [p.scaled(-1, node.shape[k] - 1) if k in axes else p for k, p in enumerate(places)]
            case "slice":
                cuts = zip(places, attributes["starts"], attributes["steps"], strict=True)
                places = [place.scaled(step, start) for place, start, step in cuts]
            case "transpose":
                turned = dict(zip(attributes["axes"], places, strict=True))
                places = [turned[axis] for axis in range(x.rank)]
            case "reshape":
                together = _split_up(x.shape, node.shape)
                if together is None:
                    return None
                places = [_one(places, axes, node.shape) for axes in together]
            case "pad":
                if x not in stored or not _of_zeros(node):
                    return None
                beyond = frozenset(axis for axis, size in enumerate(x.shape) if size != node.shape[axis])
                places = [place.scaled(1, -low) for place, low in zip(places, attributes["low"], strict=True)]
            case _:
                return None
        node = x
    return View(node, tuple(places), beyond)


def _split_up(whole: Sequence[int], parts: Sequence[int]) -> list[list[int]] | None:
    """Which axes of ``parts`` each axis of ``whole`` has been cut into; None where it is not so."""
    found, place = list[list[int]](), 0
    for size in whole:
        axes, product = list[int](), 1
        while place < len(parts) and (product < size or not axes):
            product *= parts[place]
            axes.append(place)
            place += 1
        if product != size:
            return None
        found.append(axes)
    return found if place == len(parts) else None


def _one(places: Sequence[Place], axes: Sequence[int], shape: Sequence[int]) -> Place:
    """The index along an axis that has been cut into these."""
    found = Place(0, {})
    for axis in axes:
        found = found.scaled(shape[axis]).plus(places[axis])
    return found


def _of_zeros(node: Node) -> bool:
    """Whether a pad is a border of zeros, and puts nothing in between."""
    attributes = node.attributes
    whole = min((*attributes["low"], *attributes["high"]), default=0) >= 0
    return whole and not any(attributes["interior"]) and attributes["value"] == 0 and node.dtype in FLOATS


def stepped_over(node: Node, users: Mapping[Node, Sequence[Node]]) -> bool:
    """Whether an array with a border is read by products alone that step over it: the border is then never made."""
    if node.op != "pad" or not _of_zeros(node) or node.rank < 3 or node.inputs[0].op in _BETWEEN | {"reshape"}:
        return False
    if node.inputs[0].shape[-1] < _CHANNELS or not node.size or not node.inputs[0].size:
        return False
    seen, waiting = set[Node](), [node]
    while waiting:
        below = waiting.pop()
        if not users.get(below):
            return False
        for user in users[below]:
            if user.op in _BETWEEN or (user.op == "reshape" and _split_up(below.shape, user.shape) is not None):
                if user not in seen:
                    seen.add(user)
                    waiting.append(user)
            elif user.op != "contract" or not all(
                _steps_over(user, place, node.inputs[0]) for place in (0, 1) if user.inputs[place] is below
            ):
                return False
    return True


def _steps_over(product: Node, place: int, base: Node) -> bool:
    """Whether a product's tile can read an operand (0 or 1) as a view of this array."""
    names = ("a_axes", "b_axes")
    spread, wide = (product.attributes[names[k]] for k in (place, 1 - place))
    out = product.attributes["out_axes"]
    if not out or product.shape[-1] < 2 or wide[-1:] != out[-1:] or out[-1] in spread:
        return False
    found = view(product.inputs[place], spread, {base})
    row = next((k for k in reversed(out) if k not in wide), -1)
    return found is not None and tiled(found, row, out, dict(zip(spread, product.inputs[place].shape, strict=True)))


def tiled(seen: View, row: int, out: Sequence[int], size: Mapping[int, int]) -> bool:
    """Whether the open axes of a view are moved as a tile can follow.

    By one letter that is summed, so that it is a matter of where its loop begins and ends; and where the tile's rows
    move too, by few enough taps that each is written out.
    """
    for axis in seen.open:
        steps = seen.places[axis].steps
        summed = [letter for letter in steps if letter not in out]
        if len(summed) != 1 or (row in steps and size[summed[0]] > _TAPS) or 0 in steps.values():
            return False
    return True


def inside_rows(seen: View, row: int, start: int, rows: int, size: Mapping[int, int]) -> bool:
    """Whether a tile of rows is inside whatever the tap."""
    for axis in seen.with_letter(row):
        place = seen.places[axis]
        low = high = place.constant
        for letter, step in place.steps.items():
            first, last = (start, start + rows - 1) if letter == row else (0, size[letter] - 1)
            low, high = low + min(step * first, step * last), high + max(step * first, step * last)
        if low < 0 or high >= seen.base.shape[axis]:
            return False
    return True
