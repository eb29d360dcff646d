"""A text one token at a time: by steps as by the whole window, for every layer that can, and the same text drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines import choose
from chainrule.errors import CannotGoOnError, ConfigurationError
from chainrule.graph import Build, Graph, Node
from chainrule.initializers import Normal
from chainrule.keys import Key
from chainrule.layers import Scope
from chainrule.layers.going_on import each_by_itself
from chainrule.layers.scope import Going, Record
from chainrule.training import Sampling
from chainrule.training.drawing import drawn, running_sums, settings
from chainrule.training.stepping import SIZES, Stepper, first_seen

TEXT = "to be or not to be, that is the question. " * 10
LENGTH = 12


class Difference:
    """What a sequence has become since the step before: a layer of one's own that joins."""

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        (x,) = inputs
        return x - graph.pad(x[:, : x.shape[1] - 1], [0, 1, 0], [0, 0, 0])

    def go_on(self, scope: Scope, *inputs: Node) -> Node:
        (x,) = inputs
        before = scope.handed_on("before", x.shape)
        scope.hand_on("before", x)
        return x - before


class Smoothed:
    """Differences seen by a loop, as one layer that says for both how it goes on."""

    def __init__(self) -> None:
        self.loop, self.difference = cr.GRU(8, sequences=True), Difference()

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        return scope.apply(self.loop, self.difference.apply(scope, *inputs), name="loop")

    def go_on(self, scope: Scope, *inputs: Node) -> Node:
        return scope.apply(self.loop, self.difference.go_on(scope, *inputs), name="loop")


class MeanSoFar:
    """The mean of all steps so far, of what is kept at each."""

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        (x,) = inputs
        weights = np.tril(np.ones((x.shape[1],) * 2)) / np.arange(1, x.shape[1] + 1)[:, None]
        return graph.contract(graph.constant(weights, x.dtype), x, "ts,bsi->bti")

    def go_on(self, scope: Scope, *inputs: Node) -> Node:
        (x,) = inputs
        kept = scope.so_far("rows", x)
        seen = graph.le(graph.iota(scope.positions), graph.broadcast(scope.position, [0], [scope.positions]))
        mean = graph.contract(graph.cast(seen, x.dtype), kept, "s,bsi->bi")
        mean = mean / graph.broadcast_to(graph.cast(scope.position + 1, x.dtype), mean.shape)
        return graph.reshape(mean, x.shape)


class Mixing:
    """The same as `Difference`, without a word on how it goes on."""

    apply = Difference.apply


def leaky(scope: Scope, state: tuple[Node, ...], x: Node) -> tuple[tuple[Node, ...], Node]:
    kept = 0.9 * state[0] + x @ scope.parameter("weight", (x.shape[-1], 8), Normal(0.5))
    return (kept,), graph.tanh(kept)


def block(**settings: Any) -> cr.TransformerEncoder:
    return cr.TransformerEncoder(2, causal=True, **settings)


SHARED, LOOP = block(rotary=True), cr.GRU(8, sequences=True)
#: Those that see no more than a window.
BOUNDED: dict[str, list[Any]] = {
    "learned": [cr.LearnedPositions(LENGTH), block(), block(dropout=0.5), cr.LayerNorm()],
    "sinusoidal": [cr.SinusoidalPositions(), cr.TransformerEncoder(4, causal=True, norm_first=False), block()],
    "rotary": [block(rotary=True), block(rotary=True, hidden=5), cr.gelu],
    "no places": [cr.MultiHeadAttention(8, causal=True, bias=False), cr.MultiHeadAttention(1, causal=True)],
    "with a state": [cr.Residual(cr.LSTM(8, sequences=True)), cr.MultiHeadAttention(4, causal=True)],
    "places before a state": [cr.LearnedPositions(LENGTH + 3), cr.GRU(8, sequences=True)],
    "own, kept at each": [MeanSoFar()],
    "one block twice": [SHARED, SHARED],
}
#: Those whose states go on without end.
ENDLESS: dict[str, list[Any]] = {
    "LSTM": [cr.LSTM(8, sequences=True, peepholes=True), cr.LayerNorm(), cr.LSTM(7, sequences=True)],
    "GRU": [cr.GRU(8, sequences=True), cr.Dropout(0.3), cr.GRU(8, sequences=True, reset_after=False), cr.BatchNorm()],
    "simple": [cr.SinusoidalPositions(), cr.Parallel(cr.SimpleRNN(8, sequences=True), cr.Dense(3, cr.relu))],
    "carried": [cr.LSTM(8, sequences=True, carry=True)],
    "one layer twice": [LOOP, cr.tanh, LOOP],
    "own cell": [cr.Recurrent(leaky, sizes=(8,), sequences=True)],
    "own layer": [Difference(), cr.tanh, Difference()],
    "own layer around another": [Smoothed()],
    "each by itself": [cr.Dense(8, cr.softmax), cr.LayerNorm(), cr.softmax],
}


