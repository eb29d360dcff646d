"""Products that read through windows: borders are stepped over and never written, and the numbers are the same."""

from __future__ import annotations

import random

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, contraction, grouping, windows
from chainrule.engines.native.program import NativeProgram
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node
from tests.engines.native.together import Together

MANY = 40


def convolution(chance: random.Random, dtype: str) -> tuple[list[Node], dict[str, np.ndarray]]:
    """A convolution with a border, of one or two axes, and its gradients by what it reads and by its weight."""
    axes = chance.choice((1, 2, 2))
    taps = [chance.randint(1, 5) for _ in range(axes)]
    strides = [chance.choice((1, 1, 2, 3)) for _ in range(axes)]
    dilations = [chance.choice((1, 1, 2)) if stride == 1 else 1 for stride in strides]
    low, high = ([chance.randint(0, 3) for _ in range(axes)] for _ in range(2))
    spans = [(size - 1) * dilation + 1 for size, dilation in zip(taps, dilations, strict=True)]
    lengths = [chance.randint(max(1, span - a - b), 19) for span, a, b in zip(spans, low, high, strict=True)]
    batch, inner, outer = chance.randint(1, 3), chance.choice((1, 3, 4, 8, 17)), chance.choice((2, 10, 16, 32, 33))
    each = chance.random() < 0.3  # each channel by itself
    x = g.input("x", (batch, *lengths, outer if each else inner), dtype)
    weight = g.input("weight", (*taps, outer) if each else (*taps, inner, outer), dtype)
    bordered = g.pad(x, [0, *low, 0], [0, *high, 0]) if any((*low, *high)) else x
    seen = g.window(bordered, list(range(1, axes + 1)), taps, strides, dilations)
    places, tapped = "hw"[:axes], "ij"[:axes]
    letters = f"n{places}c{tapped},{tapped}c->n{places}c" if each else f"n{places}c{tapped},{tapped}co->n{places}o"
    y = g.contract(seen, weight, letters)
    if chance.random() < 0.5:
        y = g.select(g.le(y, 0.0), 0.0, y)
    loss = g.sum(y * g.input("slope", y.shape, dtype))
    nodes = [y, *gradients(loss, [x, weight])]
    numbers = np.random.default_rng(chance.randrange(1000))
    inputs = {"x": x.shape, "weight": weight.shape, "slope": y.shape}
    return nodes, {name: numbers.standard_normal(shape).astype(dtype) for name, shape in inputs.items()}


def drawn(many: int, dtype: str) -> Together:
    together = Together()
    for seed in range(many):
        nodes, arrays = convolution(random.Random(seed), dtype)
        together.add(str(seed), nodes, arrays)
    return together


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_convolutions_with_borders_and_their_gradients(dtype: str) -> None:
    drawn(MANY, dtype).compare(NativeEngine(cores=1)).check_all()


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_the_parts_of_several_cores(order: str) -> None:
    drawn(20, "float64").compare(NativeEngine(cores=3, one_by_one=order)).check_all()


def same(batch: int, size: int, inner: int, outer: int, kernel: int = 3) -> Graph:
    x = g.input("x", (batch, size, size, inner))
    weight = g.input("weight", (kernel, kernel, inner, outer))
    border = kernel // 2
    seen = g.window(g.pad(x, [0, border, border, 0], [0, border, border, 0]), [1, 2], [kernel] * 2, [1, 1])
    y = g.contract(seen, weight, "nhwcij,ijco->nhwo")
    dx, dweight = gradients(g.sum(y * g.input("slope", y.shape)), [x, weight])
    return Graph({"y": y, "dx": dx, "dweight": dweight})


def test_no_border_is_written() -> None:
    program = NativeEngine(cores=2).compile(same(4, 14, 8, 16))
    assert isinstance(program, NativeProgram)
    assert not [name for name in program.plan.names if name.startswith(("pad", "fold", "reverse"))]


