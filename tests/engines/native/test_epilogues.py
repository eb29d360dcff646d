"""Epilogues: what is computed of a product is computed with its tiles, and is what it would be by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.engines.choose import choose
from chainrule.engines.native import NativeEngine, blocks, epilogues
from chainrule.graph import Graph, Node
from chainrule.graph.composites import relu

Array = NDArray[Any]


def _arrays() -> dict[str, Array]:
    random = np.random.default_rng(0)
    return {name: random.standard_normal(shape) for name, shape in (("x", (24, 40)), ("w", (40, 50)), ("b", (50,)))}


def _product() -> tuple[Node, Node]:
    x, w, b = (g.input(name, array.shape, "float64") for name, array in _arrays().items())
    return g.contract(x, w, "ij,jk->ik"), g.broadcast_to(b, (24, 50))


def _groups(graph: Graph) -> list[list[str]]:
    compiled: Any = NativeEngine(cores=1).compile(graph)
    return [[node.op for node in group] for group in compiled.written.block.groups]


def _check(graph: Graph) -> None:
    expected = choose("reference").compile(graph).run(_arrays())
    for cores in (1, 2, 3):
        found = NativeEngine(cores=cores).compile(graph).run(_arrays())
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-13)


def test_a_bias_and_an_activation_go_with_the_product() -> None:
    product, bias = _product()
    graph = Graph({"y": relu(product + bias)})
    assert _groups(graph) == [["contract", "select"]]
    compiled: Any = NativeEngine(cores=1).compile(graph)
    assert compiled.plan.stored == 0, "the product lies where the activation will"
    _check(graph)


def test_a_product_that_is_read_again_is_stored_besides() -> None:
    product, bias = _product()
    graph = Graph({"y": relu(product + bias), "largest": g.max(product, 1)})
    assert ["contract", "select"] in _groups(graph)
    _check(graph)
    _check(Graph({"y": relu(product + bias), "product": product}))


def test_two_results_of_one_product() -> None:
    product, bias = _product()
    graph = Graph({"y": g.tanh(product), "z": product * product + bias, "sign": product < 0})
    assert _groups(graph)[0][0] == "contract"
    _check(graph)


def test_what_is_read_at_other_places_stays_a_loop_of_its_own() -> None:
    product, _ = _product()
    turned = Graph({"y": g.reverse(product, (0,)) + product})
    assert _groups(turned) == [["contract"], ["add"]]
    _check(turned)
    other_shape = Graph({"y": g.reshape(product, (50, 24)) * 2.0})
    assert ["contract"] in _groups(other_shape)
    _check(other_shape)


def test_a_join_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    product, _ = _product()
    turned = Graph({"y": g.reverse(product, (0,)) + product})
    monkeypatch.setattr(epilogues, "_joins", lambda *_: True)
    with pytest.raises(AssertionError):
        _check(turned)


def test_a_product_whose_place_is_lost_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The maps of a product that is read again, without the product."""
    whole = epilogues.with_epilogues

    def careless(found: Any, stored: set[Node], kept: Any) -> Any:
        made = whole(found, stored, kept)
        stored -= {group[0] for group in made if group[0].op == "contract" and len(group) > 1}
        return made

    product, bias = _product()
    graph = Graph({"y": relu(product + bias), "largest": g.max(product, 1)})
    monkeypatch.setattr(blocks, "with_epilogues", careless)
    with pytest.raises((AssertionError, KeyError)):
        _check(graph)
