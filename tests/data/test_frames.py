from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chainrule.data import from_frame, read_csv
from chainrule.errors import DataError


class Frame:
    """What is used of a data frame: columns, and the values of each."""

    def __init__(self, **columns: list[object]) -> None:
        self.columns, self._values = list(columns), columns

    def __getitem__(self, name: str) -> list[object]:
        return self._values[name]


class NAType:
    pass


def test_a_frame_is_read_like_a_file(tmp_path: Path) -> None:
    sizes: list[object] = [np.float64(40 + i) for i in range(20)]
    kinds: list[object] = ["flat", "house"] * 10
    train, test = from_frame(Frame(size=sizes, kind=kinds), "kind", seed=3)
    path = tmp_path / "same.csv"
    path.write_text("size,kind\n" + "".join(f"{a},{b}\n" for a, b in zip(sizes, kinds, strict=True)))
    same = read_csv(path, "kind", seed=3)
    assert (train.inputs == same[0].inputs).all()
    assert (test.inputs == same[1].inputs).all()
    assert train.preparation == same[0].preparation
    assert train.classes == ("flat", "house")


@pytest.mark.parametrize("nothing", [None, float("nan"), np.float64("nan"), NAType(), ""])
def test_missing_values_are_named(nothing: object) -> None:
    frame = Frame(size=[1.0, nothing, 3.0], y=[1, 2, 3])
    with pytest.raises(DataError, match="the data frame, row 2, column 'size': the value is missing"):
        from_frame(frame, "y")


def test_truth_values_are_categories() -> None:
    train, _ = from_frame(Frame(garden=[True, np.bool_(False)] * 5, y=list(range(10))), "y")
    assert train.preparation.columns[0].categories == ("False", "True")


def test_other_things_are_no_frames() -> None:
    with pytest.raises(DataError, match="a data frame was expected, with columns, not ndarray"):
        from_frame(np.zeros((2, 2)), "y")
