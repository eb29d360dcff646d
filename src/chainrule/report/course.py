"""How a training went, drawn: loss and metrics, gradient norm and learning rate, over the epochs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.metrics.naming import upwards
from chainrule.report.curves import Floats, Line, floats, line_chart
from chainrule.report.markup import Markup, element
from chainrule.report.numbers import duration, told
from chainrule.report.tables import cut, table

if TYPE_CHECKING:
    from chainrule.training import History

_HELD = "validation_"
_COUNTS = ("step", "steps", "epoch", "samples", "seconds", "samples_per_second", "waited")
_NORM, _RATE = "gradient_norm", "learning_rate"
#: A metric a class of many classes makes more charts than anybody looks at.
_MOST_CHARTS = 12
_MOST_ROWS = 120


def step_places(history: History) -> Floats:
    """Where each step lies on the axis of epochs: at 1.5 half of the second one is done."""
    epochs = np.asarray(history.column("epoch"), np.int64)
    if not len(epochs):
        return floats([])
    _, first, sizes = np.unique(epochs, return_index=True, return_counts=True)
    if len(sizes) > 1 and len(history.epochs) < len(sizes):
        sizes[-1] = max(sizes[-1], sizes[-2])  # the last one is not done yet
    place = np.repeat(first, np.diff([*first, len(epochs)]))
    whole = np.repeat(sizes, np.diff([*first, len(epochs)]))
    return floats(epochs - 1 + (np.arange(len(epochs)) - place + 1) / whole)


def measures(history: History) -> list[str]:
    """What the steps and the validation measured, the loss first."""
    names = [*history.columns, *(name.removeprefix(_HELD) for record in history.epochs[-1:] for name in record)]
    rest = [name for name in dict.fromkeys(names) if name not in (*_COUNTS, _NORM) and not name.endswith(_RATE)]
    return sorted(rest, key=lambda name: (name != "loss", name != "accuracy"))


def charts(history: History) -> list[Markup]:
    """A chart of each measure, of the gradient norm, and of the learning rate."""
    places = step_places(history)
    ends = floats([record["epoch"] for record in history.epochs])
    several = len(ends) > 1  # one epoch is told by its steps

    def of_steps(name: str) -> Floats:
        return floats(history.column(name))

    def of_epochs(name: str) -> Floats:
        return floats([_number(record.get(name)) for record in history.epochs])

    found: list[Markup | None] = []
    for name in measures(history)[:_MOST_CHARTS]:
        lines = []
        if name in history.columns:
            lines.append(Line("" if several else "training", places, of_steps(name), "one", faint=several))
        if (several or not len(places)) and any(name in record for record in history.epochs):
            lines.append(Line("training", ends, of_epochs(name), "one"))
        if any(_HELD + name in record for record in history.epochs):
            lines.append(Line("validation", ends, of_epochs(_HELD + name), "two"))
        found.append(line_chart(cut(name.replace("_", " ")), lines, by_size=not upwards(name)))
    if _NORM in history.columns:
        lines = [Line("", places, of_steps(_NORM), "three", faint=several)]
        lines += [Line("", ends, of_epochs(_NORM), "three")] if several else []
        found.append(line_chart("gradient norm", lines))
    for name in _rates(history):
        found.append(line_chart(name.replace("_", " "), [Line("", places, of_steps(name), "three")]))
    return [chart for chart in found if chart is not None]


def left_out(history: History) -> str:
    """What is said of the measures that have no chart."""
    more = len(measures(history)) - _MOST_CHARTS
    return f"{more:,} further measures are in metrics.jsonl." if more > 0 else ""


def _rates(history: History) -> list[str]:
    """The learning rates that are another at some step."""
    names = [name for name in history.columns if name.endswith(_RATE)]
    return [name for name in names if len({*history.column(name)}) > 1]


def rate_words(history: History) -> str:
    """The learning rate, where it has no chart since it never changed."""
    column = history.column(_RATE)
    return (
        f"The learning rate was {told(float(column[0]))} throughout." if column and _RATE not in _rates(history) else ""
    )


def time_taken(history: History) -> str:
    """How long the steps took, or "" if nobody measured."""
    seconds = math.fsum(_number(value) for value in history.column("seconds"))
    return duration(seconds) if seconds > 0 else ""


def best_validation(history: History) -> tuple[int, float] | None:
    """The epoch with the smallest validation loss, and that loss."""
    found = [(record[_HELD + "loss"], record["epoch"]) for record in history.epochs if _HELD + "loss" in record]
    found = [pair for pair in found if not math.isnan(pair[0])]
    if not found:
        return None
    loss, epoch = min(found)
    return int(epoch), float(loss)


def epoch_table(history: History) -> Markup | None:
    """The numbers behind the curves, folded away."""
    if not history.epochs:
        return None
    names = [name for name in history.epochs[-1] if name not in ("steps", "samples")][: _MOST_CHARTS + 6]
    every = math.ceil(len(history.epochs) / _MOST_ROWS)
    chosen = [
        record for place, record in enumerate(history.epochs, 1) if place % every == 0 or record is history.epochs[-1]
    ]
    rows = [[told(record.get(name, math.nan)) for name in names] for record in chosen]
    heads = [cut(name.replace("_", " ")) for name in names]
    words = "Numbers by epoch" if every == 1 else f"Numbers by epoch, every {every:,}"
    return element("details", element("summary", words), table(heads, rows, numbers=range(len(names))))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
