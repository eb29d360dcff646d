"""Work sharing: which part of a loop each core does, and where the cores have to wait for each other.

A loop is divided along one axis of what it writes, and every element is computed by one core in the order in which a
single core would: the bits do not depend on how many cores there are. Two loops that are divided alike, the second
reading just what its own core has written, need no waiting in between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from chainrule.engines.native.types import BYTES
from chainrule.graph import ELEMENTWISE, Node

#: A loop that one core would be done with in this time (seconds) is left to the first.
_SHORT = 1.0e-6
#: A program that one core is done with in this time is not shared at all.
SMALL = 20.0e-6
#: A division that keeps the cores less busy than this is not taken because of where things lie.
_FAIR = 0.7
#: Fewer rows than this are joined by others; how many are enough, and the most that are.
_FEW_ROWS, _ENOUGH, _MOST_ROWS = 4, 6, 80
#: The most elements that a vector has.
_LANES = 16
#: What one core does in a second, roughly: multiply-adds of a tile, other operations, bytes.
TILE, _PLAIN, _BYTES = 100e9, 12e9, 40e9
_DEAR = frozenset("exp log log1p expm1 tanh erf sin cos sigmoid rem random_bits div power".split())


@dataclass(frozen=True)
class Share:
    """A loop divided along an axis of what it writes: whole units of some elements, of which there are ``count``."""

    axis: int
    unit: int
    size: int
    #: How many cores there may be, at most.
    cores: int

    @property
    def count(self) -> int:
        """How many units there are to give away."""
        return -(-self.size // self.unit)

    def along(self, axis: int) -> Share:
        """The same of another axis, as long."""
        return replace(self, axis=axis)

    def bounds(self, cores: int) -> list[int]:
        """Where the parts of so many cores begin, and where the last ends."""
        return [min(core * self.count // cores * self.unit, self.size) for core in range(cores + 1)]


def seconds(roots: Sequence[Node], read: Sequence[Node]) -> float:
    """About how long one core takes for the loop of these nodes."""
    known, work, waiting = set(read), 0.0, list(roots)
    seen: set[Node] = set()
    while waiting:
        node = waiting.pop()
        if node in seen or (node in known and node not in roots):
            continue
        seen.add(node)
        waiting.extend(node.inputs)
        if node.op == "contract":
            # A matrix that meets a single vector is read, and little else.
            work += max(2 * terms(node) / TILE, sum(_bytes(below) for below in node.inputs if below in known) / _BYTES)
        elif node.op in ("sum", "max", "argmax", "fold", "scatter_add"):
            work += max(node.size, *(below.size for below in node.inputs)) / _PLAIN
        elif node.op in ELEMENTWISE:
            work += node.size * (8 if node.op in _DEAR else 1) / _PLAIN
    return max(work, sum(map(_bytes, roots)) / _BYTES)


def _bytes(node: Node) -> int:
    return node.size * BYTES.get(node.dtype, 4)


def terms(node: Node) -> int:
    """How many products a contraction adds up, all its elements together."""
    sizes = dict(zip(node.attributes["a_axes"], node.inputs[0].shape, strict=True))
    sizes |= dict(zip(node.attributes["b_axes"], node.inputs[1].shape, strict=True))
    return math.prod(sizes.values())


def reads_more_than_it_does(node: Node) -> bool:
    """Whether a contraction uses what it reads a few times at most: a vector times a matrix.

    Made for all steps of a loop at once, where that can be, it reads the matrix once. With more rows a step there is
    nothing to gain, and what is made for all steps goes through memory.
    """
    return terms(node) < _FEW_ROWS * max(below.size for below in node.inputs)


def row_axis(node: Node) -> int:
    """The axis of a contraction that gives its register tile the rows: the last that the wide operand does not have."""
    out = node.attributes["out_axes"]
    for wide, spread in (("b_axes", "a_axes"), ("a_axes", "b_axes")):
        letters = node.attributes[wide]
        if letters and letters[-1] == out[-1] and out[-1] not in node.attributes[spread]:
            rows = [axis for axis, letter in enumerate(out) if letter not in letters]
            place = last_long([node.shape[axis] for axis in rows], node.inputs[int(wide == "a_axes")])
            return rows[place] if rows else -1
    return -1


def last_long(sizes: Sequence[int], spread: Node) -> int:
    """Which of some letters gives a tile its rows: the last, unless it has one place, as a text's next symbol.

    Of windows it is the last anyway: its letters go together.
    """
    windows = any(node.op in ("window", "reverse") for node in (spread, *spread.inputs))
    return next((k for k in range(-1, -len(sizes) - 1, -1) if sizes[k] > 1 or windows), -1)


def joint_letters(node: Node) -> tuple[int, ...]:
    """The letters of a contraction that give its register tile the rows together, where one has too few places.

    As in the gradient of a first layer's weight: the taps of a convolution, and the few channels that it sees.
    """
    axis = row_axis(node)
    if axis < 0 or node.shape[axis] >= _FEW_ROWS:
        return ()
    out = node.attributes["out_axes"]
    axes = [node.attributes[name] for name in ("a_axes", "b_axes")]
    wide = next(letters for letters in reversed(axes) if letters[-1:] == out[-1:])
    spread = node.inputs[1 - axes.index(wide)]
    spread = spread.inputs[0] if spread.op == "reshape" else spread
    if spread.op not in ("window", "reverse"):
        return ()
    # A single vector of columns cannot be divided, so that the cores share one of the letters.
    narrow = node.shape[-1] <= _LANES
    found: list[int] = []
    places = 1
    for place in reversed([place for place, letter in enumerate(out) if letter not in wide]):
        if places * node.shape[place] > _MOST_ROWS or (narrow and places >= _ENOUGH):
            break
        places *= node.shape[place]
        found.insert(0, out[place])
    return tuple(found) if len(found) > 1 else ()


def tile_rows(height: int) -> int:
    """How many rows a register tile has: a divisor of the height near eight, if there is one."""
    return next((n for n in (8, 7, 6, 9, 10) if height % n == 0), 8) if height > 10 else max(height, 1)


def share(
    roots: Sequence[Node],
    read: Sequence[Node],
    cores: int,
    axes: Mapping[Node, int],
    known: Mapping[Node, Share | None],
) -> Share | None:
    """How the loop of these nodes is divided, or None where it is left to the first core.

    As ``axes`` says; or as the largest array that it reads was divided (``known``); or along the first axis with
    enough to give to all.
    """
    node = roots[0]
    if node.op == "scan" or not node.size:
        return None
    following = _following(roots, read, known)
    if seconds(roots, read) < _SHORT:
        # Divided as all that it reads is, it costs no wait.
        own = following is not None and all(in_step(roots, read, following, x, known[x]) for x in read if x in known)
        return following if own else None
    wanted = next((axes[root] for root in roots if root in axes), None)
    if wanted is not None:
        option = Share(wanted, unit(node, wanted), node.shape[wanted], cores)
        if option.count > 1 and _balance(option, cores) > _FAIR:
            return option
    if following is not None:
        return following
    found = [Share(axis, unit(node, axis), size, cores) for axis, size in enumerate(node.shape)]
    enough = [option for option in found if option.count >= 4 * cores or (option.count and option.count % cores == 0)]
    best = enough[0] if enough else max(found, key=lambda option: option.count, default=None)
    return best if best is not None and best.count > 1 else None


def as_read(
    group: Sequence[Node],
    groups: Sequence[tuple[Node, ...]],
    reads: Mapping[tuple[Node, ...], Sequence[Node]],
    shares: Mapping[tuple[Node, ...], Share | None],
) -> Share | None:
    """How a short loop may be divided so that each core reads what it has written itself, at no wait; or None."""
    found: set[Share | None] = set()
    for reader in groups:
        for node in set(group) & set(reads[reader]):
            found |= {_wanted(root, shares[reader], node, reads[reader]) for root in reader}
    part = found.pop() if len(found) == 1 else None
    if part is None or part.size != group[0].shape[part.axis]:
        return None
    own = reads[tuple(group)]
    writers = {node: shares[other] for other in groups for node in other if node in own}
    return part if all(in_step(group, own, part, node, other) for node, other in writers.items()) else None


def _wanted(root: Node, own: Share | None, node: Node, read: Sequence[Node]) -> Share | None:
    run = aligned(root, own.axis, {*read}).get(node) if own is not None and root.rank else None
    if own is None or run is None:
        return None
    return Share(run.axis, own.unit * run.factor, own.size * run.factor, own.cores)


def _balance(option: Share, cores: int) -> float:
    """The part of the time that the cores are busy, on the average: 1 where all get as much."""
    return option.count / (-(-option.count // cores) * cores)


def _following(roots: Sequence[Node], read: Sequence[Node], known: Mapping[Node, Share | None]) -> Share | None:
    """The share by which each core reads just its own part of the largest array that was divided."""
    node = roots[0]
    largest = sorted((below for below in read if known.get(below)), key=lambda below: -below.size)
    for below in largest[:2]:
        other = known[below]
        for axis in range(node.rank):
            run = aligned(node, axis, {*read}).get(below)
            if other is None or run is None or run.axis != other.axis or other.unit % run.factor:
                continue
            own = Share(axis, other.unit // run.factor, node.shape[axis], other.cores)
            # A product is not cut within a vector of its columns.
            whole = node.op != "contract" or axis < node.rank - 1 or own.unit % _LANES == 0
            if whole and own.size * run.factor == other.size:
                return own
    return None


def unit(node: Node, axis: int) -> int:
    """How many elements are given away at a time.

    Whole vectors of columns, whole tiles of rows; single slices of what lies outside both.
    """
    if node.op == "sum" and node.rank:
        # As what is summed is divided, so that it may be read where it was written.
        (x,) = node.inputs
        if x.op == "reshape":
            return 1  # blocks, which are units already
        kept = [place for place in range(x.rank) if place not in node.attributes["axes"]]
        if kept[axis] < x.rank - 1:
            return tile_rows(x.shape[kept[axis]]) if kept[axis] == x.rank - 2 else 1
    if node.op == "contract" and joint_letters(node):
        if node.attributes["out_axes"][axis] in joint_letters(node):
            return node.shape[axis]
        if axis == node.rank - 1:
            return _LANES
    if node.op == "transpose" and node.attributes["axes"][axis] == node.rank - 1:
        return 16  # what is turned at once
    if axis == node.rank - 1:
        return 32
    if node.op == "contract":
        return tile_rows(node.shape[axis]) if axis == row_axis(node) else 1
    return tile_rows(node.shape[axis]) if axis == node.rank - 2 else 1


@dataclass(frozen=True)
class Run:
    """How an operand is read along with an axis: element i needs the ``factor`` elements from i·factor on, no other."""

    axis: int
    factor: int = 1


def aligned(root: Node, axis: int, stop: set[Node]) -> dict[Node, Run | None]:
    """For each stored node behind a root: how it is read along an axis of the root; None where other parts are read."""
    found: dict[Node, Run | None] = {}
    seen: set[tuple[Node, Run | None]] = set()
    waiting: list[tuple[Node, Run | None]] = [(root, Run(axis))]
    while waiting:
        node, at = waiting.pop()
        if (node, at) in seen:
            continue
        seen.add((node, at))
        if node in stop and node is not root:
            found[node] = at if node not in found or found[node] == at else None
            continue
        for place, below in enumerate(node.inputs):
            next_run = None if at is None else _behind(node, place, at.axis)
            if at is not None and next_run is not None:
                next_run = Run(next_run.axis, next_run.factor * at.factor)
            waiting.append((below, next_run))
    return found


def _behind(node: Node, place: int, axis: int) -> Run | None:
    """How an operand is read along with an axis of the node."""
    if node.op == "reshape":
        return _reshaped(node, axis)
    same = _same_axis(node, place, axis)
    return None if same is None else Run(same)


def _reshaped(node: Node, axis: int) -> Run | None:
    (below,) = node.inputs
    before, own = math.prod(node.shape[:axis]), node.shape[axis]
    for other, size in enumerate(below.shape):
        if math.prod(below.shape[:other]) == before and own and size % own == 0:
            return Run(other, size // own)
    return None


def _same_axis(node: Node, place: int, axis: int) -> int | None:
    """The axis of an operand that runs with an axis of the node: element i of one needs just element i of the other."""
    below, attributes = node.inputs[place], node.attributes
    match node.op:
        case "broadcast":
            new = attributes["axes"]
            return None if axis in new else axis - sum(other < axis for other in new)
        case "transpose":
            return int(attributes["axes"][axis])
        case "sum" | "max" | "argmax":
            return [k for k in range(below.rank) if k not in attributes["axes"]][axis]
        case "contract":
            letters = attributes["a_axes" if place == 0 else "b_axes"]
            letter = attributes["out_axes"][axis]
            return letters.index(letter) if letter in letters else None
        case "window":
            return axis if axis < below.rank and axis not in attributes["axes"] else None
        case "slice" | "pad":
            return axis if below.shape[axis] == node.shape[axis] and _untouched(node, axis) else None
        case "reverse":
            return axis if axis not in attributes["axes"] else None
        case "gather":
            first, batch = attributes["axis"], attributes["batch"]
            taken = node.inputs[1].rank - batch
            if place == 0:
                return axis if axis < first else None
            if axis < batch:
                return axis
            return batch + axis - first if first <= axis < first + taken else None
        case "concatenate":
            return axis if axis != attributes["axis"] else None
        case "scatter_add":
            first, batch = attributes["axis"], attributes["batch"]
            if place == 1:
                return axis if axis < min(first, batch) else None
            return axis if axis < first else axis - 1 + node.inputs[1].rank - batch if axis > first else None
        case _:
            return axis if node.op in ELEMENTWISE else None


def _untouched(node: Node, axis: int) -> bool:
    if node.op == "slice":
        return bool(node.attributes["starts"][axis] == 0 and node.attributes["steps"][axis] == 1)
    return not any(node.attributes[name][axis] for name in ("low", "high", "interior"))


def waits(
    groups: Sequence[Sequence[Node]],
    reads: Sequence[Sequence[Node]],
    shares: Sequence[Share | None],
    replaces: Mapping[Node, Node],
) -> list[bool]:
    """Before which groups the cores wait for each other.

    They do where a group reads what another core may still have to write, or writes in place (``replaces``: root ->
    the array that it takes over) what another core may still have to read.
    """
    found: list[bool] = []
    begin = 0
    writer: dict[Node, int] = {}
    for number, (group, read) in enumerate(zip(groups, reads, strict=True)):
        wait = any(
            writer.get(node, -1) >= begin and not in_step(group, read, shares[number], node, shares[writer[node]])
            for node in read
        )
        for root in group:
            old = replaces.get(root)
            if old is not None and not wait:
                wait = any(
                    old in reads[earlier]
                    and not in_step(groups[earlier], reads[earlier], shares[earlier], old, shares[number])
                    for earlier in range(begin, number)
                )
        # A loop over time waits inside, for all that came before, and at its end.
        wait = group[0].op == "scan" or (wait and group[0].op not in ("last", "stack"))
        found.append(wait)
        if wait:
            begin = number
        for root in group:
            writer[root] = number
    return found


def in_step(group: Sequence[Node], read: Sequence[Node], own: Share | None, node: Node, other: Share | None) -> bool:
    """Whether each core's part of a group touches just the part of a node that the same core has."""
    if own is None or other is None:
        return own is other
    for root in group:
        found = aligned(root, own.axis, {*read})
        if node not in found:
            continue
        run = found[node]
        if run is None or run.axis != other.axis:
            return False
        if not _the_same(replace(own, unit=own.unit * run.factor, size=own.size * run.factor), other):
            return False
    return True


def _the_same(a: Share, b: Share) -> bool:
    """Whether the part of each core is the same in both, however many of them there are."""
    if (a.unit, a.size) == (b.unit, b.size):
        return True
    every = range(2, a.cores + 1)
    return a.size == b.size and all(a.bounds(cores) == b.bounds(cores) for cores in every)
