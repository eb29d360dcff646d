"""What one adds oneself: ops, layers, updates, engines."""

from __future__ import annotations

from tests.examples.reading import lines, share


def your_own_op(variables: dict[str, object], text: str) -> None:
    assert "dx = g/(1 + x²)" in text
    assert "right: True True" in text
    assert "[1.  0.5 0.2]" in text
    assert share(text) > 0.95


def your_own_layer(variables: dict[str, object], text: str) -> None:
    assert "0.gate.weight [64, 32]" in text
    assert share(text) > 0.94
    assert "it says the same: True" in text


def your_own_update(variables: dict[str, object], text: str) -> None:
    losses = {name: float(line.split("loss ")[1].split()[0]) for name, line in lines(text).items()}
    assert losses["AdaGrad"] < losses["plain descent"]
    assert share(lines(text)["clipped AdaGrad"]) > 0.95


def your_own_engine(variables: dict[str, object], text: str) -> None:
    assert share(lines(text)["reference"]) > 0.95
    assert share(lines(text)["16 bits"]) > 0.95
    assert "the engine of 16 bits lacks the ops tanh" in text
