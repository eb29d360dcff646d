"""JAX: the whole step in one jitted function, its state donated; or many steps in one, by scan."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.speed.workload import EPSILON, KEPT, Array, Given, Workload

DTYPE = "float32"


def loss_of(workload: Workload, parameters: Any, running: Any, x: Any, labels: Any, key: Any) -> Any:
    """The loss of a batch, and the running means of batch normalization after it."""
    target, kept = x, []
    for place, (weight, bias, *rest) in enumerate(parameters):
        x = x @ weight + bias
        if rest:
            scale, shift = rest
            mean, variance = x.mean(0), x.var(0)
            unbiased = variance * (len(x) / (len(x) - 1))
            pairs = zip(running[place], (mean, unbiased), strict=True)
            kept.append([KEPT * old + (1 - KEPT) * jax.lax.stop_gradient(new) for old, new in pairs])
            x = (x - mean) * (jax.lax.rsqrt(variance + EPSILON) * scale) + shift
        if place < len(parameters) - 1:
            x = jax.nn.relu(x) if workload.hidden == "relu" else jax.nn.sigmoid(x)
            if workload.dropout:
                keep = jax.random.bernoulli(jax.random.fold_in(key, place), 1 - workload.dropout, x.shape)
                x = jnp.where(keep, x / (1 - workload.dropout), 0.0)
    if workload.loss == "cross_entropy":
        picked = jnp.take_along_axis(jax.nn.log_softmax(x), labels[:, None], 1)
        return -picked.mean(), kept
    return ((jax.nn.sigmoid(x) - target) ** 2).mean(), kept


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
    parameters = [[jnp.array(array) for array in layer] for layer in given.layers]
    zeros = [[jnp.zeros_like(array) for array in layer] for layer in parameters]
    more = jax.tree.map(jnp.zeros_like, zeros)
    memory = {"plain": (), "momentum": zeros, "adam": (zeros, more)}[given.workload.update.kind]
    running = [[jnp.zeros(layer[1].shape), jnp.ones(layer[1].shape)] for layer in parameters if len(layer) > 2]
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
