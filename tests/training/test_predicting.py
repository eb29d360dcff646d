"""Prediction: programs that are kept, parameters that change under them, and inputs that are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule.engines.protocol import Program
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError, DataError, ShapeError
from chainrule.graph import Graph
from chainrule.training import predicting

Array = NDArray[Any]
INPUTS = np.arange(24, dtype=np.float32).reshape(8, 3) / 8
LABELS = np.arange(8) % 2


class Counting(ReferenceEngine):
    """Counts what it compiles."""

    def __init__(self) -> None:
        super().__init__()
        self.compiled = 0

    def compile(self, graph: Graph) -> Any:
        self.compiled += 1
        return super().compile(graph)


def _run(**settings: Any) -> cr.Run:
    data = cr.data.from_arrays(INPUTS, LABELS).standardize()
    return cr.prepare(cr.Chain(cr.Dense(2)), data, batch_size=4, **settings)


def _expected(run: cr.Run, inputs: Array) -> Array:
    parameters = run.parameters
    found: Array = run.preparation.forward(inputs) @ parameters["0.weight"] + parameters["0.bias"]
    return found


def test_a_size_and_a_kind_of_inputs_are_compiled_once() -> None:
    engine = Counting()
    run = _run(engine=engine)
    before = engine.compiled
    for _ in range(3):
        run.outputs(INPUTS)
        run.predict(INPUTS)
        run.probabilities(cr.data.Dataset(INPUTS, LABELS))
    assert engine.compiled == before + 2  # the outputs, and the probabilities
    run.outputs(INPUTS[:1])
    run.outputs(INPUTS.astype(np.float64))
    assert engine.compiled == before + 4
    run.fit(cr.data.from_arrays(INPUTS, LABELS), epochs=1)
    trained = engine.compiled
    run.outputs(INPUTS)
    assert engine.compiled == trained  # new parameters are no new program


@pytest.mark.tiny
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_parameters_are_those_of_now(engine: str) -> None:
    run = _run(engine=engine)
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)
    run.set_parameters({"0.bias": np.array([3.0, 4.0])})
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)
    run.arrays["parameters/0.weight"][:] = 1  # in place
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)
    run.fit(cr.data.from_arrays(INPUTS, LABELS), epochs=2)
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)


def test_so_are_preparation_loss_and_classes() -> None:
    run = _run()
    run.outputs(INPUTS)
    run.preparation = cr.data.Preparation(shift=1.0, scale=0.5)  # numbers in the place of one a feature
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)
    run.preparation = replace(run.preparation, scale=2.0)
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)
    run.preparation = cr.data.Preparation()  # which changes nothing
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)
    run.preparation = cr.data.Preparation(shift=1.0)
    np.testing.assert_allclose(run.outputs(INPUTS), _expected(run, INPUTS), rtol=1e-5, atol=1e-6)
    assert (run.probabilities(INPUTS) != run.outputs(INPUTS)).any()
    run.loss = cr.losses.mean_squared_error
    np.testing.assert_array_equal(run.probabilities(INPUTS), run.outputs(INPUTS))
    run.classes = ("no", "yes")
    assert set(run.predict(INPUTS)) <= {"no", "yes"}


def test_what_is_given_is_the_callers_own() -> None:
    """An engine may hold on to what it gives."""

    class Holding(ReferenceEngine):
        def compile(self, graph: Graph) -> Any:
            inner = super().compile(graph)
            held: dict[str, Array] = {}

            class Held(Program):
                def __init__(self) -> None:
                    self.graph = graph

                def run(self, arrays: Any) -> dict[str, Array]:
                    for name, array in inner.run(arrays).items():
                        held.setdefault(name, np.empty_like(array))[...] = array
                    return held

            return Held()

    run = _run(engine=Holding())
    first = run.outputs(INPUTS)
    kept = first.copy()
    run.outputs(2 * INPUTS)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.tiny
@pytest.mark.parametrize("at_once", [1 << 20, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float, dtype: Any, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicting, "_AT_ONCE", at_once)
    run = _run()
    inputs = INPUTS.astype(dtype)
    run.outputs(inputs)
    inputs[5, 1] = value
    with pytest.raises(DataError, match=rf"the data: inputs, row 5, column 1: {value} is not a finite number"):
        run.outputs(inputs)


def test_numbers_whose_squares_are_not_finite_are_finite() -> None:
    run = _run()
    assert run.outputs(np.full((2, 3), 1e30, np.float32)).shape == (2, 2)
    assert run.outputs(np.full((2, 3), 1e36)).shape == (2, 2)


def test_inputs_in_other_forms_are_made_fit_or_refused() -> None:
    run = _run()
    first = run.outputs(INPUTS)
    forms = INPUTS.tolist(), np.asfortranarray(INPUTS), INPUTS.astype(INPUTS.dtype.newbyteorder()), np.float16(INPUTS)
    for inputs in forms:
        np.testing.assert_allclose(run.outputs(inputs), first, rtol=1e-5, atol=1e-6)
    whole = np.arange(24).reshape(8, 3)
    for kind in (np.uint8, np.int64, np.float32):
        np.testing.assert_allclose(run.outputs(whole.astype(kind)), _expected(run, whole), rtol=1e-5, atol=1e-5)
    with pytest.raises(ShapeError, match=r"inputs are \(samples, 3\), and these are \[3\]"):
        run.outputs(INPUTS[0])
    with pytest.raises(ShapeError, match="inputs is one number"):
        run.outputs(np.float32(1))
    with pytest.raises(ShapeError, match="inputs is one number"):
        run.outputs(np.array(1, np.float32))
    with pytest.raises(DataError, match="a network works on numbers"):
        run.outputs(np.array([["a", "b", "c"]]))
    with pytest.raises(DataError, match="there are no samples to predict"):
        run.outputs(INPUTS[:0])


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_what_was_not_learned_is_named(engine: str) -> None:
    run = _run(engine=engine)
    run.outputs(INPUTS)
    bias = run.arrays.pop("parameters/0.bias")
    with pytest.raises(ConfigurationError, match=r"^this run has learned nothing for parameters/0\.bias: the model"):
        run.outputs(INPUTS)
    run.arrays["parameters/0.bias"] = bias[:1]
    with pytest.raises(ShapeError):
        run.outputs(INPUTS)


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_what_is_given_stays_when_more_is_predicted(engine: str) -> None:
    run = _run(engine=engine)
    first = run.outputs(INPUTS)
    kept = first.copy()
    second = run.outputs(2 * INPUTS)
    np.testing.assert_array_equal(first, kept)
    assert not np.shares_memory(first, second)
