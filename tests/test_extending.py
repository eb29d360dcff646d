from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import extending, graph
from chainrule.engines.reference import VALUES, ReferenceEngine
from chainrule.errors import ConfigurationError, DtypeError, EngineError, GraphError, ShapeError
from chainrule.explain import check_graph
from chainrule.extending import define_op, remove_op
from chainrule.gradients import RULES, formula, formula_of, gradients
from chainrule.graph import BATCHING, OPS, Graph, Node
from chainrule.graph.printing import PRINTING
from chainrule.graph.shapes import SHAPES

TABLES: list[Any] = [OPS, SHAPES, RULES, BATCHING, PRINTING, VALUES]


@pytest.fixture(autouse=True)
def no_op_stays() -> Iterator[None]:
    """The tables are shared: what a test adds goes again."""
    before = [set(table) for table in TABLES]
    yield
    for name in list(extending._own):
        remove_op(name)
    assert [set(table) for table in TABLES] == before


def arctan() -> Any:
    return define_op("arctan", inputs="x", value=np.arctan, rule=lambda g, y, x: g / (1 + x**2))


def running_sum() -> Any:
    """An op that mixes the elements of an axis, with a static attribute: it has a shape of its own."""
    return define_op(
        "running_sum",
        inputs="x",
        attributes=("axis",),
        shape=lambda x, axis: (x.shape, x.dtype),
        value=lambda x, axis: np.cumsum(x, axis),
        rule=lambda g, y, x, axis: graph.reverse(make_running_sum(graph.reverse(g, axis), axis), axis),
    )


def make_running_sum(x: Node, axis: int) -> Node:
    return graph.make("running_sum", (x,), axis=axis)


def distance() -> Any:
    return define_op(
        "distance", inputs="a b", value=np.hypot, rule=lambda g, y, a, b: (g * a / y, g * b / y), smooth=(0.0, np.inf)
    )


def evaluate(node: Node, **arrays: Any) -> Any:
    return ReferenceEngine().compile(graph.verify(Graph({"y": node}))).run(arrays)["y"]


X = np.random.default_rng(0).normal(size=(4, 3))


def test_an_op_is_in_every_table_and_goes_again() -> None:
    arctan()
    assert all("arctan" in table for table in TABLES)
    remove_op("arctan")
    assert not any("arctan" in table for table in TABLES)
    with pytest.raises(GraphError, match="there is no op 'arctan'"):
        graph.make("arctan", (graph.input("x", (3,)),))
    with pytest.raises(ConfigurationError, match="no op 'arctan' of your own"):
        remove_op("arctan")


@pytest.mark.parametrize(
    "define", [arctan, lambda: lambda x: running_sum()(x, axis=0), lambda: lambda x: running_sum()(x, axis=1)]
)
def test_first_and_second_derivatives_are_right(define: Any) -> None:
    op = define()
    x = graph.input("x", (4, 3), "float64")
    loss = graph.sum(op(x * x) ** 2)
    (slope,) = gradients(loss, [x])
    assert check_graph(Graph({"loss": loss}), {"x": X}).passed
    assert check_graph(Graph({"slope": slope}), {"x": X}).passed


def test_a_wrong_rule_fails_the_check() -> None:
    op = define_op("arctan", inputs="x", value=np.arctan, rule=lambda g, y, x: g / (1 - x**2))
    x = graph.input("x", (4, 3), "float64")
    assert not check_graph(Graph({"y": op(x)}), {"x": X}).passed


def test_values_are_those_of_the_definition() -> None:
    x = graph.input("x", (4, 3), "float64")
    np.testing.assert_array_equal(evaluate(arctan()(x), x=X), np.arctan(X))
    np.testing.assert_array_equal(evaluate(running_sum()(x, axis=1), x=X), np.cumsum(X, 1))
    assert evaluate(arctan()(graph.input("x", (2,))), x=np.ones(2, np.float32)).dtype == np.float32


