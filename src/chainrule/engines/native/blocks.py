"""The plan of a block: what is stored where, and what is computed in which order, by which core."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.engines.native import recalling
from chainrule.engines.native.blocking import Chain, chains
from chainrule.engines.native.contraction import by_tiles
from chainrule.engines.native.dividing import LAID_OUT_FOR, divided
from chainrule.engines.native.epilogues import with_epilogues
from chainrule.engines.native.grouping import (
    LOOP_OPS,
    Group,
    far,
    groups,
    is_map,
    read_by,
    reads,
    stored_nodes,
    without_inner,
)
from chainrule.engines.native.kernels import Kernel
from chainrule.engines.native.memory import PAGE, Lifetime, aligned, plan
from chainrule.engines.native.scheduling import early
from chainrule.engines.native.sharing import SMALL, Share, as_read, in_step, seconds, share, waits
from chainrule.engines.native.text import Writer
from chainrule.engines.native.tiles import tile
from chainrule.engines.native.types import BYTES
from chainrule.graph import Node, topological

#: Rows behind the last that a processor fetches ahead when it has seen some tiles of rows, and bytes that are enough in
#: any case: these rows would be taken from another core.
_FORESEEN, _FAR = 128, 1 << 19


def size_in_bytes(node: Node) -> int:
    """The memory that a node's array takes."""
    return node.size * BYTES[node.dtype]


def row_bytes(node: Node, part: Share) -> int:
    """The bytes of an element of the axis along which a node is divided, and all that lies behind it."""
    return math.prod(node.shape[part.axis + 1 :]) * BYTES[node.dtype]


@dataclass
class Module:
    """What the blocks of one program share: kernels by their text, so that equal ones are written and compiled once."""

    #: Constants with axes, bodies included, and the registers that hold their places.
    constants: dict[Node, str]
    #: Inputs of which only rows are gathered, and the registers that hold their lengths, known when the program runs.
    resident: dict[Node, str]
    #: The width of the vectors that the kernels are written for.
    vector_bytes: int
    #: Whether the cycles of each call are added up, in the array %times.
    profile: bool = False
    kernels: dict[tuple[str, str], str] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    #: Every call, in the order of the driver: the kernel's name and what it computes.
    calls: list[tuple[str, Group]] = field(default_factory=list)

    #: How many cores the program is written for.
    cores: int = 1
    #: Whether one core does the parts of all, one after the other wherever they need not wait: "forwards", from the
    #: first to the last, or "backwards".
    one_by_one: str = ""
    #: Whether lines that other cores have read may be recalled before they are written.
    recalls: bool = False

    def call(self, w: Writer, roots: Group, arguments: str, kernel: Kernel) -> None:
        """Write a call of a kernel for these nodes."""
        self.functions |= kernel.functions
        name = self.kernels.setdefault((kernel.parameters, kernel.body), f"{roots[0].op}_{len(self.kernels)}")
        self.calls.append((name, roots))
        self.timed(w, f"call void @{name}({arguments})", len(self.calls) - 1)

    def wait(self, w: Writer) -> None:
        """Write a barrier, at which the cores wait for each other."""
        self.timed(w, "call void @wait(ptr %sync, i64 %cores)", -1)

    def timed(self, w: Writer, instruction: str, number: int) -> None:
        """An instruction; of a program to be profiled, its cycles are added to the number's place in %times.

        The first place is for the waiting.
        """
        if not self.profile:
            w.write(instruction)
            return
        before = w.emit("call i64 @llvm.readcyclecounter()")
        w.write(instruction)
        after = w.emit("call i64 @llvm.readcyclecounter()")
        place = w.emit(f"getelementptr inbounds i64, ptr %times, i64 {number + 1}")
        total = w.emit(f"load i64, ptr {place}, align 8")
        total = w.emit(f"add i64 {total}, {w.emit(f'sub i64 {after}, {before}')}")
        w.write(f"store i64 {total}, ptr {place}, align 8")


