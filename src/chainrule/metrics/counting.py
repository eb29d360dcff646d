"""Metrics that count: how often which class was said for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from chainrule.errors import ConfigurationError
from chainrule.metrics.metric import OfClasses, Value
from chainrule.metrics.reading import Answers, Floats

#: How the numbers of the classes become one.
AVERAGES = ("macro", "micro", "weighted", "per_class", "binary")


@dataclass(frozen=True)
class Accuracy(OfClasses):
    """The part of the samples for which the right class is said.

    Equal to `sklearn.metrics.accuracy_score`.

    >>> Accuracy()([0, 1, 2, 2], [0, 1, 1, 2])
    0.75
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "accuracy"

    def of(self, answers: Answers) -> float:
        """Σᵢ wᵢ·[right] / Σᵢ wᵢ."""
        return float(np.average(answers.labels == answers.chosen, weights=answers.weights))


@dataclass(frozen=True)
class TopK(OfClasses):
    """The part of the samples whose class is among the ``k`` with the largest scores.

    Of equal scores the later class counts as the larger, so that ``TopK(1)`` may differ from `Accuracy` where scores
    are equal; from as many as there are classes on it is 1. One output a sample is taken as two classes.

    Equal to `sklearn.metrics.top_k_accuracy_score`, ties included.

    >>> TopK(2)([2, 0], [[0.2, 0.5, 0.3], [0.1, 0.5, 0.4]])
    0.5
    """

    k: int = 5

    def __post_init__(self) -> None:
        if not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1:
            raise ConfigurationError(f"k is how many classes may be said, 1 or more, not {self.k!r}")

    @property
    def name(self) -> str:
        """What it is called: "top_5"."""
        return f"top_{self.k}"

    def of(self, answers: Answers) -> float:
        """Fewer than k classes stand before the right one."""
        scores = answers.needed_scores()
        own = scores[np.arange(len(scores)), answers.labels][:, None]
        later = np.arange(answers.classes) > answers.labels[:, None]
        before = ((scores > own) | ((scores == own) & later)).sum(axis=1)
        return float(np.average(before < self.k, weights=answers.weights))


