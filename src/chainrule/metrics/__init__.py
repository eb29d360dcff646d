"""Metrics: numbers to read, not to differentiate, of a whole set at once and never of batches averaged.

A metric is called with targets, outputs and weights of all samples, as NumPy arrays; ``run.evaluate(data,
metrics=["f1", …])`` and ``fit(…, metrics=[…])`` do it with what a run says. Where scikit-learn has the same metric,
these give the same number, corner cases included where it is not said otherwise; they need nothing but NumPy, so there
is no second implementation to choose.
"""

from __future__ import annotations

from chainrule.metrics.confusion import ConfusionMatrix, confusion_matrix
from chainrule.metrics.counting import (
    F1,
    Accuracy,
    BalancedAccuracy,
    CohenKappa,
    FBeta,
    Jaccard,
    MatthewsCorrelation,
    Precision,
    Recall,
    TopK,
)
from chainrule.metrics.differences import (
    R2,
    ExplainedVariance,
    MaxError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MedianAbsoluteError,
    RootMeanSquaredError,
)
from chainrule.metrics.generated import frechet_distance, inception_score
from chainrule.metrics.metric import Custom, Metric
from chainrule.metrics.naming import as_metric, names, upwards
from chainrule.metrics.per_sample import correct
from chainrule.metrics.probabilistic import BrierScore, LogLoss
from chainrule.metrics.ranking import ROCAUC, AveragePrecision, precision_recall_curve, roc_curve

accuracy = Accuracy()
balanced_accuracy = BalancedAccuracy()
precision = Precision()
recall = Recall()
f1 = F1()
jaccard = Jaccard()
matthews_correlation = MatthewsCorrelation()
cohen_kappa = CohenKappa()
roc_auc = ROCAUC()
average_precision = AveragePrecision()
log_loss = LogLoss()
brier_score = BrierScore()
mean_absolute_error = MeanAbsoluteError()
mean_squared_error = MeanSquaredError()
root_mean_squared_error = RootMeanSquaredError()
median_absolute_error = MedianAbsoluteError()
mean_absolute_percentage_error = MeanAbsolutePercentageError()
max_error = MaxError()
r2 = R2()
explained_variance = ExplainedVariance()
#: ``top_k(5)`` is ``TopK(5)``: there is no metric without a number to stand here.
top_k = TopK

__all__ = [
    "Accuracy", "AveragePrecision", "BalancedAccuracy", "BrierScore", "CohenKappa", "ConfusionMatrix", "Custom",
    "ExplainedVariance", "F1", "FBeta", "Jaccard", "LogLoss", "MatthewsCorrelation", "MaxError",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "MedianAbsoluteError", "Metric",
    "Precision", "R2", "ROCAUC", "Recall", "RootMeanSquaredError", "TopK", "accuracy", "as_metric",
    "average_precision", "balanced_accuracy", "brier_score", "cohen_kappa", "confusion_matrix", "correct",
    "explained_variance", "f1", "frechet_distance", "inception_score", "jaccard", "log_loss",
    "matthews_correlation", "max_error", "mean_absolute_error", "mean_absolute_percentage_error",
    "mean_squared_error", "median_absolute_error", "names", "precision", "precision_recall_curve", "r2", "recall",
    "roc_auc", "roc_curve", "root_mean_squared_error", "top_k", "upwards",
]  # fmt: skip
