"""What a node is at an index: one table, op -> straight-line LLVM text.

Ops that only move are nothing but another index (`moves.py`); elementwise ops are arithmetic. What is stored is loaded.
Whatever stands between two stored arrays is written into the loop that needs it: this is all that fusion is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from chainrule.engines.native.moves import MOVES, strides
from chainrule.engines.native.text import Value, Writer
from chainrule.engines.native.types import BITS, BYTES, MEMORY, REGISTER, SIGNED, literal
from chainrule.graph import FLOATS, Node
from chainrule.keys import path_word

Index = tuple[Value, ...]
#: Writes the value of a node at an index, and gives the register or literal that it is.
Emit = Callable[["Emitter", Node, Index], str]


class Emitter:
    """Writes the value of nodes at indices, at the present place of a function."""

    def __init__(
        self, writer: Writer, stored: Mapping[Node, str], lengths: Mapping[Node, str], vector_bytes: int
    ) -> None:
        self.writer = writer
        self.vector_bytes = vector_bytes
        self.stored = stored
        self.lengths = lengths
        self.functions: set[str] = set()
        #: Where an element is of a product that lies nowhere as a whole.
        self.tiles: dict[Node, Callable[[Index], str]] = {}
        #: Whether a value that may lie outside of what is stored is asked for behind a branch: vectors of such values
        #: are then loads with a mask, where they would be gathered one by one. Not every processor has those.
        self.branches = False
        self._foreseen: dict[tuple[Node, Index], str] | None = None
        self._memo: list[dict[tuple[Node, Index], str]] = [{}]

    def enter(self) -> None:
        """What is written from now on may not be seen after `leave`."""
        self._memo.append({})

    def leave(self) -> None:
        """The end of a scope."""
        self._memo.pop()

    def value(self, node: Node, index: Index) -> str:
        """The register, or literal, of one element."""
        for memo in reversed(self._memo):
            if (node, index) in memo:
                return memo[node, index]
        if self._foreseen is not None:
            if (node, index) not in self._foreseen:
                absent = literal(0, node.dtype)
                self._foreseen[node, index] = absent if node in self.stored else EMIT[node.op](self, node, index)
            return self._foreseen[node, index]
        found = self.load(node, index) if node in self.stored else EMIT[node.op](self, node, index)
        self._memo[-1][node, index] = found
        return found

    def row(self, node: Node, index: Index) -> Value:
        """A whole number that says which row of an array is read: written as far outside of the loops as can be."""
        known, self._memo = self._memo, [{}]  # what is known in here may not be known out there
        foreseen, self._foreseen = self._foreseen, None
        with self.writer.outside(*index):
            found = convert(self, self.value(node, index), node.dtype, "int64")
        self._memo, self._foreseen = known, foreseen
        return found

    def load(self, node: Node, index: Index) -> str:
        """An element of a stored array."""
        return self._load(node, self.pointer(self.stored[node], node, index))

    def load_at(self, node: Node, place: Value) -> str:
        """An element of a stored array, by its place in memory."""
        return self._load(
            node,
            self.writer.emit(f"getelementptr inbounds {MEMORY[node.dtype]}, ptr {self.stored[node]}, i64 {place}"),
        )

    def _load(self, node: Node, pointer: str) -> str:
        kind = MEMORY[node.dtype]
        loaded = self.writer.emit(f"load {kind}, ptr {pointer}, align {BYTES[node.dtype]}")
        return self.writer.emit(f"trunc i8 {loaded} to i1") if node.dtype == "bool" else loaded

    def store(self, pointer: str, node: Node, index: Index, value: str) -> None:
        """Put an element into an array of the node's shape."""
        place = self.pointer(pointer, node, index)
        if node.dtype == "bool":
            value = self.writer.emit(f"zext i1 {value} to i8")
        self.writer.write(f"store {MEMORY[node.dtype]} {value}, ptr {place}, align {BYTES[node.dtype]}")

    def pointer(self, base: str, node: Node, index: Index) -> str:
        """Where an element is."""
        if node in self.tiles:
            return self.tiles[node](index)
        place: Value = 0
        for at, step in zip(index, strides(node.shape), strict=True):
            place = self.writer.add(place, self.writer.mul(at, step))
        return self.writer.emit(f"getelementptr inbounds {MEMORY[node.dtype]}, ptr {base}, i64 {place}")

    def call(self, name: str, dtype: str, *arguments: str) -> str:
        """A function of our own mathematics."""
        self.functions.add(f"{name}_{dtype}")
        kind = REGISTER[dtype]
        return self.writer.emit(f"call {kind} @{name}_{dtype}({', '.join(f'{kind} {a}' for a in arguments)})")

    def intrinsic(self, name: str, kind: str, *arguments: str) -> str:
        """An intrinsic function of LLVM; its declaration is noted."""
        self.functions.add(f"declare {kind} @llvm.{name}.{_suffix(kind)}({', '.join([kind] * len(arguments))})")
        return self.writer.emit(
            f"call {kind} @llvm.{name}.{_suffix(kind)}({', '.join(f'{kind} {a}' for a in arguments)})"
        )

    def within(self, index: Value, length: Value) -> tuple[str, Value]:
        """Whether 0 ≤ index < length, and an index that may be used in any case."""
        inside = self.writer.emit(f"icmp ult i64 {index}, {length}")
        return inside, self.writer.emit(f"select i1 {inside}, i64 {index}, i64 0")

    def select(self, condition: str, a: str, b: str, dtype: str) -> str:
        """a or b."""
        kind = REGISTER[dtype]
        return self.writer.emit(f"select i1 {condition}, {kind} {a}, {kind} {b}")

    def where(self, condition: str, node: Node, index: Index, harmless: Index, otherwise: str) -> str:
        """An element where a condition holds, which says that there is one, and a known value elsewhere.

        ``harmless`` is an index that may be read in any case, the same where the condition holds.
        """
        if not self.branches:
            return self.select(condition, self.value(node, harmless), otherwise, node.dtype)
        if self._foreseen is not None:
            return self.value(node, harmless)
        # Rows are chosen in front of the branch: behind it LLVM would not see that all of a loop is of one row.
        self._foreseen = {}
        self.value(node, harmless)
        self._foreseen = None
        before = self.writer.block
        with self.writer.when(condition):
            self.enter()
            found = self.value(node, index)
            self.leave()
            inside = self.writer.block
        return self.writer.emit(f"phi {REGISTER[node.dtype]} [ {found}, %{inside} ], [ {otherwise}, %{before} ]")


