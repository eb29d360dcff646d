"""What is done to raw data before a network sees it; it is saved with a run, so that new data are treated alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data.columns import Column, encode_cells
from chainrule.data.image_form import ImageForm
from chainrule.data.scaling import Numbers, Scaling, as_numbers, check_numbers
from chainrule.data.text.form import TextForm
from chainrule.errors import ConfigurationError, DataError, RunFileError

__all__ = ["Column", "Preparation", "Scaling"]

_KEYS = ("shift", "scale", "columns", "target", "target_name", "shape", "images", "symbols", "text")
_MAXIMUM_AXES = 8


@dataclass(frozen=True)
class Preparation:
    """How raw inputs become what the network sees: ``(inputs − shift) · scale``, along the last axis.

    ``shift`` and ``scale`` are numbers, or one number a feature. ``columns`` says how the columns of a table
    become features, ``target`` how targets are scaled for training and back for predictions, ``target_name``
    which column they came from, ``shape`` how to draw a flat sample, as (8, 8) for a digit, ``images`` the form in
    which image files are read, and ``text`` that in which texts are.

    With ``symbols``, inputs are no quantities but symbols, whole numbers from 0 to below it, which nothing is taken
    off and an `Embedding` looks up; a ``text`` has as many as its vocabulary.

    The arithmetic itself is part of the graph, so that images can stay uint8 until then.
    Raises ConfigurationError for a setting without meaning.

    >>> Preparation(scale=1 / 16, shape=(8, 8)).to_dict()["shape"]
    [8, 8]
    """

    shift: Numbers = 0.0
    scale: Numbers = 1.0
    columns: tuple[Column, ...] = ()
    target: Scaling = field(default_factory=Scaling)
    shape: tuple[int, ...] = ()
    target_name: str = ""
    images: ImageForm | None = None
    symbols: int = 0
    text: TextForm | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", check_numbers("shift", self.shift))
        object.__setattr__(self, "scale", check_numbers("scale", self.scale, nonzero=True))
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if self.text is not None and self.symbols in (0, self.text.symbols):
            object.__setattr__(self, "symbols", self.text.symbols)
        self._check_symbols()
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigurationError(f"columns: {', '.join(map(repr, twice))} is there more than once")
        if len(self.shape) > _MAXIMUM_AXES or any(size < 1 for size in self.shape):
            raise ConfigurationError(f"shape: {self.shape} is not a shape of a sample, as (8, 8) is")
        widths = {"shift": _width(self.shift), "scale": _width(self.scale)}
        if self.columns:
            widths["columns"] = sum(column.width for column in self.columns)
        if len({width for width in widths.values() if width}) > 1:
            told = ", ".join(f"{name}: {width}" for name, width in widths.items() if width)
            raise ConfigurationError(f"a preparation needs one number a feature, but came with {told}")

    def _check_symbols(self) -> None:
        count = self.symbols
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**31:
            raise ConfigurationError(f"symbols: how many there are, a whole number, not {count!r}")
        if self.text is not None and count != self.text.symbols:
            raise ConfigurationError(f"symbols: {count}, and the text has {self.text.symbols}")
        if count and (self.columns or self.images or self.shift != 0.0 or self.scale != 1.0):
            raise ConfigurationError("symbols: they are no quantities, so that nothing is shifted, scaled or encoded")

    @property
    def features(self) -> int | None:
        """The number of features the last axis must have, or None where any will do."""
        widths = (sum(column.width for column in self.columns), _width(self.shift), _width(self.scale))
        return next((width for width in widths if width), None)

    def feature_names(self) -> tuple[str, ...]:
        """The names of the features: a column's name, or ``column=category`` for a text column."""
        return tuple(name for column in self.columns for name in column.feature_names())

    def forward(self, inputs: ArrayLike) -> NDArray[Any]:
        """``(inputs − shift) · scale`` in NumPy: what the network sees, for those who want to look at it."""
        return Scaling(self.shift, self.scale).forward(inputs)

    def encode(
        self,
        rows: Sequence[Mapping[str, object]] | Mapping[str, Sequence[object]],
        source: str = "the data",
    ) -> NDArray[np.float32]:
        """Raw rows, or raw columns by name, as the features of this preparation: float32 (samples, features).

        Columns that are not in the preparation are left alone. Raises DataError, naming row (from 1) and
        column, for a missing value, a text in a column of numbers, and a category not met in training.

        >>> preparation = Preparation(columns=(Column("age"), Column("colour", "category", ("blue", "red"))))
        >>> preparation.encode([{"age": "41", "colour": "red"}]).tolist()
        [[41.0, 0.0, 1.0]]
        """
        if not self.columns:
            raise DataError(f"{source}: this preparation has no columns; give the inputs as an array")
        names = [column.name for column in self.columns]
        cells: Iterable[Sequence[object]]
        if isinstance(rows, Mapping):
            _refuse_absent(source, names, rows)
            lengths = {name: len(rows[name]) for name in names}
            if len(set(lengths.values())) > 1:
                raise DataError(f"{source}: the columns differ in length: {lengths}")
            count, cells = lengths[names[0]], zip(*(rows[name] for name in names), strict=True)
        else:
            count, cells = len(rows), _in_order(rows, names, source)
        if not count:
            raise DataError(f"{source}: no rows")
        places = (f"{source}, row {row}" for row in range(1, count + 1))
        return encode_cells(self.columns, zip(places, cells, strict=True), count)

    def to_dict(self) -> dict[str, Any]:
        """This preparation as plain values (text, numbers, lists, dictionaries), ready for TOML or JSON."""
        return {
            "shift": as_numbers(self.shift),
            "scale": as_numbers(self.scale),
            "shape": list(self.shape),
            "target_name": self.target_name,
            "target": self.target.to_dict(),
            "columns": [column.to_dict() for column in self.columns],
            **({} if self.images is None else {"images": self.images.to_dict()}),
            **({} if self.text is None else {"text": self.text.to_dict()}),
            **({"symbols": self.symbols} if self.symbols and self.text is None else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """The preparation that ``to_dict`` wrote, to the last bit; RunFileError names the key that is wrong.

        >>> first = Preparation(shift=(0.1, 0.2), scale=(1 / 3, 7.0))
        >>> Preparation.from_dict(first.to_dict()) == first
        True
        """
        if not isinstance(values, Mapping):
            raise RunFileError(f"preparation: a table was expected, not {type(values).__name__}")
        for key in values:
            if key not in _KEYS:
                raise RunFileError(f"preparation: unknown key {key!r}; known are {', '.join(_KEYS)}")
        columns, shape = values.get("columns", []), values.get("shape", [])
        name = values.get("target_name", "")
        if not isinstance(columns, list | tuple):
            raise RunFileError("preparation.columns: a list was expected")
        if not isinstance(shape, list | tuple) or any(type(size) is not int for size in shape):
            raise RunFileError("preparation.shape: a list of whole numbers was expected")
        if not isinstance(name, str):
            raise RunFileError("preparation.target_name: a text was expected")
        try:
            return cls(
                shift=check_numbers("shift", values.get("shift", 0.0)),
                scale=check_numbers("scale", values.get("scale", 1.0), nonzero=True),
                columns=tuple(Column.from_dict(column) for column in columns),
                target=Scaling.from_dict(values.get("target", {})),
                shape=tuple(shape),
                target_name=name,
                images=ImageForm.from_dict(values["images"]) if "images" in values else None,
                symbols=values.get("symbols", 0),
                text=TextForm.from_dict(values["text"]) if "text" in values else None,
            )
        except ConfigurationError as error:
            raise RunFileError(f"preparation.{error}") from error


def _width(numbers: Numbers) -> int:
    return len(numbers) if isinstance(numbers, tuple) else 0


def _refuse_absent(source: str, names: Sequence[str], there: Iterable[str]) -> None:
    came = list(there)
    absent = [name for name in names if name not in came]
    if absent:
        raise DataError(
            f"{source}: no column {', '.join(map(repr, absent))}; there are {', '.join(map(repr, came)) or 'none'}"
        )


def _in_order(rows: Sequence[Mapping[str, object]], names: Sequence[str], source: str) -> Iterator[Sequence[object]]:
    for position, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise DataError(f"{source}, row {position}: a mapping of column to value was expected")
        _refuse_absent(f"{source}, row {position}", names, row)
        yield [row[name] for name in names]