@dataclass(frozen=True)
class BalancedAccuracy(OfClasses):
    """The mean, over the classes that occur, of the part of a class that is found: accuracy if all were as frequent.

    Equal to `sklearn.metrics.balanced_accuracy_score`.

    >>> BalancedAccuracy()([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "balanced_accuracy"

    def of(self, answers: Answers) -> float:
        """The mean recall."""
        counts = answers.counts()
        true = counts.sum(axis=1)
        return float((np.diag(counts)[true > 0] / true[true > 0]).mean())


@dataclass(frozen=True)
class Averaged(OfClasses):
    """A metric with a number a class, and ``average``, how they become one.

    "binary": that of the second of two classes. "macro": the mean over classes; one that neither occurs nor is said
    is left out. "weighted": the same, by how often they occur. "micro": of all classes counted together. "per_class":
    one a class, as an array; NaN for those that "macro" leaves out. None: binary for two classes, otherwise macro.

    Differs from: scikit-learn, whose None is "per_class", and whose default refuses more than two classes.
    """

    average: str | None = None
    _called: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.average is not None and self.average not in AVERAGES:
            raise ConfigurationError(f"average is {', '.join(AVERAGES)}, or None, not {self.average!r}")

    @property
    def name(self) -> str:
        """What it is called: "f1", "f1_macro"."""
        return self._called if self.average is None else f"{self._called}_{self.average}"

    def chosen_average(self, classes: int) -> str:
        """What is averaged how, for so many classes."""
        if self.average == "binary" and classes != 2:
            raise ConfigurationError(f"{self.name} is for two classes, and there are {classes}; macro is for any")
        return self.average or ("binary" if classes == 2 else "macro")


@dataclass(frozen=True)
class _Ratio(Averaged):
    """A part of what was counted; 0 where there is nothing to divide by."""

    def parts(self, hits: Floats, true: Floats, said: Floats) -> tuple[Floats, Floats]:
        """Numerator and denominator, from how often a class is said rightly, occurs, and is said."""
        raise ConfigurationError(f"{type(self).__name__} does not say what it is a part of")

    def of(self, answers: Answers) -> Value:
        """The number, or one a class."""
        average, counts = self.chosen_average(answers.classes), answers.counts()
        hits, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        if average == "micro":
            hits, true, said = (np.array([part.sum()]) for part in (hits, true, said))
        above, below = self.parts(hits, true, said)
        each = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
        there = (true > 0) | (said > 0)
        if average == "per_class":
            return np.where(there, each, np.nan)
        if average == "binary":
            return float(each[1])
        return float(np.average(each[there], weights=true[there] if average == "weighted" else None))


@dataclass(frozen=True)
class Precision(_Ratio):
    """tp / (tp + fp): of the samples for which a class is said, the part that is of it; 0 where it is never said.

    ``average`` as in `Averaged`. Equal to `sklearn.metrics.precision_score`.

    >>> Precision()([0, 1, 1, 1], [1, 1, 1, 0])
    0.6666666666666666
    """

    _called: ClassVar[str] = "precision"

    def parts(self, hits: Floats, true: Floats, said: Floats) -> tuple[Floats, Floats]:
        """tp, and tp + fp."""
        return hits, said


@dataclass(frozen=True)
class Recall(_Ratio):
    """tp / (tp + fn): of the samples of a class, the part for which it is said; 0 where it never occurs.

    ``average`` as in `Averaged`. Equal to `sklearn.metrics.recall_score`.

    >>> Recall("per_class")([0, 1, 1, 2], [0, 1, 2, 2]).tolist()
    [1.0, 0.5, 1.0]
    """

    _called: ClassVar[str] = "recall"

    def parts(self, hits: Floats, true: Floats, said: Floats) -> tuple[Floats, Floats]:
        """tp, and tp + fn."""
        return hits, true


@dataclass(frozen=True)
class F1(_Ratio):
    """2·tp / (2·tp + fp + fn), the harmonic mean of precision and recall.

    ``average`` as in `Averaged`. Equal to `sklearn.metrics.f1_score`.

    Source: C. van Rijsbergen, "Information Retrieval", 2nd edition, 1979.

    >>> F1("macro")([0, 1, 1, 2], [0, 1, 2, 2])
    0.7777777777777777
    """

    _called: ClassVar[str] = "f1"

    def parts(self, hits: Floats, true: Floats, said: Floats) -> tuple[Floats, Floats]:
        """2·tp, and 2·tp + fp + fn."""
        return 2 * hits, true + said


@dataclass(frozen=True)
class FBeta(_Ratio):
    """(1 + β²)·tp / ((1 + β²)·tp + β²·fn + fp): recall counts ``beta`` times as much as precision.

    ``average`` as in `Averaged`. Equal to `sklearn.metrics.fbeta_score`.

    >>> FBeta(beta=1)([0, 1, 1, 1], [1, 1, 1, 0]) == F1()([0, 1, 1, 1], [1, 1, 1, 0])
    True
    """

    beta: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.beta < float("inf"):
            raise ConfigurationError(f"beta is a number above 0, not {self.beta!r}")

    @property
    def name(self) -> str:
        """What it is called: "f2", "f0.5_macro"."""
        return f"f{self.beta:g}" + (f"_{self.average}" if self.average else "")

    def parts(self, hits: Floats, true: Floats, said: Floats) -> tuple[Floats, Floats]:
        """(1 + β²)·tp, and (1 + β²)·tp + β²·fn + fp."""
        square = self.beta**2
        return (1 + square) * hits, square * true + said


@dataclass(frozen=True)
class Jaccard(_Ratio):
    """tp / (tp + fp + fn): of the samples that are of a class or for which it is said, the part for which both hold.

    ``average`` as in `Averaged`. Equal to `sklearn.metrics.jaccard_score`.

    >>> Jaccard()([0, 1, 1, 1], [1, 1, 1, 0])
    0.5
    """

    _called: ClassVar[str] = "jaccard"

    def parts(self, hits: Floats, true: Floats, said: Floats) -> tuple[Floats, Floats]:
        """tp, and tp + fp + fn."""
        return hits, true + said - hits


@dataclass(frozen=True)
class MatthewsCorrelation(OfClasses):
    """The correlation of what is with what is said, from -1 to 1; 0 where only one class occurs, or only one is said.

    (c·s - Σₖ tₖ·pₖ) / √((s² - Σₖ tₖ²)·(s² - Σₖ pₖ²)), with s all samples, c those said rightly, tₖ those of class k
    and pₖ those for which it is said. Equal to `sklearn.metrics.matthews_corrcoef`.

    Source: B. Matthews, "Comparison of the predicted and observed secondary structure of T4 phage lysozyme", 1975;
    for several classes J. Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
    2004.

    >>> round(MatthewsCorrelation()([0, 0, 1, 1], [0, 1, 1, 1]), 4)
    0.5774
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "matthews_correlation"

    def of(self, answers: Answers) -> float:
        """The coefficient."""
        if len(set(answers.labels.tolist())) == 1 or len(set(answers.chosen.tolist())) == 1:
            return 0.0
        counts = answers.counts()
        true, said, whole = counts.sum(axis=1), counts.sum(axis=0), counts.sum()
        spread = (whole**2 - true @ true) * (whole**2 - said @ said)
        return float((np.trace(counts) * whole - true @ said) / np.sqrt(spread))


@dataclass(frozen=True)
class CohenKappa(OfClasses):
    """(a - e) / (1 - e), with a the accuracy and e that of saying as often but by chance: 1 is all right, 0 is chance.

    NaN where one class is all that occurs and all that is said. Equal to `sklearn.metrics.cohen_kappa_score`.

    Source: J. Cohen, "A coefficient of agreement for nominal scales", 1960.

    >>> CohenKappa()([0, 0, 1, 1], [0, 1, 1, 1])
    0.5
    """

    @property
    def name(self) -> str:
        """What it is called."""
        return "cohen_kappa"

    def of(self, answers: Answers) -> float:
        """The coefficient."""
        if len({*answers.labels.tolist(), *answers.chosen.tolist()}) == 1:
            return float("nan")
        counts = answers.counts()
        parts = counts / counts.sum()
        chance = float(parts.sum(axis=1) @ parts.sum(axis=0))
        return float((np.trace(parts) - chance) / (1 - chance))
