"""Every layer, held to the same laws: batched is one by one, the gradient is right, the words name the layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ChainruleError, ConfigurationError, DtypeError, ShapeError
from chainrule.explain import check_graph
from chainrule.gradients import RULES, gradients
from chainrule.graph import Build, Graph, Node
from chainrule.initializers import Constant
from chainrule.keys import Key
from chainrule.layers import Applicable, Record, Scope

Array = NDArray[Any]


def sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class Case:
    """A layer, the shape of a sample, and what it gives in plain NumPy, from x and the parameters by path."""

    layer: Any
    sample: tuple[int, ...]
    output: tuple[int, ...]
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)
    plain: Callable[..., Array] | None = None


def dense(function: Callable[[Array], Array] = lambda x: x) -> Callable[..., Array]:
    return lambda x, p: np.asarray(function(x @ p["weight"] + p.get("bias", 0.0)))


def softmax(x: Array) -> Any:
    raised: Array = np.exp(x - x.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


W43 = {"weight": (4, 3), "bias": (3,)}
CASES: dict[str, Case] = {
    "Dense": Case(cr.Dense(3), (4,), (3,), W43, dense()),
    "Dense without bias": Case(cr.Dense(3, bias=False), (4,), (3,), {"weight": (4, 3)}, dense()),
    "Dense of one unit": Case(cr.Dense(1), (4,), (1,), {"weight": (4, 1), "bias": (1,)}, dense()),
    "Dense over time": Case(cr.Dense(3), (5, 4), (5, 3), W43, dense()),
    "Dense over a picture": Case(cr.Dense(3), (2, 5, 4), (2, 5, 3), W43, dense()),
    "Dense, identity": Case(cr.Dense(3, cr.identity), (4,), (3,), W43, dense()),
    "Dense, sigmoid": Case(cr.Dense(3, cr.sigmoid), (4,), (3,), W43, dense(sigmoid)),
    "Dense, tanh": Case(cr.Dense(3, cr.tanh), (4,), (3,), W43, dense(np.tanh)),
    "Dense, relu": Case(cr.Dense(3, cr.relu), (4,), (3,), W43, dense(lambda x: np.maximum(x, 0))),
    "Dense, leaky": Case(cr.Dense(3, cr.leaky_relu), (4,), (3,), W43, dense(lambda x: np.where(x > 0, x, 0.01 * x))),
    "Dense, softmax": Case(cr.Dense(3, cr.softmax), (4,), (3,), W43, dense(softmax)),
    "Dense, step": Case(cr.Dense(3, cr.step_function), (4,), (3,), W43, dense(lambda x: (x >= 0) * 1.0)),
    "Flatten": Case(cr.Flatten(), (2, 3, 4), (24,), {}, lambda x, p: x.reshape(len(x), -1)),
    "Flatten of numbers": Case(cr.Flatten(), (), (1,), {}, lambda x, p: x.reshape(len(x), 1)),
    "Reshape": Case(cr.Reshape((3, 2)), (6,), (3, 2), {}, lambda x, p: x.reshape(-1, 3, 2)),
    "Chain": Case(
        cr.Chain(cr.Flatten(), cr.Dense(4, cr.tanh), cr.sigmoid, cr.Dense(2, bias=False)),
        (2, 3),
        (2,),
        {"1.weight": (6, 4), "1.bias": (4,), "3.weight": (4, 2)},
        lambda x, p: sigmoid(np.tanh(x.reshape(len(x), -1) @ p["1.weight"] + p["1.bias"])) @ p["3.weight"],
    ),
    "Chain within a chain": Case(
        cr.Chain(cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3)), cr.relu),
        (2,),
        (3,),
        {"0.0.weight": (2, 4), "0.0.bias": (4,), "0.1.weight": (4, 3), "0.1.bias": (3,)},
        lambda x, p: np.maximum(np.tanh(x @ p["0.0.weight"] + p["0.0.bias"]) @ p["0.1.weight"] + p["0.1.bias"], 0),
    ),
}  # fmt: skip


def build(layer: Applicable, shape: tuple[int, ...], dtype: str = "float64", *, name: str = "") -> tuple[Graph, Record]:
    """The graph of one layer, applied to an input "x"."""
    with Build() as opened:
        record = Record(dtype)
        y = Scope(record).apply(layer, graph.input("x", shape, dtype), name=name)
        whole = Graph.of({"y": y}, opened)
    return graph.verify(whole), record


def arrays_of(record: Record, x: Array, seed: int = 0) -> dict[str, Array]:
    key = Key(seed)
    return {"x": x} | {n: key.child(n).normal(d.shape).astype(d.dtype) for n, d in record.declared.items()}


def plain_parameters(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix("parameters/"): array for name, array in arrays.items() if name != "x"}


def run(whole: Graph, arrays: dict[str, Array]) -> Array:
    return ReferenceEngine().compile(whole).run({name: arrays[name] for name in whole.inputs})["y"]


@pytest.mark.tiny
@pytest.mark.parametrize("name", CASES)
def test_shapes_and_parameters_are_as_said(name: str) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (7, *case.sample))
    assert whole.outputs["y"].shape == (7, *case.output)
    assert {path.removeprefix("parameters/"): d.shape for path, d in record.declared.items()} == case.parameters
    assert {declared.dtype for declared in record.declared.values()} <= {"float64"}
    assert record.applied[0].layer is case.layer
    assert (record.applied[0].inputs, record.applied[0].output) == (((7, *case.sample),), (7, *case.output))


@pytest.mark.parametrize("name", CASES)
def test_the_value_is_what_numpy_says(name: str) -> None:
    case = CASES[name]
    assert case.plain is not None
    whole, record = build(case.layer, (7, *case.sample))
    arrays = arrays_of(record, Key(1).normal((7, *case.sample)))
    expected = case.plain(arrays["x"], plain_parameters(arrays))
    np.testing.assert_allclose(run(whole, arrays), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_its_samples_one_by_one(name: str) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (7, *case.sample))
    arrays = arrays_of(record, Key(2).normal((7, *case.sample)))
    together = run(whole, arrays)
    single, _ = build(case.layer, (1, *case.sample))
    for row in range(7):
        alone = run(single, {**arrays, "x": arrays["x"][row : row + 1]})
        np.testing.assert_allclose(together[row : row + 1], alone, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in CASES if name != "Dense, step"])
def test_the_gradient_passes_its_check(name: str) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (3, *case.sample))
    check = check_graph(whole, arrays_of(record, Key(3).normal((3, *case.sample))))
    assert check.passed, str(check)
    assert {row.name.removeprefix("parameters/") for row in check.rows} == {"x", *case.parameters}


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (2, *case.sample), "float32")
    arrays = arrays_of(record, Key(4).normal((2, *case.sample)).astype(np.float32))
    assert {array.dtype.name for array in arrays.values()} == {"float32"}
    assert run(whole, arrays).dtype == np.float32


@pytest.mark.parametrize("name", CASES)
def test_a_batch_of_none_is_no_trouble(name: str) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (0, *case.sample))
    assert run(whole, arrays_of(record, np.zeros((0, *case.sample)))).shape == (0, *case.output)


def test_a_wrong_value_a_wrong_gradient_and_a_wrong_batch_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The laws above can fail: each meets what breaks it."""

    @dataclass(frozen=True)
    class Centred:
        """Takes the mean of the whole batch off: its samples are not one by one."""

        def apply(self, scope: Scope, *inputs: Node) -> Node:
            (x,) = inputs
            return x - graph.broadcast_like(graph.sum(x, 0), x, 0) / float(x.shape[0])

    monkeypatch.setitem(CASES, "broken", Case(Centred(), (3,), (3,), {}, lambda x, p: x))
    with pytest.raises(AssertionError):
        test_the_value_is_what_numpy_says("broken")
    with pytest.raises(AssertionError):
        test_a_batch_is_its_samples_one_by_one("broken")
    monkeypatch.setitem(RULES, "tanh", lambda g, y, x: (g * (1 + y**2),))
    with pytest.raises(AssertionError):
        test_the_gradient_passes_its_check("Dense, tanh")


