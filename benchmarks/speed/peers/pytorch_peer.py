"""PyTorch: modules and its fused optimizers, eager or through torch.compile."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.speed import network as networks
from benchmarks.speed.network import (
    Activation,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    GlobalAverage,
    Layer,
    MaxPool,
    Network,
    Normalization,
    Residual,
    Shape,
    walk,
)
from benchmarks.speed.workload import EPSILON, KEPT, Array, Given, Workload, missing

#: The rows of a step are few, and a cast is a call of its own.
DTYPE = "float32"


class Shortcut(nn.Module):  # type: ignore[misc]
    """F(x) + P(x)."""

    def __init__(self, block: Any, projection: Any) -> None:
        super().__init__()
        self.block, self.projection = block, projection

    def forward(self, x: Any) -> Any:
        """The sum of both ways."""
        return self.block(x) + self.projection(x)


class Positions(nn.Module):  # type: ignore[misc]
    """x + a row for each place."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.empty(shape))

    def forward(self, x: Any) -> Any:
        """The sum."""
        return x + self.rows


class Recurrent(nn.Module):  # type: ignore[misc]
    """PyTorch's recurrent module, and of what it gives the outputs, or the last of them."""

    def __init__(self, module: Any, each: bool) -> None:
        super().__init__()
        self.module, self.each = module, each

    def forward(self, x: Any) -> Any:
        """(batch, time, inputs) -> (batch, time, units), or (batch, units)."""
        outputs, last = self.module(x)
        return outputs if self.each else (last[0] if isinstance(last, tuple) else last)[0]


