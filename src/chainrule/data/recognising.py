"""What the columns of a table are: numbers, categories, a target to classify or to predict as a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from chainrule.data.cells import has_decimal_comma, is_missing, number, text
from chainrule.data.columns import Column
from chainrule.errors import ConfigurationError, DataError

MAXIMUM_CATEGORIES = 100
MAXIMUM_CLASSES = 1000
MOST_NUMBERED_CLASSES = 20  # whole numbers with more different values are amounts
ROWS_A_CLASS = 5
TASKS = ("classification", "regression")


@dataclass
class Survey:
    """What one pass over a column has shown; the sets are bounded, so that no file can fill the memory."""

    name: str
    rows: int = 0
    numbers: int = 0
    whole: bool = True
    low: float = math.inf
    high: float = -math.inf
    values: set[float] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    first_text: str = ""
    first_text_place: str = ""

    def meet(self, cell: object, place: str) -> None:
        """Take one cell into account; DataError where it is missing."""
        if is_missing(cell):
            raise DataError(
                f"{place}, column {self.name!r}: the value is missing ({text(cell)!r}); "
                "fill it in, remove the row, or leave the column out (ignore)"
            )
        self.rows += 1
        if len(self.texts) <= MAXIMUM_CLASSES:
            self.texts.add(text(cell))
        value = number(cell)
        if value is None:
            if not self.first_text_place:
                self.first_text, self.first_text_place = text(cell), place
            return
        self.numbers += 1
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.whole = self.whole and value.is_integer()
        if len(self.values) <= MOST_NUMBERED_CLASSES:
            self.values.add(value)

    @property
    def is_number(self) -> bool:
        """Whether every cell is a number."""
        return self.numbers == self.rows

    def refuse_mixture(self) -> None:
        """Raise DataError for a column of numbers with a few texts in it, and for decimal commas."""
        if self.is_number:
            return
        where = f"{self.first_text_place}, column {self.name!r}"
        if has_decimal_comma(self.first_text):
            raise DataError(
                f"{where}: {self.first_text!r} looks like a number with a decimal comma; write it with a decimal point"
            )
        if self.numbers >= 0.9 * self.rows:
            raise DataError(
                f"{where}: {self.first_text!r:.60} is text in a column of numbers "
                f"({self.numbers:,} of {self.rows:,} cells are numbers); correct it, or remove the row"
            )


def input_column(survey: Survey) -> Column:
    """How a surveyed column becomes features; DataError for a text column that only names its rows."""
    survey.refuse_mixture()
    if survey.is_number:
        return Column(survey.name, origin=_origin(survey.low, survey.high))
    if _only_names_rows(survey, MAXIMUM_CATEGORIES):
        raise DataError(
            f"column {survey.name!r} holds {_count(survey)} different texts in {survey.rows:,} rows, as "
            f"{survey.first_text!r:.60}: each would become an input of its own. If it is a name, a date or an "
            f"id, leave it out: ignore=[{survey.name!r}], or remove it from the file"
        )
    return Column(survey.name, "category", tuple(sorted(survey.texts)))


@dataclass(frozen=True)
class Target:
    """What is to be predicted: the classes of a classification, none for a regression; and why."""

    name: str
    classes: tuple[str, ...] | None
    note: str


def recognise_target(survey: Survey, task: str | None = None) -> Target:
    """Classification or regression, from the target's own values unless ``task`` says which.

    Text is classified; whole numbers with two different values, or with at most 20 that come five times each on
    average, are classified too; all else is predicted as a number.
    """
    if task is not None and task not in TASKS:
        raise ConfigurationError(f"task={task!r} is not one of {', '.join(TASKS)}")
    where = f"column {survey.name!r}"
    if not survey.is_number:
        if task == "regression":
            raise DataError(
                f"{survey.first_text_place}, {where}: {survey.first_text!r:.60} is text; a regression needs numbers"
            )
        if task is None:
            survey.refuse_mixture()
        if _only_names_rows(survey, MAXIMUM_CLASSES):
            raise DataError(
                f"the target {where} holds {_count(survey)} different texts in {survey.rows:,} rows: too many to be "
                "classes. Choose another target"
            )
        classes = tuple(sorted(survey.texts))
        return Target(survey.name, classes, f"classification: {where} holds text, {_listed(classes)}")
    few = few_classes(len(survey.values), survey.rows, survey.whole)
    if task == "regression" or (task is None and not few):
        amount = len(survey.values) if few or len(survey.values) <= MOST_NUMBERED_CLASSES else "many"
        note = f"regression: {where} holds numbers, {amount} different ones, {survey.low:g} to {survey.high:g}"
        return Target(survey.name, None, note)
    if len(survey.texts) > MAXIMUM_CLASSES:
        raise DataError(f"the target {where} holds more than {MAXIMUM_CLASSES:,} different numbers: too many classes")
    classes = tuple(class_name(value) for value in sorted({float(one) for one in survey.texts}))
    other = "" if task else "; task='regression' predicts it as a number"
    return Target(survey.name, classes, f"classification: {where} holds numbers, {_listed(classes)}{other}")


def few_classes(distinct: int, rows: int, whole: bool) -> bool:
    """Whether numbers look like the numbers of classes.

    >>> few_classes(2, 4, True), few_classes(10, 1797, True), few_classes(118, 144, True), few_classes(3, 90, False)
    (True, True, False, False)
    """
    return whole and distinct <= MOST_NUMBERED_CLASSES and (distinct <= 2 or distinct * ROWS_A_CLASS <= rows)


def class_name(cell: object) -> str:
    """The name of the class that a cell stands for: 3 and 3.0 are one class, "3"."""
    value = number(cell)
    if value is None:
        return text(cell)
    return str(int(value)) if value.is_integer() else repr(value)


def _origin(low: float, high: float) -> float:
    """A number to take off where float32 would round away more than a ten-thousandth of the range."""
    if not math.isfinite(low) or not math.isfinite(high) or low == high:
        return 0.0
    rounding = max(abs(low), abs(high)) * 2.0**-24
    return float(math.floor(low + (high - low) / 2.0)) if rounding > 1e-4 * (high - low) else 0.0


def _only_names_rows(survey: Survey, most: int) -> bool:
    distinct = len(survey.texts)
    return distinct > most or (distinct > 10 and distinct * 2 > survey.rows)


def _count(survey: Survey) -> str:
    distinct = len(survey.texts)
    return f"more than {MAXIMUM_CLASSES:,}" if distinct > MAXIMUM_CLASSES else f"{distinct:,}"


def _listed(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:10]) + (", …" if len(classes) > 10 else "")
    return f"{len(classes)} different: {shown}"
