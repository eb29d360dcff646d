"""The driver: calls the kernels in their order, with the places of the arena; loops over time for a scan."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.engines.native import recalling
from chainrule.engines.native.blocking import Chain, chains
from chainrule.engines.native.contraction import by_tiles
from chainrule.engines.native.dividing import LAID_OUT_FOR, divided
from chainrule.engines.native.epilogues import with_epilogues
from chainrule.engines.native.grouping import Group, far, groups, is_map, reads, stored_nodes, without_inner
from chainrule.engines.native.kernels import Kernel, kernel
from chainrule.engines.native.memory import Lifetime, aligned, plan
from chainrule.engines.native.scheduling import early
from chainrule.engines.native.sharing import SMALL, Share, seconds, share, waits
from chainrule.engines.native.text import Value, Writer
from chainrule.engines.native.tiles import tile
from chainrule.engines.native.types import BYTES
from chainrule.graph import Node, topological


def size_in_bytes(node: Node) -> int:
    """The memory that a node's array takes."""
    return node.size * BYTES[node.dtype]


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

    def call(self, w: Writer, roots: Group, read: Sequence[Node], arguments: str, kernel: Kernel) -> None:
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
        times: int = 1,
    ) -> None:
        self.outputs, self.module, self.targets, self.given = outputs, module, targets, given
        self.stored = stored_nodes(outputs, given)
        order = [node for node in topological(outputs, stop=set(given)) if node in self.stored]
        maps = without_inner(groups(order, self.stored), self.stored, outputs)
        self.groups = with_epilogues(maps, self.stored, outputs)
        self.read = {group: self._reads(group) for group in self.groups}
        self.replaces = {new: old for new, old in (feeds or {}).items() if self._may_replace(new, old)}
        self.bodies: dict[Node, Body] = {node: Body(node, order, module) for node in order if node.op == "scan"}
        #: About how long one core takes.
        self.seconds: float = sum(self._seconds(group) for group in self.groups)
        worth = times * self.seconds > SMALL
        cores = module.cores if worth else 1
        #: How each loop would be shared: with one core too, since what can be shared can be done in blocks.
        parts = self._parts(max(cores, LAID_OUT_FOR), feeds or {})
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
        self.lifetimes = self._lifetimes()
        offsets, self.size = plan(list(self.lifetimes.values()))
        self.offsets = dict(zip(self.lifetimes, offsets, strict=True))
        #: What is written where other cores have read since, and is therefore recalled first.
        self.lent: set[Node] = set()
        if module.recalls and self.shared:
            self.lent |= recalling.lent(self, feeds or {})
            for stack in [node for node in self.lent if node.op == "stack" and node.inputs[0] in self.bodies]:
                self.bodies[stack.inputs[0]].block.lent.add(stack.attributes["node"])

    def _parts(self, cores: int, feeds: Mapping[Node, Node]) -> dict[Group, Share | None]:
        axes = divided(self.outputs, feeds, cores)
        found: dict[Group, Share | None] = {}
        known: dict[Node, Share | None] = {}
        for group in self.groups:
            found[group] = share(group, self.read[group], cores, axes, known)
            known |= dict.fromkeys(group, found[group])
        return found

    def _reads(self, group: Group) -> list[Node]:
        node = group[0]
        return [*node.inputs] if node.op in ("scan", "last", "stack") else reads(group, self.stored)

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

    def write(
        self, w: Writer, arena: str, given: Mapping[Node, str], targets: Mapping[Node, str] | None = None
    ) -> dict[Node, str]:
        """Write the calls; gives where each stored node lies: in the arena, or at its target."""
        places = {**(targets or {}), **given}
        places |= {new: given[old] for new, old in self.replaces.items()}
        for node, offset in self.offsets.items():
            if node not in places:
                places[node] = w.emit(f"getelementptr inbounds i8, ptr {arena}, i64 {offset}")
        ends: dict[Node, list[str]] = {}
        for phase in self._phases():
            for core in self.cores():
                for chain in phase:
                    group = chain.groups[0]
                    node = group[0]
                    if self.waits[group] and not self.module.one_by_one:
                        self.module.wait(w)
                    if node.op == "scan":
                        ends[node] = self._scan(w, node, places)
                    elif node.op == "last":
                        with self.alone(w, core):
                            copy(w, places[node], ends[node.inputs[0]][node.attributes["index"]], size_in_bytes(node))
                    elif chain.rows:
                        self._in_blocks(w, chain, places, core)
                    elif node.op != "stack":
                        self._call(w, group, places, core)
        return places

    def _in_blocks(self, w: Writer, chain: Chain, places: Mapping[Node, str], core: str | int) -> None:
        part = self.shares[chain.groups[0]]
        assert part is not None
        begin, end = self._bounds(w, part, core)
        blocks = w.emit(f"sdiv i64 {w.add(w.sub(end, begin), chain.rows - 1)}, {chain.rows}")
        with w.loop(blocks) as (number, _):
            first = w.add(begin, w.mul(number, chain.rows))
            last = w.emit(f"call i64 @llvm.smin.i64(i64 {w.add(first, chain.rows)}, i64 {end})")
            near = dict(places)
            for node in chain.local:
                # The block begins where these rows would lie, were all of them kept.
                row = size_in_bytes(node) // node.shape[0]
                place = w.sub(w.mul(core, self._block_bytes(node)), w.mul(first, row))
                near[node] = w.emit(f"getelementptr i8, ptr {places[node]}, i64 {place}")
            for group in chain.groups:
                self._call(w, group, near, core, (first, last))

    def _bounds(self, w: Writer, part: Share, core: str | int) -> tuple[Value, Value]:
        """Where the part of a core begins and ends."""
        cores = 1 if not self.shared else self.module.cores if self.module.one_by_one else "%cores"
        if cores == 1:
            return 0, part.size
        begin = w.mul(w.emit(f"udiv i64 {w.mul(core, part.count)}, {cores}"), part.unit)
        after = w.emit(f"udiv i64 {w.mul(w.add(core, 1), part.count)}, {cores}")
        return begin, w.emit(f"call i64 @llvm.smin.i64(i64 {w.mul(after, part.unit)}, i64 {part.size})")

    def cores(self) -> Sequence[str | int]:
        """The cores whose parts are written, one after the other."""
        if not (self.module.one_by_one and self.shared):
            return ["%core"]
        return range(self.module.cores)[:: -1 if self.module.one_by_one == "backwards" else 1]

    def _phases(self) -> list[list[Chain]]:
        """What is done between two waits; a loop over time is by itself."""
        found: list[list[Chain]] = []
        for chain in self.chains:
            group = chain.groups[0]
            if not found or self.waits[group] or "scan" in (group[0].op, found[-1][-1].groups[0][0].op):
                found.append([])
            found[-1].append(chain)
        return found

    def copy(self, w: Writer, target: str, source: str, node: Node, part: Share | None, core: str | int) -> None:
        """Copy a node's array: each core its part, or the first all of it."""
        if part is None or not self.shared:
            with self.alone(w, core):
                copy(w, target, source, size_in_bytes(node))
            return
        inner = math.prod(node.shape[part.axis + 1 :]) * BYTES[node.dtype]
        begin, end = (w.mul(bound, inner) for bound in self._bounds(w, part, core))
        with w.loop(math.prod(node.shape[: part.axis])) as (row, _):
            first = w.add(w.mul(row, node.shape[part.axis] * inner), begin)
            ends = [w.emit(f"getelementptr inbounds i8, ptr {place}, i64 {first}") for place in (target, source)]
            copy(w, ends[0], ends[1], w.sub(end, begin))

    @contextlib.contextmanager
    def alone(self, w: Writer, core: str | int = "%core") -> Iterator[None]:
        """What is written inside is done by the first core only, where there are others."""
        if not self.shared:
            yield
            return
        with w.when(w.emit(f"icmp eq i64 {core}, 0")):
            yield

    def _call(
        self,
        w: Writer,
        group: Group,
        places: Mapping[Node, str],
        core: str | int,
        bounds: tuple[Value, Value] | None = None,
    ) -> None:
        read, part = self.read[group], self.shares[group]
        replaced = {self.replaces[root]: root for root in group if root in self.replaces}
        arguments = [f"ptr {places[x]}" for x in read if x not in replaced]
        arguments += [f"i64 {self.module.resident[x]}" for x in read if x in self.module.resident]
        arguments += [f"ptr {places[x]}" for x in group if x in self.stored]
        resident, width = list(self.module.resident), self.module.vector_bytes
        known = kernel(group, read, self.stored, resident, width, part, self.replaces)
        if part is None:
            with self.alone(w, core):
                self.module.call(w, group, read, ", ".join(arguments), known)
            return
        begin, end = bounds or self._bounds(w, part, core)
        for node in group:
            if node in self.lent:
                call = recalling.recall_call(w, node, places[node], part, (begin, end))
                self.module.timed(w, call, len(self.module.calls))
        self.module.call(w, group, read, ", ".join([*arguments, f"i64 {begin}", f"i64 {end}"]), known)

    def _scan(self, w: Writer, scan: Node, places: Mapping[Node, str]) -> list[str]:
        """A loop over time; gives where the last carries lie.

        A carry is not moved: the next one is written elsewhere, and the pointer goes on.
        """
        n_carry, n_xs, length = (scan.attributes[name] for name in ("n_carry", "n_xs", "length"))
        stacks = {g[0].attributes["node"]: g[0] for g in self.groups if g[0].op == "stack" and g[0].inputs[0] is scan}
        body = self.bodies[scan]
        ends: list[str] = []
        with contextlib.ExitStack() as whole:
            if self.shared and not body.block.shared and not self.module.one_by_one:
                # The first core does all of it; the others need no more of it than where it ends.
                turns = w.emit(f"select i1 {w.emit('icmp eq i64 %core, 0')}, i64 {length}, i64 0")
            else:
                turns = length
            starts = [("ptr", places[start]) for start in scan.inputs[:n_carry]]
            turn, carries = whole.enter_context(w.loop(turns, starts, ends))
            time = w.sub(length - 1, turn) if scan.attributes["reverse"] else turn
            given = dict(self.module.constants)
            for node in topological(body.block.outputs):
                if node.op == "param":
                    index = node.attributes["index"]
                    if index < n_carry:
                        given[node] = carries[index]
                    else:
                        sliced = index < n_carry + n_xs
                        base = places[scan.inputs[index]]
                        given[node] = _slice(w, base, time, size_in_bytes(node)) if sliced else base
            side = w.emit(f"and i64 {turn}, 1") if isinstance(turn, str) else turn & 1
            targets: dict[Node, str] = {}
            for node in body.block.targets:
                if node in stacks:
                    targets[node] = _slice(w, places[stacks[node]], time, size_in_bytes(node))
                else:
                    targets[node] = body.buffer(w, places[scan], node, side)
            inner = body.block.write(w, places[scan], given, targets)
            kept = {inside: _slice(w, places[stack], time, size_in_bytes(inside)) for inside, stack in stacks.items()}
            kept = {inside: place for inside, place in kept.items() if inside not in body.block.targets}
            for one in body.block.cores():
                for inside, place in kept.items():
                    body.block.copy(w, place, inner[inside], inside, body.parts.get(inside), one)
            with body.block.alone(w):
                for number, node in body.copied.items():
                    copy(w, body.buffer(w, places[scan], number, side), inner[node], size_in_bytes(node))
            if body.block.shared and not self.module.one_by_one:
                self.module.wait(w)
            ends[:] = [
                body.buffer(w, places[scan], number, side) if number in body.copied else inner[node]
                for number, node in enumerate(scan.attributes["next"])
            ]
        return ends


