"""How well a run does on some samples, told in numbers, a confusion matrix and the samples it mistook most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.confusion import confusion_lines, count_confusions
from chainrule.cli.drawing import draw, is_picture, side_by_side
from chainrule.cli.screen import figure, say, say_all, say_entry, share
from chainrule.errors import DataError

if TYPE_CHECKING:
    from chainrule.data import Dataset
    from chainrule.run import Run

_DRAWN = 5


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
    run: Run, data: Dataset, name: str, *, brief: bool = False, baseline: Dataset | None = None
) -> int | None:
    """Write how well the run does, and give the sample it mistook most, if there are classes."""
    if len(data) == 0 or data.targets is None:
        raise DataError("there is nothing to compare the predictions with")
    if run.classes is None or data.labels is None:
        _tell_regression(run, data, name, baseline)
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
        say_all(confusion_lines(count_confusions(found.labels, found.chosen, len(run.classes)), run.classes))
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
    error = np.asarray(run.predict(data.inputs), np.float64).reshape(wanted.shape) - wanted
    root, middle = float(np.sqrt(np.mean(error**2))), float(np.median(np.abs(error)))
    what = run.preparation.target_name or "the prediction"
    line = f"{len(data):,} samples: {what} is off by {figure(root)} (root mean square), "
    paragraphs = [f"{line}by less than {figure(middle)} in half of them", _determination(error, wanted)]
    if baseline is not None and baseline.targets is not None:
        mean = np.asarray(baseline.targets, np.float64).mean(axis=0)
        flat = float(np.sqrt(np.mean((wanted - mean) ** 2)))
        paragraphs.append(f"(saying the mean every time, {_means(mean)}, would be off by {figure(flat)})")
    say_entry(name, *paragraphs)


def _determination(error: NDArray[np.float64], wanted: NDArray[np.float64]) -> str:
    spread = ((wanted - wanted.mean(axis=0)) ** 2).sum(axis=0)
    if not spread.all():
        return "R² is not defined here: all true values are the same"
    each = 1 - (error**2).sum(axis=0) / spread
    more = f" (the mean over {len(each)} outputs)" if len(each) > 1 else ""
    return f"R² {each.mean():.4f}{more}: 1 is perfect, 0 is no better than always saying the mean"


def _means(mean: NDArray[np.float64]) -> str:
    return ", ".join(figure(float(value)) for value in mean[:4]) + (", …" if len(mean) > 4 else "")
