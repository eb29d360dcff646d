"""The model of a run, opened at its input and at a layer: compiled once, fed with samples as the network sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule import graph
from chainrule.data import Dataset
from chainrule.data.checking import as_inputs, plain_array
from chainrule.engines.protocol import Array, Program
from chainrule.errors import ConfigurationError, DataError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import FLOATS, Build, Graph, Node
from chainrule.graph.composites import mean
from chainrule.layers.scope import Applied, Record
from chainrule.training import StepState

if TYPE_CHECKING:
    from chainrule.run import Run

#: What a score is of: a class by name, an output by number, one for each sample, or what the network says if None.
Output: TypeAlias = str | int | Sequence[int] | NDArray[Any] | None

#: So many samples, and so many of their numbers, go through the network at once.
_SAMPLES, _NUMBERS = 64, 1 << 18
#: Activations that rise with what they are given, without end or flat: a unit is excited before them.
_RISING_REGIONS, _RISING_OPS = ("relu", "leaky_relu"), ("sigmoid", "tanh")


@dataclass(frozen=True)
class Opened:
    """What a view of the model gives for each sample: arrays with one row a sample.

    ``features`` is what the layer gives, (samples, …), ``score`` (samples,) the chosen part of it or of the output,
    ``slope`` the gradient of the score by the input or by the layer.
    """

    features: Array
    score: Array
    slope: Array


def model_layers(run: Run) -> dict[str, Applied]:
    """The layers of the run's model by path; of one that is applied several times, the last.

    Raises `ConfigurationError` for a step of one's own, which has no single model.
    """
    if run.model is None or run.spec is None or "inputs" not in run.spec.arrays:
        raise ConfigurationError(
            f"the step {run.step.name} has no single model to look into; put the model into a run of its own by "
            "chainrule.prepare and set_parameters"
        )
    return {one.path: one for one in run.layers}


def layer_named(run: Run, path: str) -> Applied:
    """The layer at a path, the whole model at ""; ConfigurationError lists those that there are."""
    layers = model_layers(run)
    path = path or getattr(run.model, "name", "") or ""
    if path not in layers:
        there = ", ".join(f"{one.path or repr('')} ({title(one)}, {_times(one.output[1:])})" for one in layers.values())
        raise ConfigurationError(f"there is no layer {path!r}; there are {there}")
    return layers[path]


def title(layer: Applied) -> str:
    """What a layer is, in a word."""
    return str(getattr(layer.layer, "__name__", "") or type(layer.layer).__name__)


def samples_seen(run: Run, inputs: Dataset | ArrayLike) -> Array:
    """Samples as the network sees them, (samples, …), prepared and in the run's dtype.

    ``inputs`` are a data set, or raw samples as `Run.predict` takes them. Raises `ShapeError` for samples of another
    shape, `DataError` for none, or for what is no finite number.
    """
    model_layers(run)
    array = inputs.inputs if isinstance(inputs, Dataset) else plain_array("inputs", inputs)
    shape = run.spec.arrays["inputs"][0] if run.spec is not None else ()
    if array.shape[1:] != shape:
        raise ShapeError(
            f"samples are (samples, {', '.join(map(str, shape))}), and these are {list(array.shape)}"
            + ("; a single one is given as [sample]" if array.shape == shape else "")
        )
    if len(array) == 0:
        raise DataError("there are no samples to look at")
    if has_symbols(run):
        return np.asarray(array, np.int32)
    checked = as_inputs(array, "the data", run.preparation.feature_names())
    return np.asarray(run.preparation.forward(checked.astype(run.dtype)), run.dtype)


def has_symbols(run: Run) -> bool:
    """Whether samples are rows of symbols, such as the words of a text: numbers that only say which one it is."""
    return run.spec is not None and run.spec.arrays["inputs"][1] == "int32"


def chosen_units(run: Run, seen: Array, output: Output, path: str = "") -> NDArray[np.int64]:
    """Which unit of the output each sample is looked at for, (samples,): the one that is largest, unless it is said.

    Raises `ConfigurationError` for a class or a unit that there is not.
    """
    width = layer_named(run, path).output[-1]
    if output is None:
        found = outputs(run, seen)
        means = found.reshape(len(found), -1, found.shape[-1]).mean(1)[:, : _known(run, width)]
        return np.asarray(np.argmax(means, axis=1), np.int64)
    if isinstance(output, str):
        if run.classes is None or output not in run.classes:
            there = "no classes" if run.classes is None else f"the classes {', '.join(run.classes)}"
            raise ConfigurationError(f"there is no class {output!r}; the run has {there}")
        # One unit for two classes speaks of the second.
        return np.full(len(seen), min(run.classes.index(output), width - 1))
    units = np.asarray(output)
    if units.shape not in ((), (len(seen),)) or not np.issubdtype(units.dtype, np.integer):
        raise ConfigurationError(
            f"a class by name, a unit by number, or a number for each of the {len(seen)} samples is wanted, not "
            f"{output!r}"
        )
    for unit in units[(units < 0) | (units >= width)].ravel()[:1]:
        raise ConfigurationError(f"there is no unit {unit} in {path or 'the output'}; there are 0 to {width - 1}")
    return np.broadcast_to(units.astype(np.int64), (len(seen),))


def outputs(run: Run, seen: Array) -> Array:
    """What the last layer gives, (samples, …), for samples as the network sees them."""
    return _blocks(run, "outputs", "", seen, {})["features"]


def features(run: Run, seen: Array, path: str) -> Array:
    """What a layer gives, (samples, …)."""
    layer_named(run, path)
    return _blocks(run, "outputs", path, seen, {})["features"]


def by_input(run: Run, seen: Array, units: NDArray[np.int64], path: str = "", *, before: bool = False) -> Opened:
    """The score of a unit of a layer for each sample, and its gradient by the input, of the shape of ``seen``.

    The score is what the unit gives; of a unit that has many places, as a channel of a convolution, the mean over them.
    With ``before`` it is what goes into the layer's activation, where that only rises.
    """
    if has_symbols(run):
        raise DataError(
            "the samples are rows of symbols, by which there is no gradient; feature_maps and grad_cam ask a layer"
        )
    kind = "before" if before else "by input"
    return Opened(**_blocks(run, kind, path, seen, {"chosen": _one_hot(run, units, path)}))


def by_layer(run: Run, seen: Array, units: NDArray[np.int64], path: str) -> Opened:
    """What a layer gives for each sample, and the gradient of an output's score by it, of the same shape."""
    layer_named(run, path)
    return Opened(**_blocks(run, "by layer", path, seen, {"chosen": _one_hot(run, units, "")}))


