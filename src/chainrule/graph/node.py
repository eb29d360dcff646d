"""The node: an immutable op applied to inputs, with its shape and dtype; equal nodes are one node."""

from __future__ import annotations

import math
import struct
import threading
import weakref
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.graph import origins
from chainrule.graph.ops import DTYPES, OPS, fits
from chainrule.graph.shapes import SHAPES

Shape = tuple[int, ...]
Scalar = int | float | bool


class Node:
    """One value of a computation graph: a symbol, never an array; arrays come only out of an engine.

    ``op`` names an entry of the op list, ``inputs`` are nodes, ``attributes`` are static; ``shape`` and ``dtype``
    follow. Arithmetic between nodes wants equal shapes and dtypes, or a Python number on one side; ``==`` is identity.

    >>> from chainrule import graph
    >>> x = graph.input("x", (3,))
    >>> (2 * x + 1) is (2 * x + 1)
    True
    """

    __slots__ = ("__weakref__", "attributes", "dtype", "inputs", "op", "shape")

    op: str
    inputs: tuple[Node, ...]
    attributes: Mapping[str, Any]
    shape: Shape
    dtype: str

    def __init__(self) -> None:
        raise GraphError("a node is made by the functions of chainrule.graph, not by Node()")

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a node is immutable: {name} cannot be set")

    def __reduce__(self) -> tuple[Any, ...]:
        # A node that comes from another process is the one there is here, if there is one.
        return _remade, (self.op, self.inputs, dict(self.attributes))

    def __copy__(self) -> Node:
        return self

    def __deepcopy__(self, memo: object) -> Node:
        return self

    def __repr__(self) -> str:
        name = f" {self.attributes['name']!r}" if self.op == "input" else ""
        return f"<{self.op}{name} {self.dtype}{list(self.shape)}>"

    def __bool__(self) -> bool:
        raise GraphError(
            "a node has no truth value: its number is not known while the graph is built. "
            "Use graph.select(condition, a, b) in place of if"
        )

    def __len__(self) -> int:
        if not self.shape:
            raise ShapeError("a scalar node has no length")
        return self.shape[0]

    def __iter__(self) -> Any:
        raise GraphError("a node cannot be looped over; index it with x[i], or use graph.scan")

    def __add__(self, other: Node | Scalar) -> Node:
        return make("add", (self, lift(other, self)))

    def __radd__(self, other: Scalar) -> Node:
        return make("add", (lift(other, self), self))

    def __sub__(self, other: Node | Scalar) -> Node:
        return make("sub", (self, lift(other, self)))

    def __rsub__(self, other: Scalar) -> Node:
        return make("sub", (lift(other, self), self))

    def __mul__(self, other: Node | Scalar) -> Node:
        return make("mul", (self, lift(other, self)))

    def __rmul__(self, other: Scalar) -> Node:
        return make("mul", (lift(other, self), self))

    def __truediv__(self, other: Node | Scalar) -> Node:
        return make("div", (self, lift(other, self)))

    def __rtruediv__(self, other: Scalar) -> Node:
        return make("div", (lift(other, self), self))

    def __pow__(self, exponent: Scalar) -> Node:
        return make("power", (self,), exponent=float(exponent))

    def __neg__(self) -> Node:
        return make("neg", (self,))

    def __lt__(self, other: Node | Scalar) -> Node:
        return make("lt", (self, lift(other, self)))

    def __le__(self, other: Node | Scalar) -> Node:
        return make("le", (self, lift(other, self)))

    def __gt__(self, other: Node | Scalar) -> Node:
        return make("lt", (lift(other, self), self))

    def __ge__(self, other: Node | Scalar) -> Node:
        return make("le", (lift(other, self), self))

    def __and__(self, other: Node | Scalar) -> Node:
        return make("and", (self, lift(other, self)))

    def __or__(self, other: Node | Scalar) -> Node:
        return make("or", (self, lift(other, self)))

    def __xor__(self, other: Node | Scalar) -> Node:
        return make("xor", (self, lift(other, self)))

    def __invert__(self) -> Node:
        return make("not", (self,))

    def __matmul__(self, other: Node) -> Node:
        if self.rank != 2 or not isinstance(other, Node) or other.rank != 2:
            raise ShapeError(f"@ multiplies two matrices, not {self!r} and {other!r}; use graph.contract")
        return make("contract", (self, other), a_axes=(0, 1), b_axes=(1, 2), out_axes=(0, 2))

    def __getitem__(self, index: int | slice | tuple[int | slice, ...]) -> Node:
        return _take(self, index if isinstance(index, tuple) else (index,))


_table: weakref.WeakValueDictionary[tuple[Any, ...], Node] = weakref.WeakValueDictionary()
# A re-entrant lock: the garbage collector may drop nodes, and so touch the table, inside any allocation.
_lock = threading.RLock()


