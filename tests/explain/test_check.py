from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph as G  # noqa: N812
from chainrule.errors import ConfigurationError, DataError, GraphError, NotFiniteError, ShapeError
from chainrule.explain import check_graph
from chainrule.graph import Graph, Node
from tests.explain.making import (
    Convolution,
    Recurrent,
    adversarial,
    broken,
    classes,
    numbers,
    pool,
    wrong_factor,
    wrong_sign,
)

ACTIVATIONS = {"sigmoid": cr.sigmoid, "tanh": cr.tanh, "relu": cr.relu, "leaky": cr.leaky_relu, "none": None}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dense_networks_pass(name: str) -> None:
    run = cr.prepare(cr.Chain(cr.Dense(5, ACTIVATIONS[name]), cr.Dense(3)), classes())
    check = run.check(classes())
    assert check.passed
    assert check.worst < 1e-8
    assert [row.name for row in check.rows] == ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize("loss", ["mean_squared_error", "half_squared_error", "binary_cross_entropy"])
def test_losses_pass(loss: str) -> None:
    given = numbers(outputs=2)
    data = cr.data.Dataset(given.inputs, (np.asarray(given.targets) > 0).astype(np.float64))
    run = cr.prepare(cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(2)), data, loss=getattr(cr.losses, loss))
    assert run.check(data).passed


def test_windows_loops_and_shared_layers_pass() -> None:
    shared = cr.Dense(3, cr.tanh)
    assert cr.prepare(cr.Chain(shared, shared, cr.Dense(1)), numbers()).check(numbers()).passed
    layers = cr.Chain(cr.Reshape((4, 4, 1)), Convolution(2), pool, cr.Flatten(), cr.Dense(3))
    assert cr.prepare(layers, classes(inputs=16)).check(classes(inputs=16)).passed
    layers = cr.Chain(cr.Reshape((4, 3)), Recurrent(3), cr.Dense(3))
    assert cr.prepare(layers, classes(inputs=12)).check(classes(inputs=12)).passed


def test_every_descent_of_a_step_is_checked_with_what_it_stops_held() -> None:
    run = cr.prepare(adversarial(), numbers())
    check = run.check(numbers())
    assert check.passed
    assert sorted({row.name.partition(":")[0] for row in check.rows}) == ["generator", "judge"]
    assert len(check.rows) == 8


BREAKS: list[tuple[str, Any, set[str]]] = [
    ("sigmoid", wrong_sign, {"0.weight", "0.bias"}),
    ("sigmoid", wrong_factor, {"0.weight", "0.bias"}),
    ("contract", lambda a, b: (a, None if b is None else 1.001 * b), {"0.weight", "1.weight"}),
    ("broadcast", wrong_factor, {"0.bias"}),
    ("log", wrong_factor, {"0.weight", "0.bias", "1.weight", "1.bias"}),
    ("exp", lambda x: (None,), {"0.weight", "0.bias", "1.weight", "1.bias"}),
]


@pytest.mark.parametrize(("op", "change", "wrong"), BREAKS, ids=[f"{op}-{n}" for n, (op, _, _) in enumerate(BREAKS)])
def test_a_broken_rule_fails(op: str, change: Any, wrong: set[str]) -> None:
    run = cr.prepare(cr.Chain(cr.Dense(4, cr.sigmoid), cr.Dense(3)), classes())
    with broken(op, change):
        check = run.check(classes())
    assert not check.passed
    assert wrong <= {row.name for row in check.rows if row.status == "failed"}
    assert "FAILED" in str(check)
    assert run.check(classes()).passed


def test_swapped_operands_fail_though_two_of_them_would_cancel() -> None:
    """In a cross-entropy every path goes through sub twice, so that there the check could not tell."""
    model = cr.Chain(cr.Dense(4, cr.sigmoid), cr.Dense(1))
    with broken("sub", lambda a, b: (b, a)):
        check = cr.prepare(model, numbers()).check(numbers())
    assert [row.status for row in check.rows] == ["failed"] * 4


def test_one_wrong_element_among_many_is_found_by_a_direction() -> None:
    mask = np.ones((40, 30))
    mask[7, 9] = 1.5
    run = cr.prepare(cr.Chain(cr.Dense(30, cr.tanh), cr.Dense(3)), classes(inputs=40))
    with broken("contract", lambda a, b: (a, b if b.shape != (40, 30) else b * G.constant(mask))):
        check = run.check(classes(inputs=40), coordinates=0)
    assert [row.name for row in check.rows if row.status == "failed"] == ["0.weight"]


def test_a_corner_is_measured_beside_it() -> None:
    """For the sample of zeros every unit stands exactly at the kink of its ReLU."""
    data = cr.data.Dataset(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[2.0], [1], [1], [0]]))
    run = cr.prepare(cr.Chain(cr.Dense(3, cr.relu), cr.Dense(3, cr.relu), cr.Dense(1)), data)
    check = run.check(data)
    assert check.passed
    assert sum(row.moved for row in check.rows) > 0
    assert "beside a corner" in str(check)


@pytest.mark.parametrize("seed", range(12))
def test_no_false_alarm_whatever_the_seed(seed: int) -> None:
    data = cr.data.Dataset(np.random.default_rng(seed).integers(0, 2, (8, 4)).astype(float), np.ones((8, 1)))
    layers = [cr.Dense(6, cr.relu), cr.Dense(6, cr.relu), cr.Dense(4, cr.leaky_relu), cr.Dense(1)]
    check = cr.prepare(cr.Chain(*layers), data, seed=seed).check(data, seed=seed)
    assert check.passed, str(check)


