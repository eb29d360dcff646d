"""Every example runs as it stands, and shows what it says it shows."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chainrule import extending
from chainrule.errors import MissingExtraError

FOLDER = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
#: Arguments that make an example short enough for a test; its picture is judged by eye, in its full length.
LONG = ["approximation", "depth_and_width", "batch_norm_rates", "local_minima", "populations"]
DRAWING = ["overfitting", "activations", "saturated_output", "equal_weights", "warm_restarts", *LONG]
ARGUMENTS = {
    "adversarial_pair": ["pictures", "3"],
    **{name: ["--picture", f"pictures/{name}.png"] for name in DRAWING},
    "augmented_digits": ["--short", "--picture", "pictures/augmented_digits.png"],
    "learning_rates": ["--epochs", "6", "--picture", "pictures/learning_rates.png"],
    "batch_sizes": ["--epochs", "4", "--picture", "pictures/batch_sizes.png"],
    "optimizer_paths": ["--picture", "pictures/optimizer_paths.png"],
    "optimizer_race": ["--epochs", "4", "--picture", "pictures/optimizer_race.png"],
    "schedules_compared": ["--epochs", "8", "--picture", "pictures/schedules_compared.png"],
    "second_order": ["--short", "--picture", "pictures/second_order.png"],
    "vanishing": ["--epochs", "3", "--picture", "pictures/vanishing.png"],
    "exploding": ["--seeds", "1", "--epochs", "20", "--picture", "pictures/exploding.png"],
}
for long in LONG:
    ARGUMENTS[long].insert(0, "--short")
PICTURES = {
    "adversarial_pair": ["adversarial-pair.png"],
    "autoencoder": ["autoencoder.png"],
    "descent": ["descent-parabola.png", "descent-contours.png"],
    **{name: [f"{name}.png"] for name in DRAWING},
    "augmented_digits": ["augmented_digits.png"],
    "learning_rates": ["learning_rates.png"],
    "batch_sizes": ["batch_sizes.png"],
    "optimizer_paths": ["optimizer_paths.png"],
    "optimizer_race": ["optimizer_race.png"],
    "schedules_compared": ["schedules_compared.png"],
    "second_order": ["second_order.png"],
    "vanishing": ["vanishing.png"],
    "exploding": ["exploding.png"],
}

Run = Callable[[str], tuple[dict[str, object], str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run an example in an empty folder, and give its variables and what it printed."""

    def run_example(name: str) -> tuple[dict[str, object], str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *ARGUMENTS.get(name, [])])
        try:
            variables = runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        finally:
            for op in list(extending._own):
                extending.remove_op(op)
        return variables, capsys.readouterr().out

    return run_example


def share(text: str) -> float:
    """The last percentage in a text."""
    return float(re.findall(r"([\d.]+)%", text)[-1]) / 100


def lines(text: str) -> dict[str, str]:
    """Lines by their first word or words, up to two spaces."""
    return {line.split("  ")[0].strip(): line for line in text.splitlines() if line.strip()}


# ---- what each one shows ----


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


def second_order(variables: dict[str, object], text: str) -> None:
    wanted = re.search(r"K-FAC wants ([\d.]+) of the steps", text)
    assert wanted is not None
    assert float(wanted[1]) < 1 / 3
    race = variables["race"]
    assert isinstance(race, dict)
    best, second = (losses[-1] for losses, _ in race.values())
    assert second <= best


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


def stopping(variables: dict[str, object], text: str) -> None:
    assert "60 epochs, loss" in lines(text)["epochs"]
    assert re.search(r"loss 0.0\d+ reached 0.05", lines(text)["loss threshold"])
    assert "reached 0.1" in lines(text)["gradient norm"]
    assert "has not improved for 5 epochs" in lines(text)["no improvement"]
    assert lines(text)["a rule of one's own"].endswith(": 98 %")


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


def numbers(text: str, name: str) -> list[float]:
    """The numbers of the first line that begins with a name, percentages as parts of 1."""
    line = next(line for line in text.splitlines() if line.strip().startswith(name)).strip().removeprefix(name)
    return [float(n) / (100 if sign else 1) for n, sign in re.findall(r"(-?\d[\d.]*(?:e[-+]\d+)?)(%?)", line)]


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


