"""Every loss, held to the same laws: its value, its gradient, its weights, its words for what does not fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph, losses
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError, DtypeError, GraphError, ShapeError
from chainrule.explain import check_graph
from chainrule.gradients import gradients
from chainrule.graph import Build, Graph, Node

Array = NDArray[Any]
ce, bce = losses.cross_entropy, losses.binary_cross_entropy
mse, half = losses.mean_squared_error, losses.half_squared_error
random = np.random.default_rng(0)
Z = random.normal(size=(5, 3)) * 2
LABELS = np.array([0, 2, 1, 1, 0], np.int32)
ROWS = np.eye(3)[LABELS]
SOFT = random.dirichlet(np.ones(3), 5)
WEIGHTS = np.array([1.0, 0.0, 2.5, 0.5, 1.0])


def log_softmax(z: Array) -> Any:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def sigmoid(z: Array) -> Any:
    return 1 / (1 + np.exp(-z))


def binary(z: Array, t: Array) -> Any:
    return -(t * np.log(sigmoid(z)) + (1 - t) * np.log(1 - sigmoid(z))).sum(-1)


#: The loss, its targets, what it should be for each sample, and its slope in the outputs, sample by sample.
CASES: dict[str, tuple[losses.Loss, Array, Array, Array]] = {
    "cross_entropy of labels": (
        losses.cross_entropy, LABELS, -(ROWS * log_softmax(Z)).sum(-1), np.exp(log_softmax(Z)) - ROWS,
    ),
    "cross_entropy of probabilities": (
        losses.cross_entropy, SOFT, -(SOFT * log_softmax(Z)).sum(-1), np.exp(log_softmax(Z)) - SOFT,
    ),
    "binary_cross_entropy": (losses.binary_cross_entropy, SOFT, binary(Z, SOFT), sigmoid(Z) - SOFT),
    "mean_squared_error": (losses.mean_squared_error, SOFT, ((Z - SOFT) ** 2).mean(-1), (Z - SOFT) * 2 / 3),
    "mean_squared_error of labels": (losses.mean_squared_error, LABELS, ((Z - ROWS) ** 2).mean(-1), (Z - ROWS) * 2 / 3),
    "half_squared_error": (losses.half_squared_error, SOFT, ((Z - SOFT) ** 2).sum(-1) / 2, Z - SOFT),
    "half_squared_error of labels": (losses.half_squared_error, LABELS, ((Z - ROWS) ** 2).sum(-1) / 2, Z - ROWS),
    "smooth cross_entropy of labels": (
        losses.CrossEntropy(smoothing=0.3), LABELS, -((0.7 * ROWS + 0.1) * log_softmax(Z)).sum(-1),
        np.exp(log_softmax(Z)) - 0.7 * ROWS - 0.1,
    ),
    "smooth cross_entropy of probabilities": (
        losses.CrossEntropy(smoothing=0.3), SOFT, -((0.7 * SOFT + 0.1) * log_softmax(Z)).sum(-1),
        np.exp(log_softmax(Z)) - 0.7 * SOFT - 0.1,
    ),
    "smooth binary_cross_entropy": (
        losses.BinaryCrossEntropy(smoothing=0.2), ROWS, binary(Z, 0.8 * ROWS + 0.1), sigmoid(Z) - 0.8 * ROWS - 0.1,
    ),
    "mean_absolute_error": (losses.mean_absolute_error, SOFT, np.abs(Z - SOFT).mean(-1), np.sign(Z - SOFT) / 3),
    "huber": (
        losses.Huber(1.5), SOFT,
        np.where(np.abs(Z - SOFT) <= 1.5, (Z - SOFT) ** 2 / 2, 1.5 * (np.abs(Z - SOFT) - 0.75)).mean(-1),
        np.clip(Z - SOFT, -1.5, 1.5) / 3,
    ),
    "hinge": (
        losses.hinge, 2 * ROWS - 1, np.maximum(0, 1 - (2 * ROWS - 1) * Z).sum(-1),
        -(2 * ROWS - 1) * ((2 * ROWS - 1) * Z < 1),
    ),
    "hinge of labels": (
        losses.hinge, LABELS, np.maximum(0, 1 - (2 * ROWS - 1) * Z).sum(-1), -(2 * ROWS - 1) * ((2 * ROWS - 1) * Z < 1),
    ),
}  # fmt: skip


def evaluate(node: Node, **arrays: Any) -> Array:
    whole = graph.verify(Graph({"y": node}))
    return ReferenceEngine().compile(whole).run({name: arrays[name] for name in whole.inputs})["y"]


def nodes(z: Array, targets: Array) -> tuple[Node, Node]:
    return graph.input("z", z.shape, z.dtype.name), graph.input("t", targets.shape, targets.dtype.name)


def check_value(loss: losses.Loss, targets: Array, expected: Array) -> None:
    z, t = nodes(Z, targets)
    np.testing.assert_allclose(evaluate(loss.per_sample(z, t), z=Z, t=targets), expected, rtol=1e-13)
    np.testing.assert_allclose(evaluate(loss(z, t), z=Z, t=targets), expected.mean(), rtol=1e-13)


def check_slope(loss: losses.Loss, targets: Array, slope: Array) -> None:
    z, t = nodes(Z, targets)
    (found,) = gradients(loss(z, t), [z])
    np.testing.assert_allclose(evaluate(found, z=Z, t=targets), slope / len(Z), rtol=1e-12, atol=1e-15)


@pytest.mark.tiny
@pytest.mark.parametrize("name", CASES)
def test_the_value_is_the_formula(name: str) -> None:
    loss, targets, expected, _ = CASES[name]
    check_value(loss, targets, expected)


@pytest.mark.tiny
@pytest.mark.parametrize("name", CASES)
def test_the_slope_is_the_textbooks(name: str) -> None:
    loss, targets, _, slope = CASES[name]
    check_slope(loss, targets, slope)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_passes_its_check(name: str) -> None:
    loss, targets, _, _ = CASES[name]
    z, t = nodes(Z, targets)
    (slope,) = gradients(loss(z, t), [z])
    flat = all(node not in graph.topological([slope]) for node in (z,))
    for whole in (Graph({"loss": loss(z, t)}), *([] if flat else [Graph({"slope": slope})])):
        assert check_graph(whole, {"z": Z, "t": targets}, wrt=["z"]).passed


def test_a_wrong_slope_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(losses.HalfSquaredError):
        def per_sample(self, outputs: Node, targets: Node) -> Node:
            return 2 * super().per_sample(outputs, targets)

    _, targets, expected, slope = CASES["half_squared_error"]
    with pytest.raises(AssertionError):
        check_value(Twice(), targets, expected)
    with pytest.raises(AssertionError):
        check_slope(Twice(), targets, slope)


@pytest.mark.parametrize("name", CASES)
def test_weights_weigh_samples(name: str) -> None:
    loss, targets, expected, slope = CASES[name]
    z, t = nodes(Z, targets)
    w = graph.input("w", (5,), "float64")
    found = loss(z, t, w)
    arrays = {"z": Z, "t": targets, "w": WEIGHTS}
    np.testing.assert_allclose(evaluate(found, **arrays), np.average(expected, weights=WEIGHTS), rtol=1e-13)
    (gradient,) = gradients(found, [z])
    np.testing.assert_allclose(
        evaluate(gradient, **arrays), slope * WEIGHTS[:, None] / WEIGHTS.sum(), rtol=1e-12, atol=1e-15
    )
    # A weight of 2 is a sample that is there twice, and nothing but 0 comes of weights that are all 0.
    twice = evaluate(loss(z, t, w), z=Z, t=targets, w=np.array([2.0, 1, 1, 1, 1]))
    np.testing.assert_allclose(twice, (expected.sum() + expected[0]) / 6, rtol=1e-13)
    nothing = {"z": Z, "t": targets, "w": np.zeros(5)}
    assert evaluate(found, **nothing) == 0
    assert (evaluate(gradient, **nothing) == 0).all()


@pytest.mark.parametrize("name", CASES)
def test_one_sample_alone_has_the_loss_it_has_in_a_batch(name: str) -> None:
    loss, targets, expected, _ = CASES[name]
    for row in range(5):
        z, t = nodes(Z[row : row + 1], targets[row : row + 1])
        alone = evaluate(loss(z, t), z=Z[row : row + 1], t=targets[row : row + 1])
        np.testing.assert_allclose(alone, expected[row], rtol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str) -> None:
    loss, targets, expected, _ = CASES[name]
    short = targets if targets.dtype == np.int32 else targets.astype(np.float32)
    z, t = nodes(Z.astype(np.float32), short)
    found = evaluate(loss(z, t), z=Z.astype(np.float32), t=short)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.mean(), rtol=1e-6)


#: A case of another framework: the loss, and by how much ours is larger, where it sums over outputs.
OTHERS: dict[str, tuple[losses.Loss, float]] = {
    "smoothing": (losses.CrossEntropy(smoothing=0.1), 1),
    "smoothing of probabilities": (losses.CrossEntropy(smoothing=0.1), 1),
    "binary smoothing": (losses.BinaryCrossEntropy(smoothing=0.2), 5),
    "absolute error": (losses.mean_absolute_error, 1),
    "huber": (losses.Huber(1.5), 1),
    "class weights": (losses.cross_entropy, 1),
}


@pytest.mark.parametrize("name", OTHERS)
def test_losses_are_those_of_another_framework(name: str) -> None:
    loss, factor = OTHERS[name]
    with np.load(Path(__file__).parent / "golden" / "weighted_losses.npz") as file:
        arrays = {key.removeprefix(f"{name}/"): file[key] for key in file.files if key.startswith(f"{name}/")}
        by_class = file["weights"]
    given, targets = arrays["input"], arrays["target"]
    weights = None
    if name == "class weights":
        data = cr.data.from_arrays(given, targets.astype(np.int32), classes=list("abcde"))
        weighed = data.weigh_classes(dict(zip("abcde", by_class.tolist(), strict=True))).weights
        weights = graph.constant(weighed, "float64")
    z, t = nodes(given, targets)
    value = loss(z, t, weights)
    (slope,) = gradients(value, [z])
    tolerance = 1e-10 if weights is None else 1e-6  # weights of samples are float32
    np.testing.assert_allclose(evaluate(value, z=given, t=targets), factor * arrays["value"], rtol=tolerance)
    expected = factor * arrays["d:input"] / arrays["cotangent"]
    np.testing.assert_allclose(evaluate(slope, z=given, t=targets), expected, rtol=tolerance, atol=1e-12)


def test_smoothing_keeps_what_is_best_from_being_infinite() -> None:
    """The best logits of a smoothed loss are finite, and its least value is the entropy of the smoothed target."""
    smooth = np.array([[0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]])
    z, labels = nodes(np.log(smooth), np.array([0]))
    loss = losses.CrossEntropy(smoothing=0.1)(z, labels)
    least = -(smooth * np.log(smooth)).sum()
    np.testing.assert_allclose(evaluate(loss, z=np.log(smooth), t=np.array([0])), least, rtol=1e-13)
    (slope,) = gradients(loss, [z])
    np.testing.assert_allclose(evaluate(slope, z=np.log(smooth), t=np.array([0])), np.zeros((1, 3)), atol=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: losses.CrossEntropy(smoothing=1.0), "CrossEntropy: smoothing is a number from 0 to below 1, not 1.0"),
        (lambda: losses.CrossEntropy(smoothing=-0.1), "not -0.1"),
        (lambda: losses.BinaryCrossEntropy(smoothing=True), "BinaryCrossEntropy: smoothing is .* not True"),
        (lambda: losses.Huber(0), "Huber: threshold is a number above 0, not 0"),
        (lambda: losses.Huber(float("nan")), "not nan"),
    ],
)
def test_a_setting_without_meaning_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    "loss", [losses.CrossEntropy(smoothing=0.1), losses.Huber(2.0), losses.hinge, losses.mean_absolute_error]
)
def test_a_run_keeps_its_loss(loss: losses.Loss, tmp_path: Path) -> None:
    train, test = cr.data.load("iris")
    run = cr.fit(cr.Chain(cr.Dense(3)), train, loss=loss, epochs=30, optimizer=cr.optimizers.SGD(0.05))
    assert run.evaluate(test)["accuracy"] > 0.75
    run.save(tmp_path / "run")
    assert cr.load(tmp_path / "run").loss == loss


def test_labels_are_rows_of_probability_one() -> None:
    z, labels = nodes(Z, LABELS)
    rows = graph.input("rows", (5, 3), "float64")
    first = evaluate(losses.cross_entropy.per_sample(z, labels), z=Z, t=LABELS)
    second = evaluate(losses.cross_entropy.per_sample(z, rows), z=Z, rows=ROWS)
    np.testing.assert_allclose(first, second, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "uint32"])
def test_labels_may_be_any_whole_numbers(dtype: str) -> None:
    z, labels = nodes(Z, LABELS.astype(dtype))
    found = evaluate(losses.cross_entropy.per_sample(z, labels), z=Z, t=LABELS.astype(dtype))
    np.testing.assert_allclose(found, CASES["cross_entropy of labels"][2], rtol=1e-13)


def test_one_output_takes_labels_of_two_classes() -> None:
    z, labels = nodes(Z[:, :1], np.array([0, 1, 1, 0, 1]))
    found = evaluate(losses.binary_cross_entropy.per_sample(z, labels), z=Z[:, :1], t=np.array([0, 1, 1, 0, 1]))
    expected = binary(Z[:, :1], np.array([[0.0], [1.0], [1.0], [0.0], [1.0]]))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits_neither_overflow_nor_lose_their_gradient(dtype: str) -> None:
    far = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype)
    z, labels = nodes(far, np.array([1, 0]))
    loss = losses.cross_entropy.per_sample(z, labels)
    np.testing.assert_allclose(evaluate(loss, z=far, t=np.array([1, 0])), np.array([2e4, 2e4 + math.log(2)]), rtol=1e-6)
    (slope,) = gradients(graph.sum(loss), [z])
    found = evaluate(slope, z=far, t=np.array([1, 0]))
    np.testing.assert_allclose(found, [[1.0, -1.0, 0.0], [-1.0, 0.5, 0.5]], atol=1e-6)
    ones = np.ones_like(far)
    z, t = nodes(far, ones)
    loss = losses.binary_cross_entropy.per_sample(z, t)
    np.testing.assert_allclose(evaluate(loss, z=far, t=ones), np.array([1e4 + math.log(2), 1e4]), rtol=1e-6)
    (slope,) = gradients(graph.sum(loss), [z])
    np.testing.assert_allclose(evaluate(slope, z=far, t=ones), [[0.0, -1.0, -0.5], [-1.0, 0.0, 0.0]], atol=1e-6)


def test_a_class_that_is_ruled_out_by_minus_infinity_does_no_harm() -> None:
    masked = np.array([[0.0, -np.inf, 1.0]])
    z, labels = nodes(masked, np.array([2]))
    loss = losses.cross_entropy(z, labels)
    np.testing.assert_allclose(evaluate(loss, z=masked, t=np.array([2])), np.log1p(np.exp(-1)), rtol=1e-13)
    (slope,) = gradients(loss, [z])
    p = sigmoid(np.array(1.0))
    np.testing.assert_allclose(evaluate(slope, z=masked, t=np.array([2])), np.array([[1 - p, 0, p - 1]]), rtol=1e-12)


def test_probabilities_are_what_a_reader_wants() -> None:
    z = graph.input("z", Z.shape, "float64")
    soft = evaluate(losses.cross_entropy.probabilities(z), z=Z)
    np.testing.assert_allclose(soft, np.exp(log_softmax(Z)), rtol=1e-13)
    np.testing.assert_allclose(evaluate(losses.binary_cross_entropy.probabilities(z), z=Z), sigmoid(Z), rtol=1e-13)
    assert losses.mean_squared_error.probabilities(z) is z


# ---- what does not fit ----


def z(*shape: int, dtype: str = "float32") -> Node:
    return graph.input("z", shape, dtype)


def t(*shape: int, dtype: str = "float32") -> Node:
    return graph.input("t", shape, dtype)


BAD: list[tuple[Callable[[], Node], type[Exception], str]] = [
    (lambda: ce(z(4, 3), t(4, 1, dtype="int32")), ShapeError, "labels [4], and the labels are [4, 1]"),
    (lambda: ce(z(4, 3), t(4, 2)), ShapeError, "the outputs are [4, 3] and the targets [4, 2]"),
    (lambda: ce(z(4, 3), t(1, 3)), ShapeError, "nothing is stretched silently"),
    (lambda: ce(z(4), t(4, dtype="int32")), ShapeError, "takes logits (batch, classes), and got [4]"),
    (lambda: ce(z(4, 1), t(4, dtype="int32")), ConfigurationError, "over one unit is always 0"),
    (lambda: ce(z(4, 3), t(4, 3, dtype="float64")), DtypeError, "float32 and the targets float64"),
    (lambda: bce(z(4, 3), t(4, dtype="int32")), ShapeError, "takes labels for one output"),
    (lambda: bce(z(4, 1), t(4)), ShapeError, "binary_cross_entropy: the outputs are [4, 1]"),
    (lambda: mse(z(4, 1), t(4)), ShapeError, "the outputs are [4, 1] and the targets [4]"),
    (lambda: mse(z(4, 3), t(3, dtype="int32")), ShapeError, "want labels [4]"),
    (lambda: half(z(4, 2), t(4, 2, dtype="bool")), DtypeError, "the targets bool"),
    (lambda: losses.hinge(z(4, 1), t(4, dtype="int32")), ShapeError, "labels for one output a class"),
    (lambda: losses.hinge(z(4, 3), t(3, dtype="int32")), ShapeError, "want labels [4]"),
    (lambda: losses.huber(z(4, 1), t(4)), ShapeError, "huber: the outputs are [4, 1]"),
    (lambda: losses.mean_absolute_error(z(4, 1), t(4)), ShapeError, "mean_absolute_error: the outputs are [4, 1]"),
    (lambda: mse(z(4, 2), t(4, 2), graph.input("w", (2,))), ShapeError, "weights"),
    (lambda: mse(z(4, 2), t(4, 2), graph.input("w", (4, 1))), ShapeError, "weights"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD)))
def test_what_does_not_fit_is_refused_in_words(number: int) -> None:
    build, error, message = BAD[number]
    with pytest.raises(error) as caught:
        build()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("last", "loss", "refused"),
    [
        (cr.softmax, losses.cross_entropy, "cross_entropy takes logits, and layer 0 ends in a softmax"),
        (cr.sigmoid, losses.binary_cross_entropy, "binary_cross_entropy takes logits, and layer 0 ends in a sigmoid"),
        (cr.softmax, losses.binary_cross_entropy, "ends in a softmax: it would be applied twice"),
    ],
)
def test_what_would_be_applied_twice_is_refused(last: Any, loss: losses.Loss, refused: str) -> None:
    train, _ = cr.data.load("iris")
    data = train.one_hot() if loss is losses.binary_cross_entropy else train
    with pytest.raises(ConfigurationError, match=refused):
        cr.prepare(cr.Chain(cr.Dense(3, last)), data, loss=loss)
    with Build(), pytest.raises(ConfigurationError, match="takes logits"):
        loss(last(z(4, 3)), t(4, 3))


@pytest.mark.parametrize("last", [cr.softmax, cr.sigmoid])
def test_a_squared_error_takes_probabilities(last: Any) -> None:
    train, test = cr.data.load("iris")
    run = cr.fit(cr.Chain(cr.Dense(3, last)), train, loss=losses.mean_squared_error, epochs=30)
    assert run.evaluate(test)["accuracy"] > 0.8


def test_a_softmax_over_one_unit_is_refused() -> None:
    with pytest.raises(GraphError, match="softmax over one unit is always 1"):
        cr.softmax(z(4, 1))


def test_a_loss_without_a_formula_says_so() -> None:
    with pytest.raises(ConfigurationError, match="does not say what the loss of a sample is"):
        losses.Loss()(z(4, 3), t(4, 3))


def test_a_metric_counts_what_is_right() -> None:
    z, labels = nodes(Z, LABELS)
    right = evaluate(cr.metrics.correct(z, labels), z=Z, t=LABELS)
    np.testing.assert_array_equal(right, Z.argmax(-1) == LABELS)
    rows = graph.input("rows", (5, 3), "float64")
    np.testing.assert_array_equal(evaluate(cr.metrics.correct(z, rows), z=Z, rows=ROWS), right)
    p, t = nodes(np.array([[0.2], [0.7], [0.5]]), np.array([0, 1, 1]))
    said = evaluate(cr.metrics.correct(p, t), z=np.array([[0.2], [0.7], [0.5]]), t=np.array([0, 1, 1]))
    np.testing.assert_array_equal(said, [1, 1, 0])
    signs = np.array([[-0.2], [0.1], [0.9]])
    p, t = nodes(signs, np.array([[-1.0], [-1.0], [1.0]]))
    said = evaluate(cr.metrics.correct(p, t, threshold=0), z=signs, t=np.array([[-1.0], [-1.0], [1.0]]))
    np.testing.assert_array_equal(said, [1, 0, 1])
