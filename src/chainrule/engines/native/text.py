"""LLVM text, written line by line: straight lines, and loops with constant bounds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

Value = str | int


#: The ways in which a loop may be asked to become vectors: (lanes, vectors side by side).
_HINTS = [(lanes, vectors) for lanes in (2, 4, 8, 16) for vectors in (1, 4)]


def loop_hint(lanes: int, vectors: int) -> str:
    """What is put behind the last branch of a loop that is to be made of so many vectors, and of nothing else."""
    return f", !llvm.loop !{10 * _HINTS.index((lanes, vectors))}"


#: What is put behind the last branch of a loop that is not to be written out: LLVM would do so with one of few turns,
#: and make vectors across memory of the loop around it.
KEPT = ", !llvm.loop !1000"


def loop_hints() -> str:
    """What the hints stand for, once a module."""
    lines = ["!1000 = distinct !{!1000, !1001}", '!1001 = !{!"llvm.loop.unroll.disable"}']
    for number, (lanes, vectors) in enumerate(_HINTS):
        first = 10 * number
        # It is not "enabled" too: of a loop that cannot become vectors LLVM would then warn whoever trains.
        asked = {"vectorize.width": f"i32 {lanes}", "interleave.count": f"i32 {vectors}"}
        parts = [f'!{{!"llvm.loop.{name}", {value}}}' for name, value in asked.items()] + [
            '!{!"llvm.loop.unroll.disable"}'
        ]
        lines.append(f"!{first} = distinct !{{!{first}, {', '.join(f'!{first + 1 + n}' for n in range(len(parts)))}}}")
        lines += [f"!{first + 1 + n} = {part}" for n, part in enumerate(parts)]
    return "\n".join(lines)


class Writer:
    """The body of one LLVM function. ``emit`` writes an instruction and gives the register it defines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._registers = 0
        self._labels = 0
        self.block = "entry"
        self._known: list[dict[str, str]] = [{}]
        #: At which depth a register was defined, and for each depth the place where more can be written: of a loop.
        self._depths: dict[str, int] = {}
        self._slots: list[int | None] = [None]

    def emit(self, instruction: str) -> str:
        """An instruction; the same one, in a place that sees the first, is not written twice."""
        for scope in reversed(self._known):
            if instruction in scope:
                return scope[instruction]
        register = self.fresh()
        self.lines.append(f"  {register} = {instruction}")
        # What is read from memory may have changed the next time it is asked for.
        if not instruction.startswith(("load", "phi", "call", "alloca")):
            self._known[-1][instruction] = register
        self._depths[register] = len(self._known) - 1
        return register

    @contextlib.contextmanager
    def outside(self, *values: Value) -> Iterator[None]:
        """What is written inside stands at the beginning of the innermost loop of those that these values depend on."""
        depth = max((self._depths.get(value, 0) for value in values if isinstance(value, str)), default=0)
        while depth < len(self._slots) and self._slots[depth] is None:
            depth += 1
        if depth >= len(self._slots) - 1 or None in self._slots[depth:]:
            yield
            return
        slot = self._slots[depth]
        assert slot is not None
        lines, known, block = self.lines, self._known, self.block
        self.lines, self._known = [], known[: depth + 1]
        yield
        lines[slot] = "\n".join([line for line in [lines[slot], *self.lines] if line])
        assert self.block == block, "only straight lines are written outside of a loop"
        self.lines, self._known = lines, known

    def _enter(self, slot: int | None) -> None:
        self._known.append({})
        self._slots.append(slot)

    def _leave(self) -> None:
        self._known.pop()
        self._slots.pop()

    def write(self, instruction: str) -> None:
        """An instruction that defines nothing."""
        self.lines.append(f"  {instruction}")

    @property
    def text(self) -> str:
        """All that was written."""
        return "\n".join(self.lines)

    def fresh(self) -> str:
        """A register that nobody has."""
        self._registers += 1
        return f"%r{self._registers}"

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(f"{name}:")
        self.block = name

    def add(self, a: Value, b: Value) -> Value:
        """a + b, of i64 or Python numbers."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0:
            return b
        return a if b == 0 else self.emit(f"add nsw i64 {a}, {b}")

    def mul(self, a: Value, b: Value) -> Value:
        """a · b, of i64 or Python numbers."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        if a == 1:
            return b
        return a if b == 1 else self.emit(f"mul nsw i64 {a}, {b}")

    def sub(self, a: Value, b: Value) -> Value:
        """a - b."""
        if isinstance(a, int) and isinstance(b, int):
            return a - b
        return a if b == 0 else self.emit(f"sub nsw i64 {a}, {b}")

    def div(self, a: Value, b: int) -> Value:
        """a / b rounded down, for a not negative."""
        if isinstance(a, int):
            return a // b
        return a if b == 1 else self.emit(f"udiv i64 {a}, {b}")

    def rem(self, a: Value, b: int) -> Value:
        """The rest of a / b, for a not negative."""
        if isinstance(a, int):
            return a % b
        return 0 if b == 1 else self.emit(f"urem i64 {a}, {b}")

    @contextlib.contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What is written inside happens only if an i1 is true."""
        self._labels += 1
        name = f"when{self._labels}"
        self.write(f"br i1 {condition}, label %{name}.yes, label %{name}.done")
        self.label(f"{name}.yes")
        self._enter(None)
        yield
        self._leave()
        self.write(f"br label %{name}.done")
        self.label(f"{name}.done")

    @contextlib.contextmanager
    def loop(
        self,
        count: Value,
        carried: list[tuple[str, str]] | None = None,
        results: list[str] | None = None,
        *,
        start: Value = 0,
        hint: str = "",
    ) -> Iterator[tuple[Value, list[str]]]:
        """A loop from ``start`` to ``count``: gives the index, and the carried values; set ``results`` inside for the
        next turn.

        ``carried`` is a list of (type, first value); after the loop the last values stand in ``results``.
        """
        carried, results = carried or [], results if results is not None else []
        if (start, count) == (0, 1):
            values = [value for _, value in carried]
            self._enter(self._slots[-1])
            results[:] = values
            yield 0, values
            self._leave()
            return
        self._labels += 1
        name = f"loop{self._labels}"
        before = self.block
        self.write(f"br label %{name}.head")
        self.label(f"{name}.head")
        index = self.fresh()
        phis = [self.fresh() for _ in carried]
        place = len(self.lines)
        self.lines.append("")
        self.write("")
        in_range = self.fresh()
        self.write(f"{in_range} = icmp slt i64 {index}, {count}")
        self.write(f"br i1 {in_range}, label %{name}.body, label %{name}.done")
        self.label(f"{name}.body")
        self._enter(len(self.lines))
        self.lines.append("")
        for register in (index, *phis):
            self._depths[register] = len(self._known) - 1
        results[:] = phis
        yield index, phis
        self._leave()
        after = self.fresh()
        self.write(f"{after} = add nsw nuw i64 {index}, 1")
        heads = [f"  {index} = phi i64 [ {start}, %{before} ], [ {after}, %{self.block} ]"]
        for phi, (kind, first), result in zip(phis, carried, results, strict=True):
            heads.append(f"  {phi} = phi {kind} [ {first}, %{before} ], [ {result}, %{self.block} ]")
        self.lines[place] = "\n".join(heads)
        self.write(f"br label %{name}.head{hint}")
        self.label(f"{name}.done")
        results[:] = phis
