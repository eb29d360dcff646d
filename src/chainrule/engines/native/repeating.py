"""Many runs in one native call: the table of pointers moves on, and the state changes sides, between two runs.

Each core goes through the same runs with a table of its own, and they wait for each other at a barrier.
"""

from __future__ import annotations

from chainrule.engines.native.lingering import lingering

#: How often a waiting core looks before it lets others have its place: some tenths of a millisecond. It is not to be
#: less than most waits take, since who gets the place may keep it for some milliseconds.
_PATIENCE = 20000
#: Bytes of the block by which the cores of a call know of each other, and where in it what is.
SYNC_BYTES, TURN, YIELD, RESULT, FINISHED = 1024, 16, 32, 48, 64

#: ``wait(sync, cores)``: go on when all have come. ``sync`` counts who has arrived, and how often all have.
_BARRIER = """
define internal void @wait(ptr %sync, i64 %cores) noinline #0 {{
entry:
  %alone = icmp sle i64 %cores, 1
  br i1 %alone, label %out, label %arrive
arrive:
  %turn.at = getelementptr inbounds i64, ptr %sync, i64 {turn}
  %turn = load atomic i64, ptr %turn.at monotonic, align 8
  %before = atomicrmw add ptr %sync, i64 1 acq_rel
  %now = add i64 %before, 1
  %last = icmp eq i64 %now, %cores
  br i1 %last, label %open, label %look
open:
  store atomic i64 0, ptr %sync monotonic, align 8
  %next = add i64 %turn, 1
  store atomic i64 %next, ptr %turn.at release, align 8
  br label %out
look:
  %looks = phi i64 [ 0, %arrive ], [ %more, %rest ], [ 0, %yield ]
  %seen = load atomic i64, ptr %turn.at acquire, align 8
  %opened = icmp ne i64 %seen, %turn
  br i1 %opened, label %out, label %rest.or.yield
rest.or.yield:
  %more = add i64 %looks, 1
  %long = icmp sgt i64 %more, {patience}
  br i1 %long, label %yield, label %rest
rest:
  {pause}
  br label %look
yield:
  %yield.at = getelementptr inbounds i64, ptr %sync, i64 {give}
  %give = load ptr, ptr %yield.at, align 8
  call void %give()
  br label %look
out:
  ret void
}}
"""

