"""chainrule: a step of its own, and the loop's own call, many steps in one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.speed.network import (
    GRU,
    LSTM,
    Activation,
    Attention,
    Convolution,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAverage,
    Layer,
    MaxPool,
    Normalization,
    Positions,
    Residual,
)
from benchmarks.speed.workload import EPSILON, KEPT, Array, Given, Workload, missing
from chainrule.engines.protocol import Engine, Program
from chainrule.layers import AnyLayer
from chainrule.training.feeding import feed

#: A byte a pixel: four times less to fetch, and the cast and scale are fused into the first product.
DTYPE = "uint8"


def _residual(layer: Residual) -> cr.Residual:
    projection = cr.Chain(*map(layer_of, layer.projection)) if layer.projection else None
    return cr.Residual(*map(layer_of, layer.block), projection=projection)


#: From descriptors to layers.
LAYERS: dict[type[Layer], Callable[[Any], AnyLayer]] = {
    Dense: lambda layer: cr.Dense(layer.units),
    Convolution: lambda layer: cr.Conv2D(
        layer.channels, layer.kernel, stride=layer.stride, padding=layer.kernel // 2, bias=layer.bias
    ),
    MaxPool: lambda layer: cr.MaxPool2D(layer.size),
    Normalization: lambda layer: (
        cr.LayerNorm(EPSILON) if layer.over == "features" else cr.BatchNorm(momentum=KEPT, epsilon=EPSILON)
    ),
    Activation: lambda layer: {"relu": cr.relu, "sigmoid": cr.sigmoid, "gelu": cr.gelu}[layer.kind],
    Dropout: lambda layer: cr.Dropout(layer.rate),
    Flatten: lambda layer: cr.Flatten(),
    GlobalAverage: lambda layer: cr.GlobalAveragePool(),
    Embedding: lambda layer: cr.Embedding(layer.symbols, layer.width),
    LSTM: lambda layer: cr.LSTM(layer.units, sequences=layer.each),
    GRU: lambda layer: cr.GRU(layer.units, sequences=layer.each),
    Positions: lambda layer: cr.LearnedPositions(layer.length),
    Attention: lambda layer: cr.MultiHeadAttention(layer.heads, causal=True),
    Residual: _residual,
}


def refuses(workload: Workload, **options: Any) -> str:
    """Why this workload cannot be built, or nothing."""
    return missing(workload, LAYERS)


def layer_of(layer: Layer) -> AnyLayer:
    """The layer that a descriptor stands for."""
    return LAYERS[type(layer)](layer)


def model_of(workload: Workload) -> cr.Chain:
    """The network of a workload."""
    return cr.Chain(*map(layer_of, workload.network))


def step_of(workload: Workload, model: cr.Chain) -> cr.training.Step:
    """The step of a workload: what the peers do, no more (`fit` also counts the classes that are right)."""
    update = workload.update
    rate = cr.optimizers.schedules.Cosine(update.rate, update.cosine) if update.cosine else update.rate
    optimizer: cr.optimizers.Optimizer = {
        "plain": cr.optimizers.SGD(rate),
        "momentum": cr.optimizers.SGD(rate, momentum=0.9),
        "adam": cr.optimizers.Adam(rate),
    }[update.kind]
    if update.clip:
        optimizer = cr.optimizers.Compose(cr.optimizers.ClipGlobalNorm(update.clip), optimizer)

    def function(state: cr.training.StepState, batch: cr.training.Batch) -> dict[str, cr.Node]:
        is_text = workload.data == "text"
        outputs = state.apply(model, batch["inputs"] if is_text else batch.inputs)
        if workload.loss == "cross_entropy":
            # Of sequences it is the sum over the places, and the others take the mean.
            loss = cr.losses.cross_entropy(outputs, batch["targets"]) / math.prod(outputs.shape[1:-1])
        else:
            loss = cr.losses.mean_squared_error(outputs, batch.inputs)
        state.descend(loss, model, optimizer)
        return {"loss": loss}

    return cr.step(function)


def parameters_of(given: Given) -> list[Array]:
    """The parameters in chainrule's order: queries, keys and values have a layer each."""
    taken, found = iter(given.parameters), list[Array]()
    for layer, shape in given.workload.layers:
        if isinstance(layer, Residual):
            continue  # what is inside of it comes after it
        arrays = [next(taken) for _ in layer.parameters(shape)]
        if isinstance(layer, Attention):
            pairs = zip(*(np.split(array, 3, -1) for array in arrays[:2]), strict=True)
            arrays = [*(array for pair in pairs for array in pair), *arrays[2:]]
        found += arrays
    return found


class Runner:
    """A prepared run, whose state goes on from call to call."""

    def __init__(self, given: Given, *, engine: str | Engine | None = None) -> None:
        workload = given.workload
        targets = given.labels if workload.loss == "cross_entropy" else None
        data: Any = {"inputs": given.inputs, "targets": targets}
        if workload.data != "text":
            data = cr.data.Dataset(given.inputs, targets)
        if given.inputs.dtype == np.uint8:
            data = data.standardize()
        step = step_of(workload, model_of(workload))
        run = cr.prepare(step, data, batch_size=workload.batch, engine=engine)
        run.set_parameters(dict(zip(run.parameters, parameters_of(given), strict=True)))
        assert run.spec is not None
        self.run_of, self.program = run, run.built(run.spec, workload.batch)[1]
        _, arrays = feed(data, run.preparation, None)
        self.fixed: dict[str, Array] = {f"data/{name}": array for name, array in arrays.items()}
        dtypes = {name: node.dtype for name, node in self.program.graph.inputs.items()}
        self.fixed |= {name: np.asarray(value, dtypes[name]) for name, value in run.numbers.items()}
        self.fixed["seed"] = np.asarray(0, np.uint32)
        self.state = run.arrays

    def order(self, indices: Array) -> Array:
        """Indices as they are."""
        return indices

    def run(self, order: Array) -> Array:
        """Many steps in one call."""
        program: Program = self.program
        self.state, logs = program.repeat(self.state, self.fixed, {"batch/indices": order}, until="finite")
        if len(logs["loss"]) < len(order):
            raise FloatingPointError(f"step {len(logs['loss'])} is not finite")
        return logs["loss"]
