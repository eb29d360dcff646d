"""What is added to a loss for a code: closed forms, gradients, and that it cannot be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule import graph
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.losses import bernoulli_divergence, normal_divergence

DIGITS = cr.data.load("digits")[0].subset(np.arange(200))
IMAGES = np.asarray(DIGITS.preparation.forward(DIGITS.inputs), np.float64)
PAIRS = cr.data.from_arrays(IMAGES, IMAGES)


def value(node: graph.Node, **arrays: Any) -> Any:
    with graph.Build() as build:
        pass
    program = ReferenceEngine().compile(graph.Graph.of({"y": node}, build))
    return program.run({name: np.asarray(array, np.float64) for name, array in arrays.items()})["y"]


@pytest.mark.tiny
def test_the_divergence_of_a_normal_distribution_is_the_integral() -> None:
    mean, log_variance = np.array([[0.0, 0.7], [-2.0, 0.1]]), np.array([[0.0, -1.5], [0.8, 1e-9]])
    found = value(
        normal_divergence(graph.input("m", (2, 2), "float64"), graph.input("v", (2, 2), "float64")),
        m=mean, v=log_variance,
    )  # fmt: skip
    z = np.linspace(-30, 30, 200_001)
    wanted = np.zeros((2, 2))
    for place in np.ndindex(2, 2):
        deviation = np.exp(log_variance[place] / 2)
        log_q = -(((z - mean[place]) / deviation) ** 2) / 2 - np.log(deviation)
        wanted[place] = np.sum(np.exp(log_q) * (log_q + z**2 / 2)) * (z[1] - z[0]) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(found, wanted.sum(axis=1), rtol=1e-9, atol=1e-12)


@pytest.mark.tiny
def test_the_divergence_of_a_share_is_the_sum_over_on_and_off() -> None:
    shares = np.array([0.05, 0.3, 0.999, 0.0, 1.0])
    found = value(bernoulli_divergence(0.05, graph.input("m", (5,), "float64")), m=shares)
    inside = np.clip(shares, 1e-6, 1 - 1e-6)
    wanted = 0.05 * np.log(0.05 / inside) + 0.95 * np.log(0.95 / (1 - inside))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)
    assert found[0] == pytest.approx(0, abs=1e-15)
    with pytest.raises(ConfigurationError, match="target is a number between 0 and 1, not 0"):
        bernoulli_divergence(0, graph.input("m", (5,), "float64"))
    with pytest.raises(ShapeError, match="a mean and a log variance"):
        normal_divergence(graph.input("m", (2, 2)), graph.input("v", (2, 3)))


def variational(rate: float = 1.0) -> cr.Chain:
    encoder = cr.Chain(cr.Dense(16, cr.tanh), cr.Dense(6))
    return cr.Chain(encoder, cr.GaussianCode(rate), cr.Chain(cr.Dense(16, cr.tanh), cr.Dense(64)))


def sparse(rate: float = 0.5) -> cr.Chain:
    return cr.Chain(cr.Dense(20, cr.sigmoid), cr.Sparsity(0.05, rate), cr.Dense(64))


@pytest.mark.parametrize("model", [variational(), sparse()], ids=["variational", "sparse"])
def test_the_gradient_of_loss_and_addition_passes_its_check(model: cr.Chain) -> None:
    run = cr.prepare(model, PAIRS, loss=cr.losses.binary_cross_entropy, dtype="float64", batch_size=50)
    assert run.check(PAIRS).passed


def test_what_is_added_is_recorded_beside_the_loss_and_measured() -> None:
    run = cr.prepare(variational(), PAIRS, loss=cr.losses.binary_cross_entropy, dtype="float64", batch_size=200)
    encoder = run.model.layers[0]  # type: ignore[union-attr]
    codes = run.apply(encoder, IMAGES)
    mean, log_variance = codes[:, :3], codes[:, 3:]
    wanted = 0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1).sum(axis=1).mean()
    assert run.evaluate(PAIRS)["added"] == pytest.approx(wanted, rel=1e-9)
    run.fit(PAIRS, steps=1, progress=False)
    assert run.history.column("penalty")[0] == pytest.approx(wanted, rel=1e-9)
    # In prediction the code is its mean: the same each time.
    np.testing.assert_array_equal(run.outputs(IMAGES[:5]), run.outputs(IMAGES[:5]))


def test_a_code_is_drawn_anew_in_each_step_with_the_deviation_that_it_has() -> None:
    middle, log_variance = 1.5, 2 * np.log(0.3)
    start = cr.initializers.Constant(0.0)
    model = cr.Chain(cr.Dense(2, weight=start, bias_start=_Given((middle, log_variance))), cr.GaussianCode())

    @cr.step
    def look(state: Any, batch: Any) -> Mapping[str, graph.Node]:
        code = state.apply(model, batch.inputs)
        state.descend(graph.sum(code) * 0.0 + state.added_loss() * 0.0, model, cr.optimizers.SGD(0.0))
        center = graph.composites.mean(code)
        apart = code - graph.broadcast_to(center, code.shape)
        return {"mean": center, "square": graph.composites.mean(apart**2)}

    run = cr.fit(look, {"inputs": np.zeros((4000, 1), np.float32)}, batch_size=4000, epochs=2, progress=False)
    seen = run.history.column("mean")
    np.testing.assert_allclose(seen, middle, atol=0.02)
    assert seen[0] != seen[1]
    np.testing.assert_allclose(np.sqrt(run.history.column("square")), 0.3, atol=0.015)


class _Given:
    """First values that are given."""

    def __init__(self, values: tuple[float, ...]) -> None:
        self.values = values

    def __call__(self, key: Any, shape: Any) -> Any:
        return np.array(self.values).reshape(shape)


def test_sparsity_brings_the_mean_activation_to_the_target() -> None:
    means = {}
    for rate in (0.0, 50.0):
        run = cr.fit(
            sparse(rate), PAIRS, loss=cr.losses.binary_cross_entropy, optimizer=cr.optimizers.Adam(0.01),
            batch_size=100, epochs=60, progress=False,
        )  # fmt: skip
        means[rate] = run.apply(run.model.layers[0], IMAGES.astype(np.float32)).mean(axis=0)  # type: ignore[union-attr]
    assert np.abs(means[50.0] - 0.05).max() < 0.03
    assert np.abs(means[0.0] - 0.05).mean() > 0.15


@pytest.mark.parametrize("model", [variational(0.5), sparse()], ids=["variational", "sparse"])
def test_a_run_that_is_saved_and_loaded_adds_the_same(model: cr.Chain, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"loss": cr.losses.binary_cross_entropy, "progress": False}
    whole = cr.fit(model, PAIRS, epochs=4, **settings)
    cut = cr.load(cr.fit(model, PAIRS, epochs=2, **settings).save(tmp_path / "run")).fit(PAIRS, epochs=4)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, cut.arrays[name], err_msg=name)


def test_a_step_of_ones_own_cannot_forget_what_is_added() -> None:
    model = sparse()

    @cr.step
    def forgets(state: Any, batch: Any) -> Mapping[str, graph.Node]:
        loss = cr.losses.binary_cross_entropy(state.apply(model, batch.inputs), batch.inputs)
        state.descend(loss, model, cr.optimizers.SGD(0.1))
        return {"loss": loss}

    with pytest.raises(ConfigurationError, match="layer 1 adds to the loss, and the step forgets does not descend in"):
        cr.prepare(forgets, {"inputs": IMAGES})


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cr.Sparsity(1.0), "Sparsity: target is a number between 0 and 1, not 1.0"),
        (lambda: cr.Sparsity(rate=-1), "Sparsity: rate is a number from 0 upwards, not -1"),
        (lambda: cr.GaussianCode(float("nan")), "GaussianCode: rate is a number from 0 upwards, not nan"),
        (lambda: cr.prepare(cr.Chain(cr.Dense(3), cr.GaussianCode(), cr.Dense(64)), PAIRS), "means and log variances"),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Any, said: str) -> None:
    with pytest.raises((ConfigurationError, ShapeError), match=said):
        make()
