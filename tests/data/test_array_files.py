from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data.array_files import from_named_arrays, load_npz
from chainrule.errors import DataError

X = np.arange(60, dtype=np.float32).reshape(30, 2)
Y = np.arange(30) % 3


@pytest.mark.parametrize(("x", "y"), [("x", "y"), ("X", "Y"), ("inputs", "targets")])
def test_whole_arrays_are_split(tmp_path: Path, x: str, y: str) -> None:
    arrays: dict[str, Any] = {x: X, y: Y}
    np.savez(tmp_path / "file.npz", **arrays)
    train, test = load_npz(tmp_path / "file.npz")
    assert (len(train), len(test)) == (24, 6)
    assert train.classes == test.classes == ("0", "1", "2")
    assert train.note == test.note == "classification: the targets are 3 different whole numbers, counted from 0"
    assert train.preparation == test.preparation
    np.testing.assert_allclose(train.preparation.forward(train.inputs).mean(axis=0), 0, atol=1e-6)


def test_parted_arrays_stay_parted(tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4])
    train, test = load_npz(tmp_path / "file.npz")
    assert (len(train), len(test)) == (30, 4)
    assert test.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("targets", "classes", "note"),
    [
        (Y * 2 - 1, ("-1", "1", "3"), "classification"),
        (Y.reshape(-1, 1), ("0", "1", "2"), "classification"),
        (np.array(["b", "a"] * 15), ("a", "b"), "classification: the targets are 2 different texts"),
        (np.arange(30) // 2, tuple(map(str, range(15))), "classification"),
        (np.arange(30), None, "regression"),
        (np.arange(30) * 7, None, "regression: the targets are 30 different whole numbers"),
        (Y / 2, None, "regression: the targets are one numbers of float64 a sample"),
        (np.zeros((30, 4)), None, "regression: the targets are 4 numbers"),
        (None, None, "no targets"),
    ],
)
def test_targets_are_recognised_and_said(targets: Any, classes: Any, note: str) -> None:
    arrays: dict[str, Any] = {"x": X} if targets is None else {"x": X, "y": targets}
    train, _ = from_named_arrays(arrays, "arrays")
    assert train.classes == classes
    assert train.note.startswith(note)
    assert train.preparation.target.changes_nothing == (not note.startswith("regression"))


def test_images_come_with_their_shape_and_names() -> None:
    names = np.array(["cat", "dog", "owl"])
    arrays: dict[str, Any] = {"x": np.full((30, 8, 8, 1), 255, np.uint8), "y": Y, "classes": names}
    train, _ = from_named_arrays(arrays, "arrays")
    assert train.classes == ("cat", "dog", "owl")
    assert train.preparation.scale == 1 / 255
    assert train.preparation.shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": X}, "arrays: holds 'a'; arrays named x, y or inputs, targets or x_train, y_train, x_test, y_test"),
        ({"x_train": X, "x_test": X, "y_test": Y}, "only one of y_train and y_test"),
        ({"x_train": X, "x_test": X, "y_test": Y, "y_train": Y.reshape(-1, 1)}, "differ in shape"),
        ({"x": X, "y": Y[:5]}, "30 samples, but targets for 5"),
        ({"x": X.astype(str), "y": Y}, "numbers were expected"),
    ],
)
def test_refusals(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_named_arrays(arrays, "arrays")
