"""What a compiled program is made of, in words: its plan, its loops, and where its time goes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainrule.engines.native.blocks import Block, size_in_bytes
from chainrule.engines.native.grouping import MOVES, OWN_LOOPS, Group
from chainrule.engines.native.memory import Lifetime
from chainrule.graph import ELEMENTWISE, Graph, Node, expression, topological

if TYPE_CHECKING:
    from chainrule.engines.native.program import NativeProgram


@dataclass(frozen=True)
class Plan:
    """The size of things: nodes in the graph, loops called, kernels written, and bytes.

    ``stored`` is the bytes of all intermediate values, ``peak`` the most that are needed at one time, ``arena`` what
    they take, and ``names`` the kernels, in the order in which they are first called. ``cores`` is how many the work is
    shared between, and ``waits`` how often they wait for each other in a run, its end included.
    """

    nodes: int
    calls: int
    kernels: int
    stored: int
    peak: int
    arena: int
    names: tuple[str, ...]
    cores: int = 1
    waits: int = 0

    @property
    def reuse(self) -> float:
        """How often a byte of the arena is used."""
        return self.stored / self.arena if self.arena else 1.0

    def __str__(self) -> str:
        return (
            f"{self.nodes} nodes, {self.calls} loops by {self.kernels} kernels; "
            f"{self.stored:,} bytes of intermediate values, {self.peak:,} of them at the peak, "
            f"in an arena of {self.arena:,} ({self.reuse:.1f} to a byte); "
            + (f"{self.cores} cores, {self.waits} waits" if self.cores > 1 else "one core")
        )


def plan_of(graph: Graph, block: Block) -> Plan:
    """The plan of a graph and its block, bodies of scans included."""
    nodes = len(topological(graph.outputs.values(), bodies=True))
    lives = list(block.lifetimes.values())
    stored = sum(life.size for life in lives)
    names = tuple(dict.fromkeys(kernel for kernel, _ in block.module.calls))
    sizes = len(block.module.calls), len(block.module.kernels), stored, _peak(lives), block.size
    cores = block.module.cores if block.shared else 1
    return Plan(nodes, *sizes, names, cores, _waits(block) + 1 if cores > 1 else 0)


def _waits(block: Block) -> int:
    inside = (
        int(scan.attributes["length"]) * (_waits(body.block) + 1)
        for scan, body in block.bodies.items()
        if body.block.shared
    )
    return sum(block.waits.values()) + sum(inside)


def _peak(lives: Sequence[Lifetime]) -> int:
    """The most bytes that are needed at one time: no arena can be smaller.

    >>> _peak([Lifetime(64, 0, 1), Lifetime(64, 1, 2), Lifetime(64, 2, 3)])
    128
    """
    times = {life.first for life in lives}
    return max((sum(life.size for life in lives if life.first <= now <= life.last) for now in times), default=0)


def fused(group: Group, read: Sequence[Node]) -> list[Node]:
    """The nodes that are computed inside the loop of a group, the group itself included."""
    return topological(group, stop=set(read))


def loops(program: NativeProgram) -> str:
    """Each call with its loop nest: the axes, the kernel, and what is computed, as one formula a stored node."""
    names: dict[Node, str] = {node: name for name, node in program.written.inputs.items()}
    kernels = {group: kernel for kernel, group in program.written.block.module.calls}
    lines: list[str] = []
    _loops(program.written.block, program.written.graph, kernels, names, lines, "")
    return "\n".join(lines)


def _loops(
    block: Block,
    graph: Graph,
    kernels: Mapping[Group, str],
    names: dict[Node, str],
    lines: list[str],
    indent: str,
) -> None:
    inputs = graph.inputs
    outputs = {node: f"{name}'" if name in inputs else name for name, node in graph.outputs.items()}
    blocks = {chain.groups[0]: chain for chain in block.chains if chain.rows}
    for group in block.groups:
        if block.waits[group]:
            lines.append(f"{indent}-- the cores wait for each other --")
        if group in blocks:
            count = len(blocks[group].groups)
            lines.append(f"{indent}-- the next {count} loops go together, {blocks[group].rows} rows at a time --")
        for node in group:
            names.setdefault(node, outputs.get(node, f"t{len(names)}"))
        first = group[0]
        if first.op == "scan":
            lines.append(f"{indent}for time in {first.attributes['length']}:")
            _loops(block.bodies[first].block, graph, kernels, dict(names), lines, indent + "    ")
            continue
        if first.op in ("last", "stack"):
            lines.append(f"{indent}{names[first]} = {first.op} of the scan")
            continue
        origin = graph.origins.get(first)
        notes = [kernels[group]] + ([f"[{origin}]"] if origin is not None and origin.path else [])
        part = block.shares[group]
        notes += [f"shared along axis {part.axis}, {part.count} × {part.unit}"] if part else []
        lines.append(f"{indent}for {_axes(first)}:    # {' '.join(notes)}")
        for node in group:
            known = {below: name for below, name in names.items() if below is not node}
            lines.append(f"{indent}    {names[node]} = {expression(node, known)}")


def _axes(node: Node) -> str:
    sizes = list(node.shape)
    if node.op in ("sum", "max", "argmax"):
        sizes += [node.inputs[0].shape[axis] for axis in node.attributes["axes"]]
    elif node.op == "contract":
        shared = dict(zip(node.attributes["a_axes"], node.inputs[0].shape, strict=True))
        sizes += [size for letter, size in shared.items() if letter not in node.attributes["out_axes"]]
    return " × ".join(map(str, sizes)) or "one element"


def kernel_text(text: str, name: str) -> str:
    """The LLVM of one kernel."""
    found = re.search(rf"^define internal void @{re.escape(name)}\(.*?^}}", text, re.MULTILINE | re.DOTALL)
    return found.group(0) if found else ""


@dataclass(frozen=True)
class Spent:
    """What one call of the driver costs: its share of the time, the bytes it touches, the operations it does."""

    kernel: str
    computes: str
    origin: str
    share: float
    seconds: float
    bytes: int
    operations: int


class Profile(list[Spent]):
    """The rows of a profile, the dearest first; as text, a table."""

    dtype = "float32"

    def __str__(self) -> str:
        return table(self)

    def beside_peak(self) -> str:
        """The table, with each row's share of what one core of this machine can do, which is measured now."""
        from chainrule.engines.native.measuring import peak

        return table(self, peak(self.dtype))


