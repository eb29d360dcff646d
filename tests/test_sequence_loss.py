"""The loss of symbols, one a position: its value, its slope, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph, losses
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=(3, 4, 5))
S = np.array([[0, 4, 1, 2], [-1, -1, 3, 0], [-1, -1, -1, -1]], np.int32)


@pytest.mark.tiny
def test_value_and_slope() -> None:
    probabilities = np.exp(Z) / np.exp(Z).sum(-1, keepdims=True)
    asked = S >= 0
    counts = np.maximum(asked.sum(1), 1)
    chosen = np.where(S[..., None] == np.arange(5), 1.0, 0.0)
    expected = -(np.log(probabilities) * chosen).sum((1, 2)) / counts
    slope = np.where(asked[..., None], probabilities - chosen, 0.0) / counts[:, None, None]
    with Build() as build:
        z, s = graph.input("z", Z.shape, "float64"), graph.input("s", S.shape, "int32")
        rows = losses.sequence_cross_entropy.per_sample(z, s)
        outputs = {"rows": rows, "slope": gradients(graph.sum(rows), [z])[0]}
        found = ReferenceEngine().compile(Graph.of(outputs, build)).run({"z": Z, "s": S})
    np.testing.assert_allclose(found["rows"], expected, rtol=1e-12)
    np.testing.assert_allclose(found["slope"], slope, rtol=1e-12, atol=1e-15)
    assert expected[2] == 0


def test_what_does_not_fit_is_refused() -> None:
    loss = losses.sequence_cross_entropy
    z, s = graph.input("z", (3, 4, 5)), graph.input("s", (3, 4), "int32")
    with pytest.raises(ShapeError, match=r"batch, positions, symbols\), and got \[3, 5\]"):
        loss.per_sample(graph.input("y", (3, 5)), s)
    with pytest.raises(ShapeError, match=r"want labels \[3, 4\]"):
        loss.per_sample(z, graph.input("t", (3, 5), "int32"))
    with pytest.raises(DtypeError, match="symbols"):
        loss.per_sample(z, graph.input("t", (3, 4)))
    with Build(), pytest.raises(ConfigurationError, match="it would be applied twice"):
        loss.per_sample(cr.softmax(z), s)