# ---- the scope ----


def test_a_layer_that_is_used_twice_has_one_set_of_parameters() -> None:
    twin = cr.Dense(3, cr.tanh)
    with Build() as opened:
        record = Record("float64")
        scope = Scope(record)
        a, b = graph.input("a", (4, 3), "float64"), graph.input("b", (4, 3), "float64")
        first, second = scope.apply(twin, a, name="first"), scope.apply(twin, b, name="second")
        other = scope.apply(cr.Dense(3, cr.tanh), a, name="other")  # equal, but another layer
        whole = Graph.of({"first": first, "second": second, "other": other}, opened)
    assert sorted(record.declared) == [
        "parameters/first.bias", "parameters/first.weight", "parameters/other.bias", "parameters/other.weight",
    ]  # fmt: skip
    x = Key(0).normal((4, 3))
    arrays = arrays_of(record, x) | {"a": x, "b": x}
    found = ReferenceEngine().compile(whole).run({name: arrays[name] for name in whole.inputs})
    np.testing.assert_array_equal(found["first"], found["second"])
    assert (found["first"] != found["other"]).any()
    assert [line.path for line in record.applied] == ["first", "first", "other"]


def test_shared_weights_get_the_sum_of_their_gradients() -> None:
    twin = cr.Dense(2, bias=False)
    with Build() as opened:
        scope = Scope(record := Record("float64"))
        a, b = graph.input("a", (4, 3), "float64"), graph.input("b", (4, 3), "float64")
        loss = graph.sum(scope.apply(twin, a, name="twin") ** 2) + graph.sum(scope.apply(twin, b, name="again"))
        (slope,) = gradients(loss, [record.values["parameters/twin.weight"]])
        whole = Graph.of({"slope": slope}, opened)
    x, y, w = Key(0, "a").normal((4, 3)), Key(0, "b").normal((4, 3)), Key(0, "w").normal((3, 2))
    found = ReferenceEngine().compile(whole).run({"a": x, "b": y, "parameters/twin.weight": w})["slope"]
    np.testing.assert_allclose(found, 2 * x.T @ (x @ w) + y.sum(0)[:, None] * np.ones((1, 2)), rtol=1e-12)


