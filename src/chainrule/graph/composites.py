"""Composites: functions made of ops that keep their name in the graph, so that an engine may take them whole."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import ParamSpec

from chainrule.errors import ShapeError
from chainrule.graph import building as ops
from chainrule.graph.node import Node, Scalar, lift
from chainrule.graph.origins import Region, active_build

P = ParamSpec("P")


def composite(function: Callable[P, Node]) -> Callable[P, Node]:
    """Let a function of nodes keep its name: what it makes is recorded as a region of the build that is open."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> Node:
        output = function(*args, **kwargs)
        build = active_build()
        if build is not None:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            inputs = tuple(value for value in given.arguments.values() if isinstance(value, Node))
            rest = tuple((name, value) for name, value in given.arguments.items() if not isinstance(value, Node))
            build.regions.setdefault(output, Region(function.__name__, inputs, rest))
        return output

    return call


def maximum(a: Node, b: Node | Scalar) -> Node:
    """The larger of two; NaN of ``a`` passes; where they are equal the gradient goes to ``a``."""
    other = lift(b, a)
    return ops.select(ops.lt(a, other), other, a)


def minimum(a: Node, b: Node | Scalar) -> Node:
    """The smaller of two; NaN of ``a`` passes; where they are equal the gradient goes to ``a``."""
    other = lift(b, a)
    return ops.select(ops.lt(other, a), other, a)


def absolute(x: Node) -> Node:
    """|x|; its gradient at 0 is 0."""
    return ops.select(ops.lt(x, 0), -x, ops.select(ops.eq(x, 0), 0, x))


def ne(a: Node, b: Node | Scalar) -> Node:
    """a ≠ b, element by element; true for NaN."""
    return ops.logical_not(ops.eq(a, b))


def is_finite(x: Node) -> Node:
    """Whether each element is neither infinite nor NaN."""
    return ops.lt(absolute(x), float("inf"))


def sqrt(x: Node) -> Node:
    """√x; its gradient at 0 is 0, so that the gradient of a norm at 0 is 0."""
    # The select stands inside and outside: outside alone, 0·∞ would still make NaN in the gradient.
    zero = ops.eq(x, 0)
    return ops.select(zero, 0, ops.power(ops.select(zero, 1, x), 0.5))


def mean(x: Node, axes: int | Sequence[int] | None = None) -> Node:
    """The mean over some axes, or over all."""
    total = ops.sum(x, axes)
    return total / (x.size / total.size if total.size else 1.0)


def identity(x: Node) -> Node:
    """x itself: the activation of a linear unit.

    >>> identity(ops.input("x", (2,)))
    <input 'x' float32[2]>
    """
    return x


@composite
def step_function(x: Node) -> Node:
    """1 where x ≥ 0, else 0: the activation of the perceptron. Nothing is learned through it: its gradient is 0.

    Reference: F. Rosenblatt, "The perceptron: a probabilistic model", 1958.
    """
    return ops.cast(ops.le(ops.zeros_like(x), x), x.dtype)


@composite
def relu(x: Node) -> Node:
    """max(0, x); its gradient at 0 is 0, and NaN passes.

    Reference: V. Nair and G. Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010.
    """
    # The other way round, select(0 < x, x, 0), would turn NaN into 0.
    return ops.select(ops.le(x, 0), 0, x)


@composite
def leaky_relu(x: Node, slope: float = 0.01) -> Node:
    """x where x > 0, else slope·x.

    Differs from: Keras, whose default slope is 0.3 in the layer and 0.2 in the function; PyTorch has 0.01.

    Reference: A. Maas, A. Hannun and A. Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """
    return ops.select(ops.le(x, 0), slope * x, x)


@composite
def softmax(x: Node) -> Node:
    """Probabilities over the last axis: softmax(x)ᵢ = e^xᵢ / Σⱼ e^xⱼ; shifted by the maximum, so it never overflows.

    Raises `ShapeError` over one unit: that would be 1 whatever x is, and nothing could be learned through it.
    """
    if not x.rank or x.shape[-1] == 1:
        raise ShapeError(f"a softmax over one unit is always 1, and its gradient 0; {x!r} wants sigmoid, or more units")
    raised = ops.exp(x - _peak(x))
    return raised / ops.broadcast_like(ops.sum(raised, -1), raised, -1)


@composite
def log_softmax(x: Node) -> Node:
    """log softmax(x) over the last axis: xᵢ - max - log Σⱼ e^(xⱼ - max)."""
    shifted = x - _peak(x)
    return shifted - ops.broadcast_like(ops.log(ops.sum(ops.exp(shifted), -1)), x, -1)


def _peak(x: Node) -> Node:
    # The shift changes no value, so no gradient has to pass through it.
    return ops.broadcast_like(ops.stop_gradient(ops.max(x, -1)), x, -1)


@composite
def softplus(x: Node) -> Node:
    """log(1 + eˣ), as max(0, x) + log1p(e^-|x|), which never overflows; its gradient is sigmoid(x)."""
    # At 0 the gradients of max and of |x| would both be 0: x - min(x, 0) keeps the right half of each.
    negative = minimum(x, 0)
    return x - negative + ops.log1p(ops.exp(2 * negative - x))


def one_hot(labels: Node, classes: int, dtype: str = "float32", off: float = 0.0, on: float = 1.0) -> Node:
    """Labels as rows that are ``on`` at the label and ``off`` elsewhere: shape (…) -> (…, classes)."""
    row = ops.full((*labels.shape, classes), off, dtype)
    return ops.select(is_label(labels, classes), on, row)


def is_label(labels: Node, classes: int) -> Node:
    """Labels as rows of booleans, true at the label: shape (…) -> (…, classes)."""
    places = ops.broadcast_to(ops.iota(classes, labels.dtype), (*labels.shape, classes))
    return ops.eq(ops.broadcast(labels, [labels.rank], [classes]), places)