class Body:
    """The body of a scan as a block, and where the next carries are written: to two sides by turns."""

    def __init__(self, scan: Node, order: Sequence[Node], module: Module) -> None:
        following = scan.attributes["next"]
        taken = [node.attributes["node"] for node in order if node.op == "stack" and node.inputs[0] is scan]
        outputs = list(dict.fromkeys([*following, *taken]))
        given = {node: "" for node in topological(outputs) if node.op == "param" or node in module.constants}
        targets = [node for node in outputs if node not in given]
        self.block = Block(outputs, given, module, targets=targets, times=scan.attributes["length"])
        #: Carries that are to become another carry, or what lies elsewhere: they are copied, by their number.
        self.copied = {
            number: node for number, node in enumerate(following) if node in given and not _is_param(node, number)
        }
        #: How each carry is divided when it is written, the turn before.
        self.parts = self._carried(scan)
        self.size = self.block.size
        self._buffers: dict[Node | int, tuple[int, int]] = {}
        wanted: list[tuple[Node | int, Node]] = [(node, node) for node in targets if node not in taken]
        for key, node in [*wanted, *self.copied.items()]:
            size = aligned(size_in_bytes(node))
            self._buffers[key] = self.size, size
            self.size += 2 * size

    def _carried(self, scan: Node) -> dict[Node, Share | None]:
        parts = {node: self.block.shares[group] for group in self.block.groups for node in group}
        carries = [node for node in self.block.given if node.op == "param"]
        numbers = [(node, node.attributes["index"]) for node in carries]
        following = scan.attributes["next"]
        return {node: parts.get(following[number]) for node, number in numbers if number < scan.attributes["n_carry"]}

    def buffer(self, w: Writer, arena: str, key: Node | int, side: str | int) -> str:
        """Where a carry is written in a turn."""
        offset, size = self._buffers[key]
        return w.emit(f"getelementptr inbounds i8, ptr {arena}, i64 {w.add(w.mul(side, size), offset)}")


def _is_param(node: Node, number: int) -> bool:
    return node.op == "param" and node.attributes["index"] == number


def _slice(w: Writer, base: str, time: str | int, size: int) -> str:
    return w.emit(f"getelementptr inbounds i8, ptr {base}, i64 {w.mul(time, size)}")


def copy(w: Writer, target: str, source: str, size: Value) -> None:
    """Copy some bytes."""
    if size:
        w.write(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")
