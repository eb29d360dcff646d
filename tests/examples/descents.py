"""How one descends: rates, batches, optimizers, schedules, minima."""

from __future__ import annotations

import re

import numpy as np
import pytest


def learning_rates(variables: dict[str, object], text: str) -> None:
    losses, accuracies = variables["losses"], variables["accuracies"]
    assert isinstance(losses, dict)
    assert isinstance(accuracies, dict)
    first, last = ({name: column[place] for name, column in losses.items()} for place in (0, -1))
    assert last["right"] < first["right"] / 3
    assert 0.9 * first["too small"] < last["too small"] < first["too small"]
    assert last["too large"] > 2
    assert min(accuracies["right"], accuracies["large"]) > 0.9
    assert max(accuracies["far too small"], accuracies["too small"], accuracies["too large"]) < 0.3
    assert text.count("loss of each batch") == 3


def batch_sizes(variables: dict[str, object], text: str) -> None:
    table = variables["table"]
    assert isinstance(table, dict)
    sizes = list(table)
    noise = [table[size]["noise / gradient"] for size in sizes]
    for size, found in zip(sizes[:4], noise, strict=False):  # 1/√(batch size), as long as it is a small part of all
        assert found * size**0.5 == pytest.approx(noise[0], rel=0.15)
    assert noise[0] > 3
    assert noise[-1] < 0.01
    assert [table[size]["steps"] for size in sizes] == [4 * -(-1438 // size) for size in sizes]
    held = [table[size]["bytes of a step"] for size in sizes]
    assert (np.diff(held) > 0).all()
    assert held[-1] / held[-2] == pytest.approx(1438 / 256, rel=0.2)  # large batches are nearly all of it
    assert table[1]["test accuracy"] > 0.9 > 0.5 > table[1438]["test accuracy"]


def optimizer_paths(variables: dict[str, object], text: str) -> None:
    paths = variables["paths"]
    assert isinstance(paths, dict)
    assert len(paths) == 15
    rosenbrock = {name: steps["height"] for (ground, name), steps in paths.items() if ground == "Rosenbrock"}
    assert min(rosenbrock, key=lambda name: rosenbrock[name][300]) == "momentum"
    assert max(rosenbrock, key=lambda name: rosenbrock[name][-1]) == "plain"
    for name in ("momentum", "AdaGrad", "RMSprop", "Adam"):  # plain descent is still at the saddle
        assert paths["saddle", name]["y"][-1] > 0.95
    assert paths["saddle", "plain"]["y"][-1] < 0.4
    across = np.sign(paths["ravine", "plain"]["y"][:8])
    assert (across == [1, -1] * 4).all()  # from wall to wall
    steps = paths["Rosenbrock", "Adam"]
    height = (1 - steps["x"]) ** 2 + 100 * (steps["y"] - steps["x"] ** 2) ** 2
    np.testing.assert_allclose(steps["height"], height, rtol=1e-3, atol=1e-4)


def optimizer_race(variables: dict[str, object], text: str) -> None:
    race = variables["race"]
    assert isinstance(race, dict)
    right = {name: epochs[-1]["validation_accuracy"] for name, epochs in race.items()}
    assert len(right) == 9
    assert all(share > 0.85 for share in right.values())
    assert max(right["momentum"], right["Adam"], right["NAdam"]) > 0.95
    assert race["momentum"][-1]["loss"] < race["plain"][-1]["loss"]


def schedules_compared(variables: dict[str, object], text: str) -> None:
    races, lowest = variables["races"], variables["lowest"]
    assert isinstance(races, dict)
    assert isinstance(lowest, dict)
    last = {name: losses[-1] for name, losses in races.items()}
    assert max(last, key=lambda name: last[name]) == "constant"
    assert min(last["cosine"], last["warm restarts"]) < last["constant"] / 2
    assert lowest["constant, small"] < 0.3
    assert lowest["warm restarts"] > 0.9


def warm_restarts(variables: dict[str, object], text: str) -> None:
    shares = variables["shares"]
    assert isinstance(shares, dict)
    ends = {name: column[40::40] for name, column in shares.items()}
    assert np.ptp(ends["falling once"]) < 0.01
    assert (np.diff(ends["warm restarts"]) >= 0).all()
    assert ends["warm restarts"][-1] > ends["falling once"][-1] + 0.15
    assert max(ends["small"][-1], ends["large"][-1]) < 0.35


def local_minima(variables: dict[str, object], text: str) -> None:
    ends = variables["ends"]
    assert isinstance(ends, dict)
    stuck = {key: losses[losses > 0.1] for key, losses in ends.items()}
    assert len(stuck[2, "batch"]) >= 2
    assert len(stuck[2, "stochastic"]) >= 2
    assert len(stuck[3, "batch"]) <= 1
    # Two corners are taken for one, at a probability of one half each.
    assert np.isclose(np.median(stuck[2, "batch"]), np.log(2) / 2, atol=0.01)


def second_order(variables: dict[str, object], text: str) -> None:
    wanted = re.search(r"K-FAC wants ([\d.]+) of the steps", text)
    assert wanted is not None
    assert float(wanted[1]) < 1 / 3
    race = variables["race"]
    assert isinstance(race, dict)
    best, second = (losses[-1] for losses, _ in race.values())
    assert second <= best


def populations(variables: dict[str, object], text: str) -> None:
    rows = [re.findall(r"^(\w.*?)  +(\d+) +([\d,]+) .* ([\d.]+)%$", line) for line in text.splitlines()]
    found = [row[0] for row in rows if row]
    assert len(found) == 8
    evaluations = [int(each.replace(",", "")) for _, _, each, _ in found]
    assert min(float(right) for *_, right in found) > 93
    for task in (evaluations[:4], evaluations[4:]):  # all reached the loss, the gradient in far fewer evaluations
        assert 5 * task[0] < min(task[1:])
