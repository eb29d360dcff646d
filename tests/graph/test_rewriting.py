"""Rewriting: each small rewrite as before and after, values kept, NaN and infinity with the meaning they had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.reference import ReferenceEngine
from chainrule.engines.reference.engine import evaluate
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node, rewrite, rewrites, scope, topological, verify
from tests.conformance.cases import CASES, Case
from tests.conformance.laws import named, weighted

D = "float64"
X, Y = g.input("x", (3, 4), D), g.input("y", (3, 4), D)
V, W = g.input("v", (4,), D), g.input("w", (4, 2), D)
S = g.input("s", (), D)
T = g.input("t", (3, 4), "int32")
P, Q = g.input("p", (3, 4), "bool"), g.input("q", (3, 4), "bool")
INPUTS = (X, Y, V, W, S, T, P, Q)


def rows(x: Node) -> Node:
    return g.broadcast(x, (0,), (3,))


def minus(x: Node) -> Node:
    return g.make("neg", (x,))


def fill(number: float, like: Node = X) -> Node:
    return g.full(like.shape, number, like.dtype)


CHANGES: list[tuple[str, Node, Node]] = [
    ("x + 0", X + 0, X),
    ("0 + x", 0 + X, X),
    ("x − 0", X - 0, X),
    ("x·1", X * 1, X),
    ("1·x", 1 * X, X),
    ("x/1", X / 1, X),
    ("−1·x", -1 * X, -X),
    ("−−x", minus(-X), X),
    ("x + (−y)", X + -Y, X - Y),
    ("(−x) + y", -X + Y, Y - X),
    ("x − (−y)", X - -Y, X + Y),
    ("(−x)·(−y)", -X * -Y, X * Y),
    ("x¹", X**1, X),
    ("x⁰", X**0, fill(1.0)),
    ("whole numbers", (T + 0) * 1, T),
    ("not not p", ~~P, P),
    ("p and true", P & True, P),
    ("p or false", P | False, P),
    ("p and false", P & False, g.full((3, 4), False, "bool")),
    ("p or true", P | True, g.full((3, 4), True, "bool")),
    ("bits or 0", g.logical_xor(g.logical_or(T, 0), 0), T),
    ("shift by 0", g.shift_left(T, 0), T),
    ("select(true)", g.select(g.full((3, 4), True, "bool"), X, Y), X),
    ("select(false)", g.select(g.full((3, 4), False, "bool"), X, Y), Y),
    ("select of one", g.select(P, X, X), X),
    ("select(not p)", g.select(~P, X, Y), g.select(P, Y, X)),
    ("select in select", g.select(P, g.select(P, X, Y), Y * Y), g.select(P, X, Y * Y)),
    ("select else select", g.select(P, X, g.select(P, Y, Y * Y)), g.select(P, X, Y * Y)),
    ("cast to same", g.make("cast", (X,), dtype=D), X),
    ("cast there and back", g.cast(g.cast(T, "int64"), "int32"), T),
    ("cast through wider", g.cast(g.cast(g.cast(X, "float32"), D), "float32"), g.cast(X, "float32")),
    ("stop_gradient", g.stop_gradient(X) * 2, X * 2),
    ("sum over nothing", g.make("sum", (X,), axes=()), X),
    ("sum of one each", g.sum(g.reshape(V, (4, 1)), 1), V),
    ("sum of sum", g.sum(g.sum(X, 1)), g.sum(X)),
    ("sum of reshape", g.sum(g.reshape(X, (2, 6))), g.sum(X)),
    ("sum of −x", g.sum(-X, 0), -g.sum(X, 0)),
    ("sum of broadcast", g.sum(rows(V), 0), V * 3),
    ("sum of broadcast over both", g.sum(rows(V)), g.sum(V) * 3),
    ("sum beside broadcast", g.sum(rows(V), 1), g.broadcast(g.sum(V), (0,), (3,))),
    ("sum of number", g.sum(fill(2.0)), g.constant(2.0, D) * 12),
    ("sum of x·repeated", g.sum(X * rows(V), 0), g.sum(X, 0) * V),
    ("sum of x/repeated", g.sum(X / rows(V)), g.sum(g.sum(X, 0) / V)),
    ("sum of pad", g.sum(g.pad(X, [1, 0], [0, 2])), g.sum(X)),
    (
        "sum of pads, side by side",
        g.pad(V, [4], [2]) + g.pad(W[:, 0], [0], [6]) + g.pad(W[1:3, 1], [8], [0]),
        g.concatenate([W[:, 0], V, W[1:3, 1]], 0),
    ),
    ("max of max", g.max(g.max(X, 0)), g.max(X)),
    ("max of broadcast", g.max(rows(V), 0), V),
    ("sum of contract, within", g.sum(g.contract(X, W, "bi,io->bo"), 0), g.contract(g.sum(X, 0), W, "i,io->o")),
    ("sum of contract, shared", g.sum(g.contract(X, Y, "ij,ij->ij")), g.sum(X * Y)),
    ("sum of batched contract", g.sum(g.contract(X, Y, "bi,bi->b")), g.contract(X, Y, "bi,bi->")),
    ("contract(transpose)", g.contract(g.transpose(X), W, "ib,io->bo"), g.contract(X, W, "bi,io->bo")),
    ("contract(, transpose)", g.contract(X, g.transpose(W), "bi,oi->bo"), g.contract(X, W, "bi,io->bo")),
    ("transpose(contract)", g.transpose(g.contract(X, W, "bi,io->bo")), g.contract(X, W, "bi,io->ob")),
    ("contract(broadcast), beside", g.contract(rows(V), W, "bi,io->bo"), rows(g.contract(V, W, "i,io->o"))),
    ("contract(broadcast), along", g.contract(g.broadcast(S, (0,), (4,)), V, "i,i->"), S * g.sum(V)),
    ("contract(broadcast), shared", g.contract(X, rows(V), "bi,bi->b"), g.contract(X, V, "bi,i->b")),
    ("contract with ones", g.contract(X, fill(1.0, W), "bi,io->bo"), g.broadcast(g.sum(X, 1), (1,), (2,))),
    ("contract of all letters", g.contract(X, g.transpose(Y), "ij,ji->ij"), X * Y),
    ("contract with a scalar", g.contract(S, W, ",io->oi"), g.transpose(W) * g.broadcast(S, (0, 1), (2, 4))),
    ("reshape of reshape", g.reshape(g.reshape(X, (12,)), (6, 2)), g.reshape(X, (6, 2))),
    ("reshape and back", g.reshape(g.reshape(X, (12,)), (3, 4)), X),
    ("transpose of transpose", g.transpose(g.transpose(X)), X),
    ("transpose of broadcast", g.transpose(rows(V)), g.broadcast(V, (1,), (3,))),
    ("reverse of reverse", g.reverse(g.reverse(X, (0, 1)), 1), g.reverse(X, 0)),
    ("reverse of broadcast", g.reverse(rows(V), 0), rows(V)),
    ("broadcast of broadcast", g.broadcast(rows(V), (1,), (5,)), g.broadcast(V, (0, 1), (3, 5))),
    ("slice of everything", X[:, :], X),
    ("slice of slice", X[1:, ::2][1:, 1:], X[2:3, 2:3]),
    ("slice of broadcast", rows(V)[1:, 1:], g.broadcast(V[1:], (0,), (2,))),
    ("slice of pad", g.pad(X, [1, 0], [2, 3], [0, 1])[1:4, 0:7:2], X),
    ("slice of concatenate", g.concatenate([X, Y])[4:6], Y[1:3]),
    ("pad by nothing", g.pad(X, [0, 0], [0, 0]), X),
    ("concatenate one", g.make("concatenate", (X,), axis=0), X),
    ("window over nothing", g.window(X, [], []), X),
    ("window of a number", g.window(fill(2.0), [0], [2]), g.full((2, 4, 2), 2.0, D)),
    ("zeros moved about", g.fold(g.window(fill(0.0), [0], [2]), [0], [2], [1], [1], [3]) + X, X),
    ("f(broadcast)", g.tanh(rows(V)), rows(g.tanh(V))),
    ("f(broadcast, broadcast)", rows(V) * rows(V * V), rows(V * (V * V))),
    ("f(broadcast, number)", rows(V) * 2 - 1, rows(V * 2 - 1)),
    ("one axis of two shared", rows(V) * g.broadcast(S, (0, 1), (3, 4)), rows(V * g.broadcast(S, (0,), (4,)))),
]  # fmt: skip
#: These need an engine that evaluates.
FOLDED: list[tuple[str, Node, Node]] = [
    ("numbers", fill(2.0) * 3 + X, fill(6.0) + X),
    ("arrays", g.constant(np.arange(4.0)) * 2 + V, g.constant(np.arange(4.0) * 2) + V),
    ("a mean", g.sum(fill(2.0)), g.constant(24.0, D)),
    ("a decided choice", g.select(fill(1.0) < 2, X, Y), X),
    ("a move", g.transpose(g.constant(np.arange(6.0).reshape(2, 3))), g.constant(np.arange(6.0).reshape(2, 3).T)),
]
KEPT: list[tuple[str, Node]] = [
    ("x·0", X * 0), ("0·x", 0 * X), ("x − x", X - X), ("x/x", X / X), ("0/x", 0 / X), ("x = x", g.eq(X, X)),
    ("exp(log x)", g.exp(g.log(X))), ("log(exp x)", g.log(g.exp(X))), ("(x²)^½", (X**2) ** 0.5),
    ("contract with zeros", g.contract(X, g.constant(np.zeros((4, 2))), "bi,io->bo")),
    ("cast that loses", g.cast(g.cast(X, "float32"), D)), ("cast by way of int", g.cast(g.cast(X, "int32"), D)),
    ("slice of padding", g.pad(X, [1, 0], [0, 0])[0:2]), ("slice across parts", g.concatenate([X, Y])[2:4]),
    ("(x + y) − y", (X + Y) - Y), ("a broadcast", rows(V)), ("x·y/y", X * Y / Y),
]  # fmt: skip


def _after(node: Node, fold: bool = False) -> Node:
    return verify(rewrite(Graph({"y": node}), evaluate if fold else None)).outputs["y"]


def _arrays() -> dict[str, Any]:
    random = np.random.default_rng(3)
    arrays: dict[str, Any] = {}
    for x in INPUTS:
        whole = random.integers(0, 2 if x.dtype == "bool" else 9, x.shape).astype(x.dtype)
        arrays[x.attributes["name"]] = random.standard_normal(x.shape) if x.dtype == D else whole
    return arrays


def check_same_values(before: Node, after: Node) -> None:
    values = ReferenceEngine().compile(Graph({"before": before, "after": after})).run(_arrays())
    np.testing.assert_allclose(values["after"], values["before"], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("before", "after"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES])
def test_a_rewrite_gives_what_it_should_and_keeps_the_value(before: Node, after: Node) -> None:
    assert _after(before) is after
    check_same_values(before, after)


@pytest.mark.parametrize(("before", "after"), [each[1:] for each in FOLDED], ids=[each[0] for each in FOLDED])
def test_constants_are_folded_by_an_engine_that_evaluates(before: Node, after: Node) -> None:
    assert _after(before, fold=True) is after
    check_same_values(before, after)


@pytest.mark.parametrize("node", [each[1] for each in KEPT], ids=[each[0] for each in KEPT])
def test_what_might_change_a_value_is_left_alone(node: Node) -> None:
    assert _after(node) is node
    assert _after(node, fold=True) is node


def test_nan_and_infinity_keep_their_meaning() -> None:
    for number in (np.nan, np.inf):
        arrays = {"s": np.array(number)}
        for node in (S * 0, S - S, 0 * S, S / S, g.sum(g.full((3,), 0.0, D) * g.broadcast(S, (0,), (3,)))):
            (value,) = ReferenceEngine(rewrite=True).compile(Graph({"y": node})).run(arrays).values()
            assert np.isnan(value)


def test_what_is_summed_of_a_convolution_is_the_product_and_not_its_windows() -> None:
    images, kernel = g.input("images", (2, 6, 3), D), g.input("kernel", (3, 3, 4), D)
    product = g.contract(g.window(images, [1], [3]), kernel, "nhci,ico->nho")
    (total,) = rewrite(Graph({"total": g.sum(product, (0, 1))})).outputs.values()
    assert (total.op, total.inputs[0].op) == ("sum", "contract")


def test_pads_that_overlap_or_leave_a_gap_stay_a_sum() -> None:
    # As many elements as there are places, one of them taken twice; and fewer, with a gap.
    for low, size in ((3, 8), (5, 10)):
        node = g.pad(V, [0], [size - 4]) + g.pad(V, [low], [size - 4 - low])
        assert _after(node).op == "add"


def test_a_sum_of_nothing_stays_zero() -> None:
    arrays = {"s": np.array(np.nan)}
    nothing = g.broadcast(S, (0,), (0,))
    empty = g.input("e", (0,), D)
    for node in (g.sum(nothing), g.contract(nothing, empty, "i,i->"), g.sum(empty * nothing)):
        (value,) = ReferenceEngine(rewrite=True).compile(Graph({"y": node})).run({**arrays, "e": np.zeros(0)}).values()
        assert value == 0


def test_broadcasts_are_not_materialised_and_large_constants_not_made() -> None:
    large = g.full((1000, 1000), 2.0, D)
    assert _after(large * 3, fold=True) is g.full((1000, 1000), 6.0, D)
    table = g.constant(np.arange(2000.0))
    wide = g.window(table, [0], [100])
    assert _after(wide, fold=True) is wide


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_engine_gives_the_same_with_rewriting(case: Case) -> None:
    inputs, arrays = case.inputs(), case.arrays()
    node = case.node(inputs)
    outputs = {"y": node}
    if node.dtype == D and inputs:
        floats = [x for x in inputs if x.dtype == D]
        outputs |= {f"d{n}": slope for n, slope in enumerate(gradients(weighted(node), floats))}
    graph = Graph(outputs)
    plain = ReferenceEngine().compile(graph).run(named(inputs, arrays))
    rewritten = ReferenceEngine(rewrite=True).compile(graph).run(named(inputs, arrays))
    for name, value in plain.items():
        assert rewritten[name].dtype == value.dtype
        np.testing.assert_allclose(rewritten[name], value, rtol=1e-12, atol=1e-13)


def _loop(body: Callable[[list[Node], list[Node]], Any]) -> Graph:
    h, xs = g.input("h", (4,), D), g.input("xs", (5, 4), D)
    with Build() as build, scope("loop"):
        carries, stacked = g.scan(body, [h, h * 2], [xs])
    outputs = {f"c{n}": x for n, x in enumerate(carries)} | {f"s{n}": x for n, x in enumerate(stacked)}
    return Graph.of(outputs, build)


def test_bodies_of_scans_are_rewritten_too() -> None:
    graph = _loop(lambda c, s: ([g.tanh(c[0] * 1 + minus(-s[0])), c[1] + 0], [c[0] * 1, s[0] + 0, V - 0, s[0] * 0 + 1]))
    small = verify(rewrite(graph, evaluate))
    ops = [node.op for node in topological(small.outputs.values(), bodies=True)]
    assert "neg" not in ops
    # The second carry is handed on as it is, the second output is the sequence, the third is repeated.
    assert small.outputs["c1"].op == "mul"
    assert small.outputs["s1"] is g.input("xs", (5, 4), D)
    assert small.outputs["s2"] is g.broadcast(V, (0,), (5,))
    assert {str(small.origins[node]) for node in small.nodes if node.op == "scan"} == {"loop"}
    arrays = {"h": np.linspace(0, 1, 4), "xs": np.linspace(-1, 1, 20).reshape(5, 4), "v": np.arange(4.0)}
    before, after = (ReferenceEngine().compile(each).run(arrays) for each in (graph, small))
    for name, value in before.items():
        np.testing.assert_allclose(after[name], value, rtol=1e-13)


def test_what_is_rewritten_keeps_its_origin_and_its_region() -> None:
    with Build() as build:
        x = g.input("x", (2, 3), D)
        with scope("0"):
            y = g.composites.softmax(minus(-x) * 1)
        with scope("1"):
            z = g.tanh(g.broadcast(g.max(y, 1), (1,), (3,)))
    small = rewrite(Graph.of({"z": z}, build))
    assert {str(small.origins[node]) for node in small.nodes if node.op == "tanh"} == {"1"}
    (region,) = small.regions.values()
    assert (region.name, region.inputs) == ("softmax", (x,))
    assert all(node in small.origins for node in small.nodes)


def test_a_composite_that_comes_to_nothing_is_no_region() -> None:
    with Build() as build:
        x = g.input("x", (2,), D)
        y = g.composites.composite(lambda x: x * 1)(x)
    assert list(build.regions) == [y]
    assert not rewrite(Graph.of({"y": y}, build)).regions


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rewriting_twice_changes_nothing_more(case: Case) -> None:
    inputs = case.inputs()
    node = case.node(inputs)
    once = rewrite(Graph({"y": weighted(node) if node.dtype == D else node}), evaluate)
    twice = rewrite(once, evaluate)
    assert all(twice.outputs[name] is each for name, each in once.outputs.items())


def test_a_wrong_rewrite_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rewrites.REWRITES, "tanh", (lambda node, make: node.inputs[0],))
    with pytest.raises(AssertionError):
        test_the_engine_gives_the_same_with_rewriting(next(case for case in CASES if case.op == "tanh"))


def test_a_rewrite_that_swallows_nan_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def swallow(node: Node, make: rewrites.Make) -> Node | None:
        return next((x for x in node.inputs if rewrites.common.is_number(x, 0)), None)

    monkeypatch.setitem(rewrites.REWRITES, "mul", (swallow,))
    with pytest.raises(AssertionError):
        test_nan_and_infinity_keep_their_meaning()
    with pytest.raises(AssertionError):
        test_what_might_change_a_value_is_left_alone(X * 0)