def of(layers: list[Any], **settings: Any) -> cr.Run:
    train, _ = cr.data.language(TEXT, length=LENGTH)
    model = cr.Chain(cr.Embedding(15, 8), *layers, cr.Dense(15, weight=Normal(1.0)))
    return cr.prepare(model, train, **{"dtype": "float64", "batch_size": 4, **settings})


def stepper(run: cr.Run) -> Stepper:
    assert run.model is not None
    return Stepper(run.model, run.known_layers(), run.engine, run.dtype, LENGTH)


@pytest.mark.parametrize(
    ("name", "engine"),
    [*((name, "reference") for name in [*BOUNDED, *ENDLESS]), *((n, "native") for n in ("learned", "rotary", "LSTM"))],
)
def test_step_by_step_is_the_same_as_the_whole(name: str, engine: str) -> None:
    run = of({**BOUNDED, **ENDLESS}[name], engine=engine)
    row = Key(1).child(name).uniform((1, LENGTH), 0, 15).astype(np.int32)
    found = stepper(run).logits(row[0].tolist(), run.arrays)
    whole = run.outputs(row)[0]
    assert np.abs(whole - whole[0]).max() > 0.01
    np.testing.assert_allclose(found, whole, rtol=1e-10, atol=1e-12)


SAMPLINGS: list[dict[str, Any]] = [
    {"temperature": 0},
    {"seed": 1},
    {"temperature": 0.7, "top_k": 5, "seed": 2},
    {"temperature": 1.3, "top_k": 12, "top_p": 0.8, "seed": 3},
    {"top_p": 0.9, "seed": 4},
]


def without_steps(run: cr.Run, prompt: str, length: int, **settings: Any) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(run), "_stepper", lambda *_: None)
        return run.generate(prompt, length, **settings)


@pytest.mark.parametrize("name", BOUNDED)
def test_the_same_text_as_without_steps(name: str) -> None:
    run = of(BOUNDED[name], engine="reference")
    for given in SAMPLINGS:
        assert run.generate("to be", 19, **given) == without_steps(run, "to be", 19, **given)
    long = "to be or not to be, that is"
    assert run.generate(long, 7, seed=5) == without_steps(run, long, 7, seed=5)


@pytest.mark.parametrize("name", ENDLESS)
def test_the_same_text_within_the_window(name: str) -> None:
    run = of(ENDLESS[name], engine="reference")
    for given in SAMPLINGS:
        assert run.generate("to be", LENGTH - 4, **given) == without_steps(run, "to be", LENGTH - 4, **given)


@pytest.mark.parametrize("engine", ["reference", "native"])
def test_a_state_goes_on_beyond_the_window_and_from_call_to_call(engine: str) -> None:
    run = of(ENDLESS["LSTM"], engine=engine)
    form = run.preparation.text
    assert form is not None
    tokens = form.numbers(run.generate("to be", 90, seed=7)).tolist()  # one call of an engine takes fewer
    says = stepper(run).logits(tokens, run.arrays)
    key = Key(7).child("generate")
    assert tokens[5:] == [Sampling().draw(says[4 + place], key.child(place)) for place in range(90)]


def test_a_full_window_forgets_its_first_half() -> None:
    run = of(BOUNDED["learned"])
    form = run.preparation.text
    assert form is not None
    tokens = form.numbers(run.generate("to be or", 29, seed=8)).tolist()
    begins = [0] * 12 + [6] * 6 + [12] * 6 + [18] * 6 + [24] * 6
    assert [first_seen(known, LENGTH) for known in range(1, 37)] == begins
    key, steps = Key(8).child("generate"), stepper(run)
    for known in range(8, 37):
        says = steps.logits(tokens[begins[known - 1] : known], run.arrays)[-1]
        assert Sampling().draw(says, key.child(known - 8)) == tokens[known]


#: Of several lengths, one longer than two windows.
PROMPTS = ["to be", "or not to be, that is the question. to b", "t", "that is the", "be or not to be,"]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        *((name, {}) for name in ("rotary", "with a state", "own, kept at each", "GRU", "own layer")),
        ("learned", {"temperature": 0.8, "top_k": 9, "top_p": 0.9}),
    ],
)
def test_texts_side_by_side_are_those_of_each_alone(name: str, given: dict[str, Any]) -> None:
    run = of({**BOUNDED, **ENDLESS}[name], engine="reference")
    alone = [run.generate(one, 15, seed=3 + number, **given) for number, one in enumerate(PROMPTS)]
    assert run.generate(PROMPTS, 15, seed=3, **given) == alone
    assert run.generate(PROMPTS, 0) == PROMPTS


