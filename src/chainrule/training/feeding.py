"""Data on its way into a graph: what the graph has to know of it, the arrays it is fed with, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from chainrule.data import Dataset, Preparation, Stream
from chainrule.data.checking import plain_array
from chainrule.engines.protocol import Array
from chainrule.errors import DataError, ShapeError
from chainrule.graph import FLOATS
from chainrule.layers import Chain, Masked, Parallel, Residual, WeightNoise
from chainrule.layers.scope import AnyLayer
from chainrule.losses import BinaryCrossEntropy, CrossEntropy, Loss
from chainrule.training.batch import DataSpec

#: What a run is trained on and measured with: a data set, or arrays by name for a step of your own, or either as a
#: stream.
Data: TypeAlias = Dataset | Mapping[str, Array] | Stream


def feed(data: Data, preparation: Preparation, classes: tuple[str, ...] | None) -> tuple[DataSpec, dict[str, Array]]:
    """What the graph has to know of the data, and the arrays it is fed with, those that prepare included.

    Of a stream, those that prepare alone: the others come while it is fed. Raises `DataError` for what is no data, and
    for arrays whose lengths differ.
    """
    refuse_no_data(data)
    if isinstance(data, Stream):
        scaled = data.arrays.get("targets", ((), ""))[1] in FLOATS
        preparing = _preparing(preparation, scaled) if isinstance(data.head, Dataset) else {}
        shapes = {name: array.shape for name, array in preparing.items()}
        return DataSpec(len(data), data.arrays, shapes, classes), preparing
    if isinstance(data, Dataset):
        named = {"inputs": data.inputs, "targets": data.targets, "weights": data.weights}
        arrays = {name: np.asarray(array) for name, array in named.items() if array is not None}
        preparing = _preparing(preparation, "targets" in arrays and arrays["targets"].dtype.name in FLOATS)
    else:
        arrays, preparing = {name: plain_array(name, array) for name, array in data.items()}, {}
    lengths = {name: len(array) for name, array in arrays.items()}
    if not lengths or len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise DataError(f"the arrays hold one row a sample, as many as each other, and some: {lengths}")
    described = {name: (array.shape[1:], array.dtype.name) for name, array in arrays.items()}
    shapes = {name: array.shape for name, array in preparing.items()}
    spec = DataSpec(next(iter(lengths.values())), described, shapes, classes)
    return spec, arrays | preparing


def refuse_no_data(data: object) -> None:
    """Raise `DataError` for what is neither a data set, nor arrays by name, nor a stream."""
    if not isinstance(data, Dataset | Mapping | Stream):
        raise DataError(
            f"data is a Dataset or a dictionary of arrays, not {type(data).__name__}; "
            "chainrule.data.from_arrays(inputs, targets) makes a Dataset"
        )


def refuse_stream(data: object) -> None:
    """Raise `DataError` for a stream, where samples are asked for by their numbers."""
    if isinstance(data, Stream):
        raise DataError("a stream trains and evaluates; for this, take samples of it: stream.take(1000)")


def refuse_other_kinds(known: DataSpec | None, spec: DataSpec) -> None:
    """Raise `DataError` if a run, known to be trained on some arrays, is to be trained on others."""
    if known is not None and _kinds(known) != _kinds(spec):
        raise DataError(f"the run was trained on arrays {_kinds(known)}, and these are {_kinds(spec)}")


def refuse_other_data(known: DataSpec | None, spec: DataSpec, data: Data) -> None:
    """Raise for data of which a run could only say something meaningless: other sizes, other classes."""
    if known is None:
        return
    for name, (shape, _) in known.arrays.items():
        if name in spec.arrays and spec.arrays[name][0] != shape:
            now = spec.arrays[name][0]
            raise ShapeError(f"the run was trained on {name} of {list(shape)} a sample, and these are {list(now)}")
    theirs = data.classes if isinstance(data, Dataset | Stream) else None
    if theirs is None or known.classes is None or theirs == known.classes:
        return
    # Classes without names of their own are counted: their labels are places in the run's list.
    if len(theirs) > len(known.classes) or theirs != tuple(map(str, range(len(theirs)))):
        raise DataError(
            f"the run tells the classes {_listed(known.classes)} apart, and this data has {_listed(theirs)}: "
            "its labels would be taken for other classes. Give the data the run's own: classes=run.classes"
        )


def refuse_other_inputs(model: AnyLayer | None, inputs: Array, preparation: Preparation) -> None:
    """Raise `DataError` for inputs that a first layer of the model knows to be wrong, such as an index out of range.

    A layer knows by a method ``check_inputs`` of the array.
    """
    for layer in () if model is None else _first_layers(model):
        check = getattr(layer, "check_inputs", None)
        if check is None:
            continue
        if np.any(preparation.shift != 0) or np.any(preparation.scale != 1):
            raise DataError(
                f"the data are scaled, and {type(layer).__name__} wants indices as they are: data that have not been "
                "standardized"
            )
        check(inputs)


def looks_at_inputs(model: AnyLayer) -> bool:
    """Whether a first layer of the model knows inputs that are wrong."""
    return any(hasattr(layer, "check_inputs") for layer in _first_layers(model))


def _first_layers(layer: AnyLayer) -> Iterator[AnyLayer]:
    """The layers that see a model's inputs themselves: of a chain its first, of what stands around a layer that one."""
    match layer:
        case Chain() | Residual():
            yield from _first_layers(layer.layers[0])
        case Parallel():
            for branch in layer.branches:
                yield from _first_layers(branch)
        case Masked() | WeightNoise():
            yield from _first_layers(layer.layer)
        case _:
            yield layer


def refuse_improbable(data: Dataset, loss: Loss) -> None:
    """Raise `DataError` where a loss on probabilities is given targets that are none."""
    if (
        not isinstance(loss, CrossEntropy | BinaryCrossEntropy)
        or data.targets is None
        or data.targets.dtype == np.int32
    ):
        return
    targets = data.preparation.target.forward(data.targets)
    low, high = float(targets.min()), float(targets.max())
    if low < 0.0 or high > 1.0:
        raise DataError(
            f"{type(loss).__name__} takes labels, or probabilities from 0 to 1, and the targets go from {low:g} to "
            f"{high:g}; mean_squared_error takes any numbers"
        )


def _preparing(preparation: Preparation, scaled_targets: bool) -> dict[str, Array]:
    if preparation.symbols and not scaled_targets:
        return {}
    named = {"shift": preparation.shift, "scale": preparation.scale}
    if scaled_targets and not preparation.target.changes_nothing:
        named |= {"target_shift": preparation.target.shift, "target_scale": preparation.target.scale}
    return {name: np.asarray(value, np.float32) for name, value in named.items()}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "")


def _kinds(spec: DataSpec) -> str:
    return ", ".join(f"{name} {kind}{list(shape)}" for name, (shape, kind) in spec.arrays.items())
