"""A history as a file of JSON lines that grows with it: a line for each step and each epoch, in the order they came."""

from __future__ import annotations

import contextlib
import json
import math
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.training.history import History, Record

#: The file of a run's records in its folder.
METRICS = "metrics.jsonl"
#: The last two lines are looked for in so much of a file's end, and in all of it if they are longer.
_TAIL = 4096
#: Steps that become text in one go: what is written to a file is some megabytes at most.
_BLOCK = 10_000


def encoded(line: Mapping[str, Any]) -> str:
    """A record as JSON, of what JSON has words for: NaN as null, infinity as text."""
    return json.dumps({name: _strict(value) for name, value in line.items()})


def decoded(line: bytes | str) -> Record:
    """What `encoded` wrote; ValueError if it is no JSON, and TypeError if it is no record."""
    entry = json.loads(line)
    if not isinstance(entry, dict) or any(isinstance(value, list | dict) for value in entry.values()):
        raise TypeError("is not a record")
    return {name: _number(value) for name, value in entry.items()}


def lines(
    history: History, step: float = math.inf, epoch: float = math.inf, first: tuple[int, int] = (0, 0)
) -> Iterator[str]:
    """The lines of what a history has up to a step and an epoch, without its ``first`` steps and epochs.

    An epoch stands behind the last of its steps. Steps become text a column at a time, which takes a fifth of the time
    that it takes a line at a time.
    """
    place, told = first
    last = bisect_right(history.column("step"), step)
    steps = _steps(history, place, last)
    for record in history.epochs[told:]:
        if record["epoch"] > epoch:
            break
        end = max(place, min(last, bisect_right(history.column("epoch"), record["epoch"])))
        yield from islice(steps, end - place)
        yield encoded({"kind": "epoch", **record}) + "\n"
        place = end
    yield from steps


def append(
    path: Path, history: History, step: float = math.inf, epoch: float = math.inf, *, sync: bool = False
) -> bool:
    """Append what a file lacks of a history; False, and nothing is done, if it holds anything that is not of it.

    Only its last two lines are looked at, so that it costs the same however long it is: the numbers of a step, its
    seconds among them, tell one history from another. Half a line that a full disk or a kill has left is taken away.
    """
    with open(path, "a+b", buffering=0) as file:
        size, begun = _whole(file.fileno(), history, step, epoch)
        if begun is None:
            return False
        if size < os.fstat(file.fileno()).st_size:
            os.truncate(file.fileno(), size)
        try:
            more = lines(history, step, epoch, begun)
            while block := "".join(islice(more, _BLOCK)):
                _put(file.fileno(), block.encode())
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(file.fileno(), _end(file.fileno()))
            raise
        if sync:
            os.fsync(file.fileno())
    return True


def _steps(history: History, first: int, last: int) -> Iterator[str]:
    """The lines of some steps."""
    for start in range(first, last, _BLOCK):
        count = min(last, start + _BLOCK) - start
        template, changing = '{"kind": "step"', []
        for name in history.columns:
            column = history.column(name)[start : start + count]
            template += f", {_literal(json.dumps(name))}: "
            if column[0] and column.count(column[0]) == count and len({*map(type, column)}) == 1:
                template += _literal(next(iter(_texts(column[:1]))))  # such as the learning rate
            else:
                template += "%s"
                changing.append(_texts(column))
        template += "}\n"
        yield from map(template.__mod__, zip(*changing, strict=True) if changing else [()] * count)


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _texts(column: Sequence[Any]) -> Iterable[str]:
    kinds = {*map(type, column)}
    if not kinds <= {int, float} or not all(map(math.isfinite, column)):
        return [json.dumps(_strict(value)) for value in column]
    different = {*column}
    if len(kinds) == 1 and len(different) < len(column) // 2 and 0 not in different:  # there are two zeros
        return map({value: repr(value) for value in different}.__getitem__, column)
    return map(repr, column)


def _put(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _whole(descriptor: int, history: History, step: float, epoch: float) -> tuple[int, tuple[int, int] | None]:
    """Where the whole lines of a file end, and how many steps and epochs they are; None if they are another's."""
    size = _end(descriptor)
    if size == 0:
        return 0, (0, 0)
    last = _last_lines(descriptor, size)
    try:
        records = [decoded(line) for line in last]
        return size, _begun(history, records, step, epoch)
    except (ValueError, TypeError, KeyError, RecursionError):
        return size, None


def _begun(history: History, records: Sequence[Record], step: float, epoch: float) -> tuple[int, int] | None:
    """How many steps and epochs of a history a file holds whose last lines these are; None if they are not of it."""
    last = dict(records[-1])
    if last.pop("kind") == "step":
        steps = bisect_right(history.column("step"), last["step"])
        if not steps or last["step"] > step or not _same(last, next(history.step_records(steps - 1))):
            return None
        return steps, bisect_left(history.epochs, last["epoch"], key=_epoch)
    told = bisect_right(history.epochs, last["epoch"], key=_epoch)
    if not told or last["epoch"] > epoch or not _same(last, history.epochs[told - 1]):
        return None
    steps = bisect_right(history.column("epoch"), last["epoch"])
    # Before the line of an epoch stands its last step: a file in another order is written anew.
    before = dict(records[0])
    if len(records) < 2 or before.pop("kind") != "step" or not steps:
        return None
    return (steps, told) if _same(before, next(history.step_records(steps - 1))) else None


def _epoch(record: Record) -> int:
    return int(record["epoch"])


def _same(line: Record, record: Record) -> bool:
    """Whether a line is a record's; a column that came later is not a number in the lines before."""
    for name in {*line, *record}:
        one, other = line.get(name, math.nan), record.get(name, math.nan)
        if one != other and not (one != one and other != other):
            return False
    return True


def _end(descriptor: int) -> int:
    """Where the last whole line of a file ends."""
    place = os.fstat(descriptor).st_size
    while place > 0:
        start = max(0, place - _TAIL)
        found = _read(descriptor, start, place).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        place = start
    return 0


def _last_lines(descriptor: int, size: int) -> list[bytes]:
    """The last two whole lines, or the only one."""
    start = max(0, size - _TAIL)
    while start and _read(descriptor, start, size).count(b"\n") < 3:
        start = max(0, 2 * start - size)
    found = _read(descriptor, start, size).split(b"\n")[:-1]
    return found[-2:]


def _read(descriptor: int, start: int, end: int) -> bytes:
    os.lseek(descriptor, start, os.SEEK_SET)
    parts, place = [], start
    while place < end:
        parts.append(os.read(descriptor, end - place))
        if not parts[-1]:
            break
        place += len(parts[-1])
    return b"".join(parts)


def _strict(value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _number(value: Any) -> Any:
    return math.nan if value is None else float(value) if value in ("Infinity", "-Infinity") else value
