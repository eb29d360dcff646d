"""What programs that train beside a peer share: how far curves are apart, and tables as the pages have them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks import courses


def test_curves_are_apart_by_their_largest_difference_and_by_their_means() -> None:
    one = np.zeros(250)
    other = np.zeros(230)
    other[7], other[100:200], other[210] = 0.5, 0.25, 9.0  # what is left of a hundred has no mean
    assert courses.apart(one, other) == (0.5, 0.25)
    assert courses.apart(one[:30], other) == (0.5, 0.0)


def test_a_curve_is_kept_as_means() -> None:
    assert courses.curve(np.array([1.0] * courses.TOGETHER + [3.0, 4.0])) == [1.0, 3.5]


def test_tables_are_markdown() -> None:
    assert courses.table(["a", "b"], [["x", "1", "2"]]) == "| | a | b |\n|---|---:|---:|\n| x | 1 | 2 |"
    assert courses.table(["a"], [["1", "2"]], "n", words=False) == "| n | a |\n|---:|---:|\n| 1 | 2 |"
    rows = {"ours": {"curve": [1.0, 0.5, 0.25]}, "theirs": {"curve": [1.0, 0.5]}}
    assert courses.curves_table(rows, (0, 1, 2), 2, first="step").splitlines() == [
        "| step | 50 | 100 |", "|---|---:|---:|", "| ours | 1.00 | 0.50 |", "| theirs | 1.00 | 0.50 |",
    ]  # fmt: skip


def test_a_page_is_written_beside_what_is_kept(tmp_path: Path) -> None:
    kept = {"made": courses.made(), "machine": courses.machine(), "rows": [1]}
    courses.keep(tmp_path / "kept.json", kept)
    assert courses.publish(tmp_path / "kept.json", lambda found: courses.told_of(found, "!")) == json.loads(
        json.dumps(kept)
    )
    page = (tmp_path / "kept.md").read_text()
    assert page.startswith("chainrule ")
    assert page.endswith(f"{courses.machine()}!.")
