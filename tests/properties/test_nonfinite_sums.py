"""What rewriting promises of sums and products in which NaN, infinity and 0 meet: see `chainrule.graph.rewrites`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph import Graph, Node, rewrite, rewrites
from chainrule.graph.rewrites.common import is_number
from tests.properties.random_steps import D

_NUMBERS = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -3.0, 0.5, np.inf, -np.inf, np.nan])
_MOSTLY = np.array([3, 1, 3, 3, 3, 2, 2, 2, 2, 1]) / 22

A, B, X, Z = g.input("a", (2,), D), g.input("b", (3,), D), g.input("x", (2, 3), D), g.input("z", (), D)


def _rows(a: Node) -> Node:
    return g.broadcast(a, [1], [3])


PATTERNS: dict[str, Callable[[], Node]] = {
    "a factor": lambda: g.sum(_rows(A) * X, 1),
    "a factor behind": lambda: g.sum(X * _rows(A), 1),
    "a factor of a whole sum": lambda: g.sum(X * _rows(A)),
    "a number": lambda: g.sum(X * g.broadcast(Z, [0, 1], [2, 3])),
    "a factor 0": lambda: g.sum(X * g.full((2, 3), 0, D), 1),
    "a divisor": lambda: g.sum(X / _rows(A), 1),
    "what repeats": lambda: g.sum(_rows(A), 1),
    "what is negative": lambda: g.sum(-X, 1),
    "what was summed": lambda: g.sum(g.sum(X, 1)),
    "what is padded": lambda: g.sum(g.pad(X, [0, 1], [0, 1]), 1),
    "an outer product": lambda: g.sum(g.contract(A, B, "i,j->ij"), 1),
    "rows of products": lambda: g.sum(g.contract(X, B, "ij,j->ij"), 0),
    "a product with what repeats": lambda: g.contract(_rows(A), X, "ij,ij->i"),
    "a product in which one side repeats": lambda: g.contract(g.broadcast(A, [0], [4]), X, "ki,ij->kj"),
    "a product with a number": lambda: g.contract(Z, X, ",ij->ij"),
    "the largest of what repeats": lambda: g.max(_rows(A), 1),
}


def _graph() -> Graph:
    return Graph({name: make() for name, make in PATTERNS.items()})


def _native(graph: Graph) -> Any:
    return NativeEngine().compile(graph)


def _rewritten(graph: Graph) -> Any:
    return ReferenceEngine().compile(rewrite(graph))


def check(compile: Callable[[Graph], Any], draws: int = 250) -> set[str]:
    """Hold all patterns to the promise; gives those in which NaN became infinite, which is allowed."""
    graph = _graph()
    definition, program = ReferenceEngine().compile(graph), compile(graph)
    random, changed = np.random.default_rng(3), set()
    for _ in range(draws):
        given = {name: np.array(random.choice(_NUMBERS, x.shape, p=_MOSTLY)) for name, x in graph.inputs.items()}
        tame = {name: np.where(np.isinf(array), 1.0, array) for name, array in given.items()}
        tame["a"] = np.where(tame["a"] == 0, 1.0, tame["a"])  # a divisor
        expected, found, nans = definition.run(given), program.run(given), definition.run(tame)
        for name, array in expected.items():
            decided = ~np.isnan(array)
            np.testing.assert_allclose(found[name][decided], array[decided], rtol=1e-12, err_msg=name)
            assert np.isnan(found[name][np.isnan(nans[name])]).all(), f"{name}: a NaN was lost"
            assert not np.isfinite(found[name][~decided]).any(), f"{name}: NaN has become finite"
            if not np.isnan(found[name][~decided]).all():
                changed.add(name)
    return changed


@pytest.mark.parametrize("compile", [_rewritten, _native])
def test_what_is_not_finite_stays_so(compile: Callable[[Graph], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    small = rewrite(_graph())
    assert all(small.outputs[name] is not node for name, node in _graph().outputs.items() if name != "rows of products")
    # Here ∞ met 0, or another ∞; the factor that now stands outside meets the sum alone.
    assert {"a factor", "a number", "a divisor", "an outer product"} <= check(compile)


def test_a_rewrite_that_swallows_nan_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(node: Node, make: rewrites.Make) -> Node | None:
        return g.full(node.shape, 0, D) if is_number(node.inputs[1], 0) else None

    monkeypatch.setitem(rewrites.REWRITES, "mul", (careless,))
    with pytest.raises(AssertionError, match=r"a factor 0: (a NaN was lost|NaN has become finite)"):
        check(_rewritten, 50)
