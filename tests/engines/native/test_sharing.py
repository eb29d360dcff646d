"""Work shared between cores: the same bits with any number of them, and every wait that is needed, there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from benchmarks import networks
from chainrule import graph as g
from chainrule.engines.native import NativeEngine, blocks, program, sharing, team
from chainrule.engines.native.team import Pace
from chainrule.graph import Graph, Node
from chainrule.layers import BatchNorm, Dropout
from tests.engines.native import fuzzing

Array = NDArray[Any]


@pytest.fixture(autouse=True)
def divide_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loop is worth sharing, in the smallest pieces that there are."""
    whole = sharing.unit

    def unit(node: Node, axis: int) -> int:
        return whole(node, axis) if node.op == "contract" and axis == node.rank - 1 else 1

    monkeypatch.setattr(sharing, "_SHORT", 0.0)
    monkeypatch.setattr(sharing, "unit", unit)
    monkeypatch.setattr(blocks, "SMALL", 0.0)
    monkeypatch.setattr(program, "_WAKING", 0.0)
    monkeypatch.setattr(Pace, "next", lambda pace: pace._cores)
    # Real threads, though the tests give each of their processes but one.
    monkeypatch.setenv("CHAINRULE_THREADS", "7")


def _run(graph: Graph, arrays: dict[str, Array], **settings: Any) -> dict[str, Array]:
    return NativeEngine(**settings).compile(graph).run(arrays)


def _same(found: dict[str, Array], expected: dict[str, Array]) -> list[str]:
    return [name for name in expected if found[name].tobytes() != expected[name].tobytes()]


def _step(name: str) -> tuple[Graph, dict[str, Array]]:
    return {
        "residual": lambda: networks.residual(batch=4, blocks=1, widths=(4, 8), size=8),
        "transformer": lambda: networks.transformer(batch=2, length=8, layers=1, width=16, heads=2, symbols=11),
    }[name]()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("cores", [2, 3, 7])
def test_random_graphs_are_the_same_bits_whichever_core_comes_first(cores: int, seed: int) -> None:
    order = ("forwards", "backwards")[seed]
    for group in fuzzing.trials(2 * fuzzing.TOGETHER, seed):
        few = group[:8]
        expected = fuzzing.results(NativeEngine(cores=1), few)
        assert _same(fuzzing.results(NativeEngine(cores=cores, one_by_one=order), few), expected) == []
        assert _same(fuzzing.results(NativeEngine(cores=cores), few), expected) == []


@pytest.mark.parametrize("fault", ["no waits", "none before the first core", "all in step", "in place too early"])
def test_a_wait_that_lacks_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, arrays = _overwriting() if fault == "in place too early" else _learning()
    expected = _repeat(graph, arrays, cores=1)
    assert all(_same(found, expected) == [] for found in _in_turn(graph, arrays))
    if fault == "no waits":
        monkeypatch.setattr(blocks, "waits", lambda groups, *_: [False] * len(groups))
    elif fault == "none before the first core":
        found = sharing.waits
        monkeypatch.setattr(
            blocks, "waits", lambda groups, reads, shares, places: _less(shares, found(groups, reads, shares, places))
        )
    elif fault == "all in step":
        monkeypatch.setattr(sharing, "in_step", lambda *_: True)
    else:
        found = sharing.waits
        monkeypatch.setattr(blocks, "waits", lambda groups, reads, shares, _: found(groups, reads, shares, {}))
    assert any(_same(found, expected) for found in _in_turn(graph, arrays))


def _less(shares: Sequence[sharing.Share | None], waits: list[bool]) -> list[bool]:
    """No wait before what the first core does alone."""
    return [wait and part is not None for part, wait in zip(shares, waits, strict=True)]


def _in_turn(graph: Graph, arrays: dict[str, Array]) -> list[dict[str, Array]]:
    return [_repeat(graph, arrays, cores=3, one_by_one=order) for order in ("forwards", "backwards")]


