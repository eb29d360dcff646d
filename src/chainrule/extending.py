"""An op of your own: one entry in each table, so that it is differentiated, batched, checked and printed like the rest.

The list of ops is closed for chainrule itself: its layers need no more. What is added here is known to the reference
engine; an engine that compiles refuses it by name. A layer, an optimizer or an engine needs no entry anywhere: it is
an object with the methods of `chainrule.layers.Applicable`, `chainrule.optimizers.Update` or
`chainrule.engines.protocol.Engine`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ConfigurationError, DtypeError, EngineError, GraphError, ShapeError
from chainrule.gradients import RULES, Rule, nothing
from chainrule.graph import BATCHING, FLOATS, OPS, Node, Op, Scalar, broadcast, lift, make, scan
from chainrule.graph.printing import PRINTING, Print, call
from chainrule.graph.shapes import SHAPES, same_shape
from chainrule.graph.vectorizing import BatchingRule

Array = NDArray[Any]
#: ``shape(*inputs, **attributes)``: shape and dtype of the output.
Shape = Callable[..., tuple[tuple[int, ...], str]]
#: ``rule(g, y, *inputs, **attributes)``: the gradient of each input, as nodes; one alone needs no tuple.
OwnRule = Callable[..., Node | Sequence[Node | None] | None]

_own: set[str] = set()


def define_op(
    name: str,
    *,
    inputs: str | Sequence[str],
    value: Callable[..., Any],
    rule: OwnRule | None,
    shape: Shape | None = None,
    attributes: Sequence[str] = (),
    batching: BatchingRule | None = None,
    printing: str | Print | None = None,
    smooth: tuple[float, float] = (-math.inf, math.inf),
    corner: str = "",
) -> Callable[..., Node]:
    """Add an op to every table, and give the function that makes its nodes.

    ``inputs`` names the operands ("a b") and ``attributes`` what is static beside them, given by name.

    - ``value(*arrays, **attributes)`` is NumPy: the definition.
    - ``rule(g, y, *inputs, **attributes)`` is graph: the gradient of each input from the gradient g of the output y,
      None where none passes; without a rule none passes at all.
    - ``shape(*inputs, **attributes)`` gives the shape and dtype of the output. Left out, the op works element by
      element, on floats of one shape and dtype.
    - ``batching(batched, *operands, **attributes)`` makes the op on operands of which those flagged have a new leading
      axis. Left out, the op is looped over that axis, which is right for every op.
    - ``printing`` is how a formula writes it: a name, or a print rule as in `chainrule.graph.printing`.
    - ``smooth`` is the open interval on which it may be perturbed, ``corner`` says what happens elsewhere.

    An op of your own can be defined anew, which takes the place of the old one. Raises `ConfigurationError` for a name
    that chainrule has already, or that is not one word.

    >>> arctan = define_op("arctan", inputs="x", value=np.arctan, rule=lambda g, y, x: g / (1 + x**2))
    >>> from chainrule import graph
    >>> from chainrule.gradients import formula
    >>> arctan(graph.input("x", (3,)))
    <arctan float32[3]>
    >>> formula("arctan")
    'dx = g/(1 + x²)'
    >>> remove_op("arctan")
    """
    operands = tuple(inputs.split() if isinstance(inputs, str) else inputs)
    if not name.isidentifier() or name.startswith("_"):
        raise ConfigurationError(f"define_op: the name of an op is one word, such as arctan, not {name!r}")
    if name in OPS and name not in _own:
        raise ConfigurationError(f"define_op: chainrule has an op {name} already; give yours another name")
    if not operands:
        raise ConfigurationError(f"define_op: {name} wants at least one input; a number is graph.constant")
    listed = Op(name, "elementwise" if shape is None else "own", operands, tuple(attributes), smooth, corner)
    given = _elementwise_shape if shape is None else shape
    OPS[name] = listed
    SHAPES[name] = _shapes(listed, given)
    RULES[name] = nothing if rule is None else _rules(name, rule)
    BATCHING[name] = batching or (_batch_elements(name) if shape is None else _batch_by_loop(name))
    PRINTING[name] = printing if callable(printing) else call(printing or name, *attributes)
    _values()[name] = _valued(name, value)
    _own.add(name)
    return _maker(listed)


def remove_op(name: str) -> None:
    """Take an op of your own out of every table; graphs that hold it can no longer be run."""
    if name not in _own:
        raise ConfigurationError(f"remove_op: there is no op {name!r} of your own")
    for table in (OPS, SHAPES, RULES, BATCHING, PRINTING, _values()):
        del table[name]
    _own.remove(name)


def _values() -> dict[str, Any]:
    # Imported when it is needed: whoever only imports chainrule starts no engine.
    from chainrule.engines.reference import VALUES

    return VALUES


def _maker(op: Op) -> Callable[..., Node]:
    def build(*inputs: Node | Scalar, **attributes: Any) -> Node:
        like = next((x for x in inputs if isinstance(x, Node)), None)
        if like is None:
            raise GraphError(f"{op.name} takes nodes; wrap arrays with graph.constant")
        return make(op.name, tuple(lift(x, like) for x in inputs), **attributes)

    build.__name__ = build.__qualname__ = op.name
    build.__doc__ = f"A node of the op {op.name}({', '.join((*op.inputs, *op.attributes))})."
    return build


def _shapes(op: Op, shape: Shape) -> Callable[..., tuple[tuple[int, ...], str]]:
    def shaped(inputs: tuple[Node, ...], **attributes: Any) -> tuple[tuple[int, ...], str]:
        if len(inputs) != len(op.inputs):
            raise GraphError(f"{op.name} takes {len(op.inputs)} inputs, and got {len(inputs)}")
        if shape is _elementwise_shape:
            return _elementwise_shape(op.name, *inputs)
        sizes, dtype = shape(*inputs, **attributes)
        return tuple(int(size) for size in sizes), dtype

    return shaped


def _elementwise_shape(name: str, first: Node, *others: Node) -> tuple[tuple[int, ...], str]:
    for other in others:
        same_shape(name, first, other)
    for x in (first, *others):
        if x.dtype not in FLOATS or x.dtype != first.dtype:
            raise DtypeError(f"{name} takes {' or '.join(FLOATS)}, all of one kind, and got {x!r}; use graph.cast")
    return first.shape, first.dtype


def _rules(name: str, rule: OwnRule) -> Rule:
    def checked(g: Node, y: Node, *inputs: Node, **attributes: Any) -> tuple[Node | None, ...]:
        answer = rule(g, y, *inputs, **attributes)
        found = (answer,) if answer is None or isinstance(answer, Node) else tuple(answer)
        if len(found) != len(inputs):
            raise GraphError(f"the rule of {name} gave {len(found)} gradients for {len(inputs)} inputs")
        for number, (x, dx) in enumerate(zip(inputs, found, strict=True)):
            if dx is not None and (dx.shape, dx.dtype) != (x.shape, x.dtype):
                raise ShapeError(f"the rule of {name} gave {dx!r} for input {number}, which is {x!r}")
        return found

    return checked


def _valued(name: str, value: Callable[..., Any]) -> Callable[..., Array]:
    def valued(node: Node, *arrays: Array) -> Array:
        found = np.asarray(value(*arrays, **node.attributes))
        if found.shape != node.shape:
            raise EngineError(f"the value of {name} is {list(found.shape)} here, and its shape says {list(node.shape)}")
        return found

    return valued


def _batch_elements(name: str) -> BatchingRule:
    def batched(flags: Sequence[bool], *operands: Node, **attributes: Any) -> Node:
        size = next(x.shape[0] for flag, x in zip(flags, operands, strict=True) if flag)
        whole = [x if flag else broadcast(x, [0], [size]) for flag, x in zip(flags, operands, strict=True)]
        return make(name, tuple(whole), **attributes)

    return batched


def _batch_by_loop(name: str) -> BatchingRule:
    def batched(flags: Sequence[bool], *operands: Node, **attributes: Any) -> Node:
        sequences = [x for flag, x in zip(flags, operands, strict=True) if flag]

        def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            rows = iter(slices)
            inner = tuple(next(rows) if flag else x for flag, x in zip(flags, operands, strict=True))
            return [], [make(name, inner, **attributes)]

        return scan(body, [], sequences)[1][0]

    return batched
