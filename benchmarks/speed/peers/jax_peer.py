"""JAX: the whole step in one jitted function, its state donated; or many steps in one, by scan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

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
    Network,
    Normalization,
    Positions,
    Residual,
)
from benchmarks.speed.workload import EPSILON, KEPT, Array, Given, Workload, missing

DTYPE = "float32"


class Pass:
    """A forward pass: it takes its parameters in their order, and keeps the new running statistics."""

    def __init__(self, parameters: Any, running: Any, key: Any) -> None:
        self.parameters, self.running = iter(parameters), iter(running)
        self.kept: list[Any] = []
        self.key, self.draws = key, 0

    def through(self, network: Network, x: Any) -> Any:
        """Layer after layer."""
        for layer in network:
            x = LAYERS[type(layer)](self, layer, x)
        return x

    def dense(self, layer: Dense, x: Any) -> Any:
        return x @ next(self.parameters) + next(self.parameters)

    def convolution(self, layer: Convolution, x: Any) -> Any:
        around, weight = (layer.kernel // 2, layer.kernel // 2), next(self.parameters)
        strides = (layer.stride, layer.stride)
        x = jax.lax.conv_general_dilated(x, weight, strides, [around] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return x + next(self.parameters) if layer.bias else x

    def pool(self, layer: MaxPool, x: Any) -> Any:
        # Windows side by side: the backward pass of `lax.reduce_window` takes several times as long as this one's.
        batch, height, width, channels = x.shape
        size = layer.size
        rows = x[:, : height // size * size, : width // size * size]
        return rows.reshape(batch, height // size, size, width // size, size, channels).max((2, 4))

    def normalization(self, layer: Normalization, x: Any) -> Any:
        scale, shift = next(self.parameters), next(self.parameters)
        if layer.over == "features":
            apart = x - x.mean(-1, keepdims=True)
            return apart * jax.lax.rsqrt((apart**2).mean(-1, keepdims=True) + EPSILON) * scale + shift
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
        count = x.size // x.shape[-1]
        pairs = zip(next(self.running), (mean, variance * (count / (count - 1))), strict=True)
        self.kept.append([KEPT * old + (1 - KEPT) * jax.lax.stop_gradient(new) for old, new in pairs])
        return (x - mean) * (jax.lax.rsqrt(variance + EPSILON) * scale) + shift

    def activation(self, layer: Activation, x: Any) -> Any:
        return {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "gelu": jax.nn.gelu}[layer.kind](x)

    def dropout(self, layer: Dropout, x: Any) -> Any:
        self.draws += 1
        keep = jax.random.bernoulli(jax.random.fold_in(self.key, self.draws), 1 - layer.rate, x.shape)
        return jnp.where(keep, x / (1 - layer.rate), 0.0)

    def flatten(self, layer: Flatten, x: Any) -> Any:
        return x.reshape(len(x), -1)

    def average(self, layer: GlobalAverage, x: Any) -> Any:
        return x.mean((1, 2))

    def embedding(self, layer: Embedding, x: Any) -> Any:
        return next(self.parameters)[x]

    def positions(self, layer: Positions, x: Any) -> Any:
        return x + next(self.parameters)

    def lstm(self, layer: LSTM, x: Any) -> Any:
        weight, bias, recurrent = (next(self.parameters) for _ in range(3))

        def step(state: Any, row: Any) -> Any:
            hidden, cell = state
            enter, keep, new, leave = jnp.split(row + hidden @ recurrent.reshape(layer.units, -1), 4, -1)
            cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(enter) * jnp.tanh(new)
            hidden = jax.nn.sigmoid(leave) * jnp.tanh(cell)
            return (hidden, cell), hidden if layer.each else None

        first = jnp.zeros((len(x), layer.units), x.dtype)
        (last, _), outputs = jax.lax.scan(step, (first, first), _sums(x, weight, bias))
        return outputs.swapaxes(0, 1) if layer.each else last

    def gru(self, layer: GRU, x: Any) -> Any:
        weight, bias, recurrent = (next(self.parameters) for _ in range(3))

        def step(hidden: Any, row: Any) -> Any:
            past = jnp.split(hidden @ recurrent.reshape(layer.units, -1), 3, -1)
            given = jnp.split(row, 3, -1)
            reset, update = (jax.nn.sigmoid(a + b) for a, b in zip(given[:2], past[:2], strict=True))
            new = jnp.tanh(given[2] + reset * (past[2] + bias[3]))
            hidden = (1 - update) * new + update * hidden
            return hidden, hidden if layer.each else None

        first = jnp.zeros((len(x), layer.units), x.dtype)
        last, outputs = jax.lax.scan(step, first, _sums(x, weight, bias[:3]))
        return outputs.swapaxes(0, 1) if layer.each else last

    def attention(self, layer: Attention, x: Any) -> Any:
        batch, time, width = x.shape
        together = x @ next(self.parameters) + next(self.parameters)
        q, k, v = (part.reshape(batch, time, layer.heads, -1) for part in jnp.split(together, 3, -1))
        mixed = jax.nn.dot_product_attention(q, k, v, is_causal=True)
        return mixed.reshape(batch, time, width) @ next(self.parameters) + next(self.parameters)

    def residual(self, layer: Residual, x: Any) -> Any:
        return self.through(layer.block, x) + self.through(layer.projection, x)


def _sums(x: Any, weight: Any, bias: Any) -> Any:
    """x·W + b of all steps at once, time first."""
    return x.swapaxes(0, 1) @ weight.reshape(len(weight), -1) + bias.ravel()


#: From descriptors to what is done.
LAYERS: dict[type[Layer], Callable[[Pass, Any, Any], Any]] = {
    Dense: Pass.dense,
    Convolution: Pass.convolution,
    MaxPool: Pass.pool,
    Normalization: Pass.normalization,
    Activation: Pass.activation,
    Dropout: Pass.dropout,
    Flatten: Pass.flatten,
    GlobalAverage: Pass.average,
    Embedding: Pass.embedding,
    Positions: Pass.positions,
    LSTM: Pass.lstm,
    GRU: Pass.gru,
    Attention: Pass.attention,
    Residual: Pass.residual,
}


def refuses(workload: Workload, *, scan: bool = False) -> str:
    """Why this workload cannot be built, or nothing."""
    if scan and not workload.is_plain:
        return "it stands here for the record, by plainer rows"
    return missing(workload, LAYERS)


def loss_of(workload: Workload, parameters: Any, running: Any, x: Any, labels: Any, key: Any) -> Any:
    """The loss of a batch, and the running means of batch normalization after it."""
    forward = Pass(parameters, running, key)
    y = forward.through(workload.network, x)
    if workload.loss == "cross_entropy":
        picked = jnp.take_along_axis(jax.nn.log_softmax(y), labels[..., None], -1)
        return -picked.mean(), forward.kept
    return ((y - x) ** 2).mean(), forward.kept


def updated(workload: Workload, state: Any, slopes: Any) -> Any:
    """The parameters and the optimizer's memory after the step."""
    rate, parameters = workload.update.rate, state["parameters"]
    if workload.update.cosine:
        rate = rate * 0.5 * (1 + jnp.cos(jnp.pi * state["at"] / workload.update.cosine))
    if workload.update.clip:
        norm = jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(slopes)))
        slopes = jax.tree.map(lambda g: g * jnp.minimum(1.0, workload.update.clip / norm), slopes)
    if workload.update.kind == "plain":
        return jax.tree.map(lambda p, g: p - rate * g, parameters, slopes), state["memory"]
    if workload.update.kind == "momentum":
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, state["memory"], slopes)
        return jax.tree.map(lambda p, v: p - rate * v, parameters, velocity), velocity
    count = (state["at"] + 1).astype(jnp.float32)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["memory"][0], slopes)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["memory"][1], slopes)
    first, second = 1 / (1 - 0.9**count), 1 / (1 - 0.999**count)
    moved = jax.tree.map(
        lambda p, m, v: p - rate * (m * first) / (jnp.sqrt(v * second) + 1e-8), parameters, mean, square
    )
    return moved, (mean, square)


