"""A single run, by one core or by all who are there: threads that took part stay a moment, and look for the next run.

To wake a thread takes longer than a small network does. So one that has been woken does not go to sleep at once: it
looks for some time whether its box asks it to take part in another run. It is asked whether it is *there*, since the
system may have put it aside; who does not answer at once is left out, and each run is divided between those who did.
"""

from __future__ import annotations

import ctypes

#: The function that does the part of a core, and what that is called with; and where the boxes of helpers are.
_JOB = ("part", "table", "arena", "lengths", "times", "stride", "sync", "boxes", "helpers")


class Job(ctypes.Structure):
    """A single run, for those who are to do it: words of 64 bits, by name."""

    _fields_ = [(name, ctypes.c_int64) for name in _JOB]


#: Bytes of a box, two lines of the cache; its words are its state, the job, which core it is to be, and of how many.
BOX_BYTES = 128
#: What the state of a box says: nobody is here, one is here, is asked, has answered, and is at work.
AWAY, HERE, ASKED, ANSWERED, AT_WORK = range(5)
#: How often one looks whether all have answered; and those who are here whether they are asked, before they go: about
#: a microsecond, and two tenths of a millisecond.
_TO_ANSWER, _TO_STAY = 400, 12000

#: ``part(job, core, cores)`` does the part of a core; ``alone(job)`` all of it; ``lead(job)`` asks those who are here,
#: does the first part while they do the others, and gives how many took part: 0, and nothing is done, if none is here.
#: ``serve(box)`` is what they do, until they have not been asked for some time.
_TEXT = """
define i64 @part(ptr %job, i64 %core, i64 %cores) #0 {{
entry:
{loads}
  %by = mul i64 %core, %stride
  %own = getelementptr inbounds i8, ptr %times, i64 %by
  %done = call i64 @repeat(i64 1, ptr %table, ptr %arena, ptr %lengths, ptr %own, ptr null, i64 0, ptr null, i64 0,
                           i64 -1, i64 %core, i64 %cores, ptr %sync)
  ret i64 %done
}}

define i64 @alone(ptr %job) #0 {{
  %done = call i64 @part(ptr %job, i64 0, i64 1)
  ret i64 %done
}}

define i64 @lead(ptr %job) #0 {{
entry:
  %boxes.at = getelementptr inbounds i64, ptr %job, i64 {boxes}
  %boxes = load ptr, ptr %boxes.at, align 8
  %helpers.at = getelementptr inbounds i64, ptr %job, i64 {helpers}
  %helpers = load i64, ptr %helpers.at, align 8
  br label %ask
ask:
  %a = phi i64 [ 0, %entry ], [ %a1, %asks ]
  %asked = phi i64 [ 0, %entry ], [ %asked1, %asks ]
  %a.more = icmp slt i64 %a, %helpers
  br i1 %a.more, label %asks, label %await
asks:
  %a.by = mul i64 %a, {bytes}
  %a.box = getelementptr inbounds i8, ptr %boxes, i64 %a.by
  %a.swap = cmpxchg ptr %a.box, i64 {here}, i64 {asked} acq_rel monotonic
  %a.was = extractvalue {{ i64, i1 }} %a.swap, 1
  %a.one = zext i1 %a.was to i64
  %asked1 = add i64 %asked, %a.one
  %a1 = add i64 %a, 1
  br label %ask
await:
  %nobody = icmp eq i64 %asked, 0
  br i1 %nobody, label %none, label %look
look:
  %looks = phi i64 [ 0, %await ], [ %looks1, %again ]
  br label %count
count:
  %c = phi i64 [ 0, %look ], [ %c1, %counts ]
  %answered = phi i64 [ 0, %look ], [ %answered1, %counts ]
  %c.more = icmp slt i64 %c, %helpers
  br i1 %c.more, label %counts, label %enough
counts:
  %c.by = mul i64 %c, {bytes}
  %c.box = getelementptr inbounds i8, ptr %boxes, i64 %c.by
  %c.state = load atomic i64, ptr %c.box acquire, align 8
  %c.did = icmp eq i64 %c.state, {answered}
  %c.one = zext i1 %c.did to i64
  %answered1 = add i64 %answered, %c.one
  %c1 = add i64 %c, 1
  br label %count
enough:
  %all = icmp eq i64 %answered, %asked
  br i1 %all, label %divide, label %again
again:
  %looks1 = add i64 %looks, 1
  %long = icmp sgt i64 %looks1, {to_answer}
  br i1 %long, label %withdraw, label %look
withdraw:
  %w = phi i64 [ 0, %again ], [ %w1, %withdraws ]
  %left = phi i64 [ %asked, %again ], [ %left1, %withdraws ]
  %w.more = icmp slt i64 %w, %helpers
  br i1 %w.more, label %withdraws, label %divide
withdraws:
  %w.by = mul i64 %w, {bytes}
  %w.box = getelementptr inbounds i8, ptr %boxes, i64 %w.by
  %w.swap = cmpxchg ptr %w.box, i64 {asked}, i64 {here} acq_rel monotonic
  %w.was = extractvalue {{ i64, i1 }} %w.swap, 1
  %w.one = zext i1 %w.was to i64
  %left1 = sub i64 %left, %w.one
  %w1 = add i64 %w, 1
  br label %withdraw
divide:
  %there = phi i64 [ %asked, %enough ], [ %left, %withdraw ]
  %cores = add i64 %there, 1
  %only = icmp eq i64 %there, 0
  br i1 %only, label %none, label %begin
begin:
  %b = phi i64 [ 0, %divide ], [ %b1, %begun ]
  %core = phi i64 [ 1, %divide ], [ %core1, %begun ]
  %b.more = icmp slt i64 %b, %helpers
  br i1 %b.more, label %begins, label %own
begins:
  %b.by = mul i64 %b, {bytes}
  %b.box = getelementptr inbounds i8, ptr %boxes, i64 %b.by
  %b.state = load atomic i64, ptr %b.box monotonic, align 8
  %b.takes = icmp eq i64 %b.state, {answered}
  br i1 %b.takes, label %tell, label %begun
tell:
  %b.job = getelementptr inbounds i64, ptr %b.box, i64 1
  store ptr %job, ptr %b.job, align 8
  %b.core = getelementptr inbounds i64, ptr %b.box, i64 2
  store i64 %core, ptr %b.core, align 8
  %b.cores = getelementptr inbounds i64, ptr %b.box, i64 3
  store i64 %cores, ptr %b.cores, align 8
  store atomic i64 {at_work}, ptr %b.box release, align 8
  %next = add i64 %core, 1
  br label %begun
begun:
  %core1 = phi i64 [ %core, %begins ], [ %next, %tell ]
  %b1 = add i64 %b, 1
  br label %begin
own:
  %done = call i64 @part(ptr %job, i64 0, i64 %cores)
  br label %end
end:
  %e = phi i64 [ 0, %own ], [ %e, %rest ], [ %e1, %ended ]
  %e.more = icmp slt i64 %e, %helpers
  br i1 %e.more, label %ends, label %out
ends:
  %e.by = mul i64 %e, {bytes}
  %e.box = getelementptr inbounds i8, ptr %boxes, i64 %e.by
  %e.state = load atomic i64, ptr %e.box acquire, align 8
  %e.works = icmp eq i64 %e.state, {at_work}
  br i1 %e.works, label %rest, label %ended
rest:
  {pause}
  br label %end
ended:
  %e1 = add i64 %e, 1
  br label %end
out:
  ret i64 %cores
none:
  ret i64 0
}}

define i64 @serve(ptr %box) #0 {{
entry:
  store atomic i64 {here}, ptr %box release, align 8
  br label %look
look:
  %looks = phi i64 [ 0, %entry ], [ %more, %rest ], [ %more, %leave ], [ 0, %work ], [ 0, %hold.rest ]
  %state = load atomic i64, ptr %box acquire, align 8
  switch i64 %state, label %wait [ i64 {asked}, label %answer
                                   i64 {answered}, label %hold.rest
                                   i64 {at_work}, label %work ]
answer:
  %answers = cmpxchg ptr %box, i64 {asked}, i64 {answered} acq_rel monotonic
  br label %hold.rest
hold.rest:
  br label %look
work:
  %job.at = getelementptr inbounds i64, ptr %box, i64 1
  %job = load ptr, ptr %job.at, align 8
  %core.at = getelementptr inbounds i64, ptr %box, i64 2
  %core = load i64, ptr %core.at, align 8
  %cores.at = getelementptr inbounds i64, ptr %box, i64 3
  %cores = load i64, ptr %cores.at, align 8
  %function = load ptr, ptr %job, align 8
  %done = call i64 %function(ptr %job, i64 %core, i64 %cores)
  store atomic i64 {here}, ptr %box release, align 8
  br label %look
wait:
  %more = add i64 %looks, 1
  %long = icmp sgt i64 %more, {to_stay}
  br i1 %long, label %leave, label %rest
rest:
  {pause}
  br label %look
leave:
  %leaves = cmpxchg ptr %box, i64 {here}, i64 {away} acq_rel monotonic
  %left = extractvalue {{ i64, i1 }} %leaves, 1
  br i1 %left, label %out, label %look
out:
  ret i64 0
}}
"""


def lingering(pause: str) -> str:
    """The text of these functions, for a processor that rests a moment by this instruction."""
    loads = []
    for number, name in enumerate(_JOB[1:7], 1):
        kind = "i64" if name == "stride" else "ptr"
        loads.append(f"  %{name}.at = getelementptr inbounds i64, ptr %job, i64 {number}")
        loads.append(f"  %{name} = load {kind}, ptr %{name}.at, align 8")
    return _TEXT.format(
        loads="\n".join(loads),
        boxes=_JOB.index("boxes"),
        helpers=_JOB.index("helpers"),
        bytes=BOX_BYTES,
        away=AWAY,
        here=HERE,
        asked=ASKED,
        answered=ANSWERED,
        at_work=AT_WORK,
        to_answer=_TO_ANSWER,
        to_stay=_TO_STAY,
        pause=pause,
    )
