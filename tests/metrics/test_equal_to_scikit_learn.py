"""Each metric that scikit-learn has is its number, over many random cases: ties, missing classes, weights."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.metrics import Metric
from tests.metrics.making import Case, of_classes, of_numbers, of_two

theirs = pytest.importorskip("sklearn.metrics")
#: Three hundred have been seen to be equal; their checks of what they are given take a millisecond a call.
CASES = range(60)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """They warn where a number is a matter of definition."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def said(case: Case) -> Any:
    return case.outputs.argmax(axis=1) if case.outputs.ndim == 2 else (case.outputs > 0.5).astype(int)


def same(metric: Metric, case: Case, wanted: Any) -> None:
    found = metric(case.targets, case.outputs, case.weights)
    np.testing.assert_allclose(found, wanted, rtol=2e-12, atol=2e-13, err_msg=f"{metric.name} {case}")


def per_class(function: Callable[..., Any], case: Case, **settings: Any) -> Any:
    """NaN for a class that neither occurs nor is said, which theirs leave out where no labels are given."""
    labels = sorted({*case.targets.tolist(), *said(case).tolist()})
    wanted = np.full(case.classes, np.nan)
    wanted[labels] = function(case.targets, said(case), average=None, sample_weight=case.weights, **settings)
    return wanted


RATIOS: list[tuple[type[Any], str, dict[str, Any]]] = [
    (cr.metrics.Precision, "precision_score", {}),
    (cr.metrics.Recall, "recall_score", {}),
    (cr.metrics.F1, "f1_score", {}),
    (functools.partial(cr.metrics.FBeta, beta=0.5), "fbeta_score", {"beta": 0.5}),  # type: ignore[list-item]
    (functools.partial(cr.metrics.FBeta, beta=2.0), "fbeta_score", {"beta": 2.0}),  # type: ignore[list-item]
    (cr.metrics.Jaccard, "jaccard_score", {}),
]


@pytest.mark.parametrize(("kind", "name", "settings"), RATIOS)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "per_class", None])
def test_parts_of_what_was_counted(kind: Any, name: str, settings: dict[str, Any], average: str | None) -> None:
    function = getattr(theirs, name)
    for seed in CASES:
        case = of_classes(seed)
        counting = case.counting()
        if average == "per_class":
            wanted = per_class(function, counting, **settings)
        else:
            mean = average or ("binary" if case.classes == 2 else "macro")
            if mean == "binary" and set(counting.targets) | set(said(counting)) == {0}:
                wanted = 0.0  # theirs, where there are no labels 0 and 1 to be seen
            else:
                wanted = function(
                    counting.targets, said(counting), average=mean, sample_weight=counting.weights, **settings
                )
        same(kind(average=average), case, wanted)


@pytest.mark.parametrize(("kind", "name", "settings"), RATIOS)
def test_parts_of_two_classes_from_one_probability(kind: Any, name: str, settings: dict[str, Any]) -> None:
    for seed in CASES:
        case = of_two(seed)
        few = case.counting()
        wanted = getattr(theirs, name)(few.targets, said(few), sample_weight=few.weights, **settings)
        same(kind(), case, wanted)
        same(kind(average="binary"), case, wanted)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (cr.metrics.accuracy, "accuracy_score"),
        (cr.metrics.balanced_accuracy, "balanced_accuracy_score"),
        (cr.metrics.matthews_correlation, "matthews_corrcoef"),
        (cr.metrics.cohen_kappa, "cohen_kappa_score"),
    ],
)
def test_numbers_of_the_confusion_matrix(metric: Metric, name: str) -> None:
    for seed in CASES:
        for case in (of_classes(seed), of_two(seed)):
            few = case.counting()
            same(metric, case, getattr(theirs, name)(few.targets, said(few), sample_weight=few.weights))


def test_the_confusion_matrix() -> None:
    for seed in CASES:
        case = of_classes(seed)
        found = cr.metrics.confusion_matrix(case.targets, case.outputs, case.weights)
        labels = range(case.classes)
        wanted = theirs.confusion_matrix(case.targets, said(case), labels=labels, sample_weight=case.weights)
        np.testing.assert_allclose(found.counts, wanted, rtol=1e-13)
        wanted = theirs.confusion_matrix(case.targets, said(case), labels=labels, normalize="true")
        shares = cr.metrics.confusion_matrix(case.targets, case.outputs).shares()
        np.testing.assert_allclose(np.nan_to_num(shares), wanted, rtol=1e-13)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_top_k(k: int) -> None:
    for seed in CASES:
        case = of_classes(seed)
        if case.classes > 2:
            wanted = theirs.top_k_accuracy_score(
                case.targets, case.outputs, k=k, labels=range(case.classes), sample_weight=case.weights
            )
            same(cr.metrics.TopK(k), case, wanted)


def one_against_the_rest(function: Callable[..., Any], case: Case) -> Any:
    """Their number for each class; NaN where all samples are of it, or none."""
    found = np.full(case.classes, np.nan)
    for k in range(case.classes):
        positive = case.targets == k
        if positive.any() and (function is theirs.average_precision_score or not positive.all()):
            found[k] = function(positive.astype(int), case.outputs[:, k], sample_weight=case.weights)
    return found


