"""The gradient by the state at each step before the end, beside that of the same cell written out step by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.explain.health import Diagnose, Probe, ThroughTime
from chainrule.explain.health.through_time import followed, norms_by_distance
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph
from chainrule.initializers import Glorot, Normal
from chainrule.layers.scope import PARAMETERS, Record, Scope
from chainrule.run import Run

RANDOM = np.random.default_rng(7)
B, T, F = 6, 5, 3
X, Y, SEEN = RANDOM.normal(size=(B, T, F)), RANDOM.normal(size=(B, 1)), RANDOM.normal(size=(B, T, 1))
LENGTHS = [5, 1, 3, 5, 2, 3]


def leaky(scope: cr.Scope, state: Any, x: cr.Node) -> Any:
    """A cell whose output is not its state."""
    (kept,) = state
    kept = 0.8 * kept + cr.tanh(x @ scope.parameter("weight", (F, 4), Glorot()))
    return (kept,), kept @ scope.parameter("out", (4, 2), Glorot())


LAYERS: dict[str, Callable[..., Any]] = {
    "simple": lambda **s: cr.SimpleRNN(4, **s),
    "LSTM": lambda **s: cr.LSTM(4, **s),
    "LSTM with peepholes": lambda **s: cr.LSTM(4, peepholes=True, recurrent_weight=Normal(1.0), **s),
    "GRU": lambda **s: cr.GRU(4, **s),
    "a cell of one's own": lambda **s: cr.Recurrent(leaky, sizes=(4,), **s),
}


def prepared(model: Any, x: np.ndarray = X, y: np.ndarray = Y, **settings: Any) -> tuple[Run, cr.data.Dataset]:
    data = cr.data.from_arrays(x, y)
    return cr.prepare(model, data, engine="reference", dtype="float64", seed=3, **settings), data


def written_out(run: Run, layer: Any, x: np.ndarray, y: np.ndarray, share: float, path: str = "0") -> np.ndarray:
    """(steps + 1, samples): the norms by what comes out at the end and by the states before it, nearest first."""
    arrays = {f"{PARAMETERS}/{name}": array for name, array in run.parameters.items()} | {"x": x, "y": y}
    with Build() as build:
        scope = Scope(Record("float64"), path)
        state = [graph.full((len(x), size), 0, "float64") for size in layer.sizes]
        states, output = [], state[0]
        rows = graph.transpose(graph.input("x", x.shape, "float64"), (1, 0, *range(2, x.ndim)))
        for t in range(x.shape[1]):
            # A node of its own for each state, also where two are equal.
            state = [one + graph.input(f"zero/{t}/{n}", one.shape, "float64") for n, one in enumerate(state)]
            arrays |= {f"zero/{t}/{n}": np.zeros(one.shape) for n, one in enumerate(state)}
            states.append(state)
            new, output = layer.step(scope, tuple(state), rows[t])
            state = list(new)
        last = int(path) + 1
        weight = graph.input(f"{PARAMETERS}/{last}.weight", arrays[f"{PARAMETERS}/{last}.weight"].shape, "float64")
        told = output @ weight + graph.broadcast_to(graph.input(f"{PARAMETERS}/{last}.bias", (1,), "float64"), y.shape)
        loss = graph.sum((told - graph.input("y", y.shape, "float64")) ** 2) * share
        asked = [[output], *reversed(states)]
        slopes = iter(gradients(loss, [node for some in asked for node in some]))
        outputs = {f"{k}/{n}": next(slopes) for k, some in enumerate(asked) for n in range(len(some))}
        program = ReferenceEngine().compile(Graph.of(outputs, build))
    found = program.run({name: arrays[name] for name in program.graph.inputs})
    return np.array(
        [np.sqrt(sum((found[f"{k}/{n}"] ** 2).sum(1) for n in range(len(some)))) for k, some in enumerate(asked)]
    )


@pytest.mark.parametrize("name", LAYERS)
def test_the_norms_are_those_of_the_cell_written_out(name: str) -> None:
    layer = LAYERS[name]()
    run, data = prepared(cr.Chain(layer, cr.Dense(1)))
    (found,) = run.gradient_through_time(data)
    assert (found.where, found.steps) == ("0", T)
    np.testing.assert_allclose(found.norms, np.linalg.norm(written_out(run, layer, X, Y, 1 / B), axis=1), rtol=1e-10)


@pytest.mark.parametrize("name", ["simple", "LSTM", "a cell of one's own"])
def test_where_the_loss_sees_each_step_what_enters_at_the_last_is_followed(name: str) -> None:
    """The whole gradient by a state is hardly less far from the end: it is of the steps that are near."""
    layer = LAYERS[name](sequences=True)
    run, data = prepared(cr.Chain(layer, cr.Dense(1)), y=SEEN)
    (found,) = run.gradient_through_time(data)
    by_hand = written_out(run, layer, X, SEEN[:, -1], 1 / (B * T))
    np.testing.assert_allclose(found.norms, np.linalg.norm(by_hand, axis=1), rtol=1e-10)


def test_backwards_in_time_the_end_is_the_first_step() -> None:
    run, data = prepared(cr.Chain(cr.GRU(4, backwards=True), cr.Dense(1)))
    (found,) = run.gradient_through_time(data)
    by_hand = written_out(run, cr.GRU(4), X[:, ::-1], Y, 1 / B)
    np.testing.assert_allclose(found.norms, np.linalg.norm(by_hand, axis=1), rtol=1e-10)
    run, data = prepared(cr.Chain(cr.GRU(4, backwards=True, sequences=True), cr.Dense(1)), y=SEEN)
    (found,) = run.gradient_through_time(data)
    by_hand = written_out(run, cr.GRU(4), X[:, ::-1], SEEN[:, 0], 1 / (B * T))
    np.testing.assert_allclose(found.norms, np.linalg.norm(by_hand, axis=1), rtol=1e-10)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_steps_that_a_mask_leaves_out_do_not_count(sequences: bool, backwards: bool) -> None:
    x = X.copy()
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 0
    layer = cr.LSTM(4, sequences=sequences, backwards=backwards)
    run, data = prepared(cr.Masked(cr.Chain(layer, cr.Dense(1))), x, SEEN if sequences else Y)
    (found,) = run.gradient_through_time(data)
    squares, counts = np.zeros(T + 1), np.zeros(T + 1)
    for row, length in enumerate(LENGTHS):
        one = x[row : row + 1, :length]
        end = 0 if backwards else length - 1
        y, share = (SEEN[row : row + 1, end], 1 / (B * T)) if sequences else (Y[row : row + 1], 1 / B)
        norms = written_out(run, layer, one[:, ::-1] if backwards else one, y, share)[:, 0]
        squares[: length + 1] += norms**2
        counts[: length + 1] += 1
    np.testing.assert_allclose(found.norms, np.sqrt(squares / counts * B), rtol=1e-10)


def test_each_layer_of_a_stack_has_its_own() -> None:
    run, data = prepared(cr.Chain(cr.GRU(4, sequences=True), cr.LSTM(4), cr.Dense(1)))
    lower, upper = run.gradient_through_time(data)
    assert (lower.where, upper.where, lower.steps, upper.steps) == ("0", "1", T, T)
    both = prepared(cr.Chain(cr.Bidirectional(cr.SimpleRNN(4)), cr.Dense(1)))
    assert [one.where for one in both[0].gradient_through_time(both[1])] == ["0.forward", "0.backward"]


def test_far_from_the_end_nothing_arrives_that_is_too_small_to_be_squared() -> None:
    """Of 1e-30 the square is 0 in float32, and the norm is none."""
    weight = Normal(0.003)
    model = cr.Chain(cr.SimpleRNN(4, recurrent_weight=weight), cr.Dense(1))
    run, data = prepared(model, np.tile(X, (1, 3, 1)))
    exact = np.array(run.gradient_through_time(data)[0].norms)
    assert exact[-1] < 1e-30
    run32 = cr.prepare(model, data, engine="native", seed=3)
    (found,) = Probe(run32, data).look().loops
    np.testing.assert_allclose(found.norms[:13], exact[:13], rtol=1e-3)
    assert 0 < found.norms[12] < 1e-25


def test_numbers_of_a_curve() -> None:
    one = ThroughTime("2", (1.0, 0.1, 0.01, 0.0))
    assert (one.steps, one.last, one.first, one.reach) == (3, 1.0, 0.0, 2)
    assert one.factor == pytest.approx(0.1)
    text = str(one)
    assert text.startswith("layer 2: log₁₀ of the gradient's norm; it is 1 at the end and 0 3 steps before\n")
    assert "steps before the end" in text
    nothing = ThroughTime("2", (0.0, 0.0))
    assert math.isnan(nothing.factor)
    assert str(nothing) == "layer 2: no gradient enters at the last of 1 steps"
    assert math.isnan(ThroughTime("2", (1.0, math.inf)).factor)


def test_a_loop_of_ones_own_whose_state_has_no_samples() -> None:
    """A sum of all samples, ten times as much at each step: no axis is that of the samples."""
    for reverse in (False, True):
        x = graph.input("x", (T, B), "float64")
        (end,), (sums,) = graph.scan(
            lambda c, s: ([c[0] * 10.0 + graph.sum(s[0])],) * 2, [graph.full((), 0, "float64")], [x], reverse=reverse
        )
        slopes = {end: graph.full((), 1, "float64"), sums: graph.full((T,), 7, "float64")}
        program = ReferenceEngine().compile(Graph(followed(end.inputs[0], slopes, B)))
        found = program.run(dict.fromkeys(program.graph.inputs, X[:, :, 0].T))
        norms = norms_by_distance(found, reverse)
        assert norms == pytest.approx((math.hypot(1, 7), *(8 * 10.0**k for k in range(1, T + 1))))


def test_where_nothing_goes_through_time_that_is_said() -> None:
    data = cr.data.from_arrays(X[:, 0], Y)
    with pytest.raises(ConfigurationError, match="no layer is recurrent"):
        cr.prepare(cr.Dense(1), data).gradient_through_time(data)


def test_a_training_is_watched() -> None:
    data = cr.data.from_arrays(X, Y)
    watch = Diagnose(data, every=2)
    cr.fit(cr.Chain(cr.SimpleRNN(4), cr.Dense(1)), data, epochs=4, callbacks=[watch], engine="reference")
    assert [len(health.loops[0].norms) for health in watch.records] == [T + 1] * 2
