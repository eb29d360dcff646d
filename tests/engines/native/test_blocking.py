"""Blocks of rows: the same bits as loop after loop, and no more memory than the blocks take."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.engines.choose import choose
from chainrule.engines.native import NativeEngine, blocking, blocks, program, sharing
from chainrule.engines.native.team import Pace
from chainrule.graph import Graph
from chainrule.graph.composites import log_softmax, softmax
from tests.engines.native import fuzzing

Array = NDArray[Any]


def _block_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sharing.unit

    def unit(node: g.Node, axis: int) -> int:
        return whole(node, axis) if node.op == "contract" and axis == node.rank - 1 else 1

    monkeypatch.setattr(blocking, "_WORTH", 0)
    monkeypatch.setattr(blocking, "_BLOCK", 1)
    monkeypatch.setattr(blocks, "SMALL", 0.0)
    monkeypatch.setattr(sharing, "_SHORT", 0.0)
    monkeypatch.setattr(sharing, "unit", unit)
    monkeypatch.setattr(program, "_WAKING", 0.0)
    monkeypatch.setattr(Pace, "next", lambda pace: pace._cores)


def _rows(seed: int = 0, shape: tuple[int, ...] = (48, 20)) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def _softmax(rows: int, columns: int) -> Graph:
    return Graph({"y": softmax(g.input("x", (rows, columns), "float64"))})


def _chains(compiled: Any) -> list[blocking.Chain]:
    return [chain for chain in compiled.written.block.chains if chain.rows]


def _run(graph: Graph, **settings: Any) -> Array:
    rows: Array = NativeEngine(**settings).compile(graph).run({"x": _rows()})["y"]
    return rows


@pytest.mark.parametrize("seed", range(2))
def test_random_graphs_are_the_same_bits_in_blocks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [group[:6] for group in fuzzing.trials(2 * fuzzing.TOGETHER, seed)]
    expected = [fuzzing.results(NativeEngine(cores=1), few) for few in trials]
    _block_everything(monkeypatch)
    settings: dict[str, Any]
    for settings in ({"cores": 1}, {"cores": 3, "one_by_one": ("forwards", "backwards")[seed]}):
        for few, whole in zip(trials, expected, strict=True):
            found = fuzzing.results(NativeEngine(**settings), few)
            assert [name for name in whole if found[name].tobytes() != whole[name].tobytes()] == []


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_softmax_goes_by_blocks_of_rows(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _block_everything(monkeypatch)
    graph = _softmax(48, 20)
    (chain,) = _chains(NativeEngine(cores=cores).compile(graph))
    assert len(chain.groups) == 4
    assert chain.local
    np.testing.assert_allclose(_run(graph, cores=cores), choose("reference").compile(graph).run({"x": _rows()})["y"])
    assert _run(graph, cores=cores).tobytes() == _run(graph, cores=1).tobytes()


def test_what_is_handed_on_takes_a_block_and_not_a_whole_array() -> None:
    compiled: Any = NativeEngine(cores=1).compile(_softmax(4096, 512))
    assert compiled.plan.arena < 200_000 < 4096 * 512 * 8
    few: Any = NativeEngine(cores=1).compile(_softmax(64, 16))
    assert _chains(few) == [], "a small array stays near by itself"
    read_twice: Any = NativeEngine(cores=1).compile(Graph({"y": log_softmax(g.input("x", (4096, 512)))}))
    assert len(_chains(read_twice)) == 1
    assert "-- the next 4 loops go together, 32 rows at a time --" in compiled.loops()


def test_rows_that_others_need_are_not_done_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    _block_everything(monkeypatch)
    x = g.input("x", (48, 48), "float64")
    turned = Graph({"y": g.exp(g.transpose(g.stop_gradient(softmax(x)), (1, 0)))})
    expected = choose("reference").compile(turned).run({"x": _rows(shape=(48, 48))})["y"]

    def found() -> Array:
        rows: Array = NativeEngine(cores=1).compile(turned).run({"x": _rows(shape=(48, 48))})["y"]
        return rows

    np.testing.assert_allclose(found(), expected)


def test_a_loop_that_is_wrongly_done_in_blocks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two loops the second reads the rows of the first backwards."""
    x = g.input("x", (48, 20), "float64")
    heights = g.max(x, 1)
    graph = Graph({"y": g.reverse(heights, (0,)) * g.sum(x, 1)})
    expected = _run(graph, cores=1)
    _block_everything(monkeypatch)
    assert _run(graph, cores=1).tobytes() == expected.tobytes()
    monkeypatch.setattr(blocking, "in_step", lambda *_: True)
    monkeypatch.setattr(blocks, "waits", lambda groups, *_: [False] * len(groups))
    assert _run(graph, cores=1).tobytes() != expected.tobytes()


@pytest.mark.parametrize("cores", [1, 2, 3, 7])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_pieces_and_added_rows_are_the_same_bits_on_any_number_of_cores(
    axis: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, u = g.input("x", (6, 5, 4), "float64"), g.input("u", (6, 5, 4), "float64")
    indices = g.input("i", (x.shape[axis],), "int32")
    graph = Graph(
        {
            "joined": g.concatenate([x, u * 2.0, x], axis),
            "added": g.scatter_add(u, indices, 9, axis),
        }
    )
    arrays = {"x": _rows(1, (6, 5, 4)), "u": _rows(2, (6, 5, 4)), "i": np.array([3, 8, 3, 0, -1, 9], np.int32)}
    arrays["i"] = arrays["i"][: x.shape[axis]]
    expected = choose("reference").compile(graph).run(arrays)
    for order in ("", "forwards", "backwards"):
        _block_everything(monkeypatch)
        compiled: Any = NativeEngine(cores=cores, one_by_one=order).compile(graph)
        assert cores == 1 or all(compiled.written.block.shares.values())
        found = compiled.run(arrays)
        assert found["joined"].tobytes() == expected["joined"].tobytes()
        np.testing.assert_allclose(found["added"], expected["added"], rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_the_first_of_the_largest_is_found_by_vectors(dtype: str) -> None:
    graph = Graph({"y": g.argmax(g.input("x", (40, 67), dtype), 1)})
    x = np.random.default_rng(0).integers(0, 9, (40, 67)).astype(dtype)
    if dtype != "int32":
        x[3, [20, 50]], x[4, 66], x[5], x[6, 0] = np.nan, np.nan, -np.inf, np.inf
    expected = choose("reference").compile(graph).run({"x": x})["y"]
    np.testing.assert_array_equal(NativeEngine().compile(graph).run({"x": x})["y"], expected)
