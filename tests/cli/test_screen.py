"""How things look: tables, pictures, colours where there is a terminal, and plain letters where there is none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from chainrule.cli.drawing import draw, is_picture, side_by_side
from chainrule.cli.screen import Piece, share
from chainrule.metrics import ConfusionMatrix, confusion_matrix
from tests.cli.calling import environment, process


def plain(lines: list[list[Piece]]) -> list[str]:
    return ["".join(piece if isinstance(piece, str) else piece[0] for piece in line) for line in lines]


@pytest.mark.tiny
def test_the_confusion_matrix_counts_true_classes_in_rows() -> None:
    found = confusion_matrix([0, 0, 1, 2, 2], [0, 1, 1, 2, 0])
    assert found.counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]
    assert plain(found.lines(80)) == [
        "    0   1   2",
        "0   1   1   ·",
        "1   ·   1   ·",
        "2   1   ·   1",
    ]


def test_long_names_get_a_letter_and_many_classes_a_list() -> None:
    counts = np.diag([5, 7])
    counts[0, 1] = 1234
    lines = plain(ConfusionMatrix(counts, ("a rather long name", "short")).lines(80))
    assert lines == [
        "                        a    b",
        "a rather long name a    5 1234",
        "             short b    ·    7",
    ]
    many = np.eye(40, dtype=np.int64) * 9
    many[3, 5], many[7, 1] = 4, 2
    lines = plain(ConfusionMatrix(many, tuple(f"class {number}" for number in range(40))).lines(80))
    assert lines[0] == "The commonest mistakes, of 6:"
    assert lines[1].split() == "4 times class 3 was taken for class 5".split()
    assert lines[2].split() == "2 times class 7 was taken for class 1".split()
    assert "69.23% of class 3 (9 of 13)" in lines[4]
    assert len(lines) == 6
    assert plain(ConfusionMatrix(np.eye(40, dtype=np.int64), tuple(map(str, range(40)))).lines(80)) == [
        "No sample was taken for another class."
    ]


@pytest.mark.tiny
def test_a_picture_is_drawn_where_its_ink_is() -> None:
    picture = np.zeros((8, 8))
    picture[:4, :4] = 16
    lines = draw(picture, (8, 8), 0, 16)
    assert len(lines) == 7
    assert {len(line) for line in lines} == {14}
    assert all(line[:7] == "█" * 7 and not line[7:].strip() for line in lines[:3])
    assert not "".join(lines[4:]).strip()
    grey = draw(np.full((28, 28, 3), 7.9), (28, 28, 3), 0, 16)
    assert {len(line) for line in grey} == {25}
    assert set("".join(grey)) == {"▒"}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((8, 8), True), ((8, 8, 1), True), ((8, 8, 3), True), ((64,), False), ((8, 2), False), ((8, 8, 2), False)],
)
def test_what_a_picture_is(shape: tuple[int, ...], expected: bool) -> None:
    assert is_picture(shape) == expected


def test_pictures_stand_side_by_side_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pictures = [["    ", "####", "    "]] * 2 + [["    ", " ## ", "    "]] * 12
    lines = side_by_side(pictures, [[f"p{number}"] for number in range(14)])
    assert lines[0] == "####  ####" + "   ## " * 10 + "   ##"
    assert lines[1].split() == [f"p{number}" for number in range(13)]
    assert lines[2:] == ["", " ##", "p13"]


def test_a_share_is_whole_only_if_it_is() -> None:
    assert share(9_999_999, 10_000_000) == "99.99%"
    assert share(0, 7) == "0.00%"


def test_an_encoding_without_blocks_gets_other_letters(tmp_path: Path) -> None:
    called = process(tmp_path, "train", "digits", "--epochs", "2", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert called.returncode == 0, called.stderr
    text = called.stdout.decode("ascii")
    drawn = text[text.index("The 5 most confused") : text.index("Saved")]
    assert sum(drawn.count(letter) for letter in ".:*#") > 100


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of another kind")
@pytest.mark.parametrize("colourless", [False, True])
def test_colours_are_for_terminals(tmp_path: Path, colourless: bool) -> None:
    import pty

    own, theirs = pty.openpty()
    settings = {"TERM": "xterm-256color", "COLUMNS": "80"} | ({"NO_COLOR": "1"} if colourless else {})
    running = subprocess.Popen(
        [sys.executable, "-m", "chainrule", "train", "xor", "--epochs", "2"],
        cwd=tmp_path, env=environment(**settings), stdout=theirs, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs)
    content = b""
    while True:
        try:
            part = os.read(own, 4096)
        except OSError:  # Linux says so at the end
            break
        if not part:
            break
        content += part
    os.close(own)
    assert running.wait(timeout=60) == 0
    assert (b"\x1b[" in content) == (not colourless)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", content.decode())
    assert "Confusion matrix: a row for each true class" in shown


def test_nothing_is_coloured_in_a_pipe(tmp_path: Path) -> None:
    called = process(tmp_path, "train", "xor", "--epochs", "2")
    assert b"\x1b" not in called.stdout + called.stderr