class Block:
    """The straight program of some outputs: what is stored where, and what is computed in which order, by which core.

    ``given`` are the nodes that have a place already: inputs, constants, and in a body its params. ``targets`` are
    outputs that are written to memory of the caller's, and take none of the arena. ``feeds`` are outputs that the
    caller puts in the place of a given node afterwards: those of which it is proved that nothing reads the old value
    later are written there at once; they are in ``replaces``. ``times`` is how often all of it is done in one run.
    """

    def __init__(
        self,
        outputs: Sequence[Node],
        given: Mapping[Node, str],
        module: Module,
        *,
        targets: Collection[Node] = (),
        feeds: Mapping[Node, Node] | None = None,
        fixed: Collection[Node] = (),
        times: int = 1,
    ) -> None:
        self.outputs, self.module, self.targets, self.given = outputs, module, targets, given
        self.stored = stored_nodes(outputs, given)
        order = [node for node in topological(outputs, stop=set(given)) if node in self.stored]
        maps = without_inner(groups(order, self.stored), self.stored, outputs)
        self.groups = with_epilogues(maps, self.stored, outputs)
        self.read = {group: [*read_by(group, self.stored)] for group in self.groups}
        self.replaces = {new: old for new, old in (feeds or {}).items() if self._may_replace(new, old)}
        self.bodies: dict[Node, Body] = {node: Body(node, order, module) for node in order if node.op == "scan"}
        #: About how long one core takes.
        self.seconds: float = sum(self._seconds(group) for group in self.groups)
        worth = times * self.seconds > SMALL
        cores = module.cores if worth else 1
        #: How each loop would be shared: with one core too, since what can be shared can be done in blocks.
        parts = self._parts(max(cores, LAID_OUT_FOR), feeds or {}, fixed)
        self.shares: dict[Group, Share | None] = parts if cores > 1 else dict.fromkeys(self.groups)
        #: Whether any of it is shared between cores; what is not is done by the first alone.
        self.shared: bool = any(self.shares.values()) or any(body.block.shared for body in self.bodies.values())
        self.groups = early(self.groups, self.read, parts, self.replaces)
        parts = {group: parts[group] for group in self.groups}
        listed = waits(self.groups, [self.read[group] for group in self.groups], [*parts.values()], self.replaces)
        apart = dict(zip(self.groups, listed, strict=True))
        self.waits = {group: self.shared and wait for group, wait in apart.items()}
        #: The groups in their order, those together that go through some rows at a time.
        self.chains: list[Chain] = (
            chains(self.groups, self.read, parts, apart, {*outputs, *targets})
            if worth
            else [Chain((group,)) for group in self.groups]
        )
        for chain in self.chains:
            if chain.rows:
                self.shares |= {group: parts[group] for group in chain.groups}
        self.local = {node: chain for chain in self.chains for node in chain.local}
        self._place()
        #: What is written where other cores have read since, and is therefore recalled first.
        self.lent: set[Node] = set()
        if module.recalls and self.shared:
            self.lent |= recalling.lent(self, feeds or {})
            for stack in [node for node in self.lent if node.op == "stack" and node.inputs[0] in self.bodies]:
                self.bodies[stack.inputs[0]].block.lent.add(stack.attributes["node"])

    def _place(self) -> None:
        """Give each node its place: in what the cores have in common, or in memory of each core's own."""
        #: What a core has of a node that no other needs any of, in bytes: it lies in memory of that core's own.
        self.near = self._near()
        self.lifetimes = self._lifetimes()
        common = {node: life for node, life in self.lifetimes.items() if node not in self.near}
        offsets, size = plan(list(common.values()))
        self.offsets = dict(zip(common, offsets, strict=True))
        #: Where in its memory a core has such a node, where that memory begins, behind what the cores have in common,
        #: and what each has of it.
        offsets, each = plan(self._near_lifetimes())
        self.near_offsets = dict(zip(self.near, offsets, strict=True))
        longest = max((size_in_bytes(node) // node.shape[0] for node in self.near), default=0)
        gap = min(_FORESEEN * longest, _FAR)
        self.behind, self.each = aligned(size, PAGE), aligned(each + gap, PAGE)
        # If fewer cores come than are planned for, they share that memory too.
        offsets, whole = plan([self.lifetimes[node] for node in self.near])
        self.offsets |= {node: self.behind + offset for node, offset in zip(self.near, offsets, strict=True)}
        self.size: int = self.behind + max(self.each * self.module.cores, whole) if self.near else size

    def _parts(self, cores: int, feeds: Mapping[Node, Node], fixed: Collection[Node]) -> dict[Group, Share | None]:
        axes = divided(self.outputs, feeds, cores, fixed)
        found: dict[Group, Share | None] = {}
        known: dict[Node, Share | None] = {}
        for group in self.groups:
            if group[0].op in ("last", "stack"):
                found[group] = self.bodies[group[0].inputs[0]].handed_on(group[0])
            else:
                found[group] = share(group, self.read[group], cores, axes, known)
            known |= dict.fromkeys(group, found[group])
        for group in reversed(self.groups):
            if found[group] is None and group[0].op not in LOOP_OPS:
                found[group] = as_read(group, self.groups, self.read, found)
        return found

    def _seconds(self, group: Group) -> float:
        if group[0].op != "scan":
            return seconds(group, self.read[group])
        return int(group[0].attributes["length"]) * self.bodies[group[0]].block.seconds

    def _may_replace(self, new: Node, old: Node) -> bool:
        """Whether every read of the old value comes before the new one is written, element by element."""
        writer = next((number for number, group in enumerate(self.groups) if new in group), -1)
        if writer < 0 or any(node.op == "stack" for node in self.groups[writer]):
            return False
        if any(old in self.read[group] for group in self.groups[writer + 1 :]):
            return False
        group = self.groups[writer]
        if old not in self.read[group]:
            return True
        product, maps = (group[0], group[1:]) if group[0].op == "contract" else (None, group)
        if product is not None:
            # A tile of the product has to lie elsewhere, until all that is computed of it is.
            form = tile(product, self.stored) if product not in self.stored else None
            if form is None or not by_tiles(form) or old in reads((product,), self.stored):
                return False
        return all(is_map(node) for node in maps) and not any(old in far(node, self.stored) for node in maps)

    def _near(self) -> dict[Node, int]:
        if not self.shared:
            return {}
        readers: dict[Node, list[Group]] = {}
        for group in self.groups:
            for node in self.read[group]:
                readers.setdefault(node, []).append(group)
        kept = {*self.outputs, *self.targets, *self.replaces}
        found: dict[Node, int] = {}
        for group in self.groups:
            part = self.shares[group]
            if part is None or group[0].op in LOOP_OPS:
                continue
            for node in group:
                if node not in self.stored or node in kept or math.prod(node.shape[: part.axis]) != 1:
                    continue
                if all(self._in_step(reader, node, part) for reader in readers.get(node, [])):
                    bounds = itertools.pairwise(part.bounds(self.module.cores))
                    found[node] = max(end - begin for begin, end in bounds) * row_bytes(node, part)
        return found | {node: self._block_bytes(node) for node in self.local}

    def _in_step(self, reader: Group, node: Node, part: Share) -> bool:
        return reader[0].op not in LOOP_OPS and in_step(reader, self.read[reader], self.shares[reader], node, part)

    def _near_lifetimes(self) -> list[Lifetime]:
        """A core needs to wait for no other with memory of its own."""
        spans: dict[Node, list[int]] = {node: [] for node in self.near}
        for now, chain in enumerate(self.chains):
            for group in chain.groups:
                for node in (*group, *self.read[group]):
                    if node in spans:
                        spans[node].append(now)
        return [Lifetime(size, min(spans[node]), max(spans[node])) for node, size in self.near.items()]

    def _lifetimes(self) -> dict[Node, Lifetime]:
        # Where cores share the work, memory is given on only when all have waited for each other.
        times, time = [], 0
        for chain in self.chains:
            time += self.waits[chain.groups[0]] or not self.shared
            times += [time] * len(chain.groups)
        first = {node: t for t, group in zip(times, self.groups, strict=True) for node in group if node in self.stored}
        last = dict(first)
        for now, group in zip(times, self.groups, strict=True):
            for below in self.read[group]:
                last[below] = max(last.get(below, 0), now)
                if group[0].op == "stack":
                    # What is stacked is written while the scan runs.
                    first[group[0]] = first[below]
                if below in self.bodies and group[0].op == "last":
                    for node in self._behind(below):
                        last[node] = max(last.get(node, 0), now)
        for node in self.outputs:
            if node in last:
                last[node] = time + 1
        kept = [node for node in first if node not in self.targets]
        return {node: Lifetime(self._bytes(node), first[node], last[node]) for node in kept}

    def _behind(self, scan: Node) -> list[Node]:
        """Where the last carries of a scan may lie: with the scan, where they are stacked, or where they began."""
        stacks = [group[0] for group in self.groups if group[0].op == "stack" and scan in group[0].inputs]
        return [*scan.inputs, *stacks]

    def _bytes(self, node: Node) -> int:
        if node in self.local:
            return self._block_bytes(node) * (self.module.cores if self.shared else 1)
        return self.bodies[node].size if node.op == "scan" else size_in_bytes(node)

    def _block_bytes(self, node: Node) -> int:
        """What a core has of a node of which only a block is kept."""
        return aligned(size_in_bytes(node) // node.shape[0] * self.local[node].rows)


class Body:
    """The body of a scan as a block, and where the next carries are written: to two sides by turns."""

    def __init__(self, scan: Node, order: Sequence[Node], module: Module) -> None:
        following = self.following = scan.attributes["next"]
        taken = [node.attributes["node"] for node in order if node.op == "stack" and node.inputs[0] is scan]
        outputs = list(dict.fromkeys([*following, *taken]))
        given = {node: "" for node in topological(outputs) if node.op == "param" or node in module.constants}
        targets = [node for node in outputs if node not in given]
        first = scan.attributes["n_carry"] + scan.attributes["n_xs"]
        fixed = [node for node in given if node.op == "param" and node.attributes["index"] >= first]
        length = scan.attributes["length"]
        self.block = Block(outputs, given, module, targets=targets, fixed=fixed, times=length)
        #: Carries that are to become another carry, or what lies elsewhere: they are copied, by their number.
        self.copied = {
            number: node for number, node in enumerate(following) if node in given and not _is_param(node, number)
        }
        #: How each carry is divided when it is written, the turn before.
        self.parts = self._carried(scan)
        self.size = self.block.size
        #: Where the two sides of a carry begin in the arena of the loop, and the bytes of one.
        self.sides: dict[Node | int, tuple[int, int]] = {}
        wanted: list[tuple[Node | int, Node]] = [(node, node) for node in targets if node not in taken]
        for key, node in [*wanted, *self.copied.items()]:
            size = aligned(size_in_bytes(node))
            self.sides[key] = self.size, size
            self.size += 2 * size

    def handed_on(self, node: Node) -> Share | None:
        """How a stack or the last of a carry is divided: as what is written in each turn is."""
        stack = node.op == "stack"
        inside = node.attributes["node"] if stack else self.following[node.attributes["index"]]
        parts = {root: part for group, part in self.block.shares.items() for root in group}
        part = parts.get(inside, self.parts.get(inside))
        return part and part.along(part.axis + stack)

    def _carried(self, scan: Node) -> dict[Node, Share | None]:
        parts = {node: self.block.shares[group] for group in self.block.groups for node in group}
        carries = [node for node in self.block.given if node.op == "param"]
        numbers = [(node, node.attributes["index"]) for node in carries]
        following = scan.attributes["next"]
        return {node: parts.get(following[number]) for node, number in numbers if number < scan.attributes["n_carry"]}


def _is_param(node: Node, number: int) -> bool:
    return node.op == "param" and node.attributes["index"] == number
