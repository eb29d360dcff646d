"""How well a run does on some samples, told in numbers, a confusion matrix and the samples it mistook most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.drawing import draw, is_picture, side_by_side
from chainrule.cli.screen import Piece, figure, say, say_all, say_entry, share, shows, width
from chainrule.cli.texts import some_of, tell_language
from chainrule.errors import DataError
from chainrule.metrics import (
    R2,
    MeanAbsoluteError,
    MedianAbsoluteError,
    RootMeanSquaredError,
    confusion_matrix,
)

if TYPE_CHECKING:
    from chainrule.data import Dataset, Stream
    from chainrule.metrics import Metric
    from chainrule.run import Run

_DRAWN = 5
#: What is told of predictions that are numbers, in the target's own units.
_OF_NUMBERS = (MeanAbsoluteError(), RootMeanSquaredError(), MedianAbsoluteError(), R2())


@dataclass(frozen=True)
class Answers:
    """What a classifier says of some samples: a score a class, the class it would choose, and the labels."""

    scores: NDArray[Any]
    chosen: NDArray[np.int64]
    labels: NDArray[Any]
    are_probabilities: bool

    def least_sure(self, count: int) -> list[int]:
        """The samples whose true class got the smallest score beside the best other one: first the worst mistakes."""
        rows = np.arange(len(self.labels))
        true = self.scores[rows, self.labels]
        others = self.scores.copy()
        others[rows, self.labels] = -np.inf
        return [int(place) for place in np.argsort(true - others.max(axis=1), kind="stable")[:count]]


def answers(run: Run, data: Dataset) -> Answers:
    """What the run says of labelled samples."""
    if data.labels is None:
        raise DataError(f"{data.name} has no labels")
    scores = scores_of(run, data.inputs)
    return Answers(scores, np.argmax(scores, axis=1), data.labels, is_probable(run))


def is_probable(run: Run) -> bool:
    """Whether the numbers that the run gives for classes are probabilities: so for a loss on logits."""
    from chainrule.losses import BinaryCrossEntropy, CrossEntropy

    return isinstance(run.loss, CrossEntropy | BinaryCrossEntropy)


def scores_of(run: Run, inputs: NDArray[Any]) -> NDArray[Any]:
    """A number a class, a probability where the loss makes them so; one output is that of the second of two classes."""
    found = run.probabilities(inputs)
    if found.shape[1] == 1:
        return np.concatenate([1 - found, found], axis=1)
    return found[:, : len(run.classes or ())]  # a unit without a class has no name to be called by


def tell_results(
    run: Run, data: Dataset, name: str, *, brief: bool = False, baseline: Dataset | Stream | None = None
) -> int | None:
    """Write how well the run does, and give the sample it mistook most, if there are classes."""
    if len(data) == 0 or data.targets is None:
        raise DataError("there is nothing to compare the predictions with")
    if data.symbolic:
        tell_language(run, data, name, baseline)
        return None
    if run.classes is None or data.labels is None:
        _tell_regression(run, data, name, None if baseline is None else some_of(baseline))
        return None
    found = answers(run, data)
    right, whole = int((found.chosen == found.labels).sum()), len(data)
    measured = run.evaluate(data)
    line = f"{right:,} of {whole:,} right: accuracy {share(right, whole)}, loss {figure(measured['loss'])}"
    if data.weights is not None:
        line += f"; by the weights of the samples, accuracy {measured['accuracy']:.2%}"
    paragraphs = [line]
    if baseline is not None and baseline.labels is not None and not brief:
        common = int(np.bincount(baseline.labels).argmax())
        hits = int((data.labels == common).sum())
        paragraphs.append(f"(saying {run.classes[common]!r} every time would give {share(hits, whole)})")
    say_entry(name, *paragraphs)
    if not brief:
        say()
        say(("Confusion matrix", "bold"), ": a row for each true class, a column for what it was taken for")
        say()
        matrix = confusion_matrix(found.labels, found.scores, classes=run.classes)
        say_all(matrix.lines(width(), "·" if shows("·") else "."))
        _draw_least_sure(run, data, found)
    return found.least_sure(1)[0]


def _draw_least_sure(run: Run, data: Dataset, found: Answers) -> None:
    assert run.classes is not None
    shape = data.sample_shape if is_picture(data.sample_shape) else run.preparation.shape
    if not is_picture(shape) or int(np.prod(shape)) != int(np.prod(data.sample_shape)):
        return
    chosen = found.least_sure(_DRAWN)
    low, high = float(data.inputs.min()), float(data.inputs.max())
    pictures = [draw(data.inputs[place], shape, low, high) for place in chosen]
    columns = len(pictures[0][0])
    captions = []
    for place in chosen:
        said = int(found.chosen[place])
        score = _score(float(found.scores[place, said]), found.are_probabilities)
        true, taken = _cut(run.classes[found.labels[place]], columns - 5), _cut(run.classes[said], columns - 9)
        captions.append([f"true {true}", f"said {taken} {score}", f"sample {place}"])
    wrong = sum(int(found.chosen[place] != found.labels[place]) for place in chosen)
    what = "most confused" if wrong else "least sure"
    say()
    say((f"The {len(chosen)} {what}", "bold"), ": what each is, what the network said and how sure it was")
    say()
    say_all(side_by_side(pictures, captions))


def _score(score: float, is_probability: bool) -> str:
    """A score in a few letters; a hundred per cent is said of certainty only."""
    return (
        f"{min(round(100 * score), 99)}%"
        if is_probability and score < 1
        else f"{score:.0%}"
        if is_probability
        else f"{score:.2f}"
    )


def _cut(text: str, columns: int) -> str:
    columns = max(columns, 3)
    return text if len(text) <= columns else f"{text[: columns - 1]}…"


def _tell_regression(run: Run, data: Dataset, name: str, baseline: Dataset | None) -> None:
    assert data.targets is not None
    wanted = np.asarray(data.targets, np.float64)
    found = run.evaluate(data, metrics=_OF_NUMBERS)
    mean_error, root, middle, r2 = (found[metric.name] for metric in _OF_NUMBERS)
    what = run.preparation.target_name or "the prediction"
    line = (
        f"{len(data):,} samples: {what} is off by {figure(mean_error)} in the mean, {figure(root)} (root mean square), "
    )
    line += f"by less than {figure(middle)} in half of them"
    paragraphs = [line, _determination(r2, wanted)]
    if baseline is not None and baseline.targets is not None:
        mean = np.asarray(baseline.targets, np.float64).mean(axis=0)
        flat = float(np.sqrt(np.mean((wanted - mean) ** 2)))
        paragraphs.append(f"(saying the mean every time, {_means(mean)}, would be off by {figure(flat)})")
    say_entry(name, *paragraphs)


def _determination(r2: float, wanted: NDArray[np.float64]) -> str:
    if (wanted == wanted[:1]).all(axis=0).any():
        return "R² is not defined here: all true values are the same"
    outputs = wanted[0].size
    more = f" (the mean over {outputs} outputs)" if outputs > 1 else ""
    return f"R² {r2:.4f}{more}: 1 is perfect, 0 is no better than always saying the mean"


def tell_metrics(run: Run, data: Dataset, wanted: Sequence[Metric], *, brief: bool = False) -> None:
    """Write metrics: a line each, and a table of those that have a number a class."""
    found = run.evaluate(data, metrics=wanted)
    single = {metric.name: found[metric.name] for metric in wanted if metric.name in found}
    several = [metric.name for metric in wanted if metric.name not in found]
    lines: list[Sequence[Piece]] = []
    if single:
        margin = max(map(len, single))
        lines += [[(f"{name:<{margin}}", "bold"), f"  {_told(value):>9}"] for name, value in single.items()]
    if several:
        classes = run.classes or ()
        margin = max(len(_cut(name, 24)) for name in classes)
        lines += [[]] * bool(single)
        lines.append([" " * margin, *((f"  {name:>9}", "bold") for name in several)])
        for one in classes:
            cells = [f"  {_told(found[f'{name}[{one}]']):>{max(len(name), 9)}}" for name in several]
            lines.append([(f"{_cut(one, 24):>{margin}}", "bold"), *cells])
    if not brief:
        say()
        say(("Metrics", "bold"), ", by the weights of the samples" if data.weights is not None else "")
        say()
    say_all(lines)
    if any(math.isnan(value) for value in found.values()):
        say()
        say(f"{_told(math.nan)} is not defined: there is nothing to divide by, as where a class never occurs")


def _told(value: float) -> str:
    """A metric, with digits enough to tell two runs apart; 1 is said of 1 only."""
    if math.isnan(value):
        return "—" if shows("—") else "none"
    if not -1 <= value <= 1:
        return figure(value)
    told = f"{value:.4f}"
    return f"{math.copysign(0.9999, value):.4f}" if abs(value) < 1 and told.lstrip("-") == "1.0000" else told


def _means(mean: NDArray[np.float64]) -> str:
    return ", ".join(figure(float(value)) for value in mean[:4]) + (", …" if len(mean) > 4 else "")
