"""Formulas in Python that write LLVM: ``x * y + 1`` on values of a function being written adds its instructions.

Everything is one straight line. An operator is one instruction, in the order it stands in: nothing is fused or
reordered, so that an error term like ``(a - (a + b)) + b`` stays what it is. Only `fused` lets LLVM take a
multiplication and an addition as one instruction, where the processor has one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.engines.native.text import Writer
from chainrule.engines.native.types import BITS, REGISTER, literal

Number = float | int


@dataclass(frozen=True)
class Format:
    """How a float's bits are laid out: sign, exponent (with a bias), fraction."""

    whole: str
    suffix: str
    fraction: int
    bias: int
    least: float

    @property
    def shift(self) -> float:
        """A number so large that its last bit is 1: what is added to it is rounded to a whole number."""
        return 1.5 * 2.0**self.fraction

    @property
    def fraction_mask(self) -> int:
        """The bits of the fraction."""
        return (1 << self.fraction) - 1


FORMATS = {
    "float32": Format("int32", "f32", 23, 127, 2.0**-126),
    "float64": Format("int64", "f64", 52, 1023, 2.0**-1022),
}


class Value:
    """A number of a function that is being written: a register, its dtype, and the function's writer."""

    def __init__(self, writer: Writer, register: str, dtype: str) -> None:
        self.writer, self.register, self.dtype = writer, register, dtype
        self.kind = REGISTER[dtype]

    @property
    def format(self) -> Format:
        """How its bits are laid out, if it is a float."""
        return FORMATS[self.dtype]

    def _make(self, instruction: str, dtype: str = "") -> Value:
        return Value(self.writer, self.writer.emit(instruction), dtype or self.dtype)

    def constant(self, number: Number) -> Value:
        """A number of this one's dtype."""
        return Value(self.writer, literal(number, self.dtype), self.dtype)

    def _operand(self, other: Value | Number) -> str:
        if not isinstance(other, Value):
            return literal(other, self.dtype)
        assert other.dtype == self.dtype, f"{self.dtype} meets {other.dtype}"
        return other.register

    def _do(self, name: str, other: Value | Number) -> Value:
        return self._make(f"{name} {self.kind} {self.register}, {self._operand(other)}")

    def _arithmetic(self, name: str, other: Value | Number) -> Value:
        return self._do(f"f{name}" if self.dtype in FORMATS else name, other)

    def __add__(self, other: Value | Number) -> Value:
        return self._arithmetic("add", other)

    def __sub__(self, other: Value | Number) -> Value:
        return self._arithmetic("sub", other)

    def __mul__(self, other: Value | Number) -> Value:
        return self._arithmetic("mul", other)

    def __truediv__(self, other: Value | Number) -> Value:
        return self._do("fdiv", other)

    def __neg__(self) -> Value:
        text = f"fneg {self.kind}" if self.dtype in FORMATS else f"sub {self.kind} 0,"
        return self._make(f"{text} {self.register}")

    def __and__(self, other: Value | int) -> Value:
        return self._do("and", other)

    def __or__(self, other: Value | int) -> Value:
        return self._do("or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self._do("xor", other)

    def __lshift__(self, count: int) -> Value:
        return self._do("shl", count)

    def __rshift__(self, count: int) -> Value:
        """Zeros come in from the left."""
        return self._do("lshr", count)

    def _compare(self, how: str, other: Value | Number) -> Value:
        word = f"fcmp o{how}" if self.dtype in FORMATS else f"icmp {how}"
        return self._make(f"{word} {self.kind} {self.register}, {self._operand(other)}", "bool")

    def __lt__(self, other: Value | Number) -> Value:
        return self._compare("lt", other)

    def __le__(self, other: Value | Number) -> Value:
        return self._compare("le", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self._compare("gt", other)

    def __ge__(self, other: Value | Number) -> Value:
        return self._compare("ge", other)

    def equals(self, other: Value | Number) -> Value:
        """Whether two numbers are equal; NaN is equal to nothing."""
        return self._compare("eq", other)

    def is_nan(self) -> Value:
        """Whether it is NaN."""
        return self._make(f"fcmp uno {self.kind} {self.register}, {self.register}", "bool")

    def bits(self) -> Value:
        """A float's bits as an integer."""
        return self._make(f"bitcast {self.kind} {self.register} to {REGISTER[self.format.whole]}", self.format.whole)

    def float_of_bits(self) -> Value:
        """The float that has these bits."""
        dtype = "float32" if self.dtype == "int32" else "float64"
        return self._make(f"bitcast {self.kind} {self.register} to {REGISTER[dtype]}", dtype)

    def to(self, dtype: str) -> Value:
        """A float in the other float dtype; a 64-bit integer's lower half."""
        word = "trunc" if dtype == "int32" else "fpext" if dtype == "float64" else "fptrunc"
        return self._make(f"{word} {self.kind} {self.register} to {REGISTER[dtype]}", dtype)


def bits_of(number: float, dtype: str) -> int:
    """The bits of a number as an integer."""
    float_code, whole_code = ("<f", "<i") if dtype == "float32" else ("<d", "<q")
    return int(struct.unpack(whole_code, struct.pack(float_code, number))[0])


def select(condition: Value, yes: Value | Number, no: Value | Number) -> Value:
    """One of two numbers: both have been computed. At least one is a Value."""
    model = yes if isinstance(yes, Value) else no
    assert isinstance(model, Value)
    operands = f"{model.kind} {model._operand(yes)}, {model.kind} {model._operand(no)}"
    return model._make(f"select i1 {condition.register}, {operands}")


def fused(a: Value, b: Value | Number, c: Value | Number) -> Value:
    """a·b + c, rounded once or twice, whatever is quicker."""
    operands = ", ".join(f"{a.kind} {a._operand(x)}" for x in (a, b, c))
    return a._make(f"call {a.kind} @llvm.fmuladd.{a.format.suffix}({operands})")


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """c₀ + x·(c₁ + x·(c₂ + …))."""
    *rest, before, last = coefficients
    found = fused(x, last, before)
    for coefficient in reversed(rest):
        found = fused(found, x, coefficient)
    return found


def at_most(x: Value, limit: float) -> Value:
    """The smaller of the two; NaN stays NaN."""
    return select(x > limit, limit, x)


def at_least(x: Value, limit: float) -> Value:
    """The larger of the two; NaN stays NaN."""
    return select(x < limit, limit, x)


def absolute(x: Value) -> Value:
    """x without its sign."""
    return (x.bits() & _without_sign(x)).float_of_bits()


def sign_bit(x: Value) -> Value:
    """The bit of x's sign, where it stands."""
    return x.bits() & ~_without_sign(x)


def signed_as(x: Value, model: Value) -> Value:
    """x, which has no sign, with the model's."""
    return (x.bits() | sign_bit(model)).float_of_bits()


def _without_sign(x: Value) -> int:
    return (1 << (BITS[x.kind] - 1)) - 1


def upper_half(x: Value) -> Value:
    """The first 26 bits of a float64: such numbers have exact products."""
    return (x.bits() & ~((1 << 27) - 1)).float_of_bits()


def nearest(x: Value, factor: float = 1.0) -> tuple[Value, Value]:
    """The whole number nearest to x·factor, as a float; and bits that end in it as an integer ends.

    The bits less those of `Format.shift` are the integer.
    """
    shifted = fused(x, factor, x.format.shift) if factor != 1 else x + x.format.shift
    return shifted - x.format.shift, shifted.bits()


def power_of_two(bits: Value, offset: int = 0) -> Value:
    """2ᵏ⁺ᵒᶠᶠˢᵉᵗ of k in the form of `nearest`'s bits, where that is a normal number."""
    layout = FORMATS["float32" if bits.dtype == "int32" else "float64"]
    dtype = "float32" if bits.dtype == "int32" else "float64"
    return ((bits - (bits_of(layout.shift, dtype) - layout.bias - offset)) << layout.fraction).float_of_bits()


def times_power_of_two(x: Value, bits: Value) -> Value:
    """x·2ᵏ of k in the form of `nearest`'s bits, in two steps: no step leaves the exponents unless the product does."""
    doubled = bits - (bits_of(x.format.shift, x.dtype) - 2 * x.format.bias)
    first = doubled >> 1
    second = doubled - first
    return x * (first << x.format.fraction).float_of_bits() * (second << x.format.fraction).float_of_bits()
