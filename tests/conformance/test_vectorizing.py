from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import GraphError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import BATCHING, OPS, Graph, Node, vectorize

from .cases import CASES, Case
from .loops import LOOPS, loss_of
from .running import arrays_for, evaluate

Array = NDArray[Any]
SIZE = 3


def _subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    return [some for count in range(len(names) + 1) for some in itertools.combinations(names, count)]


def _assert_batched(whole: Graph, batched: Sequence[str], draws: Sequence[dict[str, Array]]) -> None:
    """The graph for a batch gives, in one run, what the graph gives for one member after the other."""
    members = [{name: draw if name in batched else draws[0][name] for name, draw in one.items()} for one in draws]
    expected = [evaluate(whole, member) for member in members]
    together = {
        name: np.stack([member[name] for member in members]) if name in batched else array
        for name, array in draws[0].items()
    }
    found = evaluate(vectorize(whole, batched, len(draws)), together)
    for name, node in whole.outputs.items():
        rows = np.stack([one[name] for one in expected])
        assert found[name].dtype == rows.dtype
        if node.dtype in graph.FLOATS:
            np.testing.assert_allclose(found[name], rows, rtol=1e-11, atol=1e-12)
        else:
            np.testing.assert_array_equal(found[name], rows)


@pytest.mark.tiny
def test_every_op_has_a_batching_rule_and_a_case() -> None:
    assert set(BATCHING) == set(OPS)
    assert {case.op for case in CASES} == set(OPS)


def _check_case(case: Case) -> None:
    inputs = case.inputs()
    names = [node.attributes["name"] for node in inputs]
    draws = [dict(zip(names, case.arrays(seed=seed), strict=True)) for seed in range(SIZE)]
    for batched in _subsets(names):
        _assert_batched(Graph({"y": case.node(inputs)}), batched, draws)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_batch_gives_what_a_loop_over_its_members_gives(case: Case) -> None:
    _check_case(case)