@pytest.mark.parametrize("name", ["learned", "GRU"])
def test_many_texts_need_few_programs(name: str) -> None:
    run = of({**BOUNDED, **ENDLESS}[name], engine="native")
    alone = [run.generate("to be"[: 1 + n % 5], 9, seed=n) for n in range(21)]
    for count in (1, 2, 3, 7, 13, 21):
        assert run.generate(["to be"[: 1 + n % 5] for n in range(count)], 9) == alone[:count]
    steps = next(value for key, value in run._measures.items() if key[0] == "stepper")
    assert len(steps._programs) == len(SIZES)


def test_many_positions_keep_their_places() -> None:
    assert [first_seen(known, 5) for known in range(1, 13)] == [0, 0, 0, 0, 0, 3, 3, 3, 6, 6, 6, 9]
    assert [first_seen(known, 1) for known in (1, 2, 3)] == [0, 1, 2]


def test_what_cannot_be_taken_step_by_step() -> None:
    lstm = cr.LSTM(8, sequences=True)
    for layers, why in (
        ([cr.Conv1D(8, 2, padding="causal")], "several positions"),
        ([Mixing()], "several positions"),
        ([cr.Conv1D(8, 2, padding="causal"), lstm], "several positions"),
        ([lambda x: x + graph.broadcast_to(graph.constant(np.arange(12.0)[:, None] * np.ones(8)), x.shape)], "several"),
        ([lambda x: x * float(x.shape[1])], "more positions"),
        ([cr.Reshape((LENGTH, 8)), lstm], "12 positions, no fewer"),
    ):
        run = of(layers)
        with pytest.raises(CannotGoOnError, match=why):
            stepper(run)
        text = run.generate("to be", 14, seed=1)
        assert text == without_steps(run, "to be", 14, seed=1)
    for layer in (cr.LSTM(8, sequences=True, backwards=True), cr.MultiHeadAttention(2), cr.Bidirectional(lstm)):
        run = of([layer])
        with pytest.raises(CannotGoOnError):
            stepper(run)
        with pytest.raises(ConfigurationError, match="looks at tokens that come later"):
            run.generate("to be")


def test_what_is_masked_goes_on_by_its_states_but_not_by_attention() -> None:
    train, _ = cr.data.language(TEXT, length=LENGTH)
    row = np.array([[3, 0, 5, 0, 0, 7, 1, 2, 0, 4, 4, 1]], np.int32)
    for inside, goes in ((cr.GRU(8, sequences=True), True), (cr.MultiHeadAttention(2, causal=True), False)):
        model = cr.Masked(cr.Chain(cr.Embedding(15, 8), inside, cr.Dense(15)))
        run = cr.prepare(model, train, dtype="float64", engine="reference")
        if goes:
            found = stepper(run).logits(row[0].tolist(), run.arrays)
            np.testing.assert_allclose(found, run.outputs(row)[0], rtol=1e-10)
        else:
            with pytest.raises(CannotGoOnError, match="without padding"):
                stepper(run)


def test_places_that_end_too_soon_are_refused() -> None:
    record = Record("float32", going=Going(graph.input("position", (), "int32"), LENGTH + 1))
    with pytest.raises(CannotGoOnError, match=r"places .*there are 12 places, and 13 are wanted"):
        Scope(record).apply(cr.LearnedPositions(LENGTH), graph.input("x", (1, 1, 8)), name="places")


def test_a_place_is_asked_for_where_there_is_one() -> None:
    class Lost:
        def apply(self, scope: Scope, *inputs: Node) -> Node:
            return inputs[0] + graph.broadcast_to(graph.cast(scope.position, scope.dtype), inputs[0].shape)

    with pytest.raises(ConfigurationError, match="only a layer that goes on"):
        of([Lost()])


