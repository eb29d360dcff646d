"""How well a run does on data that took no part in its training: a confusion matrix, or residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Dataset
from chainrule.errors import ConfigurationError
from chainrule.metrics import (
    R2,
    MeanAbsoluteError,
    MedianAbsoluteError,
    RootMeanSquaredError,
)
from chainrule.report.curves import bars, floats, residuals, scatter
from chainrule.report.markup import Child, Markup, element
from chainrule.report.numbers import told
from chainrule.report.tables import by_class, confusion, cut, facts

if TYPE_CHECKING:
    from chainrule.run import Data, Run

_OF_CLASSES = ("balanced_accuracy", "f1")
_MOST_OUTPUTS = 4
_BINS = 40


@dataclass(frozen=True)
class Result:
    """What was measured, by name, and the sections that show it."""

    measured: dict[str, float]
    sections: list[Markup]


def result(run: Run, data: Data) -> Result | None:
    """The measures of some data with their pictures; None where the step does not say how it is measured."""
    if run.step.measure is None:
        return None
    if run.classes is not None:
        return _of_classes(run, data)
    if isinstance(data, Dataset) and data.symbolic:
        found = run.evaluate(data)
        return _plain({**found, "bits a symbol": found["loss"] / math.log(2), "perplexity": math.exp(found["loss"])})
    return _of_numbers(run, data) if run.model is not None else _plain(run.evaluate(data))


def _plain(found: dict[str, float]) -> Result:
    return Result(found, [_listed(found)])


def _listed(found: dict[str, float]) -> Markup:
    rows: list[tuple[str, Child]] = [(cut(name.replace("_", " ")), told(value, 5)) for name, value in found.items()]
    return facts(rows) or Markup("")


def _of_classes(run: Run, data: Data) -> Result:
    if run.model is None:
        try:
            matrix, found = run.confusion(data), run.evaluate(data)
        except ConfigurationError:  # a step of one's own need not say classes
            return _plain(run.evaluate(data))
    else:
        matrix, found = run.confusion(data), run.evaluate(data, metrics=list(_OF_CLASSES))
    rows = element("p", "A row for each true class, a column for what it was taken for.", class_="soft")
    several = [element("h3", "By class"), by_class(matrix)]
    return Result(found, [_listed(found), element("h3", "Confusion matrix"), rows, confusion(matrix), *several])


def _of_numbers(run: Run, data: Data) -> Result:
    kept: list[NDArray[Any]] = []

    def keep(targets: NDArray[Any], said: NDArray[Any], weights: NDArray[Any] | None) -> float:
        kept[:] = [np.asarray(targets, np.float64), np.asarray(said, np.float64)]
        return 0.0

    metrics = [MeanAbsoluteError(), RootMeanSquaredError(), MedianAbsoluteError(), R2()]
    found = run.evaluate(data, metrics=[*metrics, keep])
    found.pop("keep")
    true, said = (array.reshape(len(array), -1) for array in kept)
    good = np.isfinite(true).all(axis=1) & np.isfinite(said).all(axis=1)
    true, said = true[good], said[good]
    sections = [_listed(found)]
    if not len(true):
        return Result(found, [*sections, element("p", "No prediction is finite.")])
    name = run.preparation.target_name or "target"
    outputs = true.shape[1]
    for place in range(min(outputs, _MOST_OUTPUTS)):
        what = cut(name) if outputs == 1 else f"{cut(name)} {place}"
        sections.append(element("div", _pictures(what, true[:, place], said[:, place]), class_="charts"))
    if outputs > _MOST_OUTPUTS:
        sections.append(element("p", f"The first {_MOST_OUTPUTS} of {outputs:,} outputs are drawn.", class_="soft"))
    return Result(found, sections)


def _pictures(what: str, true: NDArray[Any], said: NDArray[Any]) -> list[Markup]:
    errors = said - true
    edges = np.histogram_bin_edges(errors, bins=min(_BINS, max(5, len(errors) // 5)))
    counts = np.histogram(errors, edges)[0].astype(float).tolist()
    return [
        scatter(f"{what}: predicted and true", floats(true), floats(said), "true", "predicted"),
        residuals(f"{what}: residuals", floats(said), floats(errors), "predicted", "predicted − true"),
        bars(f"{what}: how large the residuals are", counts, floats(edges), "predicted − true"),
    ]
