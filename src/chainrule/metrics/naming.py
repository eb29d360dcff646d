"""Metrics by name, and which way is up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from chainrule.errors import ConfigurationError
from chainrule.metrics import counting, differences, probabilistic, ranking
from chainrule.metrics.counting import AVERAGES, Averaged, FBeta, TopK
from chainrule.metrics.metric import Custom, Metric

_PLAIN: tuple[Metric, ...] = (
    counting.Accuracy(), counting.BalancedAccuracy(), counting.MatthewsCorrelation(), counting.CohenKappa(),
    probabilistic.LogLoss(), probabilistic.BrierScore(),
    differences.MeanAbsoluteError(), differences.MeanSquaredError(), differences.RootMeanSquaredError(),
    differences.MedianAbsoluteError(), differences.MeanAbsolutePercentageError(), differences.MaxError(),
    differences.R2(), differences.ExplainedVariance(),
)  # fmt: skip
_AVERAGED: tuple[type[Averaged], ...] = (
    counting.Precision, counting.Recall, counting.F1, counting.Jaccard, ranking.ROCAUC, ranking.AveragePrecision,
)  # fmt: skip
_KNOWN: dict[str, Metric] = {
    metric.name: metric for metric in (*_PLAIN, *(kind(average) for kind in _AVERAGED for average in (None, *AVERAGES)))
}
#: What others call them.
_ELSEWHERE = {
    "mae": "mean_absolute_error", "mse": "mean_squared_error", "rmse": "root_mean_squared_error",
    "mape": "mean_absolute_percentage_error", "auc": "roc_auc", "auroc": "roc_auc", "r_squared": "r2", "r2_score": "r2",
    "mcc": "matthews_correlation", "matthews_corrcoef": "matthews_correlation", "kappa": "cohen_kappa",
    "cross_entropy": "log_loss", "brier": "brier_score", "top_k": "top_5", "f_beta": "f2", "ap": "average_precision",
    "sensitivity": "recall",
}  # fmt: skip


def names() -> tuple[str, ...]:
    """The metrics that go by name alone; besides, "top_3" is TopK(3), and "f2" is FBeta(beta=2)."""
    return tuple(name for name in _KNOWN if not name.endswith(tuple(f"_{average}" for average in AVERAGES)))


def as_metric(wanted: Any) -> Metric:
    """A metric, from one, from its name ("f1", "f1_macro", "top_5"), or from a function of one's own.

    Raises `ConfigurationError` for what is none, and for a name that is not known, with those that are near.

    >>> as_metric("f1_macro"), as_metric("top_3")
    (F1(average='macro'), TopK(k=3))
    """
    if isinstance(wanted, Metric):
        return wanted
    if isinstance(wanted, str):
        return _named(wanted)
    if callable(wanted) and not isinstance(wanted, type):
        return Custom(wanted)
    hint = f"; make one of it: {wanted.__name__}()" if isinstance(wanted, type) and issubclass(wanted, Metric) else ""
    raise ConfigurationError(
        f"a metric is one of chainrule.metrics, a name such as 'f1', or a function of targets, outputs and weights, "
        f"not {wanted!r:.80}{hint}"
    )


def as_metrics(wanted: Any) -> tuple[Metric, ...]:
    """A list of metrics, each as `as_metric` takes it; no two of one name."""
    if isinstance(wanted, str) or not isinstance(wanted, Iterable):
        raise ConfigurationError(f"metrics is a list, as ['f1', 'roc_auc'], not {wanted!r:.80}")
    found = tuple(as_metric(one) for one in wanted)
    told = [metric.name for metric in found]
    twice = sorted({name for name in told if told.count(name) > 1})
    if twice:
        raise ConfigurationError(f"two metrics are called {', '.join(twice)}; Custom(function, called=…) renames one")
    return found


def upwards(column: str, metrics: Sequence[Metric] = ()) -> bool:
    """Whether more is better in a column of a history: what the metric of that name says, and otherwise no.

    ``metrics`` are those of one's own that are measured; the others are known by their names.

    >>> upwards("validation_f1"), upwards("validation_log_loss"), upwards("loss"), upwards("recall[setosa]")
    (True, False, False, True)
    """
    name = column.removeprefix("validation_").partition("[")[0]
    for metric in metrics:
        if metric.name == name:
            return metric.upwards
    try:
        return _named(name).upwards
    except ConfigurationError:
        return False


def _named(name: str) -> Metric:
    if name in _KNOWN:
        return _KNOWN[name]
    if match := re.fullmatch(r"top_([1-9]\d{0,8})", name):
        return TopK(int(match[1]))
    if match := re.fullmatch(rf"f(\d{{1,3}}(?:\.\d{{1,3}})?)(?:_({'|'.join(AVERAGES)}))?", name):
        return FBeta(match[2], float(match[1]))
    plain = name.lower().replace("-", "_").replace(" ", "_")
    if plain in _ELSEWHERE:
        raise ConfigurationError(f"there is no metric {name!r}; here it is called {_ELSEWHERE[plain]}")
    import difflib  # only for a name that is not there

    near = difflib.get_close_matches(plain, _KNOWN, 3)
    known = f"near are {', '.join(near)}" if near else f"there are {', '.join(names())}"
    raise ConfigurationError(f"there is no metric {name!r:.60}; {known}")