def test_new_parameters_are_used_at_once() -> None:
    run = of(ENDLESS["GRU"])
    first = run.generate("to be", 20, temperature=0)
    run.set_parameters({name: -2.0 * array for name, array in run.parameters.items()})
    second = run.generate("to be", 20, temperature=0)
    assert first != second == without_steps(run, "to be", 20, temperature=0)[:12] + second[12:]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: graph.tanh(x) * 2.0 + 1.0, True),
        (lambda x: x / graph.broadcast_like(graph.sum(x, -1), x, -1), True),
        (lambda x: graph.transpose(graph.transpose(x, (1, 0, 2)) * 3.0, (1, 0, 2)), True),
        (lambda x: graph.reshape(graph.reshape(x, (6, 2, 2)), (1, 6, 4)), True),
        (lambda x: graph.concatenate([x, x], -1), True),
        (lambda x: graph.contract(x, graph.input("w", (4, 5)), "bti,io->bto"), True),
        (lambda x: graph.contract(x, x, "bti,bto->btio"), True),
        (lambda x: graph.gather(graph.input("w", (9, 3)), graph.cast(x, "int32")), True),
        (lambda x: graph.pad(x, [0, 0, 1], [0, 0, 0])[:, :, 1:], True),
        (lambda x: graph.reverse(x, 2), True),
        (lambda x: x + graph.broadcast_to(graph.input("w", (4,)) * 2.0, x.shape), True),
        (lambda x: x + graph.input("w", (1, 6, 4)), False),
        (lambda x: x + graph.broadcast_to(graph.input("w", (6, 4)), x.shape), False),
        (lambda x: graph.reverse(x, 1), False),
        (lambda x: graph.pad(x[:, :5], [0, 1, 0], [0, 0, 0]), False),
        (lambda x: x[:, 0:6:2], False),
        (lambda x: x - graph.broadcast_like(graph.max(x, 1), x, 1), False),
        (lambda x: graph.reshape(x, (1, 4, 6)), False),
        (lambda x: graph.transpose(x, (0, 2, 1)), False),
        (lambda x: graph.concatenate([x, x], 1)[:, :6], False),
        (lambda x: graph.contract(x, graph.input("w", (6, 6)), "bti,to->boi"), False),
        (lambda x: graph.contract(x, graph.input("w", (6,)), "bti,t->bti"), False),
        (lambda x: graph.contract(x, x, "bti,bsi->bts"), False),
        (lambda x: graph.window(x, [1], [2]), False),
        (lambda x: graph.sum(x, 1), False),
        (lambda x: graph.input("y", (1, 6, 4)), False),
    ],
)
def test_what_treats_each_position_by_itself(function: Any, expected: bool) -> None:
    x = graph.input("x", (1, 6, 4))
    assert each_by_itself([function(x)], {x}) is expected


@pytest.mark.parametrize("engine", ["reference", "native"])
@pytest.mark.parametrize("given", [{}, *({k: v for k, v in one.items() if k != "seed"} for one in SAMPLINGS)])
def test_a_graph_draws_what_sampling_chooses(given: dict[str, Any], engine: str) -> None:
    sampling = Sampling(**given)
    for symbols, never in ((3, []), (17, [0, 5]), (65, [1])):
        with Build() as build:
            logits, number = graph.input("logits", (2, symbols)), graph.input("number", (2,), "float64")
            outputs = {"symbol": drawn(logits, number, sampling, never)}
        program = choose.choose(engine).compile(Graph.of(outputs, build))
        numbers = {f"sampling/{name}": np.array(value) for name, value in settings(sampling).items()}
        for case in range(40):
            key = Key(case).child(symbols)
            z = key.child("logits").normal((symbols,), 3.0).astype(np.float32)
            if case % 3 == 0:
                z = np.round(z)  # many are equal
            u = [0.0, 1 - 2.0**-53, float(key.uniform(()))][min(case, 2)]
            rows = {"logits": np.stack([z, -z]), "number": np.array([u, 0.5])}
            found = program.run({**rows, **numbers})["symbol"].tolist()
            assert found == [sampling.choose(z, u, never), sampling.choose(-z, 0.5, never)], (case, symbols)


@pytest.mark.parametrize("symbols", [7, 10])
def test_of_equals_the_first_are_left(symbols: int) -> None:
    for kept in range(1, symbols):
        for given in ({"top_k": kept}, {"top_p": kept / symbols}):
            sampling = Sampling(**given)
            with Build() as build:
                number = graph.input("number", (1,), "float64")
                outputs = {"symbol": drawn(graph.full((1, symbols), 1.5, "float32"), number, sampling)}
            program = choose.choose("reference").compile(Graph.of(outputs, build))
            numbers = {f"sampling/{name}": np.array(value) for name, value in settings(sampling).items()}
            arrays = {"number": np.array([1 - 2.0**-53]), **numbers}
            assert program.run(arrays)["symbol"].tolist() == [kept - 1]


@pytest.mark.parametrize("count", [1, 2, 5, 16, 17])
def test_running_sums(count: int) -> None:
    x = np.arange(1.0, 2 * count + 1).reshape(2, count)
    graph_ = Graph({"y": running_sums(graph.input("x", (2, count), "float64"))})
    np.testing.assert_allclose(choose.choose("reference").compile(graph_).run({"x": x})["y"], np.cumsum(x, 1))