class Attention(nn.Module):  # type: ignore[misc]
    """Causal attention through PyTorch's fused function."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.together, self.last = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Any) -> Any:
        """(batch, time, width) -> the same."""
        batch, time, width = x.shape
        q, k, v = self.together(x).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.last(mixed.transpose(1, 2).reshape(batch, time, width))


class Modules:
    """Makes modules, and gives them the parameters in their order, turned to PyTorch's layout."""

    def __init__(self, parameters: Iterable[Array]) -> None:
        self.parameters = iter(parameters)
        #: How the rows of the next dense layer come: images are flattened channels first.
        self.rows: Array | None = None

    def all_of(self, network: Network, shape: Shape) -> Any:
        """The modules of a network, one after another."""
        return nn.Sequential(*(MODULES[type(layer)](self, layer, given) for layer, given in walk(network, shape)))

    def give(self, module: Any, *turns: Callable[[Array], Array]) -> Any:
        """Put the next parameters into those of a module, each turned."""
        with torch.no_grad():
            for parameter, turn in zip(module.parameters(), turns, strict=True):
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(turn(next(self.parameters)))))
        return module

    def dense(self, layer: Dense, shape: Shape) -> Any:
        rows, self.rows = self.rows, None
        return self.give(nn.Linear(shape[-1], layer.units), lambda w: (w if rows is None else w[rows]).T, _same)

    def convolution(self, layer: Convolution, shape: Shape) -> Any:
        settings = {"stride": layer.stride, "padding": layer.kernel // 2, "bias": layer.bias}
        module = nn.Conv2d(shape[-1], layer.channels, layer.kernel, **settings)
        return self.give(module, lambda w: w.transpose(3, 2, 0, 1), *([_same] if layer.bias else []))

    def pool(self, layer: MaxPool, shape: Shape) -> Any:
        return nn.MaxPool2d(layer.size)

    def normalization(self, layer: Normalization, shape: Shape) -> Any:
        if layer.over == "features":
            return self.give(nn.LayerNorm(shape[-1], eps=EPSILON), _same, _same)
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        return self.give(kind(shape[-1], eps=EPSILON, momentum=1 - KEPT), _same, _same)

    def activation(self, layer: Activation, shape: Shape) -> Any:
        return nn.GELU("tanh") if layer.kind == "gelu" else {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[layer.kind]()

    def dropout(self, layer: Dropout, shape: Shape) -> Any:
        return nn.Dropout(layer.rate)

    def flatten(self, layer: Flatten, shape: Shape) -> Any:
        self.rows = np.arange(math.prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()
        return nn.Flatten()

    def average(self, layer: GlobalAverage, shape: Shape) -> Any:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def embedding(self, layer: networks.Embedding, shape: Shape) -> Any:
        return self.give(nn.Embedding(layer.symbols, layer.width), _same)

    def positions(self, layer: networks.Positions, shape: Shape) -> Any:
        return self.give(Positions(shape), _same)

    def recurrent(self, layer: networks.LSTM | networks.GRU, shape: Shape) -> Any:
        kind = nn.LSTM if isinstance(layer, networks.LSTM) else nn.GRU
        module = kind(shape[-1], layer.units, batch_first=True)
        weight, bias, recurrent = (torch.from_numpy(next(self.parameters)) for _ in range(3))
        with torch.no_grad():
            module.weight_ih_l0.copy_(weight.flatten(1).T)
            module.weight_hh_l0.copy_(recurrent.flatten(1).T)
            module.bias_ih_l0.copy_(bias[: layer.gates].flatten())
            module.bias_hh_l0.zero_()
        # Of its two biases a gate, the second stays 0 where only their sum matters: both would move twice as fast.
        if isinstance(layer, networks.LSTM):
            module.bias_hh_l0.requires_grad_(False)
        else:
            moves = torch.cat([torch.zeros(2 * layer.units), torch.ones(layer.units)])
            module.bias_hh_l0.register_hook(lambda slope: slope * moves)
        return Recurrent(module, layer.each)

    def attention(self, layer: networks.Attention, shape: Shape) -> Any:
        turned: Callable[[Array], Array] = np.transpose
        return self.give(Attention(shape[-1], layer.heads), turned, _same, turned, _same)

    def residual(self, layer: Residual, shape: Shape) -> Any:
        block = self.all_of(layer.block, shape)
        return Shortcut(block, self.all_of(layer.projection, shape))


def _same(array: Array) -> Array:
    return array


#: From descriptors to modules.
MODULES: dict[type[Layer], Callable[[Modules, Any, Shape], Any]] = {
    Dense: Modules.dense,
    Convolution: Modules.convolution,
    MaxPool: Modules.pool,
    Normalization: Modules.normalization,
    Activation: Modules.activation,
    Dropout: Modules.dropout,
    Flatten: Modules.flatten,
    GlobalAverage: Modules.average,
    networks.Embedding: Modules.embedding,
    networks.Positions: Modules.positions,
    networks.LSTM: Modules.recurrent,
    networks.GRU: Modules.recurrent,
    networks.Attention: Modules.attention,
    Residual: Modules.residual,
}


def refuses(workload: Workload, **options: Any) -> str:
    """Why this workload cannot be built, or nothing."""
    return missing(workload, MODULES)


def network(given: Given) -> Any:
    """The network of a workload, with the parameters given."""
    return Modules(given.parameters).all_of(given.workload.network, given.workload.shape)


def optimizer_of(workload: Workload, parameters: Any) -> Any:
    """The optimizer of a workload, in the form that updates all parameters in one call."""
    if workload.update.kind == "adam":
        return torch.optim.Adam(parameters, lr=workload.update.rate, fused=True)
    momentum = 0.9 if workload.update.kind == "momentum" else 0.0
    return torch.optim.SGD(parameters, lr=workload.update.rate, momentum=momentum, fused=True)


class Runner:
    """A network in training."""

    def __init__(self, given: Given, *, threads: int = 1, compiled: bool = False, channels_last: bool = False) -> None:
        torch.set_num_threads(threads)
        workload = given.workload
        self.inputs, self.labels = torch.from_numpy(given.inputs), torch.from_numpy(given.labels).long()
        self.model = network(given).train()
        if channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        # The axes are (batch, channels, height, width) in both layouts: what differs is which lies next in memory.
        elif self.inputs.ndim == 4:
            self.inputs = self.inputs.permute(0, 3, 1, 2).contiguous()
        self.optimizer = optimizer_of(workload, self.model.parameters())
        self.clip, steps = workload.update.clip, workload.update.cosine
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, steps) if steps else None
        cross_entropy = workload.loss == "cross_entropy"
        model = self.model

        def loss_of(inputs: Any, labels: Any, index: Any) -> Any:
            x = inputs.index_select(0, index)
            if channels_last:
                x = x.permute(0, 3, 1, 2)
            if cross_entropy:
                logits = model(x)
                return nn.functional.cross_entropy(logits.flatten(0, -2), labels.index_select(0, index).flatten())
            return nn.functional.mse_loss(model(x), x)

        self.loss_of: Any = torch.compile(loss_of) if compiled else loss_of

    def order(self, indices: Array) -> Any:
        """A tensor of indices a step."""
        return list(torch.from_numpy(indices).long().unbind(0))

    def run(self, order: Any) -> list[Any]:
        """Step after step."""
        losses = []
        for index in order:
            loss = self.loss_of(self.inputs, self.labels, index)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if self.clip:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.clip, foreach=True)
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            losses.append(loss.detach())
        return losses