def _suffix(kind: str) -> str:
    return {"float": "f32", "double": "f64"}.get(kind, kind)


def _floats(name: str, whole: str) -> Emit:
    def emit(e: Emitter, node: Node, index: Index) -> str:
        a, b = (e.value(x, index) for x in node.inputs)
        kind = REGISTER[node.inputs[0].dtype]
        if node.dtype in FLOATS:
            return e.writer.emit(f"{name} {kind} {a}, {b}")
        return e.writer.emit(f"{whole} {kind} {a}, {b}")

    return emit


def _neg(e: Emitter, node: Node, index: Index) -> str:
    x, kind = e.value(node.inputs[0], index), REGISTER[node.dtype]
    return e.writer.emit(f"fneg {kind} {x}" if node.dtype in FLOATS else f"sub {kind} 0, {x}")


def _function(name: str) -> Emit:
    def emit(e: Emitter, node: Node, index: Index) -> str:
        return e.call(name, node.dtype, e.value(node.inputs[0], index))

    return emit


def _floor(e: Emitter, node: Node, index: Index) -> str:
    return e.intrinsic("floor", REGISTER[node.dtype], e.value(node.inputs[0], index))


def _power(e: Emitter, node: Node, index: Index) -> str:
    x, exponent, kind = e.value(node.inputs[0], index), node.attributes["exponent"], REGISTER[node.dtype]
    if float(exponent).is_integer() and 1 <= abs(exponent) <= 16:
        result, base, count = "", x, int(abs(exponent))
        while count:
            if count & 1:
                result = e.writer.emit(f"fmul {kind} {result}, {base}") if result else base
            count >>= 1
            if count:
                base = e.writer.emit(f"fmul {kind} {base}, {base}")
        return e.writer.emit(f"fdiv {kind} {literal(1, node.dtype)}, {result}") if exponent < 0 else result
    if exponent == 0.5:
        return e.intrinsic("sqrt", kind, x)
    if exponent == -0.5:
        # As power has it, and unlike 1/√x: of -0 it is ∞, and of -∞ 0.
        positive = e.writer.emit(f"fadd {kind} {x}, {literal(0, node.dtype)}")
        lowest = e.writer.emit(f"fcmp oeq {kind} {x}, {literal(-math.inf, node.dtype)}")
        root = e.select(lowest, literal(math.inf, node.dtype), e.intrinsic("sqrt", kind, positive), node.dtype)
        return e.writer.emit(f"fdiv {kind} {literal(1, node.dtype)}, {root}")
    if exponent == 0:
        return literal(1, node.dtype)
    return e.call("pow", node.dtype, x, literal(exponent, node.dtype))


