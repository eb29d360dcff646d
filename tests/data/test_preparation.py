from __future__ import annotations

import json
import tomllib
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Column, Preparation, Scaling
from chainrule.errors import ConfigurationError, DataError, RunFileError

COLUMNS = (Column("age"), Column("colour", "category", ("blue", "red")), Column("size"))
TABLE = Preparation((1.0, 0.0, 0.0, 2.0), (0.5, 1.0, 1.0, 4.0), COLUMNS, Scaling((7.0,), (0.1,)), target_name="price")

numbers = st.floats(allow_nan=False, allow_infinity=False)
scales = numbers.filter(bool)


@pytest.mark.tiny
def test_a_table_survives_toml_and_json() -> None:
    values = TABLE.to_dict()
    assert Preparation.from_dict(values) == TABLE
    assert Preparation.from_dict(tomllib.loads(tomli_w.dumps(values))) == TABLE
    assert Preparation.from_dict(json.loads(json.dumps(values))) == TABLE
    assert Preparation.from_dict({}) == Preparation()


@given(st.lists(st.tuples(numbers, scales), min_size=1, max_size=5), numbers, scales)
def test_every_float_survives_to_the_last_bit(pairs: list[tuple[float, float]], shift: float, scale: float) -> None:
    shifts, scales = zip(*pairs, strict=True)
    first = Preparation(shifts, scales, target=Scaling(shift, scale), shape=(2, 3))
    again = Preparation.from_dict(tomllib.loads(tomli_w.dumps(first.to_dict())))
    assert repr(again) == repr(first)  # repr tells −0.0 from 0.0


def test_forward_is_the_formula_along_the_last_axis() -> None:
    preparation = Preparation(shift=(1.0, 2.0), scale=(10.0, 0.5))
    assert preparation.forward(np.array([[2.0, 4.0]])).tolist() == [[10.0, 1.0]]
    assert Preparation(scale=1 / 16).forward(np.array([[16]], np.uint8)).dtype == np.float32


def test_features_and_their_names() -> None:
    assert TABLE.features == 4
    assert TABLE.feature_names() == ("age", "colour=blue", "colour=red", "size")
    assert Preparation(scale=2.0).features is None


def test_encode_takes_rows_or_columns() -> None:
    expected = [[41.0, 0.0, 1.0, 2.5], [7.0, 1.0, 0.0, 1.0]]
    rows = [{"age": "41", "colour": " red ", "size": 2.5}, {"age": 7, "colour": "blue", "size": "1", "more": 0}]
    assert TABLE.encode(rows).tolist() == expected
    columns: dict[str, list[object]] = {"size": [2.5, 1], "colour": ["red", "blue"], "age": ["41", 7]}
    encoded = TABLE.encode(columns)
    assert encoded.tolist() == expected
    assert encoded.dtype == np.float32


def test_an_origin_keeps_what_float32_could_not() -> None:
    preparation = Preparation(columns=(Column("time", origin=1.7e9),))
    encoded = preparation.encode([{"time": 1.7e9 + 1}, {"time": 1.7e9 + 2}])
    assert encoded.ravel().tolist() == [1.0, 2.0]


