"""How tiles go through a product: as tall as they may be, in smaller steps at the end, finished when that is cheap."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, contraction, tiles
from chainrule.engines.native.machine import host
from chainrule.engines.native.module import write_module
from chainrule.graph import Graph, Node
from chainrule.graph.composites import relu
from chainrule.keys import Key
from tests.engines.native.together import Together

#: Vectors of float32 on this processor.
LANES = host().vector_bytes // 4


def kernels(node: Node, op: str, cores: int = 1) -> list[str]:
    """The text of the loops of a node."""
    text = write_module(Graph({"y": node}), cores=cores).text
    return re.findall(rf"^define internal void @{op}_\d+\(.*?^}}", text, re.MULTILINE | re.DOTALL)


def product(rows: int, columns: int, terms: int = 30) -> Node:
    return g.contract(g.input("a", (rows, terms)), g.input("b", (terms, columns)), "ij,jk->ik")


def layer(rows: int, columns: int) -> Node:
    """A product, and what is computed of it."""
    return relu(product(rows, columns) + g.broadcast_to(g.input("c", (columns,)), (rows, columns)))


def test_a_tile_of_one_vector_is_twice_as_tall() -> None:
    def vectors(rows: int, columns: int) -> int:
        (text,) = kernels(product(rows, columns), "contract")
        return text.count("@llvm.fmuladd")

    assert vectors(48, LANES) == 16
    assert vectors(48, 10 if LANES > 8 else 3) == 16
    assert vectors(40, LANES) == 8  # no whole number of tiles of 16
    assert vectors(48, 2 * LANES) == 16  # two vectors side by side, eight rows


def test_what_is_left_of_a_row_is_done_four_vectors_at_a_time() -> None:
    """The part of a core is no whole number of the ten vectors that a single row's tile has."""
    columns = 100 * LANES
    (alone,), (shared,) = (kernels(product(1, columns, 900), "contract", cores) for cores in (1, 3))
    assert "i64 %lo, i64 %hi" in shared.splitlines()[0]
    assert alone.count("store <") == 10
    assert shared.count("store <") == 10 + 4 + 1


#: Rows and columns; and from which to which row and column they are finished at a time: numbers, where it is known.
FINISHED: dict[tuple[int, int], str] = {
    (24, 50): "whole",  # what is written still lies near when all of it is
    (203, 200): "panel by panel",  # what a panel of columns has does
    (1003, 100): "tile by tile",
}


@pytest.mark.parametrize(("rows", "columns"), FINISHED)
def test_tiles_are_finished_as_late_as_they_lie_near(rows: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, spans = contraction._finish, []

    def seen(e: Any, t: Any, at: Any, down: Any, across: Any, finish: Any) -> None:
        spans.append((down == (0, rows), across == (0, columns)))
        whole(e, t, at, down, across, finish)

    monkeypatch.setattr(contraction, "_finish", seen)
    assert len(kernels(layer(rows, columns), "contract")) == 1
    expected = {"whole": {(True, True)}, "panel by panel": {(True, False)}, "tile by tile": {(False, False)}}
    assert {*spans} == expected[FINISHED[rows, columns]]


@pytest.mark.parametrize("settings", [{"cores": 1}, {"cores": 3, "one_by_one": "backwards"}])
def test_whatever_is_finished_late_is_finished(settings: dict[str, Any]) -> None:
    together = Together()
    for rows, columns in (*FINISHED, (200, 200), (1000, 100), (48, 10), (1000, 10)):
        node = layer(rows, columns)
        shapes = {"a": (rows, 30), "b": (30, columns), "c": (columns,)}
        arrays = {name: Key(rows).child(name).normal(shape) for name, shape in shapes.items()}
        together.add(f"{rows}×{columns}", [node], {name: array.astype("float32") for name, array in arrays.items()})
    together.compare(NativeEngine(**settings)).check_all()


def test_one_place_of_many_samples_is_a_tile_of_samples() -> None:
    """The next symbol of several texts: the letter of the places has one, so that the rows are those of the texts."""
    x, weight = g.input("x", (16, 1, 64)), g.input("weight", (64, 48))
    product = g.contract(x, weight, "bti,io->bto")
    found = tiles.tile(product, {x, weight})
    assert found is not None
    assert found.out_axes[0] == found.row
    together = Together()
    random = np.random.default_rng(2)
    arrays = {name: random.standard_normal(node.shape, np.float32) for name, node in (("x", x), ("weight", weight))}
    together.add("next", [product], arrays)
    for settings in ({"cores": 1}, {"cores": 3, "one_by_one": "forwards"}):
        together.compare(NativeEngine(**settings)).check_all()