def test_two_operands_one_of_them_a_number() -> None:
    a, b = graph.input("a", (3,), "float64"), graph.input("b", (3,), "float64")
    op = distance()
    assert check_graph(Graph({"y": op(a, b)}), {"a": np.arange(1.0, 4), "b": np.ones(3)}).passed
    np.testing.assert_allclose(evaluate(op(a, 4), a=np.full(3, 3.0)), 5.0)
    with pytest.raises(ShapeError, match="distance: the shapes"):
        op(a, graph.input("c", (4,), "float64"))
    with pytest.raises(DtypeError, match="all of one kind"):
        op(a, graph.input("d", (3,)))
    with pytest.raises(GraphError, match="takes 2 inputs, and got 1"):
        op(a)
    with pytest.raises(GraphError, match="takes nodes"):
        op(1.0, 2.0)


@pytest.mark.parametrize("batched", [("a",), ("b",), ("a", "b")])
def test_vectorize_is_the_loop_over_samples(batched: tuple[str, ...]) -> None:
    op, running = distance(), running_sum()
    a, b = graph.input("a", (3,), "float64"), graph.input("b", (3,), "float64")
    one = Graph({"near": op(a, b), "sum": running(op(a, b), axis=0)})
    many = graph.verify(graph.vectorize(one, batched, 5))
    random = np.random.default_rng(1)
    arrays = {name: random.uniform(1, 2, (5, 3) if name in batched else (3,)) for name in ("a", "b")}
    whole = ReferenceEngine().compile(many).run(arrays)
    program = ReferenceEngine().compile(one)
    for row in range(5):
        alone = program.run({name: array[row] if name in batched else array for name, array in arrays.items()})
        for name in one.outputs:
            np.testing.assert_allclose(whole[name][row], alone[name], rtol=1e-15)


def test_an_op_that_was_batched_by_a_loop_still_has_its_gradient() -> None:
    x = graph.input("x", (3,), "float64")
    many = graph.vectorize(Graph({"y": running_sum()(x, axis=0)}), ["x"], 4)
    assert check_graph(many, {"x": X}).passed


def test_formulas_and_listings_are_printed() -> None:
    op, running = arctan(), running_sum()
    assert formula("arctan") == "dx = g/(1 + x²)"
    x = graph.input("x", (3, 2))
    assert formula_of(running(x, axis=0)) == "dx = reverse(running_sum(reverse(g; axes 0); axis 0); axes 0)"
    assert "arctan(x)" in graph.show(Graph({"y": op(x)}))
    tan = define_op("arctan", inputs="x", value=np.arctan, rule=None, printing="tan⁻¹")
    assert "tan⁻¹(x)" in graph.show(Graph({"y": tan(x)}))
    assert formula("arctan") == "arctan: no gradient passes"


def test_a_model_with_an_own_op_is_trained_and_checked() -> None:
    train, test = cr.data.load("iris")
    run = cr.fit(cr.Chain(cr.Dense(8, arctan()), cr.Dense(3)), train, epochs=20)
    assert run.evaluate(test)["accuracy"] > 0.9
    assert run.check(test).passed


def test_what_does_not_fit_is_refused_in_words() -> None:
    with pytest.raises(ConfigurationError, match="has an op tanh already"):
        define_op("tanh", inputs="x", value=np.tanh, rule=None)
    with pytest.raises(ConfigurationError, match="one word"):
        define_op("arc tan", inputs="x", value=np.arctan, rule=None)
    with pytest.raises(ConfigurationError, match="at least one input"):
        define_op("seven", inputs="", value=lambda: 7, rule=None)
    x = graph.input("x", (3,))
    wrong = define_op("wrong", inputs="x", value=lambda x: x[:2], rule=lambda g, y, x: (g, g))
    with pytest.raises(GraphError, match="2 gradients for 1 inputs"):
        gradients(graph.sum(wrong(x)), [x])
    with pytest.raises(EngineError, match=r"the value of wrong is \[2\] here, and its shape says \[3\]"):
        evaluate(wrong(x), x=np.ones(3, np.float32))
    wrong = define_op("wrong", inputs="x", value=np.abs, rule=lambda g, y, x: graph.sum(g))
    with pytest.raises(ShapeError, match="the rule of wrong gave <sum float32"):
        gradients(graph.sum(wrong(x)), [x])
