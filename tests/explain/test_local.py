"""Local derivatives, element by element, of every op: those of a rule pulled back one element at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as G  # noqa: N812
from chainrule.engines.reference import ReferenceEngine
from chainrule.explain.local import edges, operands_of
from chainrule.explain.point import values_of
from chainrule.gradients import pull_back
from chainrule.graph import FLOATS, Graph, Node
from tests.conformance.cases import CASES, Case

Array = NDArray[Any]


def _jacobian(y: Node, x: Node, arrays: dict[str, Array]) -> Array:
    """∂y/∂x as a matrix, a row an element of y: one pull back after another."""
    g = G.input("g", y.shape, y.dtype)
    program = ReferenceEngine().compile(Graph({"out": pull_back({y: g}, [x])[0]}))
    rows = []
    for n in range(y.size):
        one = np.zeros(y.size, y.dtype)
        one[n] = 1
        rows.append(program.run({**arrays, "g": one.reshape(y.shape)})["out"].ravel())
    return np.array(rows).reshape(y.size, x.size)


def _assert_edges(y: Node, inputs: list[Node], arrays: dict[str, Array], rows: Any = None) -> None:
    values = values_of(Graph({"y": y}), arrays)
    for position, below in enumerate(operands_of(y)):
        if below not in inputs or below.dtype not in FLOATS or operands_of(y).index(below) != position:
            continue
        chosen = np.arange(below.size) if rows is None else rows(below.size)
        found = np.zeros((y.size, below.size))
        for part in edges(y, position, chosen, values):
            found[part.targets, chosen[part.rows]] += part.derivatives
        wanted = np.zeros((y.size, below.size))
        wanted[:, chosen] = _jacobian(y, below, arrays)[:, chosen]
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


def _is_differentiated(case: Case) -> bool:
    made = case.node(case.inputs())
    return bool(made.inputs) and made.dtype in FLOATS and any(operand.dtype in FLOATS for operand in case.operands)


FLOATING = [case for case in CASES if _is_differentiated(case)]


@pytest.mark.parametrize("case", FLOATING, ids=str)
@pytest.mark.parametrize("some", [False, True], ids=["all", "some"])
def test_the_edges_of_every_op_are_its_jacobian(case: Case, some: bool) -> None:
    inputs = case.inputs()
    y = case.node(inputs)
    arrays = dict(zip((f"x{n}" for n in range(len(inputs))), case.arrays(), strict=True))
    _assert_edges(y, inputs, arrays, (lambda size: np.arange(size)[::2]) if some else None)


@pytest.mark.tiny
@pytest.mark.parametrize("letters", ["ij,jk->ik", "bi,io->bo", "bij,bjk->bik", "i,j->ij", "ij,ij->", "abc,cbd->ad"])
def test_a_contraction_is_probed_from_either_side(letters: str) -> None:
    """With one letter long, the summed letters are fewer than the free ones, or more."""
    for long in sorted(set(letters) & set("abcijk")):
        size = {letter: 5 if letter == long else 2 for letter in letters}
        first, second = (tuple(size[k] for k in part) for part in letters.partition("->")[0].split(","))
        a, b = G.input("a", first, "float64"), G.input("b", second, "float64")
        random = np.random.default_rng(0)
        arrays = {"a": random.normal(size=first), "b": random.normal(size=second)}
        _assert_edges(G.contract(a, b, letters), [a, b], arrays)


@pytest.mark.tiny
def test_an_edge_whose_derivative_is_zero_is_there() -> None:
    """So that a derivation can say at which 0 a path ends."""
    x, w = G.input("x", (1, 2), "float64"), G.input("w", (2, 1), "float64")
    arrays = {"x": np.array([[0.0, 1.0]]), "w": np.array([[1.0], [0.0]])}
    y = x @ w
    (part,) = edges(y, 1, np.array([0]), values_of(Graph({"y": y}), arrays))
    assert part.targets.tolist() == [0]
    assert part.derivatives.tolist() == [0.0]


@pytest.mark.tiny
def test_an_op_that_nobody_knows_is_probed_element_by_element(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op of one's own, of another family than those of the list, has edges by its rule alone."""
    monkeypatch.setattr("chainrule.explain.local._ONE_TARGET", frozenset())
    monkeypatch.setattr("chainrule.explain.local._ONE_SOURCE", frozenset())
    random = np.random.default_rng(0)
    x = G.input("x", (2, 3), "float64")
    for y in (G.sum(x, 1), G.max(x, 0), G.transpose(x), G.window(x, [1], [2])):
        _assert_edges(y, [x], {"x": random.normal(size=(2, 3))})