def test_a_layer_that_is_used_twice_must_see_one_size() -> None:
    twin = cr.Dense(3)
    with Build():
        scope = Scope(Record("float32"))
        scope.apply(twin, graph.input("a", (4, 3)), name="twin")
        with pytest.raises(
            ConfigurationError, match=r"parameters/twin.weight is float32\[3, 3\], and is asked for as float32\[5, 3\]"
        ):
            scope.apply(twin, graph.input("b", (4, 5)), name="twin")


def test_two_layers_under_one_name_do_not_share_by_accident() -> None:
    """Two different layers that are applied under one name would have one set of parameters."""
    with Build():
        scope = Scope(Record("float32"))
        x = graph.input("x", (4, 3))
        scope.apply(cr.Dense(3), x, name="same")
        with pytest.raises(ConfigurationError, match="same"):
            scope.apply(cr.Dense(3), x, name="same")


def test_sublayers_made_anew_in_each_application_share_by_their_names() -> None:
    @dataclass(frozen=True)
    class Outer:
        def apply(self, scope: Scope, *inputs: Node) -> Node:
            return scope.apply(cr.Dense(2), inputs[0], name="inner")

    outer = Outer()
    with Build():
        scope = Scope(record := Record("float32"))
        for _ in range(2):
            scope.apply(outer, graph.input("x", (4, 3)), name="outer")
    assert sorted(record.declared) == ["parameters/outer.inner.bias", "parameters/outer.inner.weight"]


def test_a_function_that_is_applied_twice_stands_where_it_stands() -> None:
    train, _ = cr.data.load("iris")
    model = cr.Chain(cr.Dense(4), cr.relu, cr.Dense(3), cr.relu)
    run = cr.prepare(model, train, loss=cr.losses.half_squared_error)
    assert [line.path for line in run.layers] == ["", "0", "1", "2", "3"]


def test_random_numbers_are_fixed_by_seed_step_and_path() -> None:
    def draw(seed: int, step: int, path: str, kind: str = "uniform") -> Array:
        with Build() as opened:
            record = Record("float64")
            key = graph.random_bits(graph.constant(np.uint32(seed)), graph.constant(np.uint32(step)), "step")
            record.seed = key
            scope = Scope(record, path)
            y = getattr(scope, kind)("noise", (1000,))
            whole = Graph.of({"y": y}, opened)
        return ReferenceEngine().compile(whole).run({})["y"]

    first = draw(0, 1, "0")
    np.testing.assert_array_equal(first, draw(0, 1, "0"))
    for other in (draw(1, 1, "0"), draw(0, 2, "0"), draw(0, 1, "1")):
        assert (first != other).mean() > 0.99
    assert first.min() >= 0
    assert first.max() < 1
    assert abs(first.mean() - 0.5) < 5 / math.sqrt(12 * 1000)
    normal = draw(0, 1, "0", "normal")
    assert abs(normal.mean()) < 5 / math.sqrt(1000)
    assert abs(normal.std() - 1) < 0.1


