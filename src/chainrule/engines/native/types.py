"""dtypes as LLVM types: in memory and in registers."""

from __future__ import annotations

import ctypes
import functools
import struct

MEMORY = {
    "float32": "float", "float64": "double", "int32": "i32", "int64": "i64", "uint8": "i8", "uint32": "i32",
    "bool": "i8",
}  # fmt: skip
REGISTER = {**MEMORY, "bool": "i1"}
BYTES = {"float32": 4, "float64": 8, "int32": 4, "int64": 8, "uint8": 1, "uint32": 4, "bool": 1}
BITS = {"float": 32, "double": 64, "i32": 32, "i64": 64, "i8": 8, "i1": 1}
SIGNED = frozenset(("int32", "int64"))


def literal(value: float | int | bool, dtype: str) -> str:
    """A number as LLVM writes it: floats by the bits of a double, so that no digit is lost.

    What is too large for float32 is infinite, as it is in NumPy.
    """
    if dtype in ("float32", "float64"):
        number = ctypes.c_float(value).value if dtype == "float32" else float(value)
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    if dtype == "bool":
        return "true" if value else "false"
    return str(int(value))


@functools.cache
def mask(count: int, lanes: int) -> str:
    """A vector of i1 that takes the first ``count`` of its lanes."""
    return f"<{lanes} x i1> <{', '.join('i1 true' if n < count else 'i1 false' for n in range(lanes))}>"


def power_of_two(count: int) -> int:
    """The least power of two, from 2 on, that is no less."""
    return 1 << max(count - 1, 1).bit_length()