#: ``repeat(count, table, arena, lengths, times, moves, slots, swaps, pairs, stop, core, cores, sync) -> runs done``.
#: ``moves`` has the bytes by which each pointer of the table goes on; ``swaps`` pairs of slots that change places;
#: ``stop`` is the slot of a byte-sized output (or -1) that ends it when false: then the pointers stay as they were for
#: that run. A number that is too small to be normal counts as zero, while it runs.
_REPEAT = """
define i64 @repeat(i64 %count, ptr %table, ptr %arena, ptr %lengths, ptr %times, ptr %moves, i64 %slots,
                   ptr %swaps, i64 %pairs, i64 %stop, i64 %core, i64 %cores, ptr %sync) #0 {{
entry:
  %mode = alloca i32, align 4
  %flush = alloca i32, align 4
  {flush}
  {attempt}
  br label %turn
turn:
  %done = phi i64 [ 0, %entry ], [ %after, %next ]
  %more = icmp slt i64 %done, %count
  br i1 %more, label %go, label %end
go:
  call void @run(ptr %table, ptr %arena, ptr %lengths, ptr %times, i64 %core, i64 %cores, ptr %sync)
  call void @wait(ptr %sync, i64 %cores)
  %after = add nuw nsw i64 %done, 1
  %asked = icmp sge i64 %stop, 0
  br i1 %asked, label %ask, label %move
ask:
  %where = getelementptr inbounds ptr, ptr %table, i64 %stop
  %flag = load ptr, ptr %where, align 8
  %good = load i8, ptr %flag, align 1
  %bad = icmp eq i8 %good, 0
  br i1 %bad, label %end, label %move
move:
  br label %slot
slot:
  %s = phi i64 [ 0, %move ], [ %s1, %slide ]
  %more.slots = icmp slt i64 %s, %slots
  br i1 %more.slots, label %slide, label %change
slide:
  %by.at = getelementptr inbounds i64, ptr %moves, i64 %s
  %by = load i64, ptr %by.at, align 8
  %p.at = getelementptr inbounds ptr, ptr %table, i64 %s
  %p = load ptr, ptr %p.at, align 8
  %q = getelementptr inbounds i8, ptr %p, i64 %by
  store ptr %q, ptr %p.at, align 8
  %s1 = add nuw nsw i64 %s, 1
  br label %slot
change:
  %i = phi i64 [ 0, %slot ], [ %i1, %swap ]
  %more.pairs = icmp slt i64 %i, %pairs
  br i1 %more.pairs, label %swap, label %next
swap:
  %a.at = getelementptr inbounds i64, ptr %swaps, i64 %i
  %a.slot = load i64, ptr %a.at, align 8
  %b.at0 = getelementptr inbounds i64, ptr %a.at, i64 1
  %b.slot = load i64, ptr %b.at0, align 8
  %a.p = getelementptr inbounds ptr, ptr %table, i64 %a.slot
  %b.p = getelementptr inbounds ptr, ptr %table, i64 %b.slot
  %a = load ptr, ptr %a.p, align 8
  %b = load ptr, ptr %b.p, align 8
  store ptr %b, ptr %a.p, align 8
  store ptr %a, ptr %b.p, align 8
  %i1 = add nuw nsw i64 %i, 2
  br label %change
next:
  br label %turn
end:
  %result = phi i64 [ %count, %turn ], [ %after, %ask ]
  {restore}
  %result.at = getelementptr inbounds i64, ptr %sync, i64 {kept}
  store atomic i64 %result, ptr %result.at monotonic, align 8
  %finished = getelementptr inbounds i64, ptr %sync, i64 {finished}
  %own = getelementptr inbounds i8, ptr %finished, i64 %core
  store atomic i8 1, ptr %own release, align 1
  ret i64 %result
}}
"""

#: For each kind of processor: rest a moment, flush numbers that are too small to be normal, and put that back.
_KINDS = {
    "x86": (
        "call void @llvm.x86.sse2.pause()",
        """call void @llvm.x86.sse.stmxcsr(ptr %mode)
  %mode.was = load i32, ptr %mode, align 4
  %mode.new = or i32 %mode.was, 32832
  store i32 %mode.new, ptr %flush, align 4
  call void @llvm.x86.sse.ldmxcsr(ptr %flush)""",
        "call void @llvm.x86.sse.ldmxcsr(ptr %mode)",
        """declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)""",
    ),
    "arm": (
        "call void @llvm.aarch64.hint(i32 1)",
        """%mode.was = call i64 @llvm.aarch64.get.fpcr()
  %mode.new = or i64 %mode.was, 16777216
  call void @llvm.aarch64.set.fpcr(i64 %mode.new)""",
        "call void @llvm.aarch64.set.fpcr(i64 %mode.was)",
        """declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)""",
    ),
    "": ("", "", "", ""),
}


def repeating(triple: str, recalling: str = "") -> str:
    """The text of the barrier, of the loop over runs and of single runs, for a processor.

    ``recalling`` is the text of what is tried before a call, if anything is.
    """
    first = triple.split("-")[0]
    kind = "x86" if first in ("x86_64", "i686") else "arm" if first in ("aarch64", "arm64") else ""
    pause, flush, restore, declared = _KINDS[kind]
    barrier = _BARRIER.format(pause=pause, turn=TURN, give=YIELD, patience=_PATIENCE)
    attempt = "call void @attempt(i64 %count, ptr %arena, i64 %core, i64 %cores, ptr %sync)" if recalling else ""
    repeat = _REPEAT.format(flush=flush, restore=restore, attempt=attempt, finished=FINISHED, kept=RESULT)
    return declared + barrier + recalling + repeat + lingering(pause)
