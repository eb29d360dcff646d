"""What deep networks do to gradients, and what helps."""

from __future__ import annotations

import numpy as np

from tests.examples.reading import lines, share


def equal_weights(variables: dict[str, object], text: str) -> None:
    found = {name: (float(line.split()[-2]), share(line)) for name, line in lines(text).items() if "%" in line}
    for name in ("all 0", "all 0.1"):
        assert found[name][0] == 0
        assert found[name][1] < 0.5
    for name in ("uniform ±0.1", "normal, 0.1", "Glorot"):
        assert found[name][0] > 1
        assert found[name][1] > 0.9


def vanishing(variables: dict[str, object], text: str) -> None:
    norms, accuracies = variables["norms"], variables["accuracies"]
    assert isinstance(norms, dict)
    assert isinstance(accuracies, dict)
    assert all(len(column) == 20 for column in norms.values())
    kept = {name: column[0] / column[-1] for name, column in norms.items()}  # of the gradient, on its way back
    assert kept["sigmoid"] < 1e-9
    assert min(kept[name] for name in kept if name != "sigmoid") > 0.1
    assert accuracies["sigmoid"] < 0.2
    assert min(accuracies[name] for name in ("batch norm", "layer norm", "residual")) > 0.7
    assert accuracies["ReLU and He"] > 0.3  # it takes its time, and has it in the full length


def vanishing_through_time(variables: dict[str, object], text: str) -> None:
    learned, norms = variables["learned"], variables["norms"]
    assert isinstance(learned, dict)
    assert isinstance(norms, dict)
    assert learned == {
        ("adding", 10, "simple"): False,
        ("adding", 10, "LSTM"): 200,
        ("copying", 10, "simple"): 200,
        ("copying", 10, "LSTM"): False,
    }
    assert {key: one[0].steps for key, one in norms.items()} == {key: 10 + 6 * (key[0] == "copying") for key in learned}
    for (task, _, cell), (before, after) in norms.items():
        assert after.first / after.last > 2 * before.first / before.last, "what is to be remembered is learned to be"
        assert f"{before.first / before.last:7.0e} → {after.first / after.last:7.0e}" in text
        assert f"{cell:8} {'  200 steps' if learned[task, 10, cell] else 'not: '}" in text


def exploding(variables: dict[str, object], text: str) -> None:
    accuracies = variables["accuracies"]
    assert isinstance(accuracies, dict)
    long, large = (
        {way: column[0] for (name, way), column in accuracies.items() if name == network}
        for network in ("steps too long", "weights too large")
    )
    assert long.pop("clipped") > 0.9
    assert max(long.values()) < 0.3
    assert min(large["weight decay"], large["both"]) > 0.7
    assert max(large["as it is"], large["clipped"]) < 0.5
    depths = variables["depths"]
    assert isinstance(depths, dict)
    norms = depths["weights too large", "weight decay"]
    assert norms.shape == (13, 20 * 45)
    growth = norms[0] / norms[-2]  # from the last layer but one to the first, by step
    assert growth[0] > 20
    assert np.median(growth[-100:]) < growth[0] / 3


def activations(variables: dict[str, object], text: str) -> None:
    with_derivative, found = variables["with_derivative"], variables["activations"]
    assert callable(with_derivative)
    assert isinstance(found, dict)
    x = np.array([-3.0, -0.5, 0.0, 0.7, 4.0])
    by_hand = {
        "sigmoid": np.exp(-x) / (1 + np.exp(-x)) ** 2,
        "tanh": 1 - np.tanh(x) ** 2,
        "ReLU": np.where(x > 0, 1.0, 0.0),
        "leaky ReLU": np.where(x > 0, 1.0, 0.01),
    }
    for name, slope in by_hand.items():
        np.testing.assert_allclose(with_derivative(found[name], x)[1], slope, rtol=1e-12)
    assert "0.25^20 = 9.09e-13" in text


def saturated_output(variables: dict[str, object], text: str) -> None:
    paths = variables["paths"]
    assert isinstance(paths, dict)
    for (name, start), steps in paths.items():
        said = 1 / (1 + np.exp(-start))
        factor = said * (1 - said) if name == "squared error" else 1.0
        np.testing.assert_allclose(steps["said"][0], said, rtol=1e-12)
        np.testing.assert_allclose(steps["slope"][0], (said - 1) * factor, rtol=1e-12)
    needed = {key: int((steps["said"] <= 0.5).sum()) for key, steps in paths.items()}
    assert needed["squared error", -8.0] > 2000
    assert needed["cross-entropy", -8.0] < 20
    assert "not in 4096" in text


def batch_norm_rates(variables: dict[str, object], text: str) -> None:
    found = variables["found"]
    assert isinstance(found, dict)
    assert found[1.0][0] is None
    assert found[1.0][1] > 0.6
    assert found[0.1][1] > found[0.1][0] + 0.2
