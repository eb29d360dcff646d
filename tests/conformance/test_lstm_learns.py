"""A whole LSTM on nothing but the op list: written with scan, differentiated, and trained by a loop in plain sight."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node
from chainrule.keys import Key

STEPS, BATCH, HIDDEN = 6, 64, 8


def _loss(x: Node, labels: Node, w: Node, u: Node, b: Node, v: Node) -> tuple[Node, Node]:
    """Binary cross-entropy from the logit that the last state gives; and the share of rows that it gets right."""

    def cell(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        h, c = carries
        z = slices[0] @ w + h @ u + graph.broadcast_to(b, (BATCH, 4 * HIDDEN))
        i, f, g, o = (z[:, n * HIDDEN : (n + 1) * HIDDEN] for n in range(4))
        c = graph.sigmoid(f) * c + graph.sigmoid(i) * graph.tanh(g)
        return [graph.sigmoid(o) * graph.tanh(c), c], []

    start = graph.full((BATCH, HIDDEN), 0, "float32")
    (h, _), _ = graph.scan(cell, [start, start], [x])
    logits = graph.contract(h, v, "bh,h->b")
    # log(1 + eᶻ) − y·z, written so that it cannot overflow.
    positive = graph.select(graph.lt(logits, 0), 0, logits)
    size = graph.select(graph.lt(logits, 0), -logits, logits)
    losses = positive + graph.log1p(graph.exp(-size)) - logits * labels
    right = graph.eq(graph.lt(logits, 0), graph.lt(labels, 0.5))
    return graph.sum(losses) / BATCH, graph.sum(graph.cast(right, "float32")) / BATCH


def test_an_lstm_learns_whether_the_first_and_the_last_bit_differ() -> None:
    """No cell sees both bits: the first has to be remembered over four others."""
    shapes = {"w": (1, 4 * HIDDEN), "u": (HIDDEN, 4 * HIDDEN), "b": (4 * HIDDEN,), "v": (HIDDEN,)}
    x, labels = graph.input("x", (STEPS, BATCH, 1)), graph.input("labels", (BATCH,))
    weights = [graph.input(name, shape) for name, shape in shapes.items()]
    loss, right = _loss(x, labels, *weights)
    found = gradients(loss, weights)
    program = ReferenceEngine().compile(
        graph.verify(Graph({"loss": loss, "right": right, **dict(zip(shapes, found, strict=True))}))
    )

    bits = np.stack(np.unravel_index(np.arange(BATCH), (2,) * STEPS)).astype(np.float32)
    data = {"x": bits[:, :, None] * 2 - 1, "labels": np.abs(bits[0] - bits[-1])}
    parameters: dict[str, NDArray[Any]] = {
        name: Key(0).child(name).normal(shape, 0.5).astype(np.float32) for name, shape in shapes.items()
    }
    parameters["b"][HIDDEN : 2 * HIDDEN] += 1  # begin by remembering
    first = {name: np.zeros_like(array) for name, array in parameters.items()}
    second = {name: np.zeros_like(array) for name, array in parameters.items()}
    losses = []
    for step in range(1, 201):
        results = program.run({**data, **parameters})
        losses.append(float(results["loss"]))
        for name in parameters:  # Adam, by hand
            first[name] = 0.9 * first[name] + 0.1 * results[name]
            second[name] = 0.99 * second[name] + 0.01 * results[name] ** 2
            update = first[name] / (1 - 0.9**step) / (np.sqrt(second[name] / (1 - 0.99**step)) + 1e-8)
            parameters[name] = (parameters[name] - 0.03 * update).astype(np.float32)
    assert abs(losses[0] - np.log(2)) < 0.2
    assert losses[-1] < 0.05
    assert float(results["right"]) == 1