def _overwriting() -> tuple[Graph, dict[str, Array]]:
    """A weight that is read across, and then written in place from something else."""
    w, x = g.input("w", (12, 12), "float64"), g.input("x", (12, 12), "float64")
    random_numbers = np.random.default_rng(0)
    arrays = {name: random_numbers.standard_normal((12, 12)) for name in ("w", "x")}
    return Graph({"product": g.contract(x, w, "ik,kj->ij"), "w": w - x}), arrays


def _learning() -> tuple[Graph, dict[str, Array]]:
    """A weight that is read across before it is written in place, and a sum over what all cores wrote."""
    w, x = g.input("w", (12, 12), "float64"), g.input("x", (12, 12), "float64")
    h = g.contract(x, w, "ik,kj->ij")
    slope = g.contract(x, h - x, "ki,kj->ij")
    turned = g.transpose(w, (1, 0))
    random_numbers = np.random.default_rng(0)
    arrays = {name: random_numbers.standard_normal((12, 12)) for name in ("w", "x")}
    return Graph({"loss": g.sum(h * turned), "w": w - g.full((12, 12), 0.01, "float64") * slope}), arrays


def _repeat(graph: Graph, arrays: dict[str, Array], **settings: Any) -> dict[str, Array]:
    compiled = NativeEngine(**settings).compile(graph)
    state, logs = compiled.repeat({"w": arrays["w"]}, {}, {"x": np.stack([arrays["x"]] * 4)})
    return {**state, **logs}


def test_what_is_read_later_is_not_written_in_place() -> None:
    w = g.input("w", (4, 4))
    after = w + g.full((4, 4), 1.0, "float32")
    graph = Graph({"w": after, "sum": g.sum(after * g.transpose(w, (1, 0)))})
    start = np.arange(16, dtype=np.float32).reshape(4, 4)
    compiled = NativeEngine().compile(graph)
    assert compiled.run({"w": start})["sum"] == np.float32(((start + 1) * start.T).sum())
    assert start[0, 0] == 0


@pytest.mark.parametrize("name", ["residual", "transformer"])
def test_larger_steps_are_the_same_bits_on_any_number_of_cores(name: str) -> None:
    graph, arrays = _step(name)
    expected = _run(graph, arrays, cores=1)
    for settings in ({"cores": 2, "one_by_one": "backwards"}, {"cores": 3, "one_by_one": "forwards"}, {"cores": 2}):
        assert _same(_run(graph, arrays, **settings), expected) == []


def _trained(engine: Any, dtype: str = "float32") -> dict[str, Array]:
    """What a network with batch normalization and dropout, wide enough for panels, has become."""
    train, _ = cr.data.load("digits")
    wide = cr.Dense(320), BatchNorm(), Dropout(0.2), cr.Dense(64, cr.relu), cr.Dense(10)
    assert train.targets is not None
    few = cr.data.from_arrays(train.inputs[:480], train.targets[:480])
    run = cr.fit(
        cr.Chain(*wide),
        few,
        epochs=2,
        batch_size=48,
        seed=3,
        dtype=dtype,
        engine=engine,
        optimizer=cr.optimizers.Adam(1e-2),
    )
    return {name: array for name, array in run.arrays.items() if name != "step"}


@pytest.mark.parametrize("cores", [2, 3, 7])
def test_batch_normalization_is_the_same_bits_on_any_number_of_cores(cores: int) -> None:
    assert _same(_trained(NativeEngine(cores=cores)), _trained(NativeEngine(cores=1))) == []


def test_batch_normalization_on_all_cores_is_the_reference() -> None:
    expected = _trained("reference", "float64")
    for name, array in _trained(NativeEngine(cores=3), "float64").items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-7, atol=1e-9, err_msg=name)


def test_how_many_cores_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAINRULE_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert team.cores() == 3
    monkeypatch.setenv("CHAINRULE_THREADS", "1")
    assert team.cores() == 1
    monkeypatch.setenv("CHAINRULE_THREADS", "many")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert team.cores() >= 1
