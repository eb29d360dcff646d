from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import Dataset, columns, read_csv, read_prepared, tables
from chainrule.data.recognising import few_classes
from chainrule.errors import ConfigurationError, DataError

HOUSES = "size,kind,rooms,price\n" + "".join(
    f"{50 + 7 * i % 60},{('flat', 'house', 'hut')[i % 3]},{i % 5 + 1},{100 + 13.5 * i}\n" for i in range(40)
)


def write(folder: Path, text: str | bytes, name: str = "houses.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.tiny
def test_numbers_are_standardised_and_texts_become_features(tmp_path: Path) -> None:
    train, test = read_csv(write(tmp_path, HOUSES), "price")
    assert (len(train), len(test)) == (32, 8)
    assert train.preparation.feature_names() == ("size", "kind=flat", "kind=house", "kind=hut", "rooms")
    assert train.preparation == test.preparation
    seen = train.preparation.forward(train.inputs)
    np.testing.assert_allclose(seen[:, [0, 4]].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(seen[:, [0, 4]].std(axis=0), 1, atol=1e-5)
    assert set(seen[:, 1:4].ravel()) == {0.0, 1.0}
    assert (seen[:, 1:4].sum(axis=1) == 1).all()
    assert train.note == "regression: column 'price' holds numbers, many different ones, 100 to 626.5"


def test_the_statistics_are_of_the_training_part_alone(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i}\n" for i in range(50))
    train, test = read_csv(write(tmp_path, f"a,b\n{rows}"), "b", test_fraction=0.5)
    assert train.preparation.shift == (float(train.inputs.astype(float).mean()),)
    assert train.inputs.mean() != test.inputs.mean()


def test_regression_targets_keep_their_units(tmp_path: Path) -> None:
    train, _ = read_csv(write(tmp_path, HOUSES), "price")
    assert train.targets is not None
    assert train.targets.dtype == np.float32
    assert train.targets.shape == (32, 1)
    assert train.targets.min() >= 100
    scaled = train.preparation.target.forward(train.targets)
    assert abs(float(scaled.mean())) < 1e-5
    np.testing.assert_allclose(train.preparation.target.backward(scaled), train.targets, rtol=1e-5)


def test_one_seed_gives_one_split(tmp_path: Path) -> None:
    path = write(tmp_path, HOUSES)
    first, again, other = (read_csv(path, "kind", seed=seed)[1].inputs for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def numbered(values: list[Any]) -> str:
    return "x,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(values))


@pytest.mark.parametrize(
    ("values", "classes", "note"),
    [
        (["yes", "no"] * 3, ("no", "yes"), "classification: column 'y' holds text, 2 different: no, yes"),
        ([0, 1] * 2, ("0", "1"), "classification: column 'y' holds numbers, 2 different: 0, 1; task='regression'"),
        (["2.0", 3, -1] * 10, ("-1", "2", "3"), "classification"),
        ([10, 9, 100] * 10, ("9", "10", "100"), "classification"),
        ([1, 2, 3], None, "regression: column 'y' holds numbers, 3 different ones, 1 to 3"),
        (list(range(21)) * 9, None, "regression: column 'y' holds numbers, many different ones, 0 to 20"),
        ([0.5, 1.0] * 50, None, "regression"),
    ],
)
def test_the_target_is_recognised_and_said(tmp_path: Path, values: list[Any], classes: Any, note: str) -> None:
    train, test = read_csv(write(tmp_path, numbered(values)), "y")
    assert train.classes == test.classes == classes
    assert train.note.startswith(note)


def test_the_task_overrules_the_values(tmp_path: Path) -> None:
    path = write(tmp_path, numbered([0, 1] * 5))
    assert read_csv(path, "y", task="regression")[0].classes is None
    path = write(tmp_path, numbered([1.5, 2.5] * 5))
    train, _ = read_csv(path, "y", task="classification")
    assert train.classes == ("1.5", "2.5")
    assert sorted(set(train.targets.tolist() if train.targets is not None else [])) == [0, 1]
    with pytest.raises(ConfigurationError, match="task='guess' is not one of classification, regression"):
        read_csv(path, "y", task="guess")
    with pytest.raises(DataError, match=r"row 1 \(line 2\), column 'y': 'yes' is text; a regression needs numbers"):
        read_csv(write(tmp_path, numbered(["yes", "no"] * 3)), "y", task="regression")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_marks_and_ends_of_lines(tmp_path: Path, delimiter: str, mark: bytes, end: str) -> None:
    text = HOUSES.replace(",", delimiter).replace("\n", end) + end
    train, _ = read_csv(write(tmp_path, mark + text.encode()), "price")
    plain, _ = read_csv(write(tmp_path, HOUSES, "plain.csv"), "price")
    assert (train.inputs == plain.inputs).all()
    assert train.preparation == plain.preparation


def test_quotes_hold_delimiters_and_other_scripts(tmp_path: Path) -> None:
    rows = '"Zürich, West",1\n"北京",2\n' * 5
    train, _ = read_csv(write(tmp_path, f'"the ""town"", its name",y\n{rows}'), "y")
    assert train.preparation.columns[0].name == 'the "town", its name'
    assert train.preparation.columns[0].categories == ("Zürich, West", "北京")


def test_constant_columns_are_let_be(tmp_path: Path) -> None:
    rows = "".join(f"0.1,same,{i}\n" for i in range(10))
    train, _ = read_csv(write(tmp_path, f"a,b,y\n{rows}"), "y")
    assert train.preparation.scale == (1.0, 1.0)
    seen = train.preparation.forward(train.inputs)
    np.testing.assert_allclose(seen, np.tile([0.0, 1.0], (len(train), 1)), atol=1e-6)


def test_times_in_seconds_keep_their_differences(tmp_path: Path) -> None:
    rows = "".join(f"{1_700_000_000 + i},{i}\n" for i in range(40))
    train, test = read_csv(write(tmp_path, f"time,y\n{rows}"), "y")
    for part in (train, test):
        assert part.targets is not None
        offset = part.targets[0, 0] - part.inputs[0, 0]
        assert (part.inputs + offset == part.targets).all()


MISSING = [HOUSES.replace("57,", f"{word},", 1) for word in ("", "NA", " nan ", "?", "Null")]


def header(*names: str) -> str:
    return ",".join(names) + "\n" + (",".join(["1"] * len(names)) + "\n") * 5


REFUSED: list[tuple[str | bytes, str]] = [
    *[(text, r"houses\.csv, row 2 \(line 3\), column 'size': the value is missing") for text in MISSING],
    (HOUSES.replace(",113.5", ",NA"), r"row 2 \(line 3\), column 'price': the value is missing \('NA'\)"),
    (HOUSES.replace("flat,1", "flat,1,9", 1), r"row 1 \(line 2\): 5 cells, but the header names 4 columns"),
    (HOUSES.replace("flat,1,100.0", "flat", 1), r"row 1 \(line 2\): 2 cells, but the header names 4"),
    (HOUSES.replace("57,", "57m²,", 1), "column 'size': '57m²' is text in a column of numbers \\(39 of 40"),
    (HOUSES.replace("57,", "1e999,", 1), r"column 'size': inf is not a finite number"),
    (HOUSES.replace("113.5", "1e60"), r"row 2 \(line 3\), column 'price': '1e60' is not a number to be predicted"),
    ("a;price\n" + "1,5;2\n" * 9, r"column 'a': '1,5' looks like a number with a decimal comma"),
    (header("a", "price", "a"), "two columns are named 'a'"),
    (header("a", "", "price"), "column 2 has no name"),
    ("1,2,3\n4,5,6\n", r"the first line holds numbers \(1, 2, 3\)"),
    ("a,price\n", "there is a header, but no rows"),
    ("a,price\n1,2\n", "1 sample cannot be split"),
    ("price\n1\n2\n", "no column is left to predict 'price' from"),
    ("", "the file is empty"),
    ("\n\n", "the file is empty"),
    ('a,price\n"1,2\n3,4\n', "line 3: unexpected end of data"),
    ('a,price\n"1"x,2\n', "line 2: ',' expected after '\"'"),
    ("a,price\n1,caf\xe9\n".encode("latin-1"), "not a UTF-8 text file"),
    ("a,price\n1,2\n".encode("utf-16"), "not a UTF-8 text file"),
    (b"a,price\n\x00,2\n", r"houses\.csv, line 2: a zero byte"),
    (b"a,price\n" + b"x" * 200_000 + b",2\n", "line 2: field larger than field limit"),
    ("who,price\n" + "".join(f"person {i},{i}\n" for i in range(30)), "column 'who' holds 30 different texts"),
    ("a,price\n" + "".join(f"{i},text {i}\n" for i in range(30)), "the target column 'price' holds 30 different texts"),
    (",".join(f"c{i}" for i in range(10_001)) + "\n", "10,001 columns; up to 10,000 are read"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_used_is_refused_by_row_and_column(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(write(tmp_path, text), "price")


def test_columns_are_listed_where_a_name_is_none_of_them(tmp_path: Path) -> None:
    path = write(tmp_path, HOUSES)
    with pytest.raises(DataError, match="Name the target, one of 'size', 'kind', 'rooms', 'price'"):
        read_csv(path)
    with pytest.raises(DataError, match="no column 'cost'; there are 'size', 'kind'"):
        read_csv(path, "cost")
    with pytest.raises(DataError, match="no column 'cost'"):
        read_csv(path, "price", ignore=["cost"])
    with pytest.raises(DataError, match="'price' cannot be ignored"):
        read_csv(path, "price", ignore="price")


def test_ignored_columns_are_not_even_looked_at(tmp_path: Path) -> None:
    path = write(tmp_path, HOUSES.replace("57,", ",", 1))
    train, _ = read_csv(path, "price", ignore=["size"])
    assert "size" not in train.preparation.feature_names()


def test_files_that_are_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_csv(tmp_path / "none.csv", "y")
    with pytest.raises(DataError, match="not a file"):
        read_csv(tmp_path, "y")
    path = write(tmp_path, HOUSES)
    monkeypatch.setattr("chainrule.data.csv_files.MAXIMUM_BYTES", 100)
    with pytest.raises(DataError, match=r"bytes; CSV files up to 100 bytes are read"):
        read_csv(path, "price")


def test_features_are_counted_before_memory_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAXIMUM_FEATURE_BYTES", 40 * 5 * 4 - 1)
    monkeypatch.setattr(tables, "encode_cells", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(DataError, match="40 rows of 5 features would take 800 bytes"):
        read_csv(write(tmp_path, HOUSES), "price")


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, HOUSES)
    encode = columns.encode_cells

    def grow(known: Any, rows: Any, count: int) -> Any:
        path.write_text(HOUSES + "1,flat,1,1\n" * 3)
        return encode(known, rows, count)

    monkeypatch.setattr(tables, "encode_cells", grow)
    with pytest.raises(DataError, match="changed while it was read"):
        read_csv(path, "price")


class TestFurtherFiles:
    def trained(self, folder: Path, target: str) -> Dataset:
        return read_csv(write(folder, HOUSES), target)[0]

    def test_the_same_rows_become_the_same_features(self, tmp_path: Path) -> None:
        train = self.trained(tmp_path, "kind")
        again = read_prepared(tmp_path / "houses.csv", train.preparation, train.classes)
        assert len(again) == 40
        assert again.classes == train.classes
        assert {tuple(row) for row in train.inputs} <= {tuple(row) for row in again.inputs}
        assert again.labels is not None
        assert again.labels[:3].tolist() == [0, 1, 2]

    def test_without_targets_other_columns_are_left_alone(self, tmp_path: Path) -> None:
        train = self.trained(tmp_path, "price")
        path = write(tmp_path, "note,rooms,kind,size\n,2,hut,60\n", "new.csv")
        new = read_prepared(path, train.preparation, with_targets=False)
        assert new.inputs.tolist() == [[60.0, 0.0, 0.0, 1.0, 2.0]]
        assert new.targets is None
        with pytest.raises(DataError, match="no column 'price'"):
            read_prepared(path, train.preparation)

    def test_what_training_has_not_met_is_refused(self, tmp_path: Path) -> None:
        train = self.trained(tmp_path, "price")
        path = write(tmp_path, "size,kind,rooms\n60,flat,2\n60,castle,2\n", "new.csv")
        with pytest.raises(DataError, match=r"new\.csv, row 2 \(line 3\), column 'kind': 'castle' is not one of"):
            read_prepared(path, train.preparation, with_targets=False)
        train = self.trained(tmp_path, "kind")
        path = write(tmp_path, "size,kind,rooms,price\n60,castle,2,1\n", "new.csv")
        with pytest.raises(DataError, match="'castle' is not one of the classes, 'flat', 'house', 'hut'"):
            read_prepared(path, train.preparation, train.classes)


@pytest.mark.parametrize(("rows", "few"), [(14, False), (15, True)])
def test_three_classes_need_fifteen_rows(rows: int, few: bool) -> None:
    assert few_classes(3, rows, True) is few
