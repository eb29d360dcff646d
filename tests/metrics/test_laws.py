"""What holds for every metric there is: of order, of weights, of samples that do not count; and the corners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigurationError, DataError
from chainrule.metrics import Metric
from chainrule.metrics.metric import OfNumbers
from chainrule.metrics.naming import as_metrics
from tests.metrics.making import Case, of_classes, of_numbers, of_two, rows

AVERAGES = ("macro", "micro", "weighted", "per_class")
ALL: list[Metric] = [cr.metrics.as_metric(name) for name in cr.metrics.names()]
ALL += [cr.metrics.as_metric(f"{name}_{mean}") for name in ("f1", "roc_auc", "average_precision") for mean in AVERAGES]
ALL += [cr.metrics.TopK(2), cr.metrics.FBeta("macro", 3.0)]
BY_NAME = pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)


def cases(metric: Metric) -> list[Case]:
    if isinstance(metric, OfNumbers):
        return [of_numbers(seed) for seed in range(20)]
    return [make(seed) for seed in range(20) for make in (of_classes, of_two)]


def equal(first: Any, second: Any) -> None:
    np.testing.assert_allclose(first, second, rtol=1e-11, atol=1e-12)


@BY_NAME
def test_the_order_of_the_samples_changes_nothing(metric: Metric) -> None:
    for seed, case in enumerate(cases(metric)):
        chosen = np.random.default_rng(seed).permutation(len(case.targets))
        equal(metric(*case[:3]), metric(case.targets[chosen], case.outputs[chosen], rows(case.weights, chosen)))


@BY_NAME
def test_a_weight_of_two_is_a_sample_twice_and_one_of_zero_is_none(metric: Metric) -> None:
    for seed, case in enumerate(cases(metric)):
        count = np.random.default_rng(seed).integers(0, 4, len(case.targets))
        count[0] = 2
        often = np.repeat(np.arange(len(count)), count)
        equal(metric(case.targets, case.outputs, count), metric(case.targets[often], case.outputs[often]))
        equal(metric(case.targets, case.outputs, np.full(len(count), 0.7)), metric(case.targets, case.outputs))


@BY_NAME
def test_what_is_perfect_is_best(metric: Metric) -> None:
    """And what is perfect is not beaten, in the direction that the metric says."""
    for case in cases(metric):
        best: Any
        if isinstance(metric, OfNumbers):
            best = metric(case.targets, case.targets, case.weights)
        else:
            best = metric(case.targets, np.eye(case.classes)[case.targets], case.weights)
        found = metric(*case[:3])
        if not (np.isnan(best).any() or np.isnan(found).any()):
            assert np.all(best >= found - 1e-9 if metric.upwards else best <= found + 1e-9)


@BY_NAME
def test_a_name_leads_back(metric: Metric) -> None:
    assert cr.metrics.as_metric(metric.name) == metric
    assert cr.metrics.upwards(f"validation_{metric.name}") is metric.upwards


@BY_NAME
def test_what_is_not_finite_is_not_a_number_and_what_is_no_data_is_said(metric: Metric) -> None:
    case = cases(metric)[0]
    spoilt = case.outputs.copy()
    spoilt[0] = np.nan
    assert np.isnan(metric(case.targets, spoilt))
    few = case.targets[:3], case.outputs[:3]
    for weights, message in (
        ([0.0, 0.0, 0.0], "all weights are 0"),
        ([1.0, -1.0, 1.0], "negative"),
        ([1.0, 1.0], "one a sample"),
    ):
        with pytest.raises(DataError, match=message):
            metric(*few, weights)
    with pytest.raises(DataError, match="there are no samples"):
        metric(case.targets[:0], case.outputs[:0])
    with pytest.raises(DataError, match="targets, and outputs of"):
        metric(case.targets[:2], case.outputs[:3])
    with pytest.raises(DataError, match=r"these are|neither a label nor"):
        metric(np.array(["a", "b", "c"]), case.outputs[:3])
    with pytest.raises(DataError):
        metric(np.array([np.nan, 1.0, 2.0]), case.outputs[:3, :1] if case.outputs.ndim > 1 else case.outputs[:3])


# ---- corners ---------------------------------------------------------------------------------------------------------


def test_a_class_that_never_occurs_or_is_never_said() -> None:
    targets, said = [0, 0, 1, 1], [0, 2, 2, 0]  # 1 is never said, 2 never occurs, 3 neither
    scores = np.eye(4)[said]
    assert cr.metrics.Precision("per_class")(targets, scores).tolist()[:3] == [0.5, 0.0, 0.0]  # type: ignore[union-attr]
    assert cr.metrics.Recall("per_class")(targets, scores).tolist()[:3] == [0.5, 0.0, 0.0]  # type: ignore[union-attr]
    assert np.isnan(cr.metrics.F1("per_class")(targets, scores)[3])  # type: ignore[index]
    assert cr.metrics.F1()(targets, scores) == pytest.approx(0.5 / 3)
    assert cr.metrics.balanced_accuracy(targets, scores) == 0.25


def test_one_class_alone() -> None:
    same = [1, 1, 1], [0.2, 0.7, 0.9]
    assert np.isnan(cr.metrics.roc_auc(*same))
    assert cr.metrics.average_precision(*same) == 1.0
    assert np.isnan(cr.metrics.average_precision([0, 0], [0.2, 0.3]))
    assert cr.metrics.f1([0, 0], [0.2, 0.3]) == 0.0
    assert np.isnan(cr.metrics.ROCAUC("macro")([2, 2], np.eye(3)[[1, 2]]))
    assert cr.metrics.matthews_correlation(*same) == 0.0
    assert np.isnan(cr.metrics.cohen_kappa([1, 1], [1, 1]))
    false, true, _ = cr.metrics.roc_curve(*same)
    assert np.isnan(false[1:]).all()
    assert true[-1] == 1.0


def test_targets_that_are_all_the_same() -> None:
    weights = [1.1, 1.9, 1.7, 0.1]
    assert np.average([2.1] * 4, weights=weights) != 2.1  # by rounding
    for metric in (cr.metrics.r2, cr.metrics.explained_variance):
        assert metric([2.1] * 4, [2.1] * 4, weights) == 1.0
        assert metric([2.1] * 4, [2.1, 2.0, 2.1, 2.1], weights) == 0.0
    assert cr.metrics.explained_variance([2.1] * 4, [0.0] * 4, weights) == 1.0
    assert cr.metrics.r2([2.1] * 4, [0.0] * 4, weights) == 0.0
    assert np.isnan(cr.metrics.r2([1.0], [2.0]))


def test_classes_come_as_labels_rows_and_one_probability() -> None:
    labels, second = np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.5, 0.6])
    both = np.stack([1 - second, second], axis=1)
    for targets in (labels, labels.astype(np.uint8), labels.astype(bool), np.eye(2)[labels], labels.astype(float)):
        for outputs in (second, second[:, None], both):
            if targets.ndim == 1 and targets.dtype.kind == "f" and outputs is both:
                continue  # numbers, and no labels
            assert cr.metrics.accuracy(targets, outputs) == 0.5
            assert cr.metrics.roc_auc(targets, outputs) == 0.75
    assert cr.metrics.accuracy(labels, [0, 1, 0, 1]) == 0.5
    with pytest.raises(DataError, match="f1 is a metric of classes"):
        cr.metrics.f1([0.5, 2.5], both[:2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cr.metrics.f1([0, 3], [[0.1, 0.9], [0.2, 0.8]]), DataError, "class 3, and the outputs tell 2 apart"),
        (lambda: cr.metrics.f1([0, -1], [0.1, 0.9]), DataError, "count from 0"),
        (lambda: cr.metrics.f1([0, 1], [0, -1]), DataError, "count from 0"),
        (lambda: cr.metrics.roc_auc([0, 1], [0, 1]), DataError, "needs a score a class"),
        (lambda: cr.metrics.log_loss([0, 1], [[2.0, 1.0], [0.0, 1.0]]), DataError, "from 0 to 1, and the outputs go"),
        (lambda: cr.metrics.log_loss([0, 1], [[0.9, 0.9], [0.0, 1.0]]), DataError, "sum to 1; for sample 0"),
        (lambda: cr.metrics.r2([[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0]]), DataError, "must be the same"),
        (lambda: cr.metrics.F1("binary")([0, 2], np.eye(3)[[0, 2]]), ConfigurationError, "for two classes, and there"),
        (lambda: cr.metrics.F1("mean"), ConfigurationError, "average is macro"),
        (lambda: cr.metrics.TopK(0), ConfigurationError, "1 or more, not 0"),
        (lambda: cr.metrics.FBeta(beta=-1.0), ConfigurationError, "above 0"),
        (lambda: cr.metrics.roc_curve([0, 1], [0.1, 0.9], positive=2), ConfigurationError, "from 0 to 1, not 2"),
        (lambda: cr.metrics.as_metric("rmse"), ConfigurationError, "here it is called root_mean_squared_error"),
        (lambda: cr.metrics.as_metric("f1_marco"), ConfigurationError, "near are f1_macro"),
        (lambda: cr.metrics.as_metric("zzz"), ConfigurationError, "there are accuracy, "),
        (lambda: cr.metrics.as_metric(cr.metrics.F1), ConfigurationError, r"make one of it: F1\(\)"),
        (lambda: cr.metrics.as_metric(3), ConfigurationError, "not 3"),
        (lambda: as_metrics("f1"), ConfigurationError, "metrics is a list"),
        (lambda: as_metrics(["f1", "f1"]), ConfigurationError, "two metrics are called f1"),
        (lambda: as_metrics([lambda t, p, w: 0.0]), ConfigurationError, "needs a name"),
        (lambda: cr.metrics.Custom(lambda *_: 0.0, on="logits", called="odd"), ConfigurationError, "a metric is on"),
        (lambda: cr.metrics.Custom(lambda *_: "x", called="odd")([1], [1]), ConfigurationError, "a number, or one"),
        (lambda: cr.metrics.confusion_matrix([0], [[np.nan, 1]]), DataError, "NaN or infinite"),
        (lambda: cr.metrics.confusion_matrix([0, 2], [0, 1], classes="ab"), DataError, "2 names, and 3 classes"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_confusion_matrix_prints_weights_and_knows_classes_that_never_came() -> None:
    found = cr.metrics.confusion_matrix([0, 1, 1], [0, 0, 1], [0.5, 1.25, 2.0], classes=("cat", "dog", "emu"))
    assert str(found).splitlines() == [
        "     cat  dog  emu",
        "cat  0.5    ·    ·",
        "dog 1.25    2    ·",
        "emu    ·    ·    ·",
    ]
    assert np.asarray(found).sum() == 3.75
    assert np.isnan(found.shares()[2]).all()
