"""The face: fit, prepare, evaluate, predict, parameters; what they give, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.engines.protocol import Program
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ChainruleError, ConfigurationError, DataError, EngineError, ShapeError
from chainrule.keys import Key


def iris() -> tuple[cr.data.Dataset, cr.data.Dataset]:
    return cr.data.load("iris")


def model(units: int = 3) -> cr.Chain:
    return cr.Chain(cr.Dense(5, cr.tanh), cr.Dense(units))


@pytest.fixture(scope="module")
def run() -> cr.Run:
    return cr.fit(model(), iris()[0], epochs=20)


def softmax(z: Any) -> Any:
    raised = np.exp(z - z.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


# ---- what it gives ----


def test_predictions_are_those_of_numpy(run: cr.Run) -> None:
    """The whole way in NumPy: preparation, layers, softmax, the name of the class; and the loss as it is measured."""
    _, test = iris()
    p = run.parameters
    x = run.preparation.forward(test.inputs)
    logits = np.tanh(x @ p["0.weight"] + p["0.bias"]) @ p["1.weight"] + p["1.bias"]
    np.testing.assert_allclose(run.outputs(test.inputs), logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.probabilities(test.inputs), softmax(logits), rtol=1e-4, atol=1e-6)
    names = np.asarray(test.classes)[logits.argmax(1)]
    assert run.predict(test.inputs).tolist() == names.tolist()
    found = run.evaluate(test)
    labels = test.targets
    assert labels is not None
    assert found["loss"] == pytest.approx(-np.log(softmax(logits)[np.arange(len(test)), labels]).mean(), rel=1e-4)
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == labels).mean())


def test_many_samples_are_predicted_in_parts(run: cr.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _, test = iris()
    whole, measured = run.outputs(test.inputs), run.evaluate(test)
    monkeypatch.setattr("chainrule.training.measuring.CHUNK", 7)
    run._predictor = None  # it remembers how many
    np.testing.assert_allclose(run.outputs(test.inputs), whole, rtol=1e-5, atol=1e-6)
    assert run.evaluate(test)["accuracy"] == measured["accuracy"]
    assert run.evaluate(test)["loss"] == pytest.approx(measured["loss"], rel=1e-6)


def test_of_large_samples_few_go_through_the_network_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the activations of a thousand images of 224×224 pixels would have to fit into memory."""
    images = np.zeros((7, 30, 20, 3), np.uint8)
    data = cr.data.from_arrays(images, np.arange(7) % 2, ["a", "b"])
    run = cr.fit(cr.Chain(cr.Conv2D(2, 3), cr.GlobalAveragePool(), cr.Dense(2)), data, epochs=1, engine="reference")
    monkeypatch.setattr("chainrule.training.measuring._NUMBERS", 3 * images[0].size + 3)
    compiled: list[tuple[int, ...]] = []
    real = run.engine.compile

    def compiling(graph: Any) -> Any:
        compiled.extend(node.shape for name, node in graph.inputs.items() if name == "batch/inputs")
        return real(graph)

    monkeypatch.setattr(run.engine, "compile", compiling)
    run.evaluate(data)
    run.evaluate(cr.data.stream(data))
    run.predict(images)
    assert {shape[0] for shape in compiled} == {3, 1}


def test_inputs_may_be_lists_and_of_any_float(run: cr.Run) -> None:
    _, test = iris()
    first = run.outputs(test.inputs[:2])
    for given in (test.inputs[:2].tolist(), test.inputs[:2].astype(np.float64), test.inputs[:2].astype(np.float32)):
        np.testing.assert_allclose(run.outputs(given), first, rtol=1e-4, atol=1e-5)
    whole = run.outputs(np.array([[5, 3, 4, 1]]))
    np.testing.assert_allclose(whole, run.outputs([[5.0, 3.0, 4.0, 1.0]]), rtol=1e-6)


def test_two_classes_may_share_one_unit() -> None:
    train, _ = iris()
    two = train.subset(train.targets < 2)  # type: ignore[operator]
    data = cr.data.from_arrays(two.inputs, two.targets, ("setosa", "versicolor")).standardize()
    run = cr.fit(model(1), data, loss=cr.losses.binary_cross_entropy, epochs=10)
    assert run.evaluate(data)["accuracy"] == 1
    names = np.asarray(data.classes)[data.targets]
    assert run.predict(two.inputs).tolist() == names.tolist()
    assert run.probabilities(two.inputs).shape == (len(two), 1)


