"""K-FAC: factors and products beside a Fisher matrix written out, natural gradient where it is exact, its refusals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.gradients import gradients
from chainrule.graph import Graph
from chainrule.keys import Key
from chainrule.layers.scope import Record, Scope
from chainrule.optimizers import KFAC, SGD, ClipNorm, Compose
from chainrule.optimizers.kronecker import affine_layers, damped_inverses, factors_graph, products_graph, second_moments
from chainrule.training import Checkpoint
from tests.training.making import flowers, same_bits

SAMPLES = 4


def small(loss: cr.losses.Loss, samples: int = SAMPLES, **settings: Any) -> tuple[cr.Run, cr.data.Dataset, Any]:
    """A network of 3, 4 and 3 units, its data, and its step."""
    x = Key(0, "x").normal((samples, 3))
    t = Key(0, "t").uniform((samples, 3))
    t = t / t.sum(axis=1, keepdims=True)
    data = cr.data.from_arrays(x, t)
    run = cr.prepare(
        cr.Chain(cr.Dense(4, cr.tanh), cr.Dense(3, bias=False)), data, loss=loss, optimizer=KFAC(damping=1e-3),
        batch_size=None, dtype="float64", engine="reference", shuffle=False, **settings,
    )  # fmt: skip
    assert run.spec is not None
    return run, data, run.graph(run.spec, samples)


def given(run: cr.Run, data: cr.data.Dataset, more: dict[str, Any]) -> dict[str, Any]:
    spec, arrays = run._data(data)
    pool = {**run.arrays, **{f"data/{name}": array for name, array in arrays.items()}, **more}
    return {"seed": np.uint32(run.seed), "batch/indices": np.arange(spec.samples, dtype=np.int32), **pool}


def evaluated(graph: Graph, pool: dict[str, Any]) -> dict[str, Any]:
    arrays = {name: np.asarray(pool[name], node.dtype) for name, node in graph.inputs.items()}
    return ReferenceEngine().compile(graph).run(arrays)


def fisher(run: cr.Run, data: cr.data.Dataset) -> np.ndarray[Any, Any]:
    """The Fisher matrix of the softmax network, in the order of the parameters: Σ over samples and classes."""
    w1, b1, w2 = (run.parameters[path] for path in ("0.weight", "0.bias", "1.weight"))
    inputs = run._data(data)[1]["inputs"]
    total = np.zeros((w1.size + b1.size + w2.size,) * 2)
    for x in inputs:
        h = np.tanh(x @ w1 + b1)
        z = h @ w2
        p = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
        for k, probability in enumerate(p):
            dz = p - np.eye(3)[k]
            ds = (w2 @ dz) * (1 - h * h)
            row = np.concatenate([np.outer(x, ds).ravel(), ds, np.outer(h, dz).ravel()])
            total += probability * np.outer(row, row) / len(inputs)
    return total


def parts(run: cr.Run, row: np.ndarray[Any, Any]) -> dict[str, Any]:
    shapes = {path: array.shape for path, array in run.parameters.items()}
    cuts = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]
    return {path: part.reshape(shape) for (path, shape), part in zip(shapes.items(), np.split(row, cuts), strict=True)}


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_products_are_those_of_the_fisher_matrix_written_out(rate: float) -> None:
    run, data, built = small(cr.losses.cross_entropy, regularizer=cr.regularizers.L2(rate) if rate else None)
    assert list(run.parameters) == ["0.weight", "0.bias", "1.weight"]
    matrix = fisher(run, data) + rate * np.diag([1.0] * 12 + [0.0] * 4 + [1.0] * 12)
    u, v = Key(1, "u").normal((28,)), Key(1, "v").normal((28,))
    more = {
        f"{name}/{path}": part for name, row in (("first", u), ("second", v)) for path, part in parts(run, row).items()
    }
    found = evaluated(products_graph(built), given(run, data, more | run.numbers))
    for name, value in (
        ("first first", u @ matrix @ u),
        ("first second", u @ matrix @ v),
        ("second second", v @ matrix @ v),
    ):
        assert found[name] == pytest.approx(value, rel=1e-10), name


def test_factors_come_to_those_of_the_fisher_matrix() -> None:
    # Of one sample, a layer's block of the Fisher matrix is A ⊗ G exactly; and G is a mean over draws.
    run, data, built = small(cr.losses.cross_entropy, samples=1)
    layers = affine_layers(built)
    graph = factors_graph(built, layers)
    draws = 1500
    means = {layer.weight: [np.zeros(0), np.zeros(0)] for layer in layers}
    for layer in layers:
        moments = [second_moments(evaluated(graph, given(run, data, {"step": step})), layer) for step in range(draws)]
        means[layer.weight] = [np.mean([pair[place] for pair in moments], axis=0) for place in (0, 1)]
    whole = fisher(run, data)
    for weight, block in (("0.weight", whole[:16, :16]), ("1.weight", whole[16:, 16:])):
        a, g = means[weight]
        np.testing.assert_allclose(np.kron(a, g), block, atol=0.06 * np.abs(block).max())


def test_factors_of_a_batch_are_means_of_outer_products() -> None:
    run, data, built = small(cr.losses.half_squared_error)
    layers = affine_layers(built)
    found = evaluated(factors_graph(built, layers), given(run, data, {}))
    x = run._data(data)[1]["inputs"]
    bars = np.concatenate([x, np.ones((SAMPLES, 1))], axis=1)
    h = np.tanh(bars @ np.concatenate([run.parameters["0.weight"], run.parameters["0.bias"][None]]))
    np.testing.assert_allclose(second_moments(found, layers[0])[0], bars.T @ bars / SAMPLES, rtol=1e-12)
    np.testing.assert_allclose(second_moments(found, layers[1])[0], h.T @ h / SAMPLES, rtol=1e-12)


LOSSES: dict[str, Any] = {
    "cross-entropy": cr.losses.cross_entropy,
    "binary cross-entropy": cr.losses.binary_cross_entropy,
    "mean squared error": cr.losses.mean_squared_error,
    "half squared error": cr.losses.half_squared_error,
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_drawn_has_the_curvature_of_the_loss(name: str) -> None:
    draws, loss = 40_000, LOSSES[name]
    row = np.array([0.7, -1.1, 0.2])
    with cr.graph.Build():
        z = cr.graph.input("z", (draws, 3), "float64")
        seed = cr.graph.input("seed", (), "uint32")
        drawn = cr.graph.stop_gradient(loss.sample(z, Scope(Record("float64", seed=seed))))
        (slope,) = gradients(cr.graph.sum(loss.per_sample(z, drawn)), [z])
        direction = cr.graph.constant(np.tile([1.0, 2.0, -0.5], (draws, 1)), "float64")
        (curved,) = gradients(cr.graph.sum(slope * direction), [z])
        graph = Graph({"slope": slope, "curved": curved})
    found = evaluated(graph, {"z": np.tile(row, (draws, 1)), "seed": np.uint32(3)})
    assert np.abs(found["slope"].mean(axis=0)).max() < 0.02
    moved = np.mean(found["slope"] * (found["slope"] @ [1.0, 2.0, -0.5])[:, None], axis=0)
    np.testing.assert_allclose(moved, found["curved"][0], atol=0.05)


@pytest.mark.tiny
def test_a_linear_gaussian_problem_is_solved_in_one_step() -> None:
    # F = A for one output, so that Δ is the natural gradient, and the step ends at the least squares.
    x = Key(0, "x").normal((50, 4)) * [1.0, 5.0, 0.2, 1.0] + 1.0
    y = x @ [[1.0], [-2.0], [3.0], [0.0]] + 0.5 + Key(0, "e").normal((50, 1))
    data = cr.data.from_arrays(x, y)
    settings: dict[str, Any] = {"loss": cr.losses.half_squared_error, "batch_size": None, "dtype": "float64"}
    run = cr.fit(cr.Chain(cr.Dense(1)), data, optimizer=KFAC(damping=1e-14), steps=1, engine="reference", **settings)
    inputs, targets = (run._data(data)[1][name] for name in ("inputs", "targets"))
    best = np.linalg.lstsq(np.concatenate([inputs, np.ones((50, 1))], axis=1), targets, rcond=None)[0]
    np.testing.assert_allclose(run.parameters["0.weight"], best[:-1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run.parameters["0.bias"], best[-1], rtol=1e-4)


def test_a_step_is_the_least_of_the_model_in_its_plane() -> None:
    run, data, built = small(cr.losses.cross_entropy)
    run.fit(data, steps=4)
    before, last = run.parameters, {p: run.arrays[f"optimizer/last/{p}"] for p in run.parameters}
    damping = float(run.arrays["optimizer/damping"])
    matrix = fisher(run, data)
    graph = Graph(dict(built.descents[0].gradients))
    slope = np.concatenate([np.ravel(a) for a in evaluated(graph, given(run, data, {})).values()])
    run.fit(data, steps=5)
    step = np.concatenate([np.ravel(run.parameters[path] - before[path]) for path in before])
    along = matrix @ step + damping * step + slope  # the gradient of the model where the step ends
    for direction in (step, np.concatenate([np.ravel(one) for one in last.values()])):
        assert abs(along @ direction) < 1e-8 * np.linalg.norm(along) * np.linalg.norm(direction) + 1e-12


def test_damped_inverses_are_balanced_and_inverse() -> None:
    a, g = np.diag([4.0, 8.0]), np.diag([0.5, 1.0, 1.5])
    one, other = damped_inverses(a, g, 0.1)
    ratio = (6.0 / 1.0) ** 0.5
    np.testing.assert_allclose(one @ (a + 0.1 * ratio * np.eye(2)), np.eye(2), atol=1e-12)
    np.testing.assert_allclose(other @ (g + 0.1 / ratio * np.eye(3)), np.eye(3), atol=1e-12)


def test_damping_falls_where_the_model_is_right_and_rises_where_it_is_not() -> None:
    x = Key(0, "x").normal((64, 3))
    data = cr.data.from_arrays(x, np.sin(3 * x))
    settings: dict[str, Any] = {"loss": cr.losses.half_squared_error, "batch_size": None, "epochs": 10}
    easy = cr.fit(cr.Chain(cr.Dense(3)), data, optimizer=KFAC(damping=1.0), **settings)
    np.testing.assert_allclose(easy.history.column("damping")[-1], 0.95**10, rtol=1e-9)
    # By its tangent at 0, exp comes to 5 at 4; and there it is 54.
    steep = cr.data.from_arrays(np.ones((8, 1)), np.full((8, 1), 5.0))
    settings["epochs"] = 1
    hard = cr.fit(
        cr.Chain(cr.Dense(1, cr.graph.exp, weight=cr.initializers.Constant(0.0))), steep,
        optimizer=KFAC(damping=1e-6, damping_interval=1), **settings,
    )  # fmt: skip
    np.testing.assert_allclose(hard.history.column("damping")[-1], 1e-6 / 0.95, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_flowers_are_learned_in_fewer_steps_than_by_momentum(dtype: str) -> None:
    train, test = flowers()
    settings: dict[str, Any] = {"steps": 12, "batch_size": None, "dtype": dtype}

    def learned(optimizer: Any) -> cr.Run:
        return cr.fit(cr.Chain(cr.Dense(6, cr.tanh), cr.Dense(3)), train, optimizer=optimizer, **settings)

    fast, slow = learned(KFAC(damping=0.1)), learned(SGD(0.1, momentum=0.9))
    assert fast.history.column("loss")[-1] < 0.5 * slow.history.column("loss")[-1]
    assert fast.evaluate(test)["accuracy"] > 0.85


def test_cut_saved_and_loaded_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    train, test = flowers()
    settings: dict[str, Any] = {
        "optimizer": KFAC(damping=0.5, inverse_interval=3, tikhonov_interval=4, damping_interval=2),
        "batch_size": 50, "seed": 2,
    }  # fmt: skip
    model = cr.Chain(cr.Dense(6, cr.tanh), cr.Dropout(0.1), cr.Dense(3))
    whole = cr.fit(model, train, validation=test, epochs=4, **settings)
    cut = cr.fit(model, train, validation=test, steps=5, callbacks=[Checkpoint(tmp_path)], **settings)
    assert cut.offset > 0
    again = cr.load(tmp_path)
    assert again.optimizer == settings["optimizer"]
    again.fit(train, validation=test, epochs=4)
    same_bits(whole, again)


def test_a_penalty_and_smoothed_labels_and_weights_go_along() -> None:
    train, test = flowers()
    run = cr.fit(
        cr.Chain(cr.Dense(6, cr.tanh), cr.Dense(3)), train, optimizer=KFAC(damping=0.1), steps=15, batch_size=None,
        loss=cr.losses.CrossEntropy(0.1), regularizer=cr.regularizers.L2(1e-3),
    )  # fmt: skip
    assert run.evaluate(test)["accuracy"] > 0.85


def shared() -> cr.Chain:
    one = cr.Dense(4, cr.tanh)
    return cr.Chain(one, one, cr.Dense(3))


REFUSED: list[tuple[Any, str]] = [
    (cr.Chain(cr.Dense(4), cr.BatchNorm(), cr.Dense(3)), "dense layers alone, and the model has the parameter 1.s"),
    (shared(), "layer 0 is applied 2 times in a step"),
    (cr.Chain(cr.Reshape((2, 2)), cr.Dense(3), cr.Flatten(), cr.Dense(3)), r"layer 1 is given \[\d+, 2, 2\]"),
]


@pytest.mark.parametrize(("model", "words"), REFUSED)
def test_other_models_are_refused(model: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        cr.prepare(model, flowers()[0], optimizer=KFAC())


def test_a_loss_without_a_distribution_is_refused() -> None:
    data = cr.data.from_arrays(np.ones((4, 2)), np.ones((4, 1)))
    for loss in (cr.losses.huber, cr.losses.mean_absolute_error, cr.losses.hinge):
        with pytest.raises(ConfigurationError, match="predicts no distribution whose Fisher information"):
            cr.prepare(cr.Chain(cr.Dense(1)), data, loss=loss, optimizer=KFAC())


def test_a_step_of_ones_own_says_what_it_predicts() -> None:
    model = cr.Chain(cr.Dense(6, cr.tanh), cr.Dense(3), name="own")

    def step(**told: bool) -> cr.training.Step:
        @cr.step
        def learn(state: Any, batch: Any) -> dict[str, cr.Node]:
            z = state.apply(model, batch.inputs)
            loss = cr.losses.cross_entropy(z, batch.targets)
            known: dict[str, Any] = {"outputs": z, "criterion": cr.losses.cross_entropy} if told else {}
            state.descend(loss, model, KFAC(damping=0.1), **known)
            return {"loss": loss}

        return learn

    with pytest.raises(ConfigurationError, match="has to know which distribution"):
        cr.prepare(step(), flowers()[0])
    losses: Sequence[float] = cr.fit(step(told=True), flowers()[0], batch_size=None, steps=10).history.column("loss")
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"damping": 0}, "damping is a number above 0"),
        ({"decay": 1.0}, "decay is a number from 0 to below 1"),
        ({"inverse_interval": 0}, "inverse_interval is a whole number of steps"),
        ({"momentum": 0.9}, "momentum is True or False"),
        ({"lr": 0.1}, "the name is learning_rate"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        KFAC(**settings)


def test_it_is_not_composed() -> None:
    with pytest.raises(ConfigurationError, match="KFAC takes its steps on the host"):
        Compose(ClipNorm(1.0), KFAC())