def _known(run: Run, width: int) -> int:
    """Units that stand for a class: one more than there are classes stands for none of them."""
    return width if run.classes is None or width == 1 else min(width, len(run.classes))


def _one_hot(run: Run, units: NDArray[np.int64], path: str) -> Array:
    width = layer_named(run, path).output[-1]
    return np.asarray(np.arange(width) == np.asarray(units)[:, None], run.dtype)


def _blocks(run: Run, kind: str, path: str, seen: Array, beside: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a program for all samples: in blocks of one size, so that memory and compiling are bounded."""
    room = max(1, _NUMBERS // max(1, int(np.prod(seen.shape[1:]))))
    size = 1 << (min(len(seen), _SAMPLES) - 1).bit_length()  # few sizes, so that little is compiled
    while size > room:
        size //= 2
    program = _program(run, kind, path, size)
    names = [name for name in program.graph.inputs if name not in ("seen", *beside)]
    missing = [name for name in names if name not in run.arrays]
    if missing:
        raise ConfigurationError(f"this run has learned nothing for {', '.join(missing)}: the model is not part of it")
    state = {name: run.arrays[name] for name in names}
    parts: list[dict[str, Array]] = []
    for start in range(0, len(seen), size):
        rows = np.arange(start, start + size) % len(seen)  # the last block is filled up, not compiled anew
        given = {"seen": seen[rows], **{name: array[rows] for name, array in beside.items()}}
        found = program.run({**state, **{name: given[name] for name in given if name in program.graph.inputs}})
        kept = min(size, len(seen) - start)
        parts.append({name: array[:kept].copy() for name, array in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _program(run: Run, kind: str, path: str, size: int) -> Program:
    """A view, compiled by the run's engine once for each size; parameters are given in each call."""
    path = layer_named(run, path).path
    place = ("inside", kind, path, size, id(run.engine))
    if place not in run._measures:
        run._measures[place] = (None, run.engine.compile(_built(run, kind, path, size)))
    program: Program = run._measures[place][1]
    return program


def _built(run: Run, kind: str, path: str, size: int) -> Graph:
    if run.model is None or run.spec is None:
        raise ConfigurationError(f"the step {run.step.name} has no single model to look into")
    with Build() as build:
        record = Record(run.dtype, paths={id(layer): known for layer, known in run.known_layers()})
        state = StepState(record, training=False)
        kept = "int32" if has_symbols(run) else run.dtype
        seen = graph.input("seen", (size, *run.spec.arrays["inputs"][0]), kept)
        end = state.apply(run.model, seen)
        node = next(one.node for one in reversed(record.applied) if one.path == path)
        if node is None or node.dtype not in FLOATS or node.rank < 2 or node.shape[0] != size:
            raise ConfigurationError(f"layer {path} gives no numbers sample by sample, so there is nothing to look at")
        if kind == "outputs":
            return Graph.of({"features": node}, build)
        by, scored = (node, end) if kind == "by layer" else (seen, node)
        score = _score(_before_activation(scored, build) if kind == "before" else scored)
        (slope,) = gradients(graph.sum(score), [by])
        return Graph.of({"features": node, "score": score, "slope": slope}, build)


def _score(node: Node) -> Node:
    """(batch, …, units) -> (batch,): the unit that is chosen for each sample, by its mean over all places."""
    places = mean(node, range(1, node.rank - 1)) if node.rank > 2 else node
    return graph.sum(places * graph.input("chosen", places.shape, node.dtype), 1)


def _before_activation(node: Node, build: Build) -> Node:
    """What goes into an activation that only rises: the same unit, but with a slope where that is flat."""
    region = build.regions.get(node)
    if region is not None and region.name in _RISING_REGIONS:
        return region.inputs[0]
    return node.inputs[0] if node.op in _RISING_OPS else node


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "1"
