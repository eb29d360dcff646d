"""The scope that layers are applied in, and the words for what does not fit; laws are in test_laws.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ChainruleError, ConfigurationError, DtypeError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node
from chainrule.initializers import Constant
from chainrule.keys import Key
from chainrule.layers import Applicable, Record, Scope

Array = NDArray[Any]


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
    arrays = {name: Key(0).child(name).normal(one.shape) for name, one in record.declared.items()} | {"a": x, "b": x}
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


def behind_itself(layer: Applicable, shape: tuple[int, ...]) -> cr.Chain:
    """A network in which one object stands twice, the second time behind a block that holds it a third time."""
    return cr.Chain(cr.Reshape(shape), layer, cr.tanh, cr.Chain(layer, cr.tanh), cr.Flatten(), cr.Dense(3))


@pytest.mark.parametrize("layer", [cr.BatchNorm(), cr.LSTM(2, sequences=True, carry=True)], ids=["norm", "carry"])
def test_what_keeps_state_is_not_applied_behind_its_own_output(layer: Applicable) -> None:
    """One running mean for two places of a network would be right for neither."""
    train, _ = cr.data.load("iris")
    model, without = behind_itself(layer, (2, 2)), behind_itself(cr.LayerNorm(), (2, 2))
    with pytest.raises(ConfigurationError, match=r"layer 1 \(.*\) is applied again at 3.0, behind its own output"):
        cr.prepare(model, train, batch_size=10)
    assert cr.prepare(without, train, batch_size=10).parameters["1.scale"].shape == (2,)  # it keeps nothing
    if isinstance(layer, cr.BatchNorm):
        known = {"1.scale": np.ones(2), "1.shift": np.zeros(2), "1.mean": np.zeros(2), "1.variance": np.ones(2)}
        cr.prepare(model, train, weights=known, freeze=["1"])  # frozen it is one function, wherever it stands


def test_a_layer_of_two_inputs_keeps_statistics_of_both_in_turn() -> None:
    norm = cr.Chain(cr.BatchNorm(momentum=0.5))
    with Build() as opened:
        scope = Scope(record := Record("float64"))
        a, b = graph.input("a", (4, 1), "float64"), graph.input("b", (4, 1), "float64")
        first = scope.apply(norm, a, name="one")
        learned = graph.stop_gradient(first) + b  # by way of an update, b may know of the first output
        scope.apply(norm, learned, name="two")
        whole = Graph.of({"mean": record.values["state/one.0.mean"]}, opened)
    arrays = {name: np.zeros(node.shape) for name, node in whole.inputs.items()}
    arrays |= {"a": np.full((4, 1), 4.0), "b": np.full((4, 1), 8.0)}
    assert ReferenceEngine().compile(whole).run(arrays)["mean"] == [0.5 * (0.5 * 0.0 + 0.5 * 4.0) + 0.5 * 8.0]


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
        (lambda: cr.Dropout(1.0), "Dropout: rate is a number from 0 to below 1, not 1.0"),
        (lambda: cr.Dropout(-0.1), "not -0.1"),
        (lambda: of(cr.Dropout, "0.5"), "not '0.5'"),
        (lambda: cr.Dropout(True), "not True"),
        (lambda: cr.Dropout(float("nan")), "not nan"),
        (lambda: cr.GaussianNoise(-1), "GaussianNoise: deviation is a number from 0 upwards, not -1"),
        (lambda: cr.GaussianNoise(float("inf")), "not inf"),
        (lambda: cr.WeightNoise(cr.Dense(3), -1), "WeightNoise: deviation is a number from 0 upwards, not -1"),
        (lambda: of(cr.WeightNoise, 0.1, 0.1), "WeightNoise: layer is a layer, such as .*, not 0.1"),
        (lambda: of(cr.WeightNoise, cr.Dense, 0.1), "not <class"),
        (lambda: cr.BatchNorm(momentum=1.0), "BatchNorm: momentum is a number from 0 to below 1, not 1.0"),
        (lambda: cr.BatchNorm(epsilon=-1e-5), "BatchNorm: epsilon is"),
        (lambda: cr.LayerNorm(epsilon=2), "LayerNorm: epsilon is a number from 0 to below 1, not 2"),
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
        (cr.Chain(cr.Dense(4), cr.BatchNorm()), (1, 2), "float32", ShapeError,
         "layer 1 (BatchNorm(momentum=0.9, epsilon=1e-05)), given float32[1, 4]: one sample has no variance"),
        (cr.BatchNorm(), (5,), "float32", ShapeError, "wants a batch of rows"),
        (cr.BatchNorm(), (5, 2), "float64", DtypeError, "wants float32, and got float64; use graph.cast"),
        (cr.LayerNorm(), (5, 1), "float32", ShapeError, "over one feature the result is 0 whatever comes in"),
        (cr.Dropout(0.5), (5, 2), "int32", DtypeError, "wants floats, and got int32"),
        (cr.GaussianNoise(0.5), (5, 2), "uint8", DtypeError, "wants floats, and got uint8"),
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
    for layer in (cr.Dense(3), cr.Flatten(), cr.Reshape((3,)), cr.Chain(cr.Dense(3)), cr.BatchNorm(), cr.Dropout(0.1)):
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
