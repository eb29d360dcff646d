"""The first steps: one unit, small networks, steps and rules of stopping of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.examples.reading import lines, share


def digits(variables: dict[str, object], text: str) -> None:
    assert float(re.findall(r"'accuracy': ([\d.]+)", text)[0]) > 0.96
    assert sorted(path.name for path in Path("digits-run").iterdir()) == [
        "checkpoint.safetensors", "metrics.jsonl", "run.toml", "weights.safetensors",
    ]  # fmt: skip


def perceptron(variables: dict[str, object], text: str) -> None:
    assert "gives [0, 0, 0, 1], wanted [0, 0, 0, 1]: learned" in lines(text)["AND"]
    assert "gives [0, 1, 1, 1], wanted [0, 1, 1, 1]: learned" in lines(text)["OR"]
    assert "not learned in 100: no line can part it" in lines(text)["XOR"]


def linear_unit(variables: dict[str, object], text: str) -> None:
    rows = {name: line.split() for name, line in lines(text).items() if name in ("batch", "mini-batch", "stochastic")}
    assert {name: row[1:5] for name, row in rows.items()} == {
        "batch": ["10", "200", "200", "2000"],
        "mini-batch": ["4", "200", "600", "2000"],
        "stochastic": ["1", "200", "2000", "2000"],
    }
    assert "the best line, solved at once: 31.20 + 6.47 a year" in text
    for row in rows.values():
        assert abs(float(row[5]) - 31.20) < 1
        assert abs(float(row[7]) - 6.47) < 0.2


def descent(variables: dict[str, object], text: str) -> None:
    path, loss = variables["path"], variables["loss"]
    assert callable(path)
    assert callable(loss)
    small, right, large = (path(-0.6, rate, None, 7)["loss"] for rate in (0.03, 0.3, 0.87))
    assert (np.diff(small) < 0).all()
    assert small[-1] > 3
    assert (np.diff(right) < 0).all()
    assert right[-1] < 0.2
    assert (np.diff(large) > 0).all()
    # The points stand on the parabola that NumPy drew.
    steps = path(-0.6, 0.87, None, 7)
    np.testing.assert_allclose(steps["loss"], loss(steps["0.weight"]), rtol=1e-12)


def autoencoder(variables: dict[str, object], text: str) -> None:
    error, spread = map(float, re.findall(r"(0\.\d+)", text)[:2])
    assert error < spread / 4


def adversarial_pair(variables: dict[str, object], text: str) -> None:
    drawings = variables["drawings"]
    assert isinstance(drawings, np.ndarray)
    assert drawings.shape == (36, 64)
    assert drawings.min() >= 0
    assert drawings.max() <= 1
    assert "epoch 3: judge loss" in text


def two_inputs(variables: dict[str, object], text: str) -> None:
    same, digit = (float(number) for number in re.findall(r"([\d.]+)%", text))
    assert same > 90
    assert digit > 94


def tanh_labels(variables: dict[str, object], text: str) -> None:
    assert "[ 1. -1. -1.]" in text
    assert share(text) > 0.9
    pairs = re.findall(r"that is +([\d,]+); the price is +([\d,]+)", text)
    for said, price in pairs:
        assert abs(int(said.replace(",", "")) - int(price.replace(",", ""))) < 20_000
    assert len(pairs) == 4


def stopping(variables: dict[str, object], text: str) -> None:
    assert "60 epochs, loss" in lines(text)["epochs"]
    assert re.search(r"loss 0.0\d+ reached 0.05", lines(text)["loss threshold"])
    assert "reached 0.1" in lines(text)["gradient norm"]
    assert "has not improved for 5 epochs" in lines(text)["no improvement"]
    assert lines(text)["a rule of one's own"].endswith(": 98 %")


def eight_bit(variables: dict[str, object], text: str) -> None:
    assert share(text) == 1
    assert next(int(right) for right in re.findall(r"(\d+) of 256", text)) < 20
