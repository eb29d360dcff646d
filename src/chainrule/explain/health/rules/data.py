"""What is wrong with the data: their scale, their classes, a column that tells the answer, their labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Dataset
from chainrule.explain.health.rules.case import Case, Finding, column_name, labels_of

_SAMPLES = 4000
#: After fewer steps, and by fewer samples, nobody can say that nothing is learned.
CHANCE_AFTER, CHANCE_SAMPLES = 100, 50


def unscaled_inputs(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """An input beyond 20, or one a hundred times the middle one, rules the first layer; 1 is what weights begin for."""
    sizes = case.health.inputs
    if sizes is None or not np.any(sizes > 0):
        return
    flat = np.ravel(sizes).astype(np.float64)
    largest, middle = float(flat.max()), float(np.median(flat[flat > 0]))
    if largest > 20 or (largest > 1 and largest > 100 * middle) or largest < 0.02:
        yield Finding(
            "unscaled inputs",
            column_name(case, int(flat.argmax())),
            f"the network sees inputs whose root mean square goes up to {largest:.3g} (the middle one: {middle:.3g}); "
            "first weights and learning rates are made for about 1",
            "data.standardize() gives each column the mean 0 and the deviation 1, also in predictions",
        )


def class_imbalance(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The most frequent class counts ten times as much as the rarest: always saying it would look good."""
    labels, names = labels_of(case)
    if labels is None or len(labels) < 50:
        return
    assert isinstance(case.data, Dataset)
    counts = np.bincount(labels, weights=case.data.weights, minlength=len(names))
    present = counts[counts > 0]
    if len(present) > 1 and present.max() > 10 * present.min():
        rare = int(np.where(counts > 0, counts, np.inf).argmin())
        yield Finding(
            "class imbalance",
            f"class {names[rare]}",
            f"{counts.max() / counts.sum():.0%} of the samples are {names[int(counts.argmax())]}, and "
            f"{counts[rare] / counts.sum():.1%} are {names[rare]}: saying the first every time is right that often",
            "data.weigh_classes() (--class-weights) lets each class count the same; judge by recall_per_class",
        )


def leaking_column(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """One column of several tells the target by itself, 99 of 100 times, and the next best does not come near it.

    Half of the samples say what goes with which value, the others are told by it. Where several columns are as good,
    the target is simply easy.
    """
    if not isinstance(case.data, Dataset) or case.data.targets is None or len(case.data) < 100:
        return
    # Some thousands of samples tell as much as all.
    rows = slice(None, None, -(-len(case.data) // _SAMPLES))
    inputs, targets = (array[rows] for array in (case.data.inputs, case.data.targets))
    inputs, targets = (array.reshape(len(array), -1) for array in (inputs, targets))
    if inputs.shape[1] < 3 or inputs.shape[1] > 1000 or targets.shape[1] != 1:
        return
    scores = np.array([_alone(column, targets[:, 0], case.data.labels is not None) for column in inputs.T])
    best = int(scores.argmax())
    if scores[best] >= 0.99 and np.delete(scores, best).max() < 0.9:
        said = "right" if case.data.labels is not None else "of the variance (R²)"
        yield Finding(
            "a leaking column",
            column_name(case, best),
            f"alone it tells the target ({scores[best]:.1%} {said} on samples held out), and the next best column "
            f"{np.delete(scores, best).max():.0%}",
            "if it is known only when the answer is, leave it out (--ignore COLUMN): later data will not have it",
        )


def no_better_than_chance(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """After 100 steps or more the data are told no better than by chance, and nothing above says why.

    Fewer steps tell nothing: a network that is to become good may not have begun to. Chance is always saying the most
    frequent class; three standard deviations of that count are allowed for luck.
    """
    labels, names = labels_of(case)
    if labels is None or case.data.weights is not None or before:  # type: ignore[union-attr]
        return
    if len(case.run.history) < CHANCE_AFTER or len(labels) < CHANCE_SAMPLES:
        return
    if case.run.step.measure is None:  # a step of one's own need not say how it is measured
        return
    found = case.run.evaluate(case.data)
    share, luck = chance(labels, len(names))
    if found.get("accuracy", 1.0) <= share + luck and share < 0.9:
        yield Finding(
            "no better than chance",
            "",
            f"{found['accuracy']:.1%} of {len(labels):,} samples are right, and always saying the most frequent class "
            f"gives {share:.1%}",
            "do labels still stand beside their inputs (were they shuffled, sorted or joined on a wrong key)? If so, "
            "train longer, or with inputs that say more",
        )


def chance(labels: NDArray[Any], classes: int) -> tuple[float, float]:
    """How often always saying the most frequent class is right, and three standard deviations of that."""
    share = float(np.bincount(labels, minlength=classes).max()) / len(labels)
    return share, 3 * math.sqrt(share * (1 - share) / len(labels))


def _alone(column: NDArray[Any], targets: NDArray[Any], classes: bool) -> float:
    """How well a column tells the target alone: the share that is right, or R², on every second sample."""
    edges = np.unique(np.quantile(column[::2], np.linspace(0, 1, 65)[1:-1]))
    bins = np.searchsorted(edges, column, side="right")
    known, asked = bins[::2], bins[1::2]
    counts = np.bincount(known, minlength=len(edges) + 1)
    if classes:
        table = np.zeros((len(edges) + 1, int(targets.max()) + 1))
        np.add.at(table, (known, targets[::2]), 1)
        return float(np.mean(table.argmax(axis=1)[asked] == targets[1::2]))
    # A straight line through each bin would be better; means of many bins are near enough to see what is the same.
    sums = np.bincount(known, weights=targets[::2].astype(np.float64), minlength=len(edges) + 1)
    told = np.where(counts > 0, sums / np.maximum(counts, 1), targets[::2].mean())[asked]
    spread = float(np.var(targets[1::2].astype(np.float64)))
    return 1 - float(np.mean((targets[1::2] - told) ** 2)) / spread if spread else 0.0
