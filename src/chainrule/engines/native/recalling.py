"""Recalling: what another core has read is taken back before it is written anew, where that is faster.

A core that writes to a line of the cache which another has read has to have that one's copy dropped first. Two cores
with a cache in common hardly notice; two without one take some thirty times as long as for a line that nobody else has.
There a line that is flushed first, so that nobody has it, is written in a fifth of the time. Which of the two it is
cannot be known beforehand, since a system may move a program from core to core: a call that is long enough tries both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from chainrule.engines.native.sharing import Share, in_step
from chainrule.engines.native.text import Value, Writer
from chainrule.engines.native.types import BYTES
from chainrule.graph import Node, topological

if TYPE_CHECKING:
    from chainrule.engines.native.blocks import Block

#: Where in the block by which the cores of a call know of each other it stands whether lines are recalled.
APART = 56
#: Bytes of a line of the cache, of what is tried, and of the least that is worth a recall.
_LINE, TRIED, _LEAST = 64, 1 << 16, 1 << 13
#: Bytes that are looked at as one, where it is asked who has read a place of the arena: no less, and in how many pieces
#: an arena is looked at at most, whatever its size.
_GRAIN, _PIECES = 1 << 10, 1 << 18
#: Seconds of work from which on a call finds out whether recalling pays. It takes it some 50 µs.
_WORTH_TRYING = 5e-3

_TEXT = """
declare void @llvm.x86.clflushopt(ptr)
declare void @llvm.x86.sse.sfence()

define internal void @recall(ptr %sync, ptr %base, i64 %rows, i64 %stride, i64 %lo, i64 %hi) noinline #0 {{
entry:
  %apart.at = getelementptr inbounds i64, ptr %sync, i64 {apart}
  %apart = load i64, ptr %apart.at, align 8
  %wanted = icmp ne i64 %apart, 0
  br i1 %wanted, label %row, label %out
row:
  %r = phi i64 [ 0, %entry ], [ %r1, %next ]
  %more = icmp slt i64 %r, %rows
  br i1 %more, label %begin, label %end
begin:
  %by = mul i64 %r, %stride
  %from = add i64 %by, %lo
  %to = add i64 %by, %hi
  br label %line
line:
  %at = phi i64 [ %from, %begin ], [ %at1, %flush ]
  %inside = icmp slt i64 %at, %to
  br i1 %inside, label %flush, label %next
flush:
  %place = getelementptr inbounds i8, ptr %base, i64 %at
  call void @llvm.x86.clflushopt(ptr %place)
  %at1 = add i64 %at, {line}
  br label %line
next:
  %r1 = add i64 %r, 1
  br label %row
end:
  call void @llvm.x86.sse.sfence()
  br label %out
out:
  ret void
}}

define internal i64 @fill(ptr %base) noinline #0 {{
entry:
  %before = call i64 @llvm.readcyclecounter()
  br label %line
line:
  %at = phi i64 [ 0, %entry ], [ %at1, %line ]
  %place = getelementptr inbounds i8, ptr %base, i64 %at
  store volatile i64 0, ptr %place, align 8
  %at1 = add i64 %at, {line}
  %more = icmp slt i64 %at1, {tried}
  br i1 %more, label %line, label %out
out:
  call void @llvm.x86.sse.sfence()
  %after = call i64 @llvm.readcyclecounter()
  %took = sub i64 %after, %before
  ret i64 %took
}}

define internal void @look(ptr %base) noinline #0 {{
entry:
  br label %line
line:
  %at = phi i64 [ 0, %entry ], [ %at1, %line ]
  %place = getelementptr inbounds i8, ptr %base, i64 %at
  %seen = load volatile i64, ptr %place, align 8
  %at1 = add i64 %at, {line}
  %more = icmp slt i64 %at1, {tried}
  br i1 %more, label %line, label %out
out:
  ret void
}}

define internal void @attempt(i64 %count, ptr %arena, i64 %core, i64 %cores, ptr %sync) noinline #0 {{
entry:
  %long = icmp sge i64 %count, {least}
  %others = icmp sgt i64 %cores, 1
  %worth = and i1 %long, %others
  %first = icmp eq i64 %core, 0
  %second = icmp eq i64 %core, 1
  %apart.at = getelementptr inbounds i64, ptr %sync, i64 {apart}
  br i1 %worth, label %own, label %out
own:
  br i1 %first, label %own.fill, label %lend
own.fill:
  %unused = call i64 @fill(ptr %arena)
  br label %lend
lend:
  call void @wait(ptr %sync, i64 %cores)
  br i1 %second, label %lend.look, label %write
lend.look:
  call void @look(ptr %arena)
  br label %write
write:
  call void @wait(ptr %sync, i64 %cores)
  br i1 %first, label %write.fill, label %lend.again
write.fill:
  %plain = call i64 @fill(ptr %arena)
  br label %lend.again