def spent(program: NativeProgram, seconds: float) -> Profile:
    """Where the ``seconds`` of one run go, a row a call, the dearest first; the program was compiled to be profiled."""
    module, cycles = program.written.block.module, program.cycles[0]
    total = max(int(cycles.sum()), 1)
    rows = []
    reads, turns = _reads(program.written.block), _turns(program.written.block)
    for (kernel, group), count in zip(module.calls, cycles[1:], strict=True):
        share = int(count) / total
        inside = fused(group, reads[group])
        work = turns[group] * sum(_operations(node) for node in inside)
        size = turns[group] * sum(map(size_in_bytes, [*group, *(_touched(node, group) for node in reads[group])]))
        ops = Counter(node.op for node in inside if node.op not in MOVES and node.inputs)
        computes = ", ".join(f"{op}×{times}" if times > 1 else op for op, times in ops.most_common(4))
        origin = program.written.graph.origins.get(group[0])
        rows.append(Spent(kernel, computes, str(origin or ""), share, share * seconds, size, work))
    if cycles[0]:
        part = int(cycles[0]) / total
        rows.append(Spent("wait", "waiting for the other cores", "", part, part * seconds, 0, 0))
    found = Profile(sorted(rows, key=lambda row: -row.share))
    if any(node.dtype == "float64" for _, group in module.calls for node in group):
        found.dtype = "float64"
    return found


def _touched(node: Node, group: Group) -> Node:
    return node if node.size <= 64 * max(member.size for member in group) else group[0]


def _reads(block: Block) -> dict[Group, list[Node]]:
    found = dict(block.read)
    for body in block.bodies.values():
        found |= _reads(body.block)
    return found


def _turns(block: Block, times: int = 1) -> dict[Group, int]:
    """How often each loop is gone through in a run: as often as a loop over time around it has steps."""
    found = dict.fromkeys(block.read, times)
    for scan, body in block.bodies.items():
        found |= _turns(body.block, times * int(scan.attributes["length"]))
    return found


def _operations(node: Node) -> int:
    if node.op == "contract":
        sizes = dict(zip(node.attributes["a_axes"], node.inputs[0].shape, strict=True))
        sizes |= dict(zip(node.attributes["b_axes"], node.inputs[1].shape, strict=True))
        return 2 * math.prod(sizes.values())
    if node.op in OWN_LOOPS:
        return sum(below.size for below in node.inputs[:1])
    return node.size if node.op in ELEMENTWISE else 0


def table(rows: Sequence[Spent], peak: float = 0.0, most: int = 20) -> str:
    """The rows as text; with the machine's ``peak`` (operations a second), each one's share of it."""
    lines = [f"{'share':>6} {'µs':>9} {'GFLOP/s':>8} {'GB/s':>7}  kernel, computes, layer"]
    for row in rows[:most]:
        rate, flow = row.operations / max(row.seconds, 1e-12), row.bytes / max(row.seconds, 1e-12)
        part = f" ({rate / peak:.0%} of the peak)" if peak else ""
        what = f"{row.kernel}: {row.computes or 'moves'}" + (f" [{row.origin}]" if row.origin else "")
        lines.append(f"{row.share:6.1%} {row.seconds * 1e6:9.1f} {rate / 1e9:8.1f} {flow / 1e9:7.1f}  {what}{part}")
    rest = rows[most:]
    if rest:
        share, seconds = sum(row.share for row in rest), sum(row.seconds for row in rest)
        lines.append(f"{share:6.1%} {seconds * 1e6:9.1f} {'':16}  {len(rest)} more")
    return "\n".join(lines)
