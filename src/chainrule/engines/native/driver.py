"""The driver: calls the kernels in their order, with the places of the arena; loops over time for a scan."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence

from chainrule.engines.native import recalling
from chainrule.engines.native.blocking import Chain
from chainrule.engines.native.blocks import Block, Body, row_bytes, size_in_bytes
from chainrule.engines.native.grouping import Group
from chainrule.engines.native.kernels import kernel
from chainrule.engines.native.sharing import Share
from chainrule.engines.native.text import Value, Writer
from chainrule.engines.native.types import BYTES
from chainrule.graph import Node, topological


class Driver:
    """Writes the calls of a block, and of the bodies in it."""

    def __init__(self, block: Block, w: Writer) -> None:
        self.block, self.module, self.w = block, block.module, w

    def write(self, arena: str, given: Mapping[Node, str], targets: Mapping[Node, str]) -> dict[Node, str]:
        """Write the calls; gives where each stored node lies: in the arena, or at its target."""
        block = self.block
        places = {**targets, **given}
        places |= {new: given[old] for new, old in block.replaces.items()}
        for node, offset in block.offsets.items():
            if node not in places and node not in block.near:
                places[node] = _at(self.w, arena, offset)
        own = {core: {**places, **self._near(arena, core)} for core in self._cores()}
        ends: dict[Node, list[str]] = {}
        for phase in self._phases():
            for core in self._cores():
                for chain in phase:
                    group = chain.groups[0]
                    node = group[0]
                    if block.waits[group] and not self.module.one_by_one:
                        self.module.wait(self.w)
                    if node.op == "scan":
                        ends[node] = self._loop(node, places)
                    elif node.op == "last":
                        last = ends[node.inputs[0]][node.attributes["index"]]
                        self.copy(places[node], last, node, block.shares[group], core)
                    elif chain.rows:
                        self._in_blocks(chain, own[core], core)
                    elif node.op != "stack":
                        self._call(group, own[core], core)
        return places

    def _near(self, arena: str, core: str | int) -> dict[Node, str]:
        """Where the nodes that a core has for itself begin, or would begin if it had them as a whole.

        That is where all have them, if fewer cores have come than are planned for.
        """
        w, block, places = self.w, self.block, dict[Node, str]()
        if not block.near:
            return places
        come = "" if self.module.one_by_one else w.emit(f"icmp eq i64 %cores, {self.module.cores}")
        base = w.add(block.behind, w.mul(core, block.each))
        parts = {node: part for group, part in block.shares.items() for node in group}
        begins: dict[Share, Value] = {}
        for node, offset in block.near_offsets.items():
            part, place = parts[node], w.add(base, offset)
            if part is not None and node not in block.local:
                if part not in begins:
                    begins[part] = self._bounds(part, core)[0]
                place = w.sub(place, w.mul(begins[part], row_bytes(node, part)))
            if come:
                among = w.mul(core, block.near[node]) if node in block.local else 0
                together = w.add(block.offsets[node], among)
                place = w.emit(f"select i1 {come}, i64 {place}, i64 {together}")
            places[node] = w.emit(f"getelementptr i8, ptr {arena}, i64 {place}")
        return places

    def _phases(self) -> list[list[Chain]]:
        """What is done between two waits; a loop over time is by itself."""
        found: list[list[Chain]] = []
        for chain in self.block.chains:
            group = chain.groups[0]
            if not found or self.block.waits[group] or "scan" in (group[0].op, found[-1][-1].groups[0][0].op):
                found.append([])
            found[-1].append(chain)
        return found

    def _cores(self) -> Sequence[str | int]:
        """The cores whose parts are written, one after the other."""
        if not (self.module.one_by_one and self.block.shared):
            return ["%core"]
        return range(self.module.cores)[:: -1 if self.module.one_by_one == "backwards" else 1]

    def _in_blocks(self, chain: Chain, places: Mapping[Node, str], core: str | int) -> None:
        w, part = self.w, self.block.shares[chain.groups[0]]
        assert part is not None
        begin, end = self._bounds(part, core)
        blocks = w.emit(f"sdiv i64 {w.add(w.sub(end, begin), chain.rows - 1)}, {chain.rows}")
        with w.loop(blocks) as (number, _):
            first = w.add(begin, w.mul(number, chain.rows))
            last = w.emit(f"call i64 @llvm.smin.i64(i64 {w.add(first, chain.rows)}, i64 {end})")
            near = dict(places)
            for node in chain.local:
                # The block begins where these rows would lie, were all of them kept.
                row = size_in_bytes(node) // node.shape[0]
                near[node] = w.emit(f"getelementptr i8, ptr {places[node]}, i64 {w.sub(0, w.mul(first, row))}")
            for group in chain.groups:
                self._call(group, near, core, (first, last))

    def _bounds(self, part: Share, core: str | int) -> tuple[Value, Value]:
        """Where the part of a core begins and ends."""
        w = self.w
        cores = 1 if not self.block.shared else self.module.cores if self.module.one_by_one else "%cores"
        if cores == 1:
            return 0, part.size
        begin = w.mul(w.emit(f"udiv i64 {w.mul(core, part.count)}, {cores}"), part.unit)
        after = w.emit(f"udiv i64 {w.mul(w.add(core, 1), part.count)}, {cores}")
        return begin, w.emit(f"call i64 @llvm.smin.i64(i64 {w.mul(after, part.unit)}, i64 {part.size})")

    def _call(
        self,
        group: Group,
        places: Mapping[Node, str],
        core: str | int,
        bounds: tuple[Value, Value] | None = None,
    ) -> None:
        w, block, module = self.w, self.block, self.module
        read, part = block.read[group], block.shares[group]
        replaced = {block.replaces[root] for root in group if root in block.replaces}
        arguments = [f"ptr {places[x]}" for x in read if x not in replaced]
        arguments += [f"i64 {module.resident[x]}" for x in read if x in module.resident]
        arguments += [f"ptr {places[x]}" for x in group if x in block.stored]
        known = kernel(group, read, block.stored, list(module.resident), module.vector_bytes, part, block.replaces)
        if part is None:
            with self._alone(core):
                module.call(w, group, ", ".join(arguments), known)
            return
        begin, end = bounds or self._bounds(part, core)
        for node in group:
            if node in block.lent:
                call = recalling.recall_call(w, node, places[node], part, (begin, end))
                module.timed(w, call, len(module.calls))
        module.call(w, group, ", ".join([*arguments, f"i64 {begin}", f"i64 {end}"]), known)

    def copy(self, target: str, source: str, node: Node, part: Share | None = None, core: str | int = "%core") -> None:
        """Copy a node's array: each core its part, or the first all of it."""
        w = self.w
        if part is None or not self.block.shared:
            with self._alone(core):
                _copy(w, target, source, size_in_bytes(node))
            return
        inner = math.prod(node.shape[part.axis + 1 :]) * BYTES[node.dtype]
        begin, end = (w.mul(bound, inner) for bound in self._bounds(part, core))
        with w.loop(math.prod(node.shape[: part.axis])) as (row, _):
            first = w.add(w.mul(row, node.shape[part.axis] * inner), begin)
            _copy(w, _at(w, target, first), _at(w, source, first), w.sub(end, begin))

    @contextlib.contextmanager
    def _alone(self, core: str | int) -> Iterator[None]:
        """What is written inside is done by the first core only, where there are others."""
        if not self.block.shared:
            yield
            return
        with self.w.when(self.w.emit(f"icmp eq i64 {core}, 0")):
            yield

    def _loop(self, scan: Node, places: Mapping[Node, str]) -> list[str]:
        """A loop over time; gives where the last carries lie.

        A carry is not moved: the next one is written elsewhere, and the pointer goes on.
        """
        w, body, length = self.w, self.block.bodies[scan], scan.attributes["length"]
        following = scan.attributes["next"]
        stacks = [group[0] for group in self.block.groups if group[0].op == "stack" and group[0].inputs[0] is scan]
        stacked = {stack.attributes["node"]: stack for stack in stacks}
        inner = Driver(body.block, w)
        ends: list[str] = []
        with contextlib.ExitStack() as whole:
            if self.block.shared and not body.block.shared and not self.module.one_by_one:
                # The first core does all of it; the others need no more of it than where it ends.
                turns = w.emit(f"select i1 {w.emit('icmp eq i64 %core, 0')}, i64 {length}, i64 0")
            else:
                turns = length
            starts = [("ptr", places[start]) for start in scan.inputs[: len(following)]]
            turn, carries = whole.enter_context(w.loop(turns, starts, ends))
            time = w.sub(length - 1, turn) if scan.attributes["reverse"] else turn
            slices = {node: _slice(w, places[stack], time, node) for node, stack in stacked.items()}
            sides = {key: self._side(body, key, places[scan], turn) for key in body.sides}
            given = self._given(scan, places, carries, time)
            targets = {node: slices.get(node) or sides[node] for node in body.block.targets}
            found = inner.write(places[scan], given, targets)
            kept = {node: place for node, place in slices.items() if node not in targets}
            for core in inner._cores():
                for node, place in kept.items():
                    inner.copy(place, found[node], node, body.parts.get(node), core)
            for number, node in body.copied.items():
                inner.copy(sides[number], found[node], node)
            if body.block.shared and not self.module.one_by_one:
                self.module.wait(w)
            ends[:] = [sides.get(number) or found[node] for number, node in enumerate(following)]
        return ends

    def _given(
        self, scan: Node, places: Mapping[Node, str], carries: Sequence[str], time: str | int
    ) -> dict[Node, str]:
        """Where the params of a loop's body lie in a turn."""
        n_carry, n_xs = scan.attributes["n_carry"], scan.attributes["n_xs"]
        given = dict(self.module.constants)
        for node in topological(self.block.bodies[scan].block.outputs):
            if node.op != "param":
                continue
            index = node.attributes["index"]
            if index < n_carry:
                given[node] = carries[index]
            else:
                base = places[scan.inputs[index]]
                given[node] = _slice(self.w, base, time, node) if index < n_carry + n_xs else base
        return given

    def _side(self, body: Body, key: Node | int, arena: str, turn: str | int) -> str:
        """Where a carry is written in a turn: here and there by turns."""
        offset, size = body.sides[key]
        side = self.w.emit(f"and i64 {turn}, 1") if isinstance(turn, str) else turn & 1
        return _at(self.w, arena, self.w.add(self.w.mul(side, size), offset))


def _at(w: Writer, base: str, offset: Value) -> str:
    return w.emit(f"getelementptr inbounds i8, ptr {base}, i64 {offset}")


def _slice(w: Writer, base: str, time: str | int, node: Node) -> str:
    return _at(w, base, w.mul(time, size_in_bytes(node)))


def _copy(w: Writer, target: str, source: str, size: Value) -> None:
    if size:
        w.write(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")