def test_a_convolution_of_each_channel_is_a_product_by_vectors() -> None:
    x, weight = g.input("x", (4, 14, 14, 32)), g.input("weight", (3, 3, 32))
    seen = g.window(g.pad(x, [0, 1, 1, 0], [0, 1, 1, 0]), [1, 2], [3, 3])
    y = g.contract(seen, weight, "nhwcij,ijc->nhwc")
    dx, dweight = gradients(g.sum(y * y), [x, weight])
    program = NativeEngine(cores=1).compile(Graph({"dx": dx, "dweight": dweight}))
    assert isinstance(program, NativeProgram)
    assert [name.split("_")[0] for name in program.plan.names] == ["pad", "contract", "contract", "contract"]


def test_a_border_that_something_else_reads_is_written() -> None:
    graph = same(4, 14, 8, 16)
    (bordered,) = set(graph.outputs["y"].inputs[0].inputs)
    program = NativeEngine(cores=1).compile(Graph({**graph.outputs, "bordered": bordered * bordered}))
    x = np.random.default_rng(0).standard_normal((4, 14, 14, 8)).astype(np.float32)
    arrays = {"x": x, "weight": np.ones((3, 3, 8, 16), np.float32), "slope": np.ones((4, 14, 14, 16), np.float32)}
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_allclose(program.run(arrays)["bordered"], padded**2, rtol=1e-6)


@pytest.mark.parametrize(("size", "inner", "outer"), [(12, 1, 32), (12, 3, 16), (24, 8, 16), (9, 2, 48)])
def test_many_terms_and_few_channels(size: int, inner: int, outer: int) -> None:
    """Sums long enough to be taken in blocks, and rows that several letters give together."""
    together = step(40, size, inner, outer)
    for cores in (1, 3):
        together.compare(NativeEngine(cores=cores, one_by_one="forwards" if cores > 1 else "")).check_all()


def test_the_bits_do_not_depend_on_the_cores() -> None:
    graph = same(40, 24, 8, 16)
    numbers = np.random.default_rng(5)
    arrays = {name: numbers.standard_normal(node.shape).astype(np.float32) for name, node in graph.inputs.items()}
    alone, three = (
        NativeEngine(cores=cores, one_by_one="forwards" if cores > 1 else "").compile(graph).run(arrays)
        for cores in (1, 3)
    )
    for name, array in alone.items():
        np.testing.assert_array_equal(array, three[name])


def step(batch: int, size: int, inner: int, outer: int) -> Together:
    graph = same(batch, size, inner, outer)
    numbers = np.random.default_rng(3)
    arrays = {name: numbers.standard_normal(node.shape).astype(np.float32) for name, node in graph.inputs.items()}
    together = Together()
    together.add("step", list(graph.outputs.values()), arrays)
    return together


def wrong() -> bool:
    """Whether a convolution with a border is wrong now: what lies beyond a sample is another, which is not zero."""
    try:
        step(3, 24, 4, 16).compare(NativeEngine(cores=1)).check_all()
    except AssertionError:
        return True
    return False


def test_a_tap_too_many_or_too_few_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds = windows.View.bounds
    assert not wrong()
    monkeypatch.setattr(windows.View, "bounds", lambda *args: (0, bounds(*args)[1]))
    assert wrong()
    monkeypatch.setattr(windows.View, "bounds", lambda *args: (bounds(*args)[0], args[3]))
    assert wrong()
    monkeypatch.setattr(windows.View, "bounds", bounds)
    monkeypatch.setattr(windows.View, "within", lambda *_: False)
    assert wrong()


def test_a_border_that_is_forgotten_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contraction, "inside_rows", lambda *_: True)
    assert wrong()


def test_without_stepping_over_borders_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "stepped_over", lambda *_: False)
    program = NativeEngine(cores=2).compile(same(4, 14, 8, 16))
    assert isinstance(program, NativeProgram)
    assert [name for name in program.plan.names if name.startswith("pad")]
