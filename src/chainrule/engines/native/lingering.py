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
{ask}
  %nobody = icmp eq i64 %asked, 0
  br i1 %nobody, label %none, label %look
look:
  %looks = phi i64 [ 0, %asked.all ], [ %looks1, %again ]
  br label %count
{count}
  %all = icmp eq i64 %answered, %asked
  br i1 %all, label %divide, label %again
again:
  %looks1 = add i64 %looks, 1
  %long = icmp sgt i64 %looks1, {to_answer}
  br i1 %long, label %withdraw, label %look
{withdraw}
  %left = sub i64 %asked, %withdrawn
  %only = icmp eq i64 %left, 0
  br i1 %only, label %none, label %divide
divide:
  %there = phi i64 [ %asked, %answered.all ], [ %left, %withdrawn.all ]
  %cores = add i64 %there, 1
  br label %tell
{tell}
  %done = call i64 @part(ptr %job, i64 0, i64 %cores)
  br label %end
{end}
  %over = icmp eq i64 %busy, 0
  br i1 %over, label %out, label %rest
rest:
  {pause}
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


#: What is told a box whose owner takes part; the caller himself is core 0.
_TELL = """  %core = add i64 %told, 1
  %job.to = getelementptr inbounds i64, ptr %told.box, i64 1
  store ptr %job, ptr %job.to, align 8
  %core.to = getelementptr inbounds i64, ptr %told.box, i64 2
  store i64 %core, ptr %core.to, align 8
  %cores.to = getelementptr inbounds i64, ptr %told.box, i64 3
  store i64 %cores, ptr %cores.to, align 8
  store atomic i64 {at_work}, ptr %told.box release, align 8"""


def _over_boxes(start: str, name: str, test: str, then: str = "") -> str:
    """The block ``start``: count in %NAME the boxes that pass a test, and do something with each that does.

    The test says in %NAME.yes whether the box at %NAME.box passes. What follows stands in the block NAME.all.
    """
    return f"""{start}:
  br label %{name}.next
{name}.next:
  %{name}.number = phi i64 [ 0, %{start} ], [ %{name}.number1, %{name}.after ]
  %{name} = phi i64 [ 0, %{start} ], [ %{name}.more, %{name}.after ]
  %{name}.in = icmp slt i64 %{name}.number, %helpers
  br i1 %{name}.in, label %{name}.each, label %{name}.all
{name}.each:
  %{name}.by = mul i64 %{name}.number, {BOX_BYTES}
  %{name}.box = getelementptr inbounds i8, ptr %boxes, i64 %{name}.by
{test}
  %{name}.one = zext i1 %{name}.yes to i64
  %{name}.more = add i64 %{name}, %{name}.one
  br i1 %{name}.yes, label %{name}.do, label %{name}.after
{name}.do:
{then}
  br label %{name}.after
{name}.after:
  %{name}.number1 = add i64 %{name}.number, 1
  br label %{name}.next
{name}.all:"""


def _changing(start: str, name: str, old: int, new: int) -> str:
    """Give the boxes of one state another."""
    test = f"""  %{name}.swap = cmpxchg ptr %{name}.box, i64 {old}, i64 {new} acq_rel monotonic
  %{name}.yes = extractvalue {{ i64, i1 }} %{name}.swap, 1"""
    return _over_boxes(start, name, test)


def _finding(start: str, name: str, state: int, then: str = "") -> str:
    """Look which boxes have a state."""
    test = f"""  %{name}.state = load atomic i64, ptr %{name}.box acquire, align 8
  %{name}.yes = icmp eq i64 %{name}.state, {state}"""
    return _over_boxes(start, name, test, then)


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
        ask=_changing("ask", "asked", HERE, ASKED),
        count=_finding("count", "answered", ANSWERED),
        withdraw=_changing("withdraw", "withdrawn", ASKED, HERE),
        tell=_finding("tell", "told", ANSWERED, _TELL.format(at_work=AT_WORK)),
        end=_finding("end", "busy", AT_WORK),
        away=AWAY,
        here=HERE,
        asked=ASKED,
        answered=ANSWERED,
        at_work=AT_WORK,
        to_answer=_TO_ANSWER,
        to_stay=_TO_STAY,
        pause=pause,
    )