def test_a_regression_speaks_in_its_own_units() -> None:
    x = Key(0).uniform((60, 1), 0, 10)
    prices = 5000 + 300 * x
    preparation = cr.data.Preparation(target=cr.data.Scaling.standardize(prices))
    data = cr.data.from_arrays(x, prices, preparation=preparation).standardize()
    run = cr.fit(cr.Chain(cr.Dense(1)), data, epochs=50, optimizer=cr.optimizers.SGD(0.1))
    assert run.loss is cr.losses.mean_squared_error
    np.testing.assert_allclose(run.predict([[2.0], [9.0]]), [[5600.0], [7700.0]], rtol=1e-3)
    assert abs(run.outputs(x)).max() < 3, "the network itself works on scaled numbers"
    assert set(run.evaluate(data)) == {"loss"}


def test_targets_of_several_numbers() -> None:
    x = Key(0).normal((50, 3))
    data = cr.data.from_arrays(x, x @ Key(1).normal((3, 2)))
    run = cr.fit(cr.Chain(cr.Dense(2)), data, epochs=60, dtype="float64")
    assert run.evaluate(data)["loss"] < 1e-5
    assert run.predict(x).shape == (50, 2)


def test_pictures_stay_bytes_until_the_graph() -> None:
    """uint8 data are held as they are: the graph casts and scales them."""
    pictures = Key(0).bits(30 * 16).astype(np.uint8).reshape(30, 4, 4)
    data = cr.data.from_arrays(pictures, np.arange(30) % 2, preparation=cr.data.Preparation(scale=1 / 255))
    run = cr.fit(cr.Chain(cr.Flatten(), cr.Dense(2)), data, epochs=1)
    assert run.spec is not None
    assert run.spec.arrays["inputs"] == ((4, 4), "uint8")
    p = run.parameters
    expected = (pictures.reshape(30, 16) / 255.0) @ p["1.weight"] + p["1.bias"]
    np.testing.assert_allclose(run.outputs(pictures), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_holds_throughout(dtype: str) -> None:
    train, test = iris()
    run = cr.fit(model(), train, epochs=1, dtype=dtype)
    assert {array.dtype.name for array in run.parameters.values()} == {dtype}
    assert run.outputs(test.inputs).dtype == np.dtype(dtype)


def test_float64_agrees_with_float32() -> None:
    train, test = iris()
    short, long = (cr.fit(model(), train, epochs=3, dtype=dtype) for dtype in ("float32", "float64"))
    np.testing.assert_allclose(short.parameters["0.weight"], long.parameters["0.weight"], rtol=1e-3, atol=1e-4)
    assert short.evaluate(test)["loss"] == pytest.approx(long.evaluate(test)["loss"], rel=1e-3)


# ---- its parts ----


def test_parameters_are_copies_that_can_be_put_back(run: cr.Run) -> None:
    before = run.parameters
    copies = run.parameters
    copies["0.weight"][:] = 0
    np.testing.assert_array_equal(run.parameters["0.weight"], before["0.weight"])
    assert list(before) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    _, test = iris()
    outputs = run.outputs(test.inputs)
    run.set_parameters(copies)
    assert (run.outputs(test.inputs) != outputs).any()
    run.set_parameters(before)
    np.testing.assert_array_equal(run.outputs(test.inputs), outputs)
    with pytest.raises(ConfigurationError, match=r"there is no parameter '2.weight'; there are 0.weight, 0.bias"):
        run.set_parameters({"2.weight": np.zeros(3)})
    with pytest.raises(ShapeError, match=r"parameter 0.weight is \[4, 5\], and the value given is \[5, 4\]"):
        run.set_parameters({"0.weight": np.zeros((5, 4))})


def test_a_wrong_entry_changes_nothing(run: cr.Run) -> None:
    """Of several parameters, all are put in place or none."""
    before = run.parameters
    with pytest.raises(ShapeError):
        run.set_parameters({"0.bias": np.ones(5), "1.bias": np.ones(99)})
    np.testing.assert_array_equal(run.parameters["0.bias"], before["0.bias"])


def test_layers_are_listed_with_their_shapes(run: cr.Run) -> None:
    lines = [(line.path, line.inputs, line.output) for line in run.layers]
    assert lines == [("", ((32, 4),), (32, 3)), ("0", ((32, 4),), (32, 5)), ("1", ((32, 5),), (32, 3))]


def test_prepare_gives_first_weights_and_no_step() -> None:
    train, test = iris()
    fresh = cr.prepare(model(), train, seed=3)
    assert (fresh.epoch, len(fresh.history)) == (0, 0)
    assert fresh.evaluate(test)["loss"] > 0
    np.testing.assert_array_equal(
        fresh.parameters["0.weight"], cr.prepare(model(), train, seed=3).parameters["0.weight"]
    )
    trained = fresh.fit(train, epochs=2)
    assert trained is fresh
    np.testing.assert_array_equal(
        trained.parameters["0.weight"], cr.fit(model(), train, seed=3, epochs=2).parameters["0.weight"]
    )


def test_the_defaults_are_as_they_are_told() -> None:
    run = cr.prepare(model(), iris()[0])
    assert run.loss is cr.losses.cross_entropy
    assert run.optimizer == cr.optimizers.SGD(learning_rate=0.1, momentum=0.9)
    assert (run.batch_size, run.dtype, run.seed, run.shuffle, run.engine.name) == (32, "float32", 0, True, "native")


def test_an_engine_is_a_value() -> None:
    """Any object with a name and compile will do; it runs the steps and the predictions."""
    compiled: list[int] = []

    class Counting(ReferenceEngine):
        name = "counting"

        def compile(self, graph: graph.Graph) -> Any:
            compiled.append(len(graph.nodes))
            return super().compile(graph)

    train, test = iris()
    run = cr.fit(model(), train, epochs=1, engine=Counting())
    run.evaluate(test)
    assert run.engine.name == "counting"
    assert len(compiled) == 3  # full batches, the smaller last one, and the measure
    same = cr.fit(model(), train, epochs=1, engine="reference")
    np.testing.assert_array_equal(run.outputs(test.inputs), same.outputs(test.inputs))


def test_an_engine_of_a_user_needs_no_loop_of_its_own() -> None:
    """A program that derives from the protocol is given the loop over steps."""

    class Plain(Program):
        def __init__(self, whole: graph.Graph) -> None:
            self.graph, self._inner = whole, ReferenceEngine().compile(whole)

        def run(self, arrays: Any) -> Any:
            return self._inner.run(arrays)

    class Engine:
        name = "plain"

        def compile(self, graph: graph.Graph) -> Plain:
            return Plain(graph)

    train, _ = iris()
    one, two = (cr.fit(model(), train, epochs=2, engine=engine) for engine in (Engine(), "reference"))
    for name, array in one.arrays.items():
        np.testing.assert_array_equal(two.arrays[name], array)
    np.testing.assert_array_equal(one.history.steps["loss"], two.history.steps["loss"])


def test_an_engine_that_lacks_an_op_refuses_it_by_name() -> None:
    class Poor(ReferenceEngine):
        name = "poor"

        def compile(self, whole: graph.Graph) -> Any:
            if any(node.op == "tanh" for node in whole.nodes):
                raise EngineError("the poor engine lacks the ops tanh")
            return super().compile(whole)

    with pytest.raises(EngineError, match="lacks the ops tanh"):
        cr.fit(model(), iris()[0], engine=Poor())
    with pytest.raises(EngineError, match="there is no engine 'fast'; the engines are native, reference"):
        cr.fit(model(), iris()[0], engine="fast")


# ---- what does not fit ----


def fit(**settings: Any) -> Any:
    given: dict[str, Any] = {"model": model(), "train": iris()[0], "epochs": 1, **settings}
    return cr.fit(given.pop("model"), given.pop("train"), **given)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"epochs": 0}, ConfigurationError, "epochs is a whole number above 0, not 0"),
        ({"epochs": 2.5}, ConfigurationError, "not 2.5"),
        ({"epochs": True}, ConfigurationError, "epochs is a whole number above 0, not True"),
        ({"batch_size": 0}, ConfigurationError, "batch_size is a whole number above 0, or None"),
        ({"batch_size": "32"}, ConfigurationError, "not '32'"),
        ({"batch_size": True}, ConfigurationError, "or None for all samples, not True"),
        ({"seed": -1}, ConfigurationError, "seed is a whole number from 0"),
        ({"seed": 2**32}, ConfigurationError, "seed is a whole number from 0"),
        ({"seed": 0.5}, ConfigurationError, "not 0.5"),
        ({"dtype": "float16"}, ConfigurationError, "dtype is float32 or float64, not 'float16'"),
        ({"model": "mlp"}, ConfigurationError, "a model is a layer, such as Chain"),
        ({"model": cr.Dense}, ConfigurationError, "a model is a layer, such as Chain"),
        ({"model": model(2)}, ConfigurationError, "the last layer only 2 units; make it Dense(3)"),
        ({"model": model(1)}, ConfigurationError, "the data has 3 classes, and the last layer only 1 unit"),
        ({"callbacks": cr.Callback()}, ConfigurationError, "callbacks is a list of callbacks"),
        ({"callbacks": [print]}, ConfigurationError, "training.OnEpoch makes one of a function"),
        ({"validation": np.zeros((3, 4))}, DataError, "data is a Dataset or a dictionary of arrays, not ndarray"),
    ],
)  # fmt: skip
def test_a_setting_without_meaning_is_refused(
    settings: dict[str, Any], error: type[ChainruleError], message: str
) -> None:
    with pytest.raises(error) as caught:
        fit(**settings)
    assert message in str(caught.value)


