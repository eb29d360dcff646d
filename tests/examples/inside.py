"""What is seen inside a trained network."""

from __future__ import annotations

from typing import Any

from tests.examples.reading import share


def looking_inside(variables: dict[str, Any], text: str) -> None:
    assert share(text.splitlines()[0]) > 0.85
    fallen = variables["fallen"]
    # What attributes the output, or tries it out, knows more of it than its slope at one point, or than chance.
    for name in ("occlusion", "integrated gradients"):
        assert fallen[name] > 1.5 * max(fallen["gradient"], fallen["at random"])
    assert variables["gap"] < 0.1
    assert (variables["excited"] > variables["run"].outputs(variables["test"].inputs).max(axis=0)).all()
    assert "of 359 samples are taken for another class" in text
