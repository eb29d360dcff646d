"""The mistakes that a network is surest of: often it is the label that is wrong, or the sample that is odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.explain.inside.saliency import at_least
from chainrule.explain.tables import table
from chainrule.metrics.confusion import share
from chainrule.metrics.reading import read_classes

if TYPE_CHECKING:
    from chainrule.run import Data, Run


@dataclass(frozen=True)
class Mistakes:
    """Samples that were taken for another class, the surest first; it prints.

    ``indices`` (mistakes,) say which samples of the data they are, ``targets`` and ``said`` the numbers of the true
    class and of the one they were taken for, ``sure`` the probability of that one, and ``true`` that of the true class.
    ``count`` is how many mistakes there are in all, of ``samples``.
    """

    indices: NDArray[np.int64]
    targets: NDArray[np.int64]
    said: NDArray[np.int64]
    sure: NDArray[np.float64]
    true: NDArray[np.float64]
    classes: tuple[str, ...]
    count: int
    samples: int

    def __len__(self) -> int:
        return len(self.indices)

    def __str__(self) -> str:
        rows = [
            (f"{index}", self.classes[target], self.classes[said], share(sure, 1), share(true, 1))
            for index, target, said, sure, true in zip(
                self.indices, self.targets, self.said, self.sure, self.true, strict=True
            )
        ]
        whole = f"{self.count:,} of {self.samples:,} samples are taken for another class"
        if not rows:
            return whole
        heads = ("sample", "is", "taken for", "so sure", "of the true class")
        return "\n".join([*table(heads, rows, right=(0, 3, 4)), "", whole])


def mistakes(run: Run, data: Data, count: int = 16) -> Mistakes:
    """The ``count`` samples of the data that were taken for another class with the highest probability.

    Equal probabilities stand in the order of the data. Raises `DataError` for targets that are no classes.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits")
    >>> run = cr.fit(cr.Chain(cr.Dense(16, cr.relu), cr.Dense(10)), train, epochs=1)
    >>> found = mistakes(run, test, 3)
    >>> len(found), bool((found.targets != found.said).all()), bool((np.diff(found.sure) <= 0).all())
    (3, True, True)
    """
    at_least("count", count)
    if run.classes is None:
        raise DataError("mistakes are of classes, and the targets of this run are numbers")
    rows, given = run._rows(data, ("probabilities",))
    if "probabilities" not in rows:
        raise DataError(f"the step {run.step.name} does not measure probabilities, so it says no classes")
    outputs = rows["probabilities"]
    if outputs.ndim == 2 and outputs.shape[1] > max(len(run.classes), 1) > 1:
        outputs = outputs[:, : len(run.classes)]  # a unit more than there are classes stands for none of them
    answers = read_classes("mistakes", given["targets"], outputs, None)
    if answers is None:
        raise DataError("an output is NaN or infinite, so no class is said")
    found, targets, said = answers.needed_scores(), answers.labels, answers.chosen
    places = np.arange(len(said))
    sure, true = (np.asarray(found[places, each], np.float64) for each in (said, targets))
    wrong = np.flatnonzero(said != targets)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")[:count]]
    return Mistakes(
        chosen, targets[chosen], said[chosen], sure[chosen], true[chosen], run.classes, len(wrong), len(said)
    )