@pytest.mark.parametrize(
    ("kind", "name"), [(cr.metrics.ROCAUC, "roc_auc_score"), (cr.metrics.AveragePrecision, "average_precision_score")]
)
def test_metrics_of_the_order(kind: Any, name: str) -> None:
    function, whole = getattr(theirs, name), 0
    for seed in CASES:
        two = of_two(seed)
        few = two.counting()
        undefined = few.targets.max() == 0 or (name == "roc_auc_score" and few.targets.min() == 1)
        same(kind(), two, np.nan if undefined else function(few.targets, few.outputs, sample_weight=few.weights))
        case = of_classes(seed)
        few = case.counting()
        each = one_against_the_rest(function, few)
        same(kind("per_class"), case, each)
        same(kind("macro"), case, np.nan if np.isnan(each).all() else np.nanmean(each))
        if len(set(few.targets)) < case.classes or case.classes == 2:
            continue
        whole += 1
        for average in ("macro", "weighted", "micro"):
            settings: dict[str, Any] = {"average": average, "sample_weight": few.weights}
            if name == "roc_auc_score":
                settings |= {"multi_class": "ovr", "labels": range(case.classes)}
            same(kind(average), case, function(few.targets, few.outputs, **settings))
    assert whole > 5


def test_the_curves() -> None:
    for seed in CASES:
        case = of_two(seed)
        few = case.counting()
        if len(set(few.targets)) < 2:
            continue
        found = cr.metrics.roc_curve(*case[:3])
        wanted = theirs.roc_curve(few.targets, few.outputs, sample_weight=few.weights, drop_intermediate=False)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
        found = cr.metrics.precision_recall_curve(*case[:3])
        wanted = theirs.precision_recall_curve(few.targets, few.outputs, sample_weight=few.weights)
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one[::-1], other[: len(one)], rtol=1e-12)


def test_metrics_of_probabilities() -> None:
    for seed in CASES:
        two, case = of_two(seed), of_classes(seed)
        wanted = theirs.log_loss(two.targets, two.outputs, labels=[0, 1], sample_weight=two.weights)
        same(cr.metrics.log_loss, two, wanted)
        wanted = theirs.log_loss(case.targets, case.outputs, labels=range(case.classes), sample_weight=case.weights)
        if case.outputs.dtype == np.float32:
            assert cr.metrics.log_loss(*case[:3]) == pytest.approx(wanted, rel=1e-6)  # theirs sums in float32
        else:
            same(cr.metrics.log_loss, case, wanted)
        settings = {"sample_weight": case.weights, "labels": range(case.classes)}
        wanted = theirs.brier_score_loss(case.targets, case.outputs.astype(float), **settings)
        same(cr.metrics.brier_score, case, wanted)
        wanted = theirs.brier_score_loss(two.targets, two.outputs, sample_weight=two.weights, labels=[0, 1])
        same(cr.metrics.brier_score, two, wanted)


def test_a_sure_mistake_costs_as_much_as_theirs() -> None:
    for dtype in (np.float32, np.float64):
        sure = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
        found = cr.metrics.log_loss([1, 1], sure)
        assert found == pytest.approx(theirs.log_loss([1, 1], sure, labels=[0, 1]), rel=1e-6)
        assert found > 7


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (cr.metrics.mean_absolute_error, "mean_absolute_error"),
        (cr.metrics.mean_squared_error, "mean_squared_error"),
        (cr.metrics.root_mean_squared_error, "root_mean_squared_error"),
        (cr.metrics.median_absolute_error, "median_absolute_error"),
        (cr.metrics.mean_absolute_percentage_error, "mean_absolute_percentage_error"),
        (cr.metrics.r2, "r2_score"),
        (cr.metrics.explained_variance, "explained_variance_score"),
    ],
)
def test_metrics_of_numbers(metric: Metric, name: str) -> None:
    for seed in CASES:
        case = of_numbers(seed)
        few = case.counting()
        # Theirs divide by what rounding leaves where targets that are all the same have weights.
        if name in ("mean_squared_error", "mean_absolute_error") or case.weights is None or few.targets[:, 0].std():
            same(metric, case, getattr(theirs, name)(few.targets, few.outputs, sample_weight=few.weights))


def test_the_worst_error() -> None:
    for seed in CASES:
        case = of_numbers(seed)
        if case.targets.shape[1] == 1 and case.weights is None:
            same(cr.metrics.max_error, case, theirs.max_error(case.targets, case.outputs))


# ---- a metric that is wrong is found --------------------------------------------------------------------------------


def test_ties_and_weights_are_told_apart_from_none() -> None:
    """The cases are awkward enough: what ignores ties, or weights, or missing classes, is not equal."""
    apart = {"ties": 0, "weights": 0, "missing": 0}
    for seed in CASES:
        two = of_two(seed)
        few = two.counting()
        if len(set(few.targets)) == 2:
            right = cr.metrics.roc_auc(*two[:3])
            moved = two.outputs - 1e-9 * two.targets  # as if the positive ones always came last
            apart["ties"] += abs(cr.metrics.roc_auc(two.targets, moved, two.weights) - right) > 1e-9  # type: ignore[operator]
            apart["weights"] += abs(cr.metrics.roc_auc(two.targets, two.outputs) - right) > 1e-9  # type: ignore[operator]
        case = of_classes(seed)
        each = cr.metrics.F1("per_class")(*case[:3])
        apart["missing"] += abs(np.nan_to_num(each).mean() - cr.metrics.F1("macro")(*case[:3])) > 1e-9
    assert min(apart.values()) > 8, apart