def _div(e: Emitter, node: Node, index: Index) -> str:
    a, b = (e.value(x, index) for x in node.inputs)
    return e.writer.emit(f"fdiv {REGISTER[node.dtype]} {a}, {b}")


def _rem(e: Emitter, node: Node, index: Index) -> str:
    a, b = (e.value(x, index) for x in node.inputs)
    kind = REGISTER[node.dtype]
    if node.dtype in FLOATS:
        # A call of C's fmod, which is exact, and keeps its loop from being vectors. A straight line of trunc(a/b), a
        # fused multiplication and a correction is exact for quotients below 2⁵³ alone. They reach 2²⁰⁹⁸, and a step
        # takes off 53 bits, so all elements would pay for forty divisions; and no layer takes a float's remainder.
        return e.writer.emit(f"frem {kind} {a}, {b}")
    # Division by zero, and of the smallest number by -1, would stop the process: NumPy gives 0.
    word = "srem" if node.dtype in SIGNED else "urem"
    unsafe = e.writer.emit(f"icmp eq {kind} {b}, 0")
    if node.dtype in SIGNED:
        minus = e.writer.emit(f"icmp eq {kind} {b}, -1")
        unsafe = e.writer.emit(f"or i1 {unsafe}, {minus}")
    safe = e.writer.emit(f"select i1 {unsafe}, {kind} 1, {kind} {b}")
    rest = e.writer.emit(f"{word} {kind} {a}, {safe}")
    return e.writer.emit(f"select i1 {unsafe}, {kind} 0, {kind} {rest}")


def _compare(floats: str, signed: str, unsigned: str) -> Emit:
    def emit(e: Emitter, node: Node, index: Index) -> str:
        a, b = (e.value(x, index) for x in node.inputs)
        dtype = node.inputs[0].dtype
        kind = REGISTER[dtype]
        if dtype in FLOATS:
            return e.writer.emit(f"fcmp {floats} {kind} {a}, {b}")
        return e.writer.emit(f"icmp {signed if dtype in SIGNED else unsigned} {kind} {a}, {b}")

    return emit


def _bits(name: str) -> Emit:
    def emit(e: Emitter, node: Node, index: Index) -> str:
        a, b = (e.value(x, index) for x in node.inputs)
        return e.writer.emit(f"{name} {REGISTER[node.dtype]} {a}, {b}")

    return emit


def _shift(e: Emitter, node: Node, index: Index) -> str:
    a, b = (e.value(x, index) for x in node.inputs)
    kind = REGISTER[node.dtype]
    if node.op == "shift_left":
        name, far = "shl", "0"
    elif node.dtype in SIGNED:
        name, far = "ashr", e.writer.emit(f"ashr {kind} {a}, {BITS[kind] - 1}")
    else:
        name, far = "lshr", "0"
    fits = e.writer.emit(f"icmp ult {kind} {b}, {BITS[kind]}")
    safe = e.writer.emit(f"select i1 {fits}, {kind} {b}, {kind} 0")
    moved = e.writer.emit(f"{name} {kind} {a}, {safe}")
    return e.writer.emit(f"select i1 {fits}, {kind} {moved}, {kind} {far}")


def _not(e: Emitter, node: Node, index: Index) -> str:
    return e.writer.emit(
        f"xor {REGISTER[node.dtype]} {e.value(node.inputs[0], index)}, {'true' if node.dtype == 'bool' else -1}"
    )