def test_vanished_gradients_are_still_measured() -> None:
    data = numbers()
    run = cr.prepare(cr.Chain(*(cr.Dense(4, cr.sigmoid) for _ in range(6)), cr.Dense(1)), data)
    check = run.check(data)
    assert check.passed
    assert abs(check.rows[0].found) < 1e-3


def test_the_run_may_be_float32_and_trained() -> None:
    train, test = cr.data.load("iris")
    run = cr.fit(cr.Chain(cr.Dense(8, cr.relu), cr.Dense(3)), train, epochs=3, progress=False)
    assert run.dtype == "float32"
    assert run.check(test).passed


def test_a_large_network_takes_seconds() -> None:
    random = np.random.default_rng(0)
    names = tuple("0123456789")
    data = cr.data.Dataset(random.random((50, 784)), np.arange(50) % 10, classes=names)
    run = cr.prepare(cr.Chain(cr.Dense(300, cr.sigmoid), cr.Dense(10)), data)
    start = time.perf_counter()
    assert run.check(data).passed
    # Half a second where nothing else runs; the bound leaves room for a machine that is busy.
    assert time.perf_counter() - start < 60


def test_the_result_is_plain_and_repeatable() -> None:
    run = cr.prepare(cr.Chain(cr.Dense(2, cr.tanh), cr.Dense(3)), classes())
    first, second = run.check(classes(), seed=3, samples=4), run.check(classes(), seed=3, samples=4)
    assert str(first) == str(second)
    assert first.samples == second.samples
    assert json.loads(json.dumps(first.to_dict()))["passed"] is True
    assert max(map(len, str(first).splitlines())) <= 100
    assert run.check(classes(), samples=[0, 5]).samples == (0, 5)


def test_bad_settings_are_refused() -> None:
    data = classes()
    run = cr.prepare(cr.Chain(cr.Dense(3)), data)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"samples": 0}, "samples"),
        ({"directions": -1}, "directions"),
        ({"coordinates": 1.5}, "coordinates"),
        ({"directions": 0, "coordinates": 0}, "nothing"),
        ({"tolerance": 0.0}, "tolerance"),
    ]
    for settings, word in wrong:
        with pytest.raises(ConfigurationError, match=word):
            run.check(data, **settings)
    with pytest.raises(DataError, match="no sample 6: the data has 6"):
        run.check(data, samples=[6])
    with pytest.raises(ShapeError, match="inputs are"):
        run.check(classes(inputs=4))


def test_a_loss_that_is_not_finite_is_named() -> None:
    run = cr.prepare(cr.Chain(cr.Dense(3)), classes())
    run.set_parameters({"0.weight": np.full((3, 3), np.nan)})
    with pytest.raises(NotFiniteError, match="first NaN in input of"):
        run.check(classes())


# ---- any graph ----------------------------------------------------------------------------------------------------


def _arrays(graph: Graph) -> Mapping[str, Any]:
    random = np.random.default_rng(0)
    return {name: random.normal(size=node.shape).astype(node.dtype) for name, node in graph.inputs.items()}


def _graph(dtype: str) -> Graph:
    x, w = G.input("x", (4, 3), dtype), G.input("w", (3, 2), dtype)
    y = G.tanh(x @ w) * 0.5 + G.cast(G.cast(G.exp(-(x @ w)), "float64"), dtype)
    return Graph({"y": y, "top": G.max(x, 1)})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_graph_can_be_checked(dtype: str) -> None:
    graph = _graph(dtype)
    assert check_graph(graph, _arrays(graph)).passed
    assert [row.name for row in check_graph(graph, _arrays(graph), wrt=["w"]).rows] == ["w"]
    with broken("tanh", wrong_factor):
        assert not check_graph(graph, _arrays(graph)).passed


def test_scans_are_checked_with_their_bodies_widened() -> None:
    x, h, w = G.input("x", (5, 2)), G.input("h", (3,)), G.input("w", (2, 3))

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        new = G.tanh(carries[0] * 0.5 + G.contract(slices[0], w, "i,io->o"))
        return [new], [G.exp(new)]

    (last,), (rows,) = G.scan(body, [h], [x])
    graph = Graph({"last": last, "rows": rows})
    assert check_graph(graph, _arrays(graph)).passed
    with broken("tanh", wrong_factor):
        assert not check_graph(graph, _arrays(graph)).passed


def test_what_cannot_be_told_does_not_pass() -> None:
    """A slope of 1e-20 beside a value of 1 cannot be seen by differences: nothing is claimed of it."""
    x = G.input("x", (), "float64")
    check = check_graph(Graph({"y": 1 + 1e-20 * G.sin(x)}), {"x": np.array(0.3)})
    assert check.rows[0].status == "unresolved"
    assert not check.passed
    assert math.isnan(check.worst)
    assert "could not be measured" in str(check)


def test_a_graph_without_such_an_input_is_refused() -> None:
    graph = Graph({"y": G.cast(G.input("n", (2,), "int32"), "float32")})
    with pytest.raises(GraphError, match="no float input"):
        check_graph(graph, {"n": np.zeros(2, np.int32)})
    with pytest.raises(GraphError, match=r"no float input 'n'.*n \(int32\)"):
        check_graph(graph, {"n": np.zeros(2, np.int32)}, wrt=["n"])
