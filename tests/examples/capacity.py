"""What a network can say, and what it should not have learned."""

from __future__ import annotations

import numpy as np

from tests.examples.reading import numbers


def overfitting(variables: dict[str, object], text: str) -> None:
    learned, right, loss, norm, _ = numbers(text, "none")
    assert learned == 1
    assert right < 0.7
    for name in ("L1", "L2", "dropout", "early stopping", "noise", "more data"):
        less, better, lower, size, _ = numbers(text, name)
        assert less < learned, name
        assert better > right, name
        assert lower < loss, name
        assert name not in ("L1", "L2") or size < norm / 2
    assert numbers(text, "early stopping")[-1] < 50
    sizes = variables["first_weights"]
    assert isinstance(sizes, dict)
    assert {name: (weights < 0.01).mean() > 0.5 for name, weights in sizes.items() if name != "L2"} == {
        name: name == "L1" for name in sizes if name != "L2"
    }


def approximation(variables: dict[str, object], text: str) -> None:
    errors = [numbers(text, f"{width} ")[1] for width in (1, 4, 16, 64)]
    assert (np.diff(errors) < 0).all()
    assert errors[0] > 0.5
    assert errors[-1] < 0.1
    assert "64 hidden units" in text


def depth_and_width(variables: dict[str, object], text: str) -> None:
    rows = {depth: numbers(text.replace(",", ""), f"{depth} ") for depth in (1, 2, 16)}
    assert all(9_000 < row[1] <= 10_000 for row in rows.values())
    assert min(rows[1][3], rows[2][3]) > 0.93
    assert rows[16][3] < 0.7
