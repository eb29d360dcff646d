"""What goes wrong at the end of a network: outputs that the loss, or the targets, are not made for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.data import Dataset
from chainrule.explain.health.rules.case import Case, Finding
from chainrule.losses import BinaryCrossEntropy, CrossEntropy


def squashed_logits(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """A loss on logits behind a bounded activation: the classes can never be told apart by more than its width."""
    if isinstance(case.run.loss, CrossEntropy | BinaryCrossEntropy) and case.health.last in ("sigmoid", "tanh", "relu"):
        yield Finding(
            "squashed logits",
            "the last layer",
            f"{type(case.run.loss).__name__} takes logits, any numbers, and the outputs end in {case.health.last}",
            "leave out the last activation; predict and evaluate turn logits into probabilities by themselves",
        )


def targets_out_of_range(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """Targets that are numbers lie beyond what the last activation can give, by more than a hundredth."""
    low, high = {"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, np.inf)}.get(
        case.health.last, (-np.inf, np.inf)
    )
    if case.run.model is None or not isinstance(case.data, Dataset):
        return  # only where there is one model is it known what the targets are compared with
    if case.data.targets is None or case.data.labels is not None:
        return
    targets = np.asarray(case.run.preparation.target.forward(case.data.targets))
    outside = float(np.mean((targets < low - 0.01) | (targets > high + 0.01)))
    if outside > 0:
        yield Finding(
            "targets out of range",
            "the last layer",
            f"the outputs end in {case.health.last}, from {low:g} to {high:g}, and {outside:.0%} of the targets lie "
            f"outside: they go from {targets.min():.3g} to {targets.max():.3g}",
            "a last layer without activation, or targets scaled into its range",
        )


def softmax_twice(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """What a loss takes the softmax of are probabilities already: above 0, and for each sample their sum is 1."""
    if case.health.from_probabilities < 1e-3:
        yield Finding(
            "a softmax twice",
            "the outputs",
            "the loss takes logits, any numbers, and for each sample they are positive and their sum is 1: they are "
            "probabilities already. Another softmax brings them so near to each other that no class gets above "
            "e times the probability of another",
            "give the loss what stands before the softmax; predict and evaluate turn logits into probabilities by "
            "themselves",
        )