def test_random_numbers_without_a_seed_are_refused() -> None:
    with (
        Build(),
        pytest.raises(ConfigurationError, match="layer 3: random numbers are asked for in a graph that has no seed"),
    ):
        Scope(Record("float32"), "3").uniform("noise", (2,))


def test_state_is_updated_in_training_alone() -> None:
    for training in (True, False):
        with Build():
            scope = Scope(Record("float32"), "0", training=training)
            old = scope.state("mean", (2,), Constant(0.0))
            scope.update("mean", old + 1)
            assert (scope.record.values["state/0.mean"] is old) is not training
            with pytest.raises(ConfigurationError, match="0: the state 'variance' is updated before it is declared"):
                scope.update("variance", old)


# ---- what does not fit ----


def of(make: Any, *given: Any) -> Any:
    """Call with what the types would not allow."""
    return make(*given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.Dense(0), "Dense: units is a whole number above 0, not 0"),
        (lambda: of(cr.Dense, 2.5), "not 2.5"),
        (lambda: cr.Dense(True), "not True"),
        (lambda: of(cr.Dense, "10"), "not '10'"),
        (lambda: of(cr.Dense, 3, "relu"), "activation is a function such as chainrule.relu, not 'relu'"),
        (lambda: cr.Chain(), "at least one layer"),
        (lambda: of(cr.Chain, cr.Dense(3), 4), "entry 1 is 4, which is neither a layer nor a function"),
        (lambda: of(cr.Chain, cr.Dense), "entry 0 is the class Dense; give Dense"),
        (lambda: of(cr.Chain, [cr.Dense(3), cr.Dense(2)]), r"entry 0 is a list; give Chain\(\*layers\)"),
        (lambda: cr.Reshape((2, -3)), "Reshape: shape is"),
        (lambda: of(cr.Reshape, 6), "Reshape: shape is"),
    ],
)  # fmt: skip
def test_a_setting_without_meaning_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "dtype", "error", "message"),
    [
        (cr.Chain(cr.Dense(3)), (4,), "float32", ShapeError, "layer 0 (Dense(units=3"),
        (cr.Chain(cr.Dense(3)), (4,), "float32", ShapeError, "given float32[4]: wants a batch of rows"),
        (cr.Chain(cr.Dense(3)), (4, 2), "int32", DtypeError, "wants float32, and got int32; use graph.cast"),
        (cr.Chain(cr.Dense(4), cr.Reshape((3, 2))), (5, 2), "float32", ShapeError,
         "layer 1 (Reshape(shape=(3, 2))), given float32[5, 4]: reshape: float32[5, 4] has 20 elements"),
        (cr.Chain(cr.Dense(4), cr.Chain(cr.relu, cr.Reshape((3,)))), (5, 2), "float32", ShapeError, "layer 1.1 (Res"),
        (cr.Chain(cr.Dense(1), cr.softmax), (5, 2), "float32", ShapeError, "layer 1 (softmax), given float32[5, 1]"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_name_the_layer(
    layer: Applicable, shape: tuple[int, ...], dtype: str, error: type[ChainruleError], message: str
) -> None:
    with Build(), pytest.raises(error) as caught:
        Scope(Record("float32")).apply(layer, graph.input("x", shape, dtype), name="")
    assert message in str(caught.value)
    assert str(caught.value).count("layer ") == 1, "the innermost layer alone is named"


def test_a_layer_that_takes_one_input_says_so_when_it_gets_two() -> None:
    x = graph.input("x", (4, 3))
    for layer in (cr.Dense(3), cr.Flatten(), cr.Reshape((3,)), cr.Chain(cr.Dense(3))):
        with Build(), pytest.raises(ShapeError, match="takes one input, and got 2"):
            Scope(Record("float32")).apply(layer, x, x, name="0")


def test_a_layer_that_gives_no_node_is_refused() -> None:
    with Build(), pytest.raises(ConfigurationError, match=r"layer 0 \(.*\) gave ndarray, not a node"):
        of(
            lambda layer: Scope(Record("float32")).apply(layer, graph.input("x", (4, 3)), name="0"),
            lambda x: np.ones(3),
        )


@pytest.mark.tiny
def test_training_on_shapes_that_do_not_fit_names_the_layer() -> None:
    train, _ = cr.data.load("iris")
    with pytest.raises(ShapeError, match=r"layer 1 \(Reshape"):
        cr.prepare(cr.Chain(cr.Dense(4), cr.Reshape((3,)), cr.Dense(3)), train)
