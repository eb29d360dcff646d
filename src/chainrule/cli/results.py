"""How well a run does on some samples, told in numbers, a confusion matrix and the samples it mistook most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def answers(run: Run, data: Dataset | Stream, metrics: Sequence[Metric] = ()) -> tuple[Answers, dict[str, float]]:
    """What the run says of labelled samples, and what is measured of them, going through them once."""
    if data.labels is None:
        raise DataError(f"{data.name} has no labels")
    said: list[NDArray[Any]] = []

    def keep(targets: Any, probabilities: NDArray[Any], weights: Any) -> float:
        said.append(probabilities)
        return 0.0

    measured = run.evaluate(data, metrics=[*metrics, keep])
    scores = _scores(run, said[0])
    return Answers(scores, np.argmax(scores, axis=1), data.labels, is_probable(run)), measured


def is_probable(run: Run) -> bool:
    """Whether the numbers that the run gives for classes are probabilities: so for a loss on logits."""
    from chainrule.losses import BinaryCrossEntropy, CrossEntropy

    return isinstance(run.loss, CrossEntropy | BinaryCrossEntropy)


def scores_of(run: Run, inputs: NDArray[Any]) -> NDArray[Any]:
    """A number a class, a probability where the loss makes them so; one output is that of the second of two classes."""
    return _scores(run, run.probabilities(inputs))


def _scores(run: Run, found: NDArray[Any]) -> NDArray[Any]:
    if found.shape[1] == 1:
        return np.concatenate([1 - found, found], axis=1)
    return found[:, : len(run.classes or ())]  # a unit without a class has no name to be called by


def tell_results(
    run: Run,
    data: Dataset | Stream,
    name: str,
    *,
    metrics: Sequence[Metric] = (),
    brief: bool = False,
    baseline: Dataset | Stream | None = None,
) -> int | None:
    """Write how well the run does, and give the sample it mistook most, if there are classes."""
    from chainrule.data import Dataset

    if len(data) == 0 or (data.targets if isinstance(data, Dataset) else data.labels) is None:
        raise DataError("there is nothing to compare the predictions with")
    if isinstance(data, Dataset) and (data.symbolic or run.classes is None or data.labels is None):
        if data.symbolic:
            tell_language(run, data, name, baseline)
        else:
            _tell_regression(run, data, name, None if baseline is None else some_of(baseline))
        if metrics:
            _tell_metrics(run, run.evaluate(data, metrics=metrics), metrics, data.weights is not None, brief)
        return None
    assert run.classes is not None
    found, measured = answers(run, data, metrics)
    weighted = isinstance(data, Dataset) and data.weights is not None
    right, whole = int(np.sum(found.chosen == found.labels)), len(data)
    line = f"{right:,} of {whole:,} right: accuracy {share(right, whole)}, loss {figure(measured['loss'])}"
    if weighted:
        line += f"; by the weights of the samples, accuracy {measured['accuracy']:.2%}"
    paragraphs = [line]
    if baseline is not None and baseline.labels is not None and not brief:
        common = int(np.bincount(baseline.labels).argmax())
        hits = int(np.sum(found.labels == common))
        paragraphs.append(f"(saying {run.classes[common]!r} every time would give {share(hits, whole)})")
    say_entry(name, *paragraphs)
    if not brief:
        say()
        say(("Confusion matrix", "bold"), ": a row for each true class, a column for what it was taken for")
        say()
        matrix = confusion_matrix(found.labels, found.scores, classes=run.classes)
        say_all(matrix.lines(width(), "·" if shows("·") else "."))
        _draw_least_sure(run, data, found)
    if metrics:
        _tell_metrics(run, measured, metrics, weighted, brief)
    return found.least_sure(1)[0]


def _draw_least_sure(run: Run, data: Dataset | Stream, found: Answers) -> None:
    assert run.classes is not None
    some = some_of(data)  # of a stream, what is bright and what is dark is taken from its first samples
    shape = some.sample_shape if is_picture(some.sample_shape) else run.preparation.shape
    if not is_picture(shape) or int(np.prod(shape)) != int(np.prod(some.sample_shape)):
        return
    chosen = found.least_sure(_DRAWN)
    low, high = float(some.inputs.min()), float(some.inputs.max())
    inputs = [some.inputs[place] if some is data else _sample(data, place) for place in chosen]
    pictures = [draw(one, shape, low, high) for one in inputs]
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


def _sample(data: Any, place: int) -> NDArray[Any]:
    """One sample of a stream of arrays, or of files."""
    found: NDArray[Any] = data.source.sample(place)[0][0]
    return found


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


def _tell_metrics(run: Run, found: Mapping[str, float], wanted: Sequence[Metric], weighted: bool, brief: bool) -> None:
    """Write metrics: a line each, and a table of those that have a number a class."""
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
        say(("Metrics", "bold"), ", by the weights of the samples" if weighted else "")
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