def make(op: str, inputs: tuple[Node, ...] = (), **attributes: Any) -> Node:
    """The node of this op, these inputs and attributes: the one there is, or a new one.

    Raises `ShapeError` or `DtypeError` if they do not fit.
    """
    listed = OPS.get(op)
    if listed is None:
        raise GraphError(f"there is no op {op!r}; the list is in chainrule.graph.OPS")
    if set(attributes) != set(listed.attributes):
        raise GraphError(f"{op} has the attributes {listed.attributes}, not {tuple(attributes)}")
    for operand in inputs:
        if not isinstance(operand, Node):
            raise GraphError(f"{op} takes nodes, not {type(operand).__name__}; wrap arrays with graph.constant")
    shape, dtype = SHAPES[op](inputs, **attributes)
    key = (op, tuple(map(id, inputs)), tuple(frozen(attributes[name]) for name in listed.attributes))
    with _lock:
        node = _table.get(key)
        if node is None:
            node = object.__new__(Node)
            fields = {"op": op, "inputs": inputs, "attributes": MappingProxyType(attributes)}
            for name, value in {**fields, "shape": shape, "dtype": dtype}.items():
                object.__setattr__(node, name, value)
            _table[key] = node
    build = origins.active_build()
    if build is not None:
        build.note(node)
    return node


def _remade(op: str, inputs: tuple[Node, ...], attributes: dict[str, Any]) -> Node:
    for value in attributes.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return make(op, inputs, **attributes)


def frozen(value: Any) -> Any:
    """A key for an attribute that tells apart what ``==`` merges: 1 and True, 0.0 and -0.0; and finds NaN again."""
    match value:
        case Node():
            return ("node", id(value))
        case float():
            return ("float", struct.pack("<d", value))
        case tuple():
            return ("tuple", *map(frozen, value))
        case np.ndarray():
            return ("array", value.dtype.str, value.shape, value.tobytes())
        case bool() | int() | str() | None:
            return (type(value).__name__, value)
    raise GraphError(f"an attribute may be a number, text, tuple, array or node, not {type(value).__name__}")


def live_nodes() -> int:
    """How many nodes exist now."""
    return len(_table)


def constant(value: Any, dtype: str | None = None) -> Node:
    """A constant array; its identity is its dtype, shape and bytes. Python floats become float32.

    >>> constant(1.5)
    <constant float32[]>
    """
    given = np.asarray(value)
    if dtype is None:
        dtype = {"float64": "float32"}.get(given.dtype.name) if not isinstance(value, np.ndarray | np.generic) else None
        dtype = dtype or given.dtype.name
    if dtype not in DTYPES:
        raise DtypeError(f"a constant cannot be {dtype}; the dtypes are {', '.join(DTYPES)}")
    array = np.array(given, dtype=dtype, order="C")
    array.flags.writeable = False
    return make("constant", value=array)


def full(shape: Shape, value: Scalar, dtype: str) -> Node:
    """A node of one repeated number."""
    scalar = constant(np.asarray(value, dtype=dtype))
    return make("broadcast", (scalar,), axes=tuple(range(len(shape))), sizes=tuple(shape)) if shape else scalar


def lift(value: Node | Scalar, like: Node) -> Node:
    """A Python number as a node of the shape and dtype of ``like``; a node stays what it is."""
    if isinstance(value, Node):
        return value
    if not isinstance(value, int | float | np.number | np.bool_):
        raise DtypeError(f"a node can be combined with a node or a number, not {type(value).__name__}")
    if not fits(value, like.dtype):
        raise DtypeError(f"{value} is not a number that {like!r} could hold; use graph.cast on the node first")
    return full(like.shape, value, like.dtype)


def _take(x: Node, index: tuple[int | slice, ...]) -> Node:
    """Basic indexing: integers and slices with positive steps, by slice and reshape."""
    if len(index) > x.rank:
        raise ShapeError(f"{len(index)} indices for {x!r}, which has {x.rank} axes")
    starts, stops, steps, shape = [], [], [], []
    for axis, size in enumerate(x.shape):
        part = index[axis] if axis < len(index) else slice(None)
        if isinstance(part, slice):
            start, stop, step = part.indices(size)
            if step < 1:
                raise ShapeError("a slice goes forwards; use graph.reverse to turn an axis round")
            shape.append(len(range(start, stop, step)))
        else:
            start = part + size if part < 0 else part
            if not 0 <= start < size:
                raise ShapeError(f"index {part} is outside axis {axis} of {x!r}, which has {size}")
            stop, step = start + 1, 1
        starts.append(start)
        stops.append(max(start, stop))
        steps.append(step)
    part_node = make("slice", (x,), starts=tuple(starts), stops=tuple(stops), steps=tuple(steps))
    return part_node if part_node.shape == tuple(shape) else make("reshape", (part_node,), shape=tuple(shape))