@pytest.mark.parametrize("op", ["sum", "gather", "mul", "contract"])
def test_a_wrong_batching_rule_is_found(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = BATCHING[op]
    # The members come out in the wrong order.
    monkeypatch.setitem(BATCHING, op, lambda flags, *x, **form: graph.reverse(right(flags, *x, **form), 0))
    case = next(case for case in CASES if case.op == op)
    with pytest.raises(AssertionError):
        _check_case(case)


@pytest.mark.parametrize("name", LOOPS)
def test_a_scan_is_batched_for_every_choice_of_operands(name: str) -> None:
    """Alone and all together, each with its gradients: carries then need the axis in some loops and not in others."""
    loop = LOOPS[name](2)
    outputs = loop.scanned()
    found = gradients(loss_of(outputs), loop.floats)
    whole = Graph({str(n): node for n, node in enumerate([*outputs, *found])})
    names = [node.attributes["name"] for node in loop.inputs]
    draws = [arrays_for(loop.inputs, seed) for seed in range(SIZE)]
    for batched in ([], *([name] for name in names), names):
        _assert_batched(whole, batched, draws)


def test_a_carry_is_batched_only_if_something_batched_reaches_it() -> None:
    loop = LOOPS["delay"](3)  # a and b hand each other on; the third carry stays alone; the fourth takes the slice
    names = [node.attributes["name"] for node in loop.inputs]

    def carried(batched: str) -> list[bool]:
        whole = vectorize(Graph({str(n): node for n, node in enumerate(loop.scanned())}), [batched], SIZE)
        (scan,) = (node for node in whole.nodes if node.op == "scan")
        return [node.rank == 2 for node in scan.attributes["next"]]

    assert {name: carried(name) for name in names} == {
        "a": [True, True, False, False],
        "b": [True, True, False, False],
        "c": [False, False, True, False],
        "d": [False, False, False, True],
        "x": [False, False, False, True],
    }


@pytest.mark.tiny
def test_what_is_not_batched_is_computed_once_and_repeated_at_the_end() -> None:
    x, w = graph.input("x", (3,)), graph.input("w", (3,))
    whole = vectorize(Graph({"y": x * graph.exp(w), "z": graph.exp(w)}), ["x"], 5)
    assert {node.shape for node in whole.nodes if node.op == "exp"} == {(3,)}
    assert whole.outputs["z"].shape == (5, 3)
    assert whole.outputs["z"].op == "broadcast"


def _network() -> tuple[Graph, list[Node]]:
    """A small network for one sample: its loss and the gradients of its parameters."""
    x, label = graph.input("x", (6,), "float64"), graph.input("label", (), "int32")
    shapes = {"w": (6, 5), "b": (5,), "v": (5, 4)}
    weights = [graph.input(name, shape, "float64") for name, shape in shapes.items()]
    with graph.scope("0"):
        hidden = graph.tanh(graph.contract(x, weights[0], "i,ij->j") + weights[1])
    with graph.scope("1"):
        logits = graph.contract(hidden, weights[2], "i,ij->j")
    highest = graph.stop_gradient(graph.max(logits))
    total = graph.log(graph.sum(graph.exp(logits - graph.broadcast(highest, [0], [4])))) + highest
    loss = total - graph.gather(logits, label)
    found = gradients(loss, weights)
    return Graph({"loss": loss, **dict(zip(("dw", "db", "dv"), found, strict=True))}), weights


def _samples(count: int) -> dict[str, Array]:
    random = np.random.default_rng(3)
    shapes = {"w": (6, 5), "b": (5,), "v": (5, 4)}
    parameters = {name: random.normal(size=shape) for name, shape in shapes.items()}
    return {**parameters, "x": random.normal(size=(count, 6)), "label": random.integers(0, 4, count, np.int32)}


@pytest.mark.tiny
def test_gradients_per_sample_are_those_of_one_sample_at_a_time() -> None:
    one, _ = _network()
    arrays = _samples(7)
    many = evaluate(vectorize(one, ["x", "label"], 7), arrays)
    program = ReferenceEngine().compile(one)
    for row in range(7):
        alone = program.run({**arrays, "x": arrays["x"][row], "label": np.asarray(arrays["label"][row])})
        for name, array in alone.items():
            np.testing.assert_allclose(many[name][row], array, rtol=1e-12, atol=1e-14)


def test_an_ensemble_is_one_graph() -> None:
    one, _ = _network()
    random = np.random.default_rng(4)
    members = [
        {**_samples(1), "x": np.ones(6), "label": np.asarray(2, np.int32), "w": random.normal(size=(6, 5))}
        for _ in range(4)
    ]
    _assert_batched(one, ["w"], members)


def test_the_gradient_of_a_batch_is_the_sum_of_the_gradients_per_sample() -> None:
    one, weights = _network()
    arrays = _samples(5)
    per_sample = evaluate(vectorize(one, ["x", "label"], 5), arrays)
    batch = vectorize(Graph({"loss": one.outputs["loss"]}), ["x", "label"], 5)
    found = gradients(graph.sum(batch.outputs["loss"]), [batch.inputs["x"], *weights])
    dx, *slopes = evaluate(Graph({str(n): node for n, node in enumerate(found)}), arrays).values()
    for name, slope in zip(("dw", "db", "dv"), slopes, strict=True):
        np.testing.assert_allclose(per_sample[name].sum(0), slope, rtol=1e-12, atol=1e-13)
    (alone,) = gradients(one.outputs["loss"], [one.inputs["x"]])
    each = evaluate(vectorize(Graph({"dx": alone}), ["x", "label"], 5), arrays)["dx"]
    np.testing.assert_allclose(dx, each, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["lstm", "nested", "lengths", "tables"])
def test_gradient_and_vectorize_change_places_for_scans(name: str) -> None:
    loop = LOOPS[name](3)
    names = [node.attributes["name"] for node in loop.inputs]
    draws = [arrays_for(loop.inputs, seed) for seed in range(SIZE)]
    arrays = {name: np.stack([draw[name] for draw in draws]) for name in names}
    loss = loss_of(loop.scanned())
    first = vectorize(Graph({str(n): node for n, node in enumerate(gradients(loss, loop.floats))}), names, SIZE)
    batch = vectorize(Graph({"loss": loss}), names, SIZE)
    wrt = [batch.inputs[node.attributes["name"]] for node in loop.floats if node.attributes["name"] in batch.inputs]
    second = gradients(graph.sum(batch.outputs["loss"]), wrt)
    a = evaluate(first, arrays)
    b = evaluate(Graph({str(n): node for n, node in enumerate(second)}), arrays)
    for number in a:
        np.testing.assert_allclose(a[number], b[number], rtol=1e-10, atol=1e-11)


@pytest.mark.tiny
def test_random_bits_share_one_mask_unless_the_seed_is_batched() -> None:
    seed, x = graph.input("seed", (), "uint32"), graph.input("x", (8,))
    bits = graph.random_bits(graph.broadcast(seed, [0], [8]), graph.iota(8, "uint32"), "0/dropout")
    whole = Graph({"y": graph.select(graph.lt(bits, 2**31), x, 0)})
    seeds = np.arange(SIZE, dtype=np.uint32)
    ones = np.ones((SIZE, 8), np.float32)
    shared = evaluate(vectorize(whole, ["x"], SIZE), {"x": ones, "seed": seeds[1]})["y"]
    np.testing.assert_array_equal(shared, np.tile(shared[0], (SIZE, 1)))
    own = evaluate(vectorize(whole, ["x", "seed"], SIZE), {"x": ones, "seed": seeds})["y"]
    np.testing.assert_array_equal(own[1], shared[0])
    assert len({tuple(row) for row in own}) == SIZE


@pytest.mark.tiny
def test_origins_and_regions_come_along_inside_scans_too() -> None:
    with graph.Build() as build, graph.scope("3"):
        w = graph.input("w", (2, 2))

        def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
            h = graph.tanh(carries[0] @ w)
            build.regions[h] = graph.Region("cell", (carries[0],))
            return [h], []

        (h,), _ = graph.scan(body, [graph.input("h", (1, 2))], length=3)
        y = graph.exp(h)
        build.regions[y] = graph.Region("activation", (h,))
        one = Graph.of({"y": y}, build)
    whole = vectorize(one, ["h"], 4)
    nodes = graph.topological(whole.outputs.values(), bodies=True)
    assert {whole.origins[node].path for node in nodes} == {"3"}
    assert set(whole.origins) == set(nodes)
    assert whole.regions[whole.outputs["y"]].name == "activation"
    assert whole.regions[whole.outputs["y"]].inputs == whole.outputs["y"].inputs
    (cell,) = (node for node in whole.regions if node.op == "tanh")
    assert [node.op for node in whole.regions[cell].inputs] == ["param"]
    assert cell.shape == (4, 1, 2)


def test_one_call_inside_another() -> None:
    x, y = graph.input("x", (2,), "float64"), graph.input("y", (3,), "float64")
    outer = graph.contract(x, graph.sin(y), "i,j->ij")
    whole = vectorize(vectorize(Graph({"z": outer}), ["x"], 4), ["y"], 5)
    assert whole.outputs["z"].shape == (5, 4, 2, 3)
    arrays = {"x": np.arange(8.0).reshape(4, 2), "y": np.arange(15.0).reshape(5, 3)}
    expected = np.einsum("ai,bj->baij", arrays["x"], np.sin(arrays["y"]))
    np.testing.assert_allclose(evaluate(whole, arrays)["z"], expected)


@pytest.mark.tiny
def test_what_cannot_be_vectorized_is_said() -> None:
    x = graph.input("x", (2,))
    with pytest.raises(GraphError, match="no input 'w'; its inputs are 'x'"):
        vectorize(Graph({"y": x}), ["w"], 3)
    with pytest.raises(ShapeError, match="cannot have -1 members"):
        vectorize(Graph({"y": x}), ["x"], -1)