lend.again:
  %as.it.is = phi i64 [ 0, %write ], [ %plain, %write.fill ]
  call void @wait(ptr %sync, i64 %cores)
  br i1 %second, label %again.look, label %recall
again.look:
  call void @look(ptr %arena)
  br label %recall
recall:
  call void @wait(ptr %sync, i64 %cores)
  br i1 %first, label %recall.fill, label %done
recall.fill:
  %before = call i64 @llvm.readcyclecounter()
  store i64 1, ptr %apart.at, align 8
  call void @recall(ptr %sync, ptr %arena, i64 1, i64 {tried}, i64 0, i64 {tried})
  %filled = call i64 @fill(ptr %arena)
  %after = call i64 @llvm.readcyclecounter()
  %recalled = sub i64 %after, %before
  %twice = mul i64 %recalled, 2
  %pays = icmp sgt i64 %as.it.is, %twice
  %answer = zext i1 %pays to i64
  store i64 %answer, ptr %apart.at, align 8
  br label %done
done:
  call void @wait(ptr %sync, i64 %cores)
  br label %out
out:
  ret void
}}
"""


def known(triple: str, features: str) -> bool:
    """Whether a processor has an instruction for it."""
    return triple.split("-")[0] == "x86_64" and "+clflushopt" in features.split(",")


def recalling(seconds: float) -> str:
    """The text of ``recall`` and of what tries it, for a program of which one core takes so long."""
    return _TEXT.format(apart=APART, line=_LINE, tried=TRIED, least=max(1, math.ceil(_WORTH_TRYING / seconds)))


def lent(block: Block, feeds: Mapping[Node, Node]) -> set[Node]:
    """The nodes of a block that are written where other cores have read since: each run begins as the last has ended.

    ``feeds`` are outputs that take the place of a given node in the next run.
    """
    parts = _parts(block)
    parts |= {old: parts[new] for new, old in feeds.items() if new in parts}
    travelling = _travelling(block, parts)
    found = {new for new, old in feeds.items() if old in travelling}
    grain = max(_GRAIN, -(-block.size // _PIECES))
    pages = np.zeros(-(-block.size // grain), bool)
    for node in [node for group in block.groups for node in group] * 2:
        if node in block.offsets and node not in block.near:
            first = block.offsets[node] // grain
            here = pages[first : -(-(block.offsets[node] + block.lifetimes[node].size) // grain)]
            if here.size and here.mean() > 0.5:
                found.add(node)
            here[:] = node in travelling
    return {node for node in found if node.size * BYTES.get(node.dtype, 1) >= _LEAST}


def _parts(block: Block) -> dict[Node, Share | None]:
    """How each node of a block is divided when it is written."""
    found: dict[Node, Share | None] = {}
    for group in block.groups:
        found |= dict.fromkeys(group, block.shares[group])
    return found


def _travelling(block: Block, parts: Mapping[Node, Share | None]) -> set[Node]:
    """The nodes, those given included, of which a core reads what another has written."""
    found: set[Node] = set()
    for group in block.groups:
        if group[0] in block.bodies:
            found |= _into_the_loop(block, group[0], parts)
        elif group[0].op not in ("scan", "last", "stack"):
            read, own = block.read[group], block.shares[group]
            found |= {
                node
                for node in read
                if parts.get(node) is not None and not in_step(group, read, own, node, parts[node])
            }
    return found


def _into_the_loop(block: Block, scan: Node, parts: Mapping[Node, Share | None]) -> set[Node]:
    """Those of which a body reads what another core has written, before the loop or in an earlier turn."""
    body = block.bodies[scan].block
    n_carry, n_xs, following = (scan.attributes[name] for name in ("n_carry", "n_xs", "next"))
    inner = _parts(body)
    outer: dict[Node, Node] = {}
    for node in topological(body.outputs):
        if node.op == "param":
            index = node.attributes["index"]
            if index < n_carry:
                outer[node], part = following[index], inner.get(following[index])
            else:
                outer[node], part = scan.inputs[index], parts.get(scan.inputs[index])
                if index < n_carry + n_xs and part is not None:
                    part = part.along(part.axis - 1) if part.axis else None
            inner[node] = part
    found = {outer[node] for node in _travelling(body, inner) if node in outer}
    body.lent |= {node for node in found if node in body.targets and node.size * BYTES.get(node.dtype, 1) >= _LEAST}
    return found


def recall_call(w: Writer, node: Node, place: str, part: Share, bounds: Sequence[Value]) -> str:
    """The call that recalls what a core is about to write of a node, whose part begins and ends there."""
    inner = math.prod(node.shape[part.axis + 1 :]) * BYTES[node.dtype]
    rows, stride = math.prod(node.shape[: part.axis]), node.shape[part.axis] * inner
    low, high = (w.mul(bound, inner) for bound in bounds)
    return f"call void @recall(ptr %sync, ptr {place}, i64 {rows}, i64 {stride}, i64 {low}, i64 {high})"
