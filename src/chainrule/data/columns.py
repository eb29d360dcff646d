"""How a column of a table becomes features: a number as it is, a text as one feature a category."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.cells import LARGEST, is_missing, number, text
from chainrule.data.scaling import check_numbers
from chainrule.errors import ConfigurationError, DataError

_KINDS = ("number", "category")
_KEYS = ("name", "kind", "categories", "origin")
_MAXIMUM_CATEGORIES = 10_000


@dataclass(frozen=True)
class Column:
    """One column of a table: ``kind`` "number", or "category" with its ``categories`` in order.

    ``origin`` is taken off a number before it becomes float32, for columns that are large beside their spread
    (a date in seconds), whose differences float32 could not hold.

    >>> Column("colour", "category", ("blue", "red")).feature_names()
    ('colour=blue', 'colour=red')
    """

    name: str
    kind: str = "number"
    categories: tuple[str, ...] = ()
    origin: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", tuple(self.categories))
        object.__setattr__(self, "origin", check_numbers("columns.origin", self.origin))
        if self.kind not in _KINDS:
            raise ConfigurationError(f"columns.kind: {self.kind!r} is not one of {', '.join(_KINDS)}")
        if (self.kind == "category") != bool(self.categories):
            raise ConfigurationError(
                f"columns.categories: column {self.name!r} of kind {self.kind} has {len(self.categories)} of them"
            )
        if len(set(self.categories)) != len(self.categories):
            raise ConfigurationError(f"columns.categories: column {self.name!r} names one twice")

    @property
    def width(self) -> int:
        """The number of features this column becomes."""
        return len(self.categories) or 1

    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature."""
        return tuple(f"{self.name}={category}" for category in self.categories) or (self.name,)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for TOML or JSON."""
        values: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.categories:
            values["categories"] = list(self.categories)
        if self.origin:
            values["origin"] = self.origin
        return values

    @classmethod
    def from_dict(cls, values: Any) -> Column:
        """The column that ``to_dict`` wrote; ConfigurationError names the key that is wrong."""
        if not isinstance(values, Mapping):
            raise ConfigurationError("columns: each must be a table with a name")
        for key in values:
            if key not in _KEYS:
                raise ConfigurationError(f"columns: unknown key {key!r}; known are {', '.join(_KEYS)}")
        name, kind, categories = values.get("name"), values.get("kind", "number"), values.get("categories", [])
        if not isinstance(name, str):
            raise ConfigurationError("columns.name: a text was expected")
        if not isinstance(kind, str):
            raise ConfigurationError("columns.kind: a text was expected")
        if not isinstance(categories, list | tuple) or len(categories) > _MAXIMUM_CATEGORIES:
            raise ConfigurationError(f"columns.categories: a list of at most {_MAXIMUM_CATEGORIES:,} was expected")
        if any(not isinstance(category, str) for category in categories):
            raise ConfigurationError("columns.categories: texts were expected")
        origin = check_numbers("columns.origin", values.get("origin", 0.0))
        if isinstance(origin, tuple):
            raise ConfigurationError("columns.origin: one number was expected")
        return cls(name, kind, tuple(categories), origin)


def encode_cells(
    columns: Sequence[Column], rows: Iterable[tuple[str, Sequence[object]]], count: int
) -> NDArray[np.float32]:
    """``count`` rows of cells as features, float32 (samples, features); each row comes with its place in words."""
    features = np.zeros((count, sum(column.width for column in columns)), dtype=np.float32)
    positions = [{category: index for index, category in enumerate(column.categories)} for column in columns]
    for row, (place, cells) in enumerate(rows):
        start = 0
        for column, known, cell in zip(columns, positions, cells, strict=True):
            if is_missing(cell):
                raise DataError(
                    f"{place}, column {column.name!r}: the value is missing ({text(cell)!r}); "
                    "fill it in, or remove the row"
                )
            if known:
                features[row, start + _category(cell, known, place, column)] = 1.0
            else:
                features[row, start] = _number(cell, place, column) - column.origin
            start += column.width
    return features


def _category(cell: object, known: Mapping[str, int], place: str, column: Column) -> int:
    name = text(cell)
    if name not in known:
        shown = ", ".join(map(repr, column.categories[:10])) + (", …" if len(column.categories) > 10 else "")
        raise DataError(
            f"{place}, column {column.name!r}: {name!r:.60} is not one of the categories met in training, {shown}"
        )
    return known[name]


def _number(cell: object, place: str, column: Column) -> float:
    value = number(cell)
    if value is None:
        raise DataError(f"{place}, column {column.name!r}: {text(cell)!r:.60} is text in a column of numbers")
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise DataError(f"{place}, column {column.name!r}: {value} is not a finite number within float32")
    return value
