"""Networks of objects of every shape, whose weights are large enough to matter."""

from __future__ import annotations

import random

from chainrule.neurons import Network

XOR_SAMPLES = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
XOR_LABELS = [[0.0], [1.0], [1.0], [0.0]]
SHAPES: list[tuple[list[int], str | list[str], float]] = [
    ([2, 1], "sigmoid", 1.0),
    ([1, 1, 1], "sigmoid", 1.0),
    ([3, 4, 2], "sigmoid", -1.0),
    ([3, 4, 2], "tanh", 1.0),
    ([3, 4, 2], "identity", 0.0),
    ([4, 5, 3, 2], ["tanh", "sigmoid", "identity"], 1.0),
    ([2, 3, 3, 3, 4], ["sigmoid", "identity", "tanh", "sigmoid"], -1.0),
]


def numbers(count: int, seed: int) -> list[float]:
    generator = random.Random(seed)
    return [generator.uniform(-1.0, 1.0) for _ in range(count)]


def scattered(layers: list[int], activation: str | list[str] = "sigmoid", bias_output: float = 1.0) -> Network:
    """A network whose weights are large enough for every factor of the chain rule to matter."""
    network = Network(layers, activation, bias_output)
    for connection, weight in zip(network.connections, numbers(len(network.connections), seed=5), strict=True):
        connection.weight = weight
    return network
