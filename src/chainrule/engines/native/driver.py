"""The driver: calls the kernels in their order, with the places of the arena; loops over time for a scan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.engines.native.grouping import Group, groups, reads, stored_nodes
from chainrule.engines.native.kernels import kernel
from chainrule.engines.native.memory import Lifetime, aligned, plan
from chainrule.engines.native.text import Writer
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

    def call(self, w: Writer, roots: Group, read: Sequence[Node], arguments: str) -> None:
        """Write a call of the kernel for these nodes."""
        name = self.kernel(roots, read)
        self.calls.append((name, roots))
        if not self.profile:
            w.write(f"call void @{name}({arguments})")
            return
        before = w.emit("call i64 @llvm.readcyclecounter()")
        w.write(f"call void @{name}({arguments})")
        after = w.emit("call i64 @llvm.readcyclecounter()")
        place = w.emit(f"getelementptr inbounds i64, ptr %times, i64 {len(self.calls) - 1}")
        total = w.emit(f"load i64, ptr {place}, align 8")
        total = w.emit(f"add i64 {total}, {w.emit(f'sub i64 {after}, {before}')}")
        w.write(f"store i64 {total}, ptr {place}, align 8")

    def kernel(self, roots: Group, read: Sequence[Node]) -> str:
        """The name of the kernel for these nodes."""
        parameters, body, functions = kernel(roots, read, list(self.resident), self.vector_bytes)
        self.functions |= functions
        return self.kernels.setdefault((parameters, body), f"{roots[0].op}_{len(self.kernels)}")


class Block:
    """The straight program of some outputs: what is stored where, and what is computed in which order.

    ``given`` are the nodes that have a place already: inputs, constants, and in a body its params.
    """

    def __init__(
        self, outputs: Sequence[Node], given: Mapping[Node, str], module: Module, *, targets: Collection[Node] = ()
    ) -> None:
        self.outputs, self.module = outputs, module
        #: Outputs that are written to memory of the caller's, and take none of the arena.
        self.targets = targets
        self.stored = stored_nodes(outputs, given)
        order = [node for node in topological(outputs, stop=set(given)) if node in self.stored]
        self.groups = groups(order, self.stored)
        self.read = {group: self._reads(group) for group in self.groups}
        self.bodies = {node: _body(node, order, module) for node in order if node.op == "scan"}
        self.lifetimes = self._lifetimes()
        offsets, self.size = plan(list(self.lifetimes.values()))
        self.offsets = dict(zip(self.lifetimes, offsets, strict=True))
        #: Room for a carry that changes places with another.
        self.spare: dict[Node, int] = {}

    def _reads(self, group: Group) -> list[Node]:
        node = group[0]
        return [*node.inputs] if node.op in ("scan", "last", "stack") else reads(group, self.stored)

    def _lifetimes(self) -> dict[Node, Lifetime]:
        first = {node: number for number, group in enumerate(self.groups) for node in group}
        last = dict(first)
        for number, group in enumerate(self.groups):
            for below in self.read[group]:
                last[below] = max(last.get(below, 0), number)
                if group[0].op == "stack":
                    # What is stacked is written while the scan runs.
                    first[group[0]] = first[below]
        for node in self.outputs:
            if node in last:
                last[node] = len(self.groups)
        kept = [node for node in first if node not in self.targets]
        return {node: Lifetime(self._bytes(node), first[node], last[node]) for node in kept}

    def _bytes(self, node: Node) -> int:
        if node.op != "scan":
            return size_in_bytes(node)
        carries = node.inputs[: node.attributes["n_carry"]]
        return self.bodies[node].size + sum(aligned(size_in_bytes(carry)) for carry in carries)

    def write(
        self, w: Writer, arena: str, given: Mapping[Node, str], targets: Mapping[Node, str] | None = None
    ) -> dict[Node, str]:
        """Write the calls; gives where each stored node lies: in the arena, or at its target."""
        places = {**(targets or {}), **given}
        for node, offset in self.offsets.items():
            if node not in places:
                places[node] = w.emit(f"getelementptr inbounds i8, ptr {arena}, i64 {offset}")
        for group in self.groups:
            node = group[0]
            if node.op == "scan":
                self._scan(w, node, places)
            elif node.op == "last":
                carry = self._carry(w, node.inputs[0], node.attributes["index"], places)
                copy(w, places[node], carry, size_in_bytes(node))
            elif node.op != "stack":
                read = self.read[group]
                arguments = [f"ptr {places[x]}" for x in read]
                arguments += [f"i64 {self.module.resident[x]}" for x in read if x in self.module.resident]
                arguments += [f"ptr {places[x]}" for x in group]
                self.module.call(w, group, read, ", ".join(arguments))
        return places

    def _carry(self, w: Writer, scan: Node, index: int, places: Mapping[Node, str]) -> str:
        before = sum(aligned(size_in_bytes(carry)) for carry in scan.inputs[:index])
        return w.emit(f"getelementptr inbounds i8, ptr {places[scan]}, i64 {self.bodies[scan].size + before}")

    def _scan(self, w: Writer, scan: Node, places: Mapping[Node, str]) -> None:
        n_carry, n_xs, length = (scan.attributes[name] for name in ("n_carry", "n_xs", "length"))
        carries = [self._carry(w, scan, number, places) for number in range(n_carry)]
        for carry, start in zip(carries, scan.inputs, strict=False):
            copy(w, carry, places[start], size_in_bytes(start))
        stacks = [group[0] for group in self.groups if group[0].op == "stack" and group[0].inputs[0] is scan]
        body = self.bodies[scan]
        with w.loop(length) as (turn, _):
            time = w.sub(length - 1, turn) if scan.attributes["reverse"] else turn
            given = dict(self.module.constants)
            for node in topological(body.outputs):
                if node.op == "param":
                    index = node.attributes["index"]
                    if index < n_carry:
                        given[node] = carries[index]
                    else:
                        sliced = index < n_carry + n_xs
                        base = places[scan.inputs[index]]
                        given[node] = _slice(w, base, time, size_in_bytes(node)) if sliced else base
            inner = body.write(w, places[scan], given)
            for node in stacks:
                inside = node.attributes["node"]
                size = size_in_bytes(inside)
                copy(w, _slice(w, places[node], time, size), inner[inside], size)
            self._move_carries(w, scan, carries, inner, places[scan])

    def _move_carries(
        self, w: Writer, scan: Node, carries: Sequence[str], inner: Mapping[Node, str], arena: str
    ) -> None:
        """The next values in the places of the carries; a carry that becomes another is put aside first."""
        source = dict(inner)
        for node, offset in self.bodies[scan].spare.items():
            source[node] = w.emit(f"getelementptr inbounds i8, ptr {arena}, i64 {offset}")
            copy(w, source[node], inner[node], size_in_bytes(node))
        for carry, node in zip(carries, scan.attributes["next"], strict=True):
            copy(w, carry, source[node], size_in_bytes(node))


def _body(scan: Node, order: Sequence[Node], module: Module) -> Block:
    taken = [node.attributes["node"] for node in order if node.op == "stack" and node.inputs[0] is scan]
    outputs = list(dict.fromkeys([*scan.attributes["next"], *taken]))
    given = {node: "" for node in topological(outputs) if node.op == "param" or node in module.constants}
    block = Block(outputs, given, module)
    for node in scan.attributes["next"]:
        if node.op == "param" and node not in block.spare:
            block.spare[node] = block.size
            block.size += aligned(size_in_bytes(node))
    return block


def _slice(w: Writer, base: str, time: str | int, size: int) -> str:
    return w.emit(f"getelementptr inbounds i8, ptr {base}, i64 {w.mul(time, size)}")


def copy(w: Writer, target: str, source: str, size: int) -> None:
    """Copy some bytes."""
    if size:
        w.write(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")
