"""Many runs in one native call: the table of pointers moves on, and the state changes sides, between two runs."""

from __future__ import annotations

#: ``repeat(count, table, arena, lengths, times, moves, n_slots, swaps, n_swaps, stop) -> runs done``. ``moves`` has the
#: bytes by which each pointer of the table goes on; ``swaps`` pairs of slots that change places; ``stop`` is the slot
#: of a byte-sized output (or -1) that ends it when false: then the pointers stay as they were for that run.
REPEAT = """
define i64 @repeat(i64 %count, ptr %table, ptr %arena, ptr %lengths, ptr %times, ptr %moves, i64 %slots,
                   ptr %swaps, i64 %pairs, i64 %stop) #0 {
entry:
  br label %turn
turn:
  %done = phi i64 [ 0, %entry ], [ %after, %next ]
  %more = icmp slt i64 %done, %count
  br i1 %more, label %go, label %end
go:
  call void @run(ptr %table, ptr %arena, ptr %lengths, ptr %times)
  %after = add nuw nsw i64 %done, 1
  %asked = icmp sge i64 %stop, 0
  br i1 %asked, label %ask, label %move
ask:
  %where = getelementptr inbounds ptr, ptr %table, i64 %stop
  %flag = load ptr, ptr %where, align 8
  %good = load i8, ptr %flag, align 1
  %bad = icmp eq i8 %good, 0
  br i1 %bad, label %early, label %move
early:
  ret i64 %after
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
  ret i64 %count
}
"""