GOOD = {"age": "41", "colour": "red", "size": "1"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": ""}, r"new\.csv, row 2, column 'age': the value is missing"),
        ({"age": None}, "column 'age': the value is missing"),
        ({"colour": "NA"}, "column 'colour': the value is missing"),
        ({"age": "old"}, "row 2, column 'age': 'old' is text in a column of numbers"),
        ({"age": True}, "'True' is text in a column of numbers"),
        ({"size": "inf"}, "column 'size': inf is not a finite number"),
        ({"size": "1e300"}, r"column 'size': 1e\+300 is not a finite number within float32"),
        ({"colour": "green"}, "column 'colour': 'green' is not one of the categories met in training, 'blue', 'red'"),
    ],
)
def test_encode_names_row_and_column(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TABLE.encode([GOOD, {**GOOD, **change}], source="new.csv")


def test_encode_refuses_what_is_no_table() -> None:
    with pytest.raises(DataError, match="row 1: no column 'size'"):
        TABLE.encode([{"age": 1, "colour": "red"}])
    with pytest.raises(DataError, match="no column 'age', 'colour'; there are 'size'"):
        TABLE.encode({"size": [1]})
    with pytest.raises(DataError, match="differ in length"):
        TABLE.encode({"age": [1], "colour": ["red"], "size": []})
    with pytest.raises(DataError, match="no rows"):
        TABLE.encode([])
    with pytest.raises(DataError, match="has no columns"):
        Preparation().encode([GOOD])
    with pytest.raises(DataError, match="row 1: a mapping"):
        TABLE.encode([("41", "red", "1")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 0.0}, "scale: 0.0"),
        ({"scale": float("nan")}, "scale: nan"),
        ({"shift": (1.0, float("inf"))}, r"shift\[1\]: inf"),
        ({"shift": ()}, "shift: one number a feature"),
        ({"shift": "1"}, "shift: a number was expected"),
        ({"shift": 10**400}, "shift: inf"),
        ({"shift": (1.0, 2.0), "scale": (1.0, 2.0, 3.0)}, "shift: 2, scale: 3"),
        ({"columns": (Column("a"), Column("a"))}, "'a' is there more than once"),
        ({"columns": (Column("a"),), "shift": (1.0, 2.0)}, "shift: 2, columns: 1"),
        ({"shape": (0, 2)}, "shape"),
        ({"shape": (1,) * 9}, "shape"),
    ],
)
def test_settings_without_meaning_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Preparation(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", "colour"), "not one of number, category"),
        (("a", "category"), "has 0 of them"),
        (("a", "number", ("b",)), "has 1 of them"),
        (("a", "category", ("b", "b")), "names one twice"),
    ],
)
def test_columns_without_meaning_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Column(*arguments)


HOSTILE: list[tuple[Any, str]] = [
    ([], "a table was expected"),
    ({"shfit": 1.0}, "unknown key 'shfit'"),
    ({"shift": "0"}, "shift: a number"),
    ({"shift": True}, "shift: a number"),
    ({"shift": None}, "shift: a number"),
    ({"shift": [1.0, "2"]}, r"shift\[1\]"),
    ({"shift": {"a": 1}}, "shift: a number"),
    ({"scale": [0.0]}, r"scale\[0\]: 0.0"),
    ({"scale": float("inf")}, "scale: inf"),
    ({"shape": 8}, "shape: a list"),
    ({"shape": [8.0]}, "shape: a list of whole numbers"),
    ({"shape": [-1]}, "shape"),
    ({"target": 3}, "target: a table"),
    ({"target": {"shift": "a"}}, "target.shift"),
    ({"target": {"scale": 0}}, "target.scale"),
    ({"target": {"low": 0}}, "target: unknown key 'low'"),
    ({"target_name": 3}, "target_name"),
    ({"columns": {}}, "columns: a list"),
    ({"columns": [3]}, "columns: each must be a table"),
    ({"columns": [{}]}, "columns.name"),
    ({"columns": [{"name": "a", "kind": 3}]}, "columns.kind"),
    ({"columns": [{"name": "a", "kind": "odd"}]}, "columns.kind: 'odd'"),
    ({"columns": [{"name": "a", "kind": "category", "categories": [1]}]}, "columns.categories: texts"),
    ({"columns": [{"name": "a", "kind": "category", "categories": "ab"}]}, "columns.categories: a list"),
    ({"columns": [{"name": "a", "kind": "category", "categories": ["x"] * 10_001}]}, "at most 10,000"),
    ({"columns": [{"name": "a", "origin": [1.0]}]}, "columns.origin"),
    ({"columns": [{"name": "a", "origin": float("nan")}]}, "columns.origin"),
    ({"columns": [{"name": "a", "width": 3}]}, "unknown key 'width'"),
    ({"columns": [{"name": "a"}], "shift": [1.0, 2.0]}, "columns: 1"),
]


@pytest.mark.parametrize(("values", "message"), HOSTILE, ids=[message for _, message in HOSTILE])
def test_a_hostile_file_is_refused_by_the_name_of_its_key(values: Any, message: str) -> None:
    with pytest.raises(RunFileError, match=message):
        Preparation.from_dict(values)
