"""Masked sequences: padding changes no bit, and a sequence with padding is what it is alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node
from chainrule.keys import Key
from chainrule.layers import Record, Scope
from tests.layers.sequences import LENGTHS
from tests.layers.test_laws import arrays_of, run

RECURRENT: dict[str, Any] = {
    "SimpleRNN": cr.SimpleRNN(4, sequences=True),
    "LSTM": cr.LSTM(4, sequences=True, peepholes=True),
    "LSTM, last": cr.LSTM(4),
    "GRU": cr.GRU(4, sequences=True),
    "GRU, last": cr.GRU(4, reset_after=False, backwards=True),
    "Bidirectional": cr.Bidirectional(cr.LSTM(4, sequences=True)),
    "Stacked": cr.Chain(cr.Bidirectional(cr.GRU(4, sequences=True)), cr.SimpleRNN(3)),
}


def padded(layer: Any, time: int, dtype: str = "float64") -> tuple[Graph, Record]:
    """A layer on "x" (5, time, 2) of "lengths", its output and the gradients of Σy²."""
    with Build() as opened:
        record = Record(dtype)
        x, lengths = graph.input("x", (5, time, 2), dtype), graph.input("lengths", (5,), "int32")
        y = Scope(record).apply(cr.Masked(layer), x, lengths, name="")
        slopes = gradients(graph.sum(y**2), [x, *record.values.values()])
        named = zip(["x", *record.values], slopes, strict=True)
        whole = Graph.of({"y": y} | {f"d {name}": slope for name, slope in named}, opened)
    return graph.verify(whole), record


@pytest.mark.parametrize("engine", [ReferenceEngine(), NativeEngine(cores=1)], ids=["reference", "native"])
@pytest.mark.parametrize("name", RECURRENT)
def test_padding_changes_no_bit_whatever_stands_there(name: str, engine: Any) -> None:
    found = {}
    for time, filling in ((5, 0.0), (5, np.nan), (9, 1e30)):
        whole, record = padded(RECURRENT[name], time, "float32")
        arrays = {n: a.astype("float32") for n, a in arrays_of(record, np.zeros(0)).items() if "/" in n}
        x = np.full((5, time, 2), filling, np.float32)
        for row, length in enumerate(LENGTHS):
            x[row, :length] = Key(0, str(row)).normal((5, 2))[:length]
        found[time, filling] = run(whole, arrays | {"x": x, "lengths": LENGTHS}, engine)
    first, *others = found.values()
    for other in others:
        cut = other["y"][:, :5] if first["y"].ndim == 3 else other["y"]
        np.testing.assert_array_equal(first["y"], cut)
        for path, slope in first.items():
            if path.startswith("d "):
                there = other[path][:, :5] if path == "d x" else other[path]
                np.testing.assert_allclose(slope, there, rtol=1e-4, atol=1e-5, err_msg=path)
    assert np.isfinite(first["d x"]).all()


@pytest.mark.parametrize("name", RECURRENT)
def test_a_padded_sequence_is_what_it_is_alone(name: str) -> None:
    whole, record = padded(RECURRENT[name], 5)
    arrays = {n: a for n, a in arrays_of(record, np.zeros(0)).items() if "/" in n}
    x = Key(1).normal((5, 5, 2))
    together = run(whole, arrays | {"x": x, "lengths": LENGTHS})
    for row, length in enumerate(LENGTHS):
        if not length:
            assert not together["y"][row].any()
            continue
        with Build() as opened:
            scope = Scope(Record("float64"))
            alone = scope.apply(RECURRENT[name], graph.input("x", (1, int(length), 2), "float64"), name="")
            single = Graph.of({"y": alone}, opened)
        y = run(single, arrays | {"x": x[row : row + 1, :length]})["y"][0]
        found = together["y"][row]
        np.testing.assert_allclose(found[:length] if found.ndim == 2 else found, y, rtol=1e-13, atol=1e-15)
        if found.ndim == 2:
            assert not found[length:].any()


def test_padding_is_told_by_an_index_or_by_a_step_of_one_number() -> None:
    x = np.array([[3, 1, 0, 0], [2, 2, 2, 2]])
    for dtype in ("int32", "float64"):
        with Build() as opened:
            record = Record("float64")
            model = cr.Masked(cr.Chain(cr.Embedding(4, 2), cr.GRU(3)), padding=0)
            y = Scope(record).apply(model, graph.input("x", (2, 4), dtype), name="")
            short = Scope(record).apply(model.layer, graph.input("short", (2, 2), dtype), name="")
            whole = Graph.of({"y": y, "short": short}, opened)
        given = arrays_of(record, x.astype(dtype)) | {"short": x[:, :2].astype(dtype)}
        found = run(whole, given)
        np.testing.assert_allclose(found["y"][0], found["short"][0], rtol=1e-14)
        assert (found["y"][1] != found["short"][1]).all()
    steps = np.stack([np.eye(3), np.eye(3)])
    steps[0, 2] = steps[1, 1] = 0.0
    with Build() as opened:
        y = Scope(Record("float64")).apply(cr.Masked(seen), graph.input("x", (2, 3, 3), "float64"), name="")
    np.testing.assert_array_equal(run(Graph.of({"y": y}, opened), {"x": steps})["y"], steps.any(-1))


@dataclass(frozen=True)
class Seen:
    """Gives the mask."""

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        assert scope.mask is not None
        return graph.cast(scope.mask, "float64")


seen = Seen()


def test_the_graph_is_as_large_for_four_steps_as_for_four_hundred() -> None:
    """So that compiling takes as long: masks, gradients and a stack of two ways included."""
    counts = {time: len(padded(RECURRENT["Stacked"], time)[0].nodes) for time in (4, 400)}
    assert counts[4] == counts[400]


def test_a_mask_that_multiplies_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It lets NaN through."""
    from chainrule.layers import masking, recurrence

    def multiplied(mask: Node, new: Node, old: Node | float) -> Node:
        share = graph.cast(graph.broadcast(mask, range(1, new.rank), new.shape[1:]), new.dtype)
        return share * new + (1.0 - share) * (old if isinstance(old, Node) else graph.full(new.shape, old, new.dtype))

    with monkeypatch.context() as patch:
        patch.setattr(recurrence, "_kept", multiplied)
        patch.setattr(masking, "where", lambda mask, x, other=0.0: x)
        with pytest.raises(AssertionError):
            test_padding_changes_no_bit_whatever_stands_there("LSTM", ReferenceEngine())
