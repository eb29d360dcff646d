from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.curves import Curve
from chainrule.errors import DataError, MissingExtraError
from chainrule.optimizers import schedules

ALONG = np.arange(1000.0)


def test_a_drawing_has_its_title_its_ends_and_its_width() -> None:
    lines = Curve(ALONG, 2 * ALONG, title="twice", under="times").drawn(60, 8).splitlines()
    assert lines[0] == "twice"
    assert lines[1].startswith("1998 ┤")
    assert lines[8].startswith("   0 ┤")
    assert lines[10].split() == ["0", "times", "999"]
    assert max(map(len, lines)) == 60
    assert len(lines) == 11


def rows_of(curve: Curve, plain: bool) -> list[list[int]]:
    """For each row of letters the columns that have something in them."""
    lines = curve.drawn(46, 6, plain=plain).splitlines()[:6]
    start = max(map(len, (line.split("┤")[0] for line in lines if "┤" in line))) + 1
    return [[place for place, letter in enumerate(line[start:]) if letter != " "] for line in lines]


@pytest.mark.parametrize("plain", [True, False])
def test_a_jump_is_drawn_as_a_line_upwards(plain: bool) -> None:
    rows = rows_of(Curve(ALONG, np.where(ALONG < 500, 1.0, 0.0)), plain)
    columns = 46 - len("1 ┤") - 1
    assert rows[0][0] == 0
    assert rows[-1][-1] >= columns - 1
    assert all(len(row) in (1, 2) for row in rows[1:-1])
    # A peak that no column is wide enough for is there all the same.
    assert rows_of(Curve(ALONG, ALONG == 333), plain)[0] == rows_of(Curve(ALONG, ALONG == 333), plain)[2] != []


def test_a_flat_curve_lies_in_the_middle_and_says_its_height() -> None:
    lines = Curve(ALONG, 0 * ALONG + 0.25).drawn(40, 5).splitlines()
    assert [line.split("│")[0].strip() for line in lines[:5]] == ["", "", lines[2], "", ""]
    assert lines[2].startswith("0.25 ┤")


def test_a_logarithm_puts_tenfolds_at_equal_distances() -> None:
    x = np.logspace(-4, 0, 400)
    drawn = Curve(x, np.log10(x), log=True, mark=0.01).drawn(48, 6).splitlines()
    place = drawn[-2].index("▲") - drawn[-3].index("└") - 1
    assert abs(place - (48 - 5) // 2) <= 1
    assert drawn[-2].split() == ["▲", "0.01"]
    assert drawn[-1].split() == ["0.0001", "1"]


def test_what_is_not_finite_is_left_out_and_nothing_at_all_is_refused() -> None:
    found = Curve([0, 1, 2, 3], [1.0, np.nan, np.inf, 2.0]).drawn(40, 4)
    assert found.splitlines()[0].startswith("2 ┤")
    with pytest.raises(DataError, match="no point of the curve is finite"):
        Curve([0, 1], [np.nan, np.nan]).drawn()
    with pytest.raises(DataError, match="these are 2 and 3"):
        Curve([0, 1], [1, 2, 3]).drawn()


def test_a_terminal_of_plain_letters_gets_plain_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain:
        encoding = "ascii"

    monkeypatch.setattr(sys, "stdout", Plain())
    found = Curve(ALONG, ALONG**2, mark=500.0).drawn()
    monkeypatch.undo()
    assert found.isascii()
    assert "*" in found


def test_a_picture_is_a_png_in_a_folder_that_is_made(tmp_path: Path) -> None:
    place = schedules.Cosine(0.1, 100).plot(tmp_path / "new" / "cosine.png", 120)
    assert place.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    broken: Any = None
    monkeypatch.setitem(sys.modules, "matplotlib", broken)
    with pytest.raises(MissingExtraError, match=r"chainrule\[plot\]"):
        schedules.Cosine(0.1, 100).plot(tmp_path / "cosine.png", 120)


def test_any_schedule_is_drawn_a_function_of_ones_own_too() -> None:
    def halving(step: Any) -> Any:
        return 0.5 ** (0.01 * step) if isinstance(step, float) else 1.0 / (step + 1.0)

    assert schedules.draw(halving, 50).splitlines()[0] == "halving"
    assert schedules.draw(0.1, 50).splitlines()[0] == "0.1"
    assert schedules.draw(schedules.Cosine(0.1, 9), 10).startswith("Cosine(initial=0.1, steps=9, final=0.0)\n")
