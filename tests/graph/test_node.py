"""Identity, immutability and manners of a node."""

from __future__ import annotations

import copy
import gc
import math
import pickle

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.graph import Graph, Node, live_nodes, make, node, verify


@pytest.mark.tiny
def test_equal_nodes_are_one_node() -> None:
    x = g.input("x", (3,))
    assert g.exp(x) * 2 + 1 is g.exp(x) * 2 + 1
    assert g.input("x", (3,)) is x
    assert g.exp(x) == g.exp(x)
    assert len({g.exp(x), g.exp(x), g.log(x)}) == 2


def test_what_merely_compares_equal_is_not_one_node() -> None:
    x = g.input("x", (2,), "float64")
    assert g.constant(0.0) is not g.constant(-0.0)
    assert g.constant(1) is not g.constant(True)
    assert g.constant(1, "int32") is not g.constant(1, "int64")
    assert g.constant(np.zeros(2)) is not g.constant(np.zeros((2, 1)))
    assert x + 0.0 is not x + (-0.0)
    assert g.pad(x, [1], [0], value=0.0) is not g.pad(x, [1], [0], value=-0.0)
    assert make("power", (x,), exponent=1.0) is not make("power", (x,), exponent=True)
    assert g.input("x", (2,), "float32") is not x


def test_nan_finds_itself_again() -> None:
    x = g.input("x", (2,))
    assert g.constant(math.nan) is g.constant(math.nan)
    assert g.pad(x, [1], [0], value=math.nan) is g.pad(x, [1], [0], value=math.nan)
    assert g.constant(np.array([1.0, math.nan])) is g.constant(np.array([1.0, math.nan]))


def test_random_bits_are_told_apart_by_their_path() -> None:
    seed, counter = g.input("seed", (2,), "uint32"), g.input("counter", (2,), "uint32")
    assert g.random_bits(seed, counter, "0") is g.random_bits(seed, counter, "0")
    assert g.random_bits(seed, counter, "0") is not g.random_bits(seed, counter, "1")


def test_two_inputs_of_one_name_are_refused() -> None:
    both = Graph({"y": g.sum(g.input("x", (2,))) + g.sum(g.input("x", (3,)))})
    with pytest.raises(GraphError, match="two inputs are called 'x'"):
        verify(both)


def test_interning_keeps_no_dead_graph_alive() -> None:
    gc.collect()
    before = live_nodes()
    x = g.input("a chain that nobody keeps", (2,))
    for _ in range(2000):
        x = g.exp(x)
    assert live_nodes() >= before + 2000
    del x
    gc.collect()
    assert live_nodes() <= before


def test_an_interning_by_equality_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "frozen", lambda value: value.tobytes() if isinstance(value, np.ndarray) else value)
    with pytest.raises(AssertionError):
        test_what_merely_compares_equal_is_not_one_node()


@pytest.mark.tiny
def test_a_node_has_no_truth_value_and_no_loop() -> None:
    x = g.input("x", (2,))
    with pytest.raises(GraphError, match=r"no truth value.*graph\.select"):
        bool(x)
    with pytest.raises(GraphError, match="no truth value"):
        _ = 0 < x < 1
    with pytest.raises(GraphError, match="cannot be looped over"):
        list(x)
    assert len(x) == 2
    with pytest.raises(ShapeError, match="no length"):
        len(g.input("s"))


def test_a_node_cannot_be_changed() -> None:
    x = g.constant(np.ones(2))
    for name in ("op", "inputs", "attributes", "shape", "dtype", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(x, name, None)
    with pytest.raises(TypeError):
        x.attributes["value"] = 1  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        x.attributes["value"][0] = 7
    with pytest.raises(GraphError, match="not by Node"):
        Node()


def test_a_constant_does_not_change_with_the_array_it_was_made_of() -> None:
    array = np.ones(2)
    x = g.constant(array)
    array[0] = 7
    assert x.attributes["value"].tolist() == [1, 1]
    assert g.constant(np.asfortranarray(np.arange(6.0).reshape(2, 3))) is g.constant(np.arange(6.0).reshape(2, 3))


def test_indexing_takes_what_numpy_takes() -> None:
    x = g.input("x", (4, 5))
    assert x[1].shape == (5,)
    assert x[-1, 2:].shape == (3,)
    assert x[:, ::2].shape == (4, 3)
    assert x[3:1].shape == (0, 5)
    assert x[:] is x[0:4]
    with pytest.raises(ShapeError, match=r"index 4 is outside axis 0 .* which has 4"):
        x[4]
    with pytest.raises(ShapeError, match=r"3 indices for .* which has 2 axes"):
        x[0, 0, 0]
    with pytest.raises(ShapeError, match="reverse"):
        x[::-1]


def test_python_numbers_take_the_dtype_of_their_partner() -> None:
    for dtype in ("float32", "float64", "int32"):
        x = g.input("x", (2,), dtype)
        for y in (x + 1, 1 + x, x - 1, 1 - x, x * 2, 2 * x):
            assert (y.dtype, y.shape) == (dtype, (2,))
    with pytest.raises(DtypeError, match="differ in dtype"):
        g.input("x", (2,), "float32") + g.input("y", (2,), "float64")


def test_a_node_that_was_pickled_or_copied_is_the_node_there_is() -> None:
    x = g.input("x", (3,), "float64")
    (last,), _ = g.scan(lambda c, s: ([g.tanh(c[0] + s[0])], []), [g.full((), 0.5, "float64")], [x])
    product = last * g.constant(np.float64(2.5))
    assert pickle.loads(pickle.dumps(product)) is product
    assert copy.deepcopy(product) is product
    assert copy.copy(product) is product