def approximation(variables: dict[str, object], text: str) -> None:
    errors = [numbers(text, f"{width} ")[1] for width in (1, 4, 16, 64)]
    assert (np.diff(errors) < 0).all()
    assert errors[0] > 0.5
    assert errors[-1] < 0.1
    assert "64 hidden units" in text


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


def depth_and_width(variables: dict[str, object], text: str) -> None:
    rows = {depth: numbers(text.replace(",", ""), f"{depth} ") for depth in (1, 2, 16)}
    assert all(9_000 < row[1] <= 10_000 for row in rows.values())
    assert min(rows[1][3], rows[2][3]) > 0.93
    assert rows[16][3] < 0.7


def batch_norm_rates(variables: dict[str, object], text: str) -> None:
    found = variables["found"]
    assert isinstance(found, dict)
    assert found[1.0][0] is None
    assert found[1.0][1] > 0.6
    assert found[0.1][1] > found[0.1][0] + 0.2


def local_minima(variables: dict[str, object], text: str) -> None:
    ends = variables["ends"]
    assert isinstance(ends, dict)
    stuck = {key: losses[losses > 0.1] for key, losses in ends.items()}
    assert len(stuck[2, "batch"]) >= 2
    assert len(stuck[2, "stochastic"]) >= 2
    assert len(stuck[3, "batch"]) <= 1
    # Two corners are taken for one, at a probability of one half each.
    assert np.isclose(np.median(stuck[2, "batch"]), np.log(2) / 2, atol=0.01)


def populations(variables: dict[str, object], text: str) -> None:
    rows = [re.findall(r"^(\w.*?)  +(\d+) +([\d,]+) .* ([\d.]+)%$", line) for line in text.splitlines()]
    found = [row[0] for row in rows if row]
    assert len(found) == 8
    evaluations = [int(each.replace(",", "")) for _, _, each, _ in found]
    assert min(float(right) for *_, right in found) > 93
    for task in (evaluations[:4], evaluations[4:]):  # all reached the loss, the gradient in far fewer evaluations
        assert 5 * task[0] < min(task[1:])


SHOWN: dict[str, Callable[[dict[str, object], str], None]] = {
    function.__name__: function
    for function in (
        overfitting, activations, approximation, saturated_output, depth_and_width, batch_norm_rates, local_minima,
        digits, perceptron, linear_unit, descent, autoencoder, adversarial_pair, two_inputs, tanh_labels,
        equal_weights, stopping, your_own_op, your_own_layer, your_own_update, your_own_engine,
        vanishing, learning_rates, batch_sizes, optimizer_paths, optimizer_race, schedules_compared,
        exploding, populations, second_order, warm_restarts,
    )
}  # fmt: skip


# ---- the tests ----


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_shows_what_it_says(name: str, run: Run, tmp_path: Path) -> None:
    variables, text = run(name)
    assert text
    if name in SHOWN:
        SHOWN[name](variables, text)
    for picture in PICTURES.get(name, []):
        found = (tmp_path / "pictures" / picture).read_bytes()
        assert found.startswith(b"\x89PNG")
        assert len(found) > 5_000


@pytest.mark.parametrize("name", NAMES)
def test_an_example_says_what_one_sees_and_how_to_run_it(name: str) -> None:
    source = (FOLDER / f"{name}.py").read_text()
    said = ast.get_docstring(ast.parse(source)) or ""
    assert f"python examples/{name}.py" in said
    assert len(said.splitlines()[0]) > 20
    assert 8 <= len(source.splitlines()) <= 60, "one idea a file"


def test_every_check_has_its_example() -> None:
    assert set(SHOWN) <= set(NAMES)


def test_without_matplotlib_a_picture_says_what_to_install(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "chainrule.explain.pictures", raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[plot\]'"):
        run("descent")
    monkeypatch.undo()
    importlib.import_module("chainrule.explain.pictures")
