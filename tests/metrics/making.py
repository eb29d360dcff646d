"""Random targets, outputs and weights, with all that makes a metric awkward: ties, missing classes, zero weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    targets: Any
    outputs: Any
    weights: Any
    classes: int

    def counting(self) -> Case:
        """Without the samples of weight 0, as scikit-learn is given them: there they make a class occur."""
        if self.weights is None:
            return self
        kept = self.weights > 0
        return Case(self.targets[kept], self.outputs[kept], self.weights[kept], self.classes)


def _weights(rng: np.random.Generator, samples: int) -> Any:
    kind = rng.integers(4)
    if kind == 0:
        return None
    weights = rng.integers(0, 4, samples).astype(float) if kind == 1 else rng.uniform(0.1, 3.0, samples)
    if kind == 3:
        weights[rng.random(samples) < 0.3] = 0.0
    weights[0] = max(weights[0], 1.0)
    return weights


def of_classes(seed: int) -> Case:
    """Labels, and probabilities of several classes; some classes never occur, and scores are often equal."""
    rng = np.random.default_rng(seed)
    classes, samples = int(rng.integers(2, 7)), int(rng.integers(1, 60))
    there = rng.choice(classes, int(rng.integers(1, classes + 1)), replace=False)
    scores = rng.integers(0, 4, (samples, classes)) if seed % 3 == 0 else rng.random((samples, classes))
    scores = scores + 1e-9 * (scores.sum(axis=1, keepdims=True) == 0)
    if seed % 5 == 0:
        scores[:, rng.integers(classes)] = 1e-9  # one that is never said
        scores[:, 0] += 1e-6
    outputs = scores / scores.sum(axis=1, keepdims=True)
    if seed % 7 == 0:
        outputs = outputs.astype(np.float32)
    return Case(rng.choice(there, samples).astype(np.int32), outputs, _weights(rng, samples), classes)


def of_two(seed: int) -> Case:
    """Labels 0 and 1, and one probability a sample."""
    rng = np.random.default_rng(seed)
    samples = int(rng.integers(1, 60))
    outputs = rng.integers(0, 6, samples) / 5.0 if seed % 2 else rng.random(samples)
    return Case((rng.random(samples) < rng.random()).astype(np.int32), outputs, _weights(rng, samples), 2)


def of_numbers(seed: int) -> Case:
    """One output or several, whose targets are sometimes all the same."""
    rng = np.random.default_rng(seed)
    samples, outputs = int(rng.integers(2, 60)), int(rng.integers(1, 4))
    targets = rng.integers(-3, 4, (samples, outputs)).astype(float) if seed % 2 else rng.normal(size=(samples, outputs))
    if seed % 5 == 0:
        targets[:, 0] = 2.0
    found = targets + rng.integers(-1, 2, targets.shape) * (seed % 3 != 0)
    return Case(targets, found + 0.1 * rng.normal(size=targets.shape) * (seed % 4 != 0), _weights(rng, samples), 0)


def rows(values: Any, chosen: Any) -> Any:
    """Some of the rows, in an order; None stays None."""
    return None if values is None else values[chosen]