def test_inputs_that_do_not_fit_are_refused(run: cr.Run) -> None:
    for inputs, error, message in (
        (np.zeros((2, 5)), ShapeError, r"inputs are \(samples, 4\), and these are \[2, 5\]"),
        (np.zeros(4), ShapeError, r"these are \[4\]"),
        (3.0, ShapeError, "inputs is one number"),
        (np.zeros((0, 4)), DataError, "there are no samples to predict"),
        ([["a", "b", "c", "d"]], DataError, "encode texts first"),
        ([[np.nan, 1, 2, 3]], DataError, "row 0, column 0 .*: nan is not a finite number"),
    ):
        with pytest.raises(error, match=message):
            run.predict(inputs)


def test_a_run_that_has_no_single_model_says_what_to_use() -> None:
    unit = cr.Chain(cr.Dense(1), name="unit")

    @cr.step
    def down(state: Any, batch: Any) -> dict[str, cr.Node]:
        state.descend(graph.sum(state.apply(unit, batch["x"]) ** 2), unit, cr.optimizers.SGD(0.1))
        return {}

    run = cr.fit(down, {"x": np.ones((4, 2), np.float32)}, epochs=1)
    with pytest.raises(ConfigurationError, match=r"the step down has no single model to predict with; use run.apply"):
        run.predict(np.ones((4, 2)))
    with pytest.raises(ConfigurationError, match="apply wants at least one array"):
        run.apply(unit)
    with pytest.raises(ConfigurationError, match="has its losses, optimizers, penalties and augmentation inside"):
        cr.fit(down, {"x": np.ones((4, 2), np.float32)}, loss=cr.losses.cross_entropy)


def test_data_of_another_kind_are_refused_when_going_on(run: cr.Run) -> None:
    other = cr.data.from_arrays(np.zeros((10, 7)), np.arange(10) % 3, run.classes)
    with pytest.raises((DataError, ShapeError)):
        run.fit(other, epochs=run.epoch + 1)
    with pytest.raises((DataError, ShapeError)):
        run.evaluate(other)


def test_weights_that_are_all_nothing_are_refused(run: cr.Run) -> None:
    _, test = iris()
    with pytest.raises(DataError, match="all weights are 0"):
        run.evaluate(cr.data.Dataset(test.inputs, test.targets, np.zeros(len(test)), test.classes))


def test_a_loaded_run_predicts_without_its_training_step(tmp_path: Path) -> None:
    """The step of a large network takes seconds to compile, and whoever only predicts has no use for it."""
    train, test = cr.data.load("iris")
    run = cr.fit(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, epochs=1)
    expected = run.predict(test.inputs)
    engine = NativeEngine()
    loaded = cr.load(run.save(tmp_path / "run"), engine=engine)
    assert (loaded.predict(test.inputs) == expected).all()
    assert len(loaded.layers) == 3
    assert len(engine.compilations) == 1