def first_state(given: Given) -> dict[str, Any]:
    """Parameters, memory of the optimizer, running means, and the number of the step."""
    workload = given.workload
    parameters = [jnp.array(array) for array in given.parameters]
    zeros = [jnp.zeros_like(array) for array in parameters]
    more = jax.tree.map(jnp.zeros_like, zeros)
    memory = {"plain": (), "momentum": zeros, "adam": (zeros, more)}[workload.update.kind]
    features = [shape[-1] for layer, shape in workload.layers if layer == Normalization("batch")]
    running = [[jnp.zeros(count), jnp.ones(count)] for count in features]
    return {
        "parameters": parameters,
        "memory": memory,
        "running": running,
        "key": jax.random.key(0),
        "at": jnp.zeros((), jnp.int32),
    }


class Runner:
    """A state that goes on from call to call."""

    def __init__(self, given: Given, *, scan: bool = False) -> None:
        workload, self.scan = given.workload, scan
        self.data = (jnp.array(given.inputs), jnp.array(given.labels))
        self.state = first_state(given)

        def one(state: Any, data: Any, index: Any) -> Any:
            inputs, labels = (array[index] for array in data)
            key = jax.random.fold_in(state["key"], state["at"])
            valued = jax.value_and_grad(loss_of, argnums=1, has_aux=True)
            (loss, running), slopes = valued(workload, state["parameters"], state["running"], inputs, labels, key)
            parameters, memory = updated(workload, state, slopes)
            after = {"parameters": parameters, "memory": memory, "running": running, "key": state["key"]}
            return {**after, "at": state["at"] + 1}, loss

        def from_order(state: Any, data: Any, order: Any) -> Any:
            # The row is found inside: a number handed over from Python costs a transfer each step.
            return one(state, data, jax.lax.dynamic_index_in_dim(order, state["at"] % len(order), keepdims=False))

        def many(state: Any, data: Any, order: Any) -> Any:
            return jax.lax.scan(lambda state, index: one(state, data, index), state, order)

        self.step = jax.jit(many if scan else from_order, donate_argnums=0)

    def order(self, indices: Array) -> Any:
        """All indices in one array, turned so that the row of the next step is the first."""
        start = 0 if self.scan else int(self.state["at"]) % len(indices)
        turned = jnp.roll(jnp.array(indices), start, axis=0)
        return jax.block_until_ready(turned), len(indices)

    def run(self, order: Any) -> Any:
        """Step after step, or all in one call; waits for the last."""
        rows, count = order
        if self.scan:
            self.state, losses = self.step(self.state, self.data, rows)
        else:
            losses = []
            for _ in range(count):
                self.state, loss = self.step(self.state, self.data, rows)
                losses.append(loss)
        jax.block_until_ready(self.state)
        return losses
