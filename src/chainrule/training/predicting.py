"""Prediction by the one model of a run: a program for each number of samples, kept, and little beside it in a call."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule.data import Dataset, Preparation
from chainrule.data.checking import as_inputs, plain_array
from chainrule.engines.protocol import Array, Engine, Program
from chainrule.errors import ConfigurationError, DataError, EngineError, ShapeError
from chainrule.graph import Node, Shape, scope
from chainrule.layers.scope import AnyLayer
from chainrule.losses import Loss
from chainrule.training.batch import Batch
from chainrule.training.building import build_measure
from chainrule.training.feeding import feed, looks_at_inputs, refuse_other_inputs
from chainrule.training.measuring import Measurable, rows_at_once
from chainrule.training.step import StepState

_ROWS = "batch/inputs"
_AS_THEY_ARE = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.uint8))
#: Values that are looked at in one go; more are looked at piece by piece, since they may not fit into memory.
_AT_ONCE = 1 << 20


class Setting(NamedTuple):
    """What a prediction depends on, parameters aside."""

    model: AnyLayer
    loss: Loss
    engine: Engine
    preparation: Preparation
    #: The shape of one sample.
    shape: Shape
    dtype: str
    classes: tuple[str, ...] | None


class _Known(NamedTuple):
    program: Program
    #: What it takes of the state, and what prepares.
    names: list[str]
    preparing: dict[str, Array]
    #: Whether what it gives is the caller's own; else a copy is made.
    gives_new: bool


class Predictor:
    """A model as it predicts in one setting; the parameters are given in each call, so that they may change.

    ``layers`` are those of the training step, each with its path there.
    """

    def __init__(self, setting: Setting, layers: Sequence[tuple[AnyLayer, str]]) -> None:
        self.setting, self._layers = setting, layers
        self._programs: dict[tuple[str, int, np.dtype[Any]], _Known] = {}
        self._plain, self._shape = not setting.preparation.symbols, setting.shape
        self._looks = looks_at_inputs(setting.model)
        self._most = rows_at_once([setting.shape])

    def __call__(self, name: str, inputs: Any, state: Mapping[str, Array]) -> Array:
        """The "outputs" or the "probabilities", (samples, …), in blocks that memory bears."""
        rows, most = inputs, self._most
        if not (
            self._plain
            and type(rows) is np.ndarray
            and rows.dtype in _AS_THEY_ARE
            and rows.shape[1:] == self._shape
            and 0 < len(rows) <= most
            and _is_finite(rows)
        ):
            rows = self._checked(inputs)
        if self._looks:
            refuse_other_inputs(self.setting.model, rows, self.setting.preparation)
        if len(rows) <= most:
            return self._block(name, rows, state)
        parts = [self._block(name, rows[start : start + most], state) for start in range(0, len(rows), most)]
        return np.concatenate(parts)

    def _checked(self, inputs: Any) -> Array:
        preparation = self.setting.preparation
        if preparation.symbols:
            return self._symbols(inputs)
        of_a_set = isinstance(inputs, Dataset)
        array: Array = inputs.inputs if of_a_set else inputs
        usual = type(array) is np.ndarray and array.dtype in _AS_THEY_ARE and array.ndim > 0
        if not usual:
            array = plain_array("inputs", array)
        shape = self.setting.shape
        if array.shape[1:] != shape:
            raise ShapeError(f"inputs are (samples, {', '.join(map(str, shape))}), and these are {list(array.shape)}")
        if len(array) == 0:
            raise DataError("there are no samples to predict")
        if usual and (of_a_set or _is_finite(array)):
            return array
        return as_inputs(array, "the data", preparation.feature_names())

    def _symbols(self, inputs: Any) -> Array:
        """Numbers of tokens, or the texts that they are of."""
        form, shape = self.setting.preparation.text, self.setting.shape
        if form is not None and isinstance(inputs, list | tuple) and all(isinstance(one, str) for one in inputs):
            inputs = form.encode(inputs)
        array = as_inputs(
            inputs.inputs if isinstance(inputs, Dataset) else inputs, "the data", (), self.setting.preparation.symbols
        )
        if array.shape[1:] != shape:
            raise ShapeError(f"inputs are (samples, {', '.join(map(str, shape))}), and these are {list(array.shape)}")
        return array

    def _block(self, name: str, rows: Array, state: Mapping[str, Array]) -> Array:
        place = name, len(rows), rows.dtype
        known = self._programs.get(place)
        if known is None:
            known = self._programs[place] = self._compiled(name, rows)
        given = {**state, **known.preparing, _ROWS: rows}
        try:
            found = known.program.run(given)[name]
        except EngineError:
            missing = ", ".join(one for one in known.names if one not in state)
            if not missing:
                raise
            raise ConfigurationError(
                f"this run has learned nothing for {missing}: the model is not part of it"
            ) from None
        return found if known.gives_new else found.copy()

    def _compiled(self, name: str, rows: Array) -> _Known:
        model, loss, engine, preparation, _, dtype, classes = self.setting

        def measure(state: StepState, batch: Batch) -> dict[str, Node]:
            outputs = state.apply(model, batch.inputs)
            if name == "outputs":
                return {name: outputs}
            with scope("predict", absolute=True):
                return {name: loss.probabilities(outputs)}

        spec, arrays = feed(Dataset(rows, None, preparation=preparation), preparation, classes)
        if preparation.shift == 0.0 and preparation.scale == 1.0:
            spec = replace(spec, preparing={})  # (x - 0)·1 is x, and would be a way through all of them
        program = engine.compile(build_measure(measure, spec, len(rows), dtype, self._layers).graph)
        wanted = program.graph.inputs
        preparing = {f"data/{name}": array for name, array in arrays.items() if name not in spec.arrays}
        preparing = {name: array for name, array in preparing.items() if name in wanted}
        names = [name for name in wanted if name not in preparing and name != _ROWS]
        return _Known(program, names, preparing, getattr(program, "gives_new", False))


class Predictive(Measurable):
    """A training that says of inputs what it has learned."""

    _predictor: Predictor | None = None

    def outputs(self, inputs: Any) -> Array:
        """What the last layer gives for some inputs: logits, for a loss on logits."""
        return self._predict("outputs", inputs)

    def probabilities(self, inputs: Any) -> Array:
        """The probability of each class, (samples, classes); for a regression, the outputs."""
        return self._predict("probabilities", inputs)

    def predict(self, inputs: Any) -> Array:
        """The classes by name, (samples,); for a regression, the targets in their own units, (samples, outputs)."""
        found = self._predict("probabilities", inputs)
        if self.classes is None:
            restored: Array = self.preparation.target.backward(found)
            return restored
        single = found.shape[1] == 1
        known = found[:, : len(self.classes)]  # a unit more than there are classes stands for none of them
        numbers = (found[:, 0] > 0.5).astype(np.int64) if single else np.argmax(known, axis=1)
        names: Array = np.asarray(self.classes)[numbers]
        return names

    def apply(self, model: AnyLayer, *inputs: Any) -> Array:
        """The output of one model of the step for some arrays, in prediction mode: a decoder, a generator."""
        arrays = {str(n): plain_array(f"input {n}", array) for n, array in enumerate(inputs)}
        if not arrays:
            raise ConfigurationError("apply wants at least one array")

        def measure(state: StepState, batch: Batch) -> dict[str, Node]:
            return {"output": state.apply(model, *(batch[name] for name in arrays))}

        output: Array = self._measure(measure, arrays, key=("apply", id(model)))["output"]
        return output

    def _predict(self, name: str, inputs: Any) -> Array:
        if self.model is None or self.loss is None:
            raise ConfigurationError(
                f"the step {self.step.name} has no single model to predict with; use run.apply(model, …)"
            )
        shape = self._known_spec().arrays["inputs"][0]
        setting = self.model, self.loss, self.engine, self.preparation, shape, self.dtype, self.classes
        predictor = self._predictor
        if predictor is None or predictor.setting != setting:
            predictor = self._predictor = Predictor(Setting(*setting), self.known_layers())
        return predictor(name, inputs, self.arrays)


def _is_finite(array: Array) -> bool:
    """Whether it is seen at a glance that no number is infinite or NaN: if any is, the sum of the squares is."""
    if array.dtype == np.uint8:
        return True
    return array.size <= _AT_ONCE and array.flags.c_contiguous and math.isfinite(np.vdot(array, array))