def _select(e: Emitter, node: Node, index: Index) -> str:
    condition, a, b = (e.value(x, index) for x in node.inputs)
    return e.select(condition, a, b, node.dtype)


def _cast(e: Emitter, node: Node, index: Index) -> str:
    (x,) = node.inputs
    return convert(e, e.value(x, index), x.dtype, node.dtype)


def convert(e: Emitter, value: str, old: str, new: str) -> str:
    """A value in another dtype."""
    a, b = REGISTER[old], REGISTER[new]
    if old == new or (a == b and old != "bool"):
        return value
    if new == "bool":
        return e.writer.emit(f"fcmp une {a} {value}, {literal(0, old)}" if old in FLOATS else f"icmp ne {a} {value}, 0")
    if old in FLOATS and new in FLOATS:
        return e.writer.emit(f"{'fpext' if new == 'float64' else 'fptrunc'} {a} {value} to {b}")
    if old in FLOATS:
        # As NumPy on x86: unsigned words wrap as 64-bit integers do. What is out of range stays harmless.
        wide = "i64" if new in ("uint8", "uint32") else b
        whole = e.writer.emit(f"fptosi {a} {value} to {wide}")
        whole = e.writer.emit(f"freeze {wide} {whole}")
        return whole if wide == b else e.writer.emit(f"trunc {wide} {whole} to {b}")
    if new in FLOATS:
        return e.writer.emit(f"{'sitofp' if old in SIGNED else 'uitofp'} {a} {value} to {b}")
    if BITS[a] > BITS[b]:
        return e.writer.emit(f"trunc {a} {value} to {b}")
    return e.writer.emit(f"{'sext' if old in SIGNED else 'zext'} {a} {value} to {b}")


def _random_bits(e: Emitter, node: Node, index: Index) -> str:
    """Philox-2x32-10; see `chainrule.keys.philox`."""
    seed, counter = (e.value(x, index) for x in node.inputs)
    left, right, key = counter, literal(path_word(node.attributes["path"]), "uint32"), seed
    for turn in range(10):
        wide = e.writer.emit(f"zext i32 {left} to i64")
        product = e.writer.emit(f"mul nuw i64 {wide}, {0xD256D193}")
        high = e.writer.emit(f"trunc i64 {e.writer.emit(f'lshr i64 {product}, 32')} to i32")
        mixed = e.writer.emit(f"xor i32 {high}, {key}")
        left, right = e.writer.emit(f"xor i32 {mixed}, {right}"), e.writer.emit(f"trunc i64 {product} to i32")
        if turn < 9:
            key = e.writer.emit(f"add i32 {key}, {0x9E3779B9}")
    return left


def _constant(e: Emitter, node: Node, index: Index) -> str:
    assert not node.shape, "constants with axes are stored"
    return literal(node.attributes["value"].item(), node.dtype)


def _iota(e: Emitter, node: Node, index: Index) -> str:
    at = index[0]
    if isinstance(at, int):
        return literal(at, node.dtype)
    return convert(e, at, "int64", node.dtype)


def _same(e: Emitter, node: Node, index: Index) -> str:
    return e.value(node.inputs[0], index)


#: The ops that are written into a loop that needs them; the others have loops of their own.
EMIT: dict[str, Emit] = {
    "constant": _constant,
    "iota": _iota,
    "neg": _neg,
    **{op: _function(op) for op in "exp log log1p expm1 tanh erf sin cos sigmoid".split()},
    "power": _power,
    "add": _floats("fadd", "add"),
    "sub": _floats("fsub", "sub"),
    "mul": _floats("fmul", "mul"),
    "div": _div,
    "rem": _rem,
    "floor": _floor,
    "lt": _compare("olt", "slt", "ult"),
    "le": _compare("ole", "sle", "ule"),
    "eq": _compare("oeq", "eq", "eq"),
    "and": _bits("and"),
    "or": _bits("or"),
    "xor": _bits("xor"),
    "not": _not,
    "shift_left": _shift,
    "shift_right": _shift,
    "select": _select,
    "cast": _cast,
    "stop_gradient": _same,
    "random_bits": _random_bits,
    **MOVES,
}
