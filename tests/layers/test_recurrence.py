"""What is particular to sequences: first states, state carried between batches, cells of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.errors import ChainruleError, ConfigurationError, DtypeError, GraphError, ShapeError
from chainrule.graph import Build, Graph, Node
from chainrule.initializers import Glorot, Orthogonal
from chainrule.keys import Key
from chainrule.layers import Record, Scope
from chainrule.layers.recurrence import State
from tests.layers.sequences import LENGTHS, Array, lstm, unrolled
from tests.layers.test_laws import arrays_of, by_path, run


def test_a_state_may_be_given_and_is_handed_on() -> None:
    """A sequence in two parts, the second begun with the state after the first, is the whole sequence."""

    @dataclass(frozen=True)
    class InTwo:
        layer: Any

        def apply(self, scope: Scope, *inputs: Node) -> Node:
            (x,) = inputs
            first, state = self.layer.unroll(scope, x[:, :2])
            second, _ = self.layer.unroll(scope, x[:, 2:], *state)
            return graph.concatenate([first, second], 1)

    layer = cr.LSTM(3, sequences=True)
    with Build() as opened:
        record = Record("float64")
        x, h, c = (graph.input(n, s, "float64") for n, s in (("x", (2, 5, 4)), ("h", (2, 3)), ("c", (2, 3))))
        parts = Scope(record).apply(InTwo(layer), x, name="")
        whole = Scope(record).apply(layer, x, name="")
        started = Scope(record).apply(layer, x, h, c, name="")
        every = Graph.of({"parts": parts, "whole": whole, "started": started}, opened)
    arrays = arrays_of(record, Key(0).normal((2, 5, 4))) | {n: Key(0, n).normal((2, 3)) for n in "hc"}
    found = run(every, arrays)
    np.testing.assert_allclose(found["parts"], found["whole"], rtol=1e-13)
    p = by_path(arrays)
    state: tuple[Array, ...] = (arrays["h"], arrays["c"])
    for t in range(5):
        state = lstm(arrays["x"][:, t], state, p)
        np.testing.assert_allclose(found["started"][:, t], state[0], rtol=1e-12)


# ---- state carried between batches ----


def test_a_carried_state_makes_one_long_sequence_of_many_batches() -> None:
    x, t = Key(0).normal((4, 12, 2)), Key(1).normal((4, 12, 3))
    # Rows 0 to 3 of a batch are four sequences; three batches of four steps each.
    parts = [array.reshape(4, 3, 4, -1).swapaxes(0, 1).reshape(12, 4, -1) for array in (x, t)]
    data = cr.data.from_arrays(parts[0], parts[1])
    settings: dict[str, Any] = {"optimizer": cr.optimizers.SGD(0.0), "dtype": "float64", "engine": "reference"}
    carried = cr.fit(cr.LSTM(3, sequences=True, carry=True), data, batch_size=4, shuffle=False, epochs=1, **settings)
    whole = cr.prepare(cr.LSTM(3, sequences=True), cr.data.from_arrays(x, t), **settings)
    y = whole.outputs(x)
    np.testing.assert_allclose(carried.arrays["state/carried.0"], y[:, -1], rtol=1e-12)
    losses = carried.history.steps["loss"]
    expected = [((y - t)[:, 4 * n : 4 * n + 4] ** 2).mean() for n in range(3)]
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    forgetful = cr.fit(cr.LSTM(3, sequences=True), data, batch_size=4, shuffle=False, epochs=1, **settings)
    assert abs(forgetful.history.steps["loss"][1] - expected[1]) > 1e-6


def test_a_carried_state_is_saved_with_the_run(tmp_path: Path) -> None:
    data = cr.data.from_arrays(Key(0).normal((8, 3, 2)), Key(1).normal((8, 4)))
    settings: dict[str, Any] = {"batch_size": 4, "shuffle": False, "engine": "reference"}
    at_once = cr.fit(cr.GRU(4, carry=True), data, epochs=2, **settings)
    cr.fit(cr.GRU(4, carry=True), data, epochs=1, **settings).save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run", engine="reference")
    loaded.fit(data, epochs=2)
    assert loaded.arrays["state/carried.0"].any()
    for path, array in at_once.arrays.items():
        assert loaded.arrays[path].tobytes() == array.tobytes(), path


def test_a_carried_state_wants_batches_of_one_size() -> None:
    data = cr.data.from_arrays(Key(0).normal((10, 3, 2)), Key(1).normal((10, 4)))
    with pytest.raises(
        ConfigurationError, match=r"state/carried.0 is \[4, 4\] in a batch of 4 and \[2, 4\] in one of 2"
    ):
        cr.prepare(cr.GRU(4, carry=True), data, batch_size=4, engine="reference")
    cr.prepare(cr.GRU(4), data, batch_size=4, engine="reference")


def test_a_carried_state_begins_at_0_in_each_epoch_if_it_is_to_be_forgotten() -> None:
    data = cr.data.from_arrays(Key(0).normal((8, 3, 2)), Key(1).normal((8, 4)))
    settings: dict[str, Any] = {"batch_size": 4, "shuffle": False, "engine": "reference"}
    settings["optimizer"] = cr.optimizers.SGD(0.0)
    model = cr.Chain(cr.GRU(4, carry=True), cr.BatchNorm())
    run = cr.fit(model, data, epochs=2, callbacks=[cr.training.ForgetState()], **settings)
    losses = run.history.steps["loss"]
    assert losses[0] == losses[2]
    assert losses[1] == losses[3]
    assert not run.arrays["state/0.carried.0"].any()
    assert run.arrays["state/1.mean"].any()
    remembering = cr.fit(model, data, epochs=2, **settings).history.steps["loss"]
    assert remembering[0] != remembering[2]


# ---- cells of one's own ----


@dataclass(frozen=True)
class Highway:
    """A cell with a layer inside, a state of two shapes, and an output that is no part of it."""

    sizes: tuple[Any, ...] = (3, (2, 2))

    def step(self, scope: Scope, state: State, x: Node) -> tuple[State, Node]:
        kept, table = state
        gate = scope.apply(cr.Dense(3, cr.sigmoid), graph.concatenate([kept, x], -1), name="gate")
        kept = gate * kept + (1.0 - gate) * cr.tanh(x)
        table = table + graph.reshape(graph.concatenate([kept, x[:, :1]], -1), (kept.shape[0], 2, 2))
        return (kept, table), kept * 2.0


def plain_highway(x: Array, p: dict[str, Array]) -> Array:
    kept, y = np.zeros((len(x), 3)), []
    for t in range(x.shape[1]):
        gate = 1 / (1 + np.exp(-(np.concatenate([kept, x[:, t]], -1) @ p["gate.weight"] + p["gate.bias"])))
        kept = gate * kept + (1 - gate) * np.tanh(x[:, t])
        y.append(2 * kept)
    return np.stack(y, 1)


@pytest.mark.parametrize("backwards", [False, True])
def test_any_cell_will_do(backwards: bool) -> None:
    with Build() as opened:
        record = Record("float64")
        x, lengths = graph.input("x", (5, 5, 3), "float64"), graph.input("lengths", (5,), "int32")
        every = Scope(record).apply(cr.Recurrent(Highway(), sequences=True), x, name="")
        last = Scope(record).apply(cr.Recurrent(Highway(), backwards=backwards), x, name="")
        masked = Scope(record).apply(cr.Masked(cr.Recurrent(Highway(), backwards=backwards)), x, lengths, name="")
        whole = Graph.of({"every": every, "last": last, "masked": masked}, opened)
    assert {path: d.shape for path, d in record.declared.items()} == {
        "parameters/gate.weight": (6, 3), "parameters/gate.bias": (3,),
    }  # fmt: skip
    assert all(one.node is None for one in record.applied if one.path == "gate")
    arrays = arrays_of(record, Key(3).normal((5, 5, 3))) | {"lengths": LENGTHS}
    found, p = run(whole, arrays), by_path(arrays)
    np.testing.assert_allclose(found["every"], plain_highway(arrays["x"], p), rtol=1e-12)

    def directed(row: Array) -> Array:
        return plain_highway(row[:, ::-1] if backwards else row, p)[:, -1]

    np.testing.assert_allclose(found["last"], directed(arrays["x"]), rtol=1e-12)
    for row, length in enumerate(LENGTHS):
        expected = directed(arrays["x"][row : row + 1, :length])[0] if length else np.zeros(3)
        np.testing.assert_allclose(found["masked"][row], expected, rtol=1e-12)


def sinking(scope: Scope, state: State, x: Node) -> tuple[State, Node]:
    weight = scope.parameter("weight", (x.shape[-1], 4), Glorot())
    hidden = cr.tanh(x @ weight + 0.5 * state[0])
    return (hidden,), hidden


def test_a_run_with_a_cell_of_ones_own_is_saved_and_loaded(tmp_path: Path) -> None:
    data = cr.data.from_arrays(Key(0).normal((8, 3, 2)), np.arange(8) % 2)
    model = cr.Chain(
        cr.Recurrent(sinking, (4,), sequences=True), cr.Recurrent(Highway((4, (2, 1))), (4, 3)), cr.Dense(2)
    )
    with pytest.raises(ChainruleError):
        cr.prepare(model, data, engine="reference")  # that cell has three units
    model = cr.Chain(cr.Recurrent(sinking, (4,)), cr.Dense(2))
    run = cr.fit(model, data, epochs=1, engine="reference")
    run.save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run", custom=[sinking], engine="reference")
    np.testing.assert_array_equal(loaded.outputs(data.inputs), run.outputs(data.inputs))
    assert "Recurrent" in str(run.summary())


def test_dropout_in_a_recurrence_is_one_mask_for_all_steps_and_none_in_prediction() -> None:
    layer = cr.SimpleRNN(400, cr.identity, recurrent_dropout=0.5, bias=False, recurrent_weight=Same())
    for training in (True, False):
        with Build() as opened:
            record = Record("float64", seed=graph.constant(np.uint32(7)))
            start = graph.full((2, 400), 1.0, "float64")
            y = Scope(record, training=training).apply(layer, graph.input("x", (2, 3, 1), "float64"), start, name="")
        arrays = arrays_of(record, np.zeros((2, 3, 1))) | {"parameters/recurrent_weight": np.eye(400)}
        found = run(Graph.of({"y": y}, opened), arrays)["y"]
        # Each unit keeps 1 and doubles it at each of three steps, or loses it at the first.
        assert set(np.unique(found)) == ({0.0, 8.0} if training else {1.0})
        if training:
            assert abs((found == 0).mean() - 0.5) < 0.1
            assert (found[0] != found[1]).any()


@dataclass(frozen=True)
class Same:
    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        return np.eye(shape[0])


# ---- first weights ----


def test_first_weights_are_those_of_each_gate() -> None:
    data = cr.data.from_arrays(Key(0).normal((4, 2, 6)), Key(1).normal((4, 5)))
    first = cr.prepare(cr.LSTM(5), data, engine="reference", dtype="float64").parameters
    for gate in range(4):
        turn = first["recurrent_weight"][:, gate]
        np.testing.assert_allclose(turn.T @ turn, np.eye(5), atol=1e-12)
        assert np.abs(first["weight"][:, gate]).max() <= np.sqrt(6 / 11)
    np.testing.assert_array_equal(first["bias"], np.array([[0.0], [1.0], [0.0], [0.0]]) * np.ones(5))
    wide = Orthogonal(2.0)(Key(0), (2, 3))
    np.testing.assert_allclose(wide @ wide.T, 4 * np.eye(2), atol=1e-12)
    with pytest.raises(ShapeError, match="Orthogonal is for weights"):
        Orthogonal()(Key(0), (3,))


# ---- what does not fit ----


def wide(scope: Scope, state: State, x: Node) -> Any:
    return (x,), x


def single(scope: Scope, state: State, x: Node) -> Any:
    return x


def of(make: Any, *given: Any, **settings: Any) -> Any:
    """Call with what the types would not allow."""
    return make(*given, **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.LSTM(0), "LSTM: units is a whole number above 0, not 0"),
        (lambda: of(cr.GRU, 2.5), "GRU: units"),
        (lambda: of(cr.LSTM, 4, sequences=1), "LSTM: sequences is True or False, not 1"),
        (lambda: cr.LSTM(4, carry=True, backwards=True), "LSTM: a state is carried from batch to batch forwards"),
        (lambda: cr.GRU(4, recurrent_dropout=1.0), "GRU: recurrent_dropout is a number from 0 to below 1, not 1.0"),
        (lambda: of(cr.SimpleRNN, 4, "tanh"), "SimpleRNN: activation is a function"),
        (lambda: of(cr.Recurrent, 3, (4,)), "Recurrent: cell is a function"),
        (lambda: cr.Recurrent(wide), r"Recurrent: sizes are those of the state's parts, such as \(64,\), and not \(\)"),
        (lambda: of(cr.Recurrent, wide, 4), "and not 4"),
        (lambda: of(cr.Bidirectional, cr.Dense(3)), "Bidirectional: layer is a recurrent one"),
        (lambda: cr.Bidirectional(cr.LSTM(3, carry=True)), "carries no state between batches"),
        (lambda: cr.Bidirectional(cr.LSTM(3), "multiply"), "combine is 'concatenate' or 'add', not 'multiply'"),
        (lambda: of(cr.Masked, cr.LSTM), "Masked: layer is the class LSTM; give LSTM"),
        (lambda: of(cr.Masked, cr.LSTM(3), "0"), "Masked: padding is the number that fills up, not '0'"),
        (lambda: cr.Embedding(0, 3), "Embedding: symbols is a whole number above 0, not 0"),
        (lambda: of(cr.Embedding, 3, "4"), "Embedding: units is a whole number above 0, not '4'"),
        (lambda: cr.EmbeddingBag(3, 4, "max"), "EmbeddingBag: combine is 'mean' or 'sum', not 'max'"),
    ],
)  # fmt: skip
def test_a_setting_without_meaning_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "inputs", "error", "message"),
    [
        (cr.LSTM(3), [((4, 5), "float32")], ShapeError,
         "wants sequences, (batch, time, features), and got [4, 5] (an Embedding makes features of indices)"),
        (cr.LSTM(3), [((4,), "float32")], ShapeError, "wants sequences, (batch, time, features), and got [4]"),
        (cr.GRU(3), [((4, 0, 2), "float32")], ShapeError, "wants sequences of one step or more, and got [4, 0, 2]"),
        (cr.GRU(3), [((4, 5, 2), "int32")], DtypeError, "wants float32, and got int32; use graph.cast"),
        (cr.LSTM(3), [((4, 5, 2), "float32"), ((4, 3), "float32")], ShapeError,
         "its first state is [4, 3] and [4, 3], and [4, 3] came"),
        (cr.GRU(3, carry=True), [((4, 5, 2), "float32"), ((4, 3), "float32")], ShapeError,
         "carries its state from batch to batch, so it is given none"),
        (cr.Recurrent(wide, (3,)), [((4, 5, 2), "float32")], ShapeError,
         "a step was given the state float32[4, 3], and gave float32[4, 2]: it stays what it is"),
        (cr.Recurrent(single, (3,)), [((4, 5, 2), "float32")], GraphError, "a step gives (state, output), a tuple of"),
        (cr.Masked(cr.GRU(3)), [((4, 5, 2), "float32"), ((3,), "int32")], ShapeError,
         "lengths are one whole number a sequence, (4,), and these are [3]"),
        (cr.Masked(cr.GRU(3)), [((4, 5, 2), "float32"), ((4,), "float32")], DtypeError, "lengths are whole numbers"),
        (cr.Masked(cr.GRU(3)), [((4,), "float32")], ShapeError, "wants (batch, time) or (batch, time, features)"),
        (cr.Masked(cr.Chain(cr.MaxPool1D(2), cr.GRU(3))), [((4, 6, 2), "float32")], ShapeError,
         "the mask is of [4, 6] steps, and [4, 3] came: a layer in between has changed their number"),
        (cr.Embedding(3, 2), [((4, 5), "bool")], DtypeError, "wants indices, and got bool"),
        (cr.Embedding(2**24 + 1, 2), [((4, 5), "float32")], DtypeError, "float32 does not hold each of 16,777,217 ind"),
        (cr.EmbeddingBag(3, 2), [((4,), "int32")], ShapeError, "wants bags of indices, (batch, count), and got [4]"),
        (cr.EmbeddingBag(3, 2), [((4, 5), "int32"), ((4,), "float32")], ShapeError,
         "weights are float32[4, 5], one an index, and these are float32[4]"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_name_the_layer(
    layer: Any, inputs: list[Any], error: type[ChainruleError], message: str
) -> None:
    nodes = [graph.input(f"x{n}", *one) for n, one in enumerate(inputs)]
    with Build(), pytest.raises(error) as caught:
        Scope(Record("float32")).apply(layer, *nodes, name="0")
    assert message in str(caught.value)


def test_gates_in_another_order_are_another_cell() -> None:
    x, p = Key(0).normal((2, 3, 2)), {"weight": Key(1).normal((2, 4, 3)), "recurrent_weight": Key(2).normal((3, 4, 3))}
    mixed = {name: array[:, [1, 0, 2, 3]] for name, array in p.items()}
    assert np.abs(unrolled(lstm, parts=2)(x, p) - unrolled(lstm, parts=2)(x, mixed)).max() > 0.01
