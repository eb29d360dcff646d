"""What is particular to attention: what it may see, where things stand, and the words for what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ChainruleError, ConfigurationError, DtypeError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph
from chainrule.keys import Key
from chainrule.layers import Record, Scope, attention, rotated
from tests.layers.test_laws import Array, arrays_of, run

LENGTHS = np.array([3, 5, 0, 1, 5], np.int32)
WITH_PADDING: dict[str, Any] = {
    "attention": cr.MultiHeadAttention(2),
    "causal": cr.MultiHeadAttention(2, causal=True, rotary=True),
    "blocks": cr.Chain(cr.TransformerEncoder(2), cr.TransformerEncoder(1, norm_first=False), cr.GlobalAveragePool()),
    "largest": cr.Chain(cr.Dense(3), cr.GlobalMaxPool()),
}


@pytest.mark.parametrize("engine", [ReferenceEngine(), NativeEngine(cores=1)], ids=["reference", "native"])
@pytest.mark.parametrize("name", WITH_PADDING)
def test_padding_changes_no_bit_whatever_stands_there(name: str, engine: Any) -> None:
    found: list[dict[str, Array]] = []
    with Build() as opened:
        record = Record("float32")
        x, lengths = graph.input("x", (5, 5, 4)), graph.input("lengths", (5,), "int32")
        y = Scope(record).apply(cr.Masked(WITH_PADDING[name]), x, lengths, name="")
        names = ["x", *record.values]
        slopes = gradients(graph.sum(y**2), [x, *record.values.values()])
        whole = Graph.of({"y": y} | {f"d {n}": s for n, s in zip(names, slopes, strict=True)}, opened)
    arrays = {n: a for n, a in arrays_of(record, np.zeros(0)).items() if "/" in n}
    for filling in (0.0, np.nan, 1e30):
        rows = np.where(np.arange(5)[None, :, None] < LENGTHS[:, None, None], Key(0).normal((5, 5, 4)), filling)
        found.append(run(whole, arrays | {"x": rows.astype(np.float32), "lengths": LENGTHS}, engine))
    for other in found[1:]:
        for path, array in found[0].items():
            np.testing.assert_array_equal(array, other[path], err_msg=path)
    assert all(np.isfinite(array).all() for array in found[0].values())
    if found[0]["y"].ndim == 2:
        assert not found[0]["y"][2].any()


@pytest.mark.parametrize("name", WITH_PADDING)
def test_a_padded_sequence_is_what_it_is_alone(name: str) -> None:
    with Build() as opened:
        record = Record("float64")
        x, lengths = graph.input("x", (5, 5, 4), "float64"), graph.input("lengths", (5,), "int32")
        outputs = {"y": Scope(record).apply(cr.Masked(WITH_PADDING[name]), x, lengths, name="")}
        for row, length in enumerate(LENGTHS):
            if length:
                outputs[str(row)] = Scope(record).apply(WITH_PADDING[name], x[row : row + 1, :length], name="")
        whole = Graph.of(outputs, opened)
    found = run(whole, arrays_of(record, Key(1).normal((5, 5, 4))) | {"lengths": LENGTHS})
    for row, length in enumerate(LENGTHS):
        if length:
            together = found["y"][row, :length] if found["y"].ndim == 3 else found["y"][row]
            np.testing.assert_allclose(together, found[str(row)][0], rtol=1e-12, atol=1e-13)


def test_a_causal_step_sees_nothing_that_comes_later() -> None:
    layer = cr.Chain(
        cr.LearnedPositions(6), cr.TransformerEncoder(2, causal=True), cr.TransformerEncoder(2, causal=True)
    )
    with Build() as opened:
        record = Record("float64")
        y = Scope(record).apply(layer, graph.input("x", (1, 6, 4), "float64"), name="")
        whole = Graph.of({"y": y}, opened)
    arrays = arrays_of(record, Key(1).normal((1, 6, 4)))
    first = run(whole, arrays)["y"]
    arrays["x"][:, 3:] += 1.0
    second = run(whole, arrays)["y"]
    np.testing.assert_array_equal(first[:, :3], second[:, :3])
    assert (np.abs(first[:, 3:] - second[:, 3:]).max(-1) > 1e-6).all()


def test_a_decoder_looks_at_the_steps_of_its_memory_that_are_there() -> None:
    with Build() as opened:
        record = Record("float64")
        x, memory = graph.input("x", (2, 3, 4), "float64"), graph.input("memory", (2, 5, 6), "float64")
        mask = graph.constant(np.arange(5)[None] < np.array([[5], [2]]))
        layer = cr.TransformerDecoder(2)
        y = Scope(record).apply(layer, x, memory, mask, name="")
        short = Scope(record).apply(layer, x, memory[:, :2], name="")
        whole = Graph.of({"y": y, "short": short}, opened)
    arrays = arrays_of(record, Key(1).normal((2, 3, 4))) | {"memory": Key(2).normal((2, 5, 6))}
    found = run(whole, arrays)
    np.testing.assert_allclose(found["y"][1], found["short"][1], rtol=1e-12)
    assert np.abs(found["y"][0] - found["short"][0]).max() > 1e-3


def test_what_is_turned_by_its_place_knows_distances_alone() -> None:
    q, k = Key(0).normal((1, 1, 1, 6)), Key(1).normal((1, 1, 1, 6))
    with Build() as opened:
        turned = [rotated(graph.constant(np.repeat(x, 9, 1))) for x in (q, k)]
        later = rotated(graph.constant(np.repeat(q, 4, 1)), start=5)
        whole = Graph.of({"q": turned[0], "k": turned[1], "later": later}, opened)
    found = run(whole, {})
    scores = np.einsum("bqhd,bkhd->qk", found["q"], found["k"])
    for distance in range(-8, 9):
        line = np.diagonal(scores, distance)
        np.testing.assert_allclose(line, line[0], rtol=1e-12)
    assert abs(scores[0, 1] - scores[0, 0]) > 1e-3
    np.testing.assert_allclose(np.diagonal(scores), (q * k).sum(), rtol=1e-12)
    np.testing.assert_allclose(found["later"], found["q"][:, 5:], rtol=1e-14)
    angles = np.arange(9)[:, None] / 10000 ** (np.arange(3) / 3)
    pairs = q[0, 0, 0, :3] + 1j * q[0, 0, 0, 3:]
    turned_pairs = found["q"][0, :, 0, :3] + 1j * found["q"][0, :, 0, 3:]
    np.testing.assert_allclose(turned_pairs, pairs * np.exp(1j * angles), rtol=1e-12)


def test_dropout_in_a_block_is_drawn_in_training_alone() -> None:
    layer = cr.TransformerEncoder(2, dropout=0.5)
    for training in (True, False):
        with Build() as opened:
            record = Record("float64", seed=graph.constant(np.uint32(3)))
            y = Scope(record, training=training).apply(layer, graph.input("x", (2, 3, 4), "float64"), name="")
        whole = Graph.of({"y": y}, opened)
        assert sum(node.op == "random_bits" for node in whole.nodes) == (3 if training else 0)


def test_a_language_model_learns_is_saved_and_loaded(tmp_path: Path) -> None:
    """Which of four symbols came first: the last of six steps has to look back."""
    x = np.floor(Key(0).uniform((256, 6), 0, 4)).astype(np.int32)
    data = cr.data.from_arrays(x, x[:, 0])
    model = cr.Chain(
        cr.Embedding(4, 8), cr.LearnedPositions(6), cr.TransformerEncoder(2, 16), cr.LayerNorm(),
        cr.GlobalAveragePool(), cr.Dense(4),
    )  # fmt: skip
    trained = cr.fit(model, data, epochs=15, optimizer=cr.optimizers.Adam(0.01))
    assert trained.evaluate(data)["accuracy"] > 0.95
    trained.save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run")
    assert loaded.model == model
    np.testing.assert_array_equal(loaded.outputs(data.inputs), trained.outputs(data.inputs))
    assert "2.attention.query" in str(trained.summary())


def of(make: Any, *given: Any, **settings: Any) -> Any:
    """Call with what the types would not allow."""
    return make(*given, **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.MultiHeadAttention(0), "MultiHeadAttention: heads is a whole number above 0, not 0"),
        (lambda: cr.MultiHeadAttention(2, dropout=1.0), "MultiHeadAttention: dropout is a number from 0 to below 1"),
        (lambda: of(cr.TransformerEncoder, "4"), "TransformerEncoder: heads is a whole number above 0, not '4'"),
        (lambda: cr.TransformerDecoder(2, 0), "TransformerDecoder: hidden is a whole number above 0, or None"),
        (lambda: of(cr.TransformerEncoder, 2, 8, "gelu"), "TransformerEncoder: activation is a function"),
        (lambda: cr.SinusoidalPositions(1.0), "SinusoidalPositions: base is a number above 1, not 1.0"),
        (lambda: cr.LearnedPositions(0), "LearnedPositions: length is a whole number above 0, not 0"),
    ],
)  # fmt: skip
def test_a_setting_without_meaning_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "inputs", "error", "message"),
    [
        (cr.MultiHeadAttention(3), [((2, 5, 128), "float32")], ShapeError,
         "width 128 is not a multiple of 3 heads: take 2 or 4 heads, or a width of 129"),
        (cr.Chain(cr.TransformerEncoder(5)), [((2, 5, 4), "float32")], ShapeError,
         "layer 0.attention (MultiHeadAttention(heads=5"),
        (cr.MultiHeadAttention(2, rotary=True), [((2, 5, 6), "float32")], ShapeError,
         "rotary places turn pairs, and a head of width 6 / 2 = 3 is odd"),
        (cr.MultiHeadAttention(2), [((2, 6), "float32")], ShapeError,
         "wants sequences, (batch, time, features), and got [2, 6]"),
        (cr.MultiHeadAttention(2), [((2, 5, 6), "int32")], DtypeError, "wants float32, and got int32"),
        (cr.MultiHeadAttention(2), [((2, 5, 6), "float32"), ((3, 4, 6), "float32")], ShapeError,
         "2 sequences cannot look at a memory of 3"),
        (cr.MultiHeadAttention(2), [((2, 5, 6), "float32"), ((2, 4, 6), "float32"), ((2, 5), "bool")], ShapeError,
         "the mask of the memory is bool[2, 4], and bool[2, 5] came"),
        (cr.TransformerDecoder(2), [((2, 5, 6), "float32")], ShapeError, "takes a sequence, a memory, and its mask"),
        (cr.LearnedPositions(64), [((2, 80, 6), "float32")], ShapeError,
         "a sequence of 80 steps is longer than the 64 places there are"),
        (cr.SinusoidalPositions(), [((2, 80), "float32")], ShapeError, "wants sequences"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_name_the_layer(
    layer: Any, inputs: list[Any], error: type[ChainruleError], message: str
) -> None:
    nodes = [graph.input(f"x{n}", *one) for n, one in enumerate(inputs)]
    with Build(), pytest.raises(error) as caught:
        Scope(Record("float32")).apply(layer, *nodes, name="")
    assert message in str(caught.value)


def test_a_mask_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    given = attention.attention_weights
    monkeypatch.setattr(attention, "attention_weights", lambda q, k, mask, causal: given(q, k, None, causal))
    with pytest.raises(AssertionError):
        test_a_padded_sequence_is_what_it_is_alone("attention")
