"""The network of objects: a published example, an independent computation, what it learns, and its parts."""

from __future__ import annotations

import ast
import math
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from chainrule import neurons
from chainrule.neurons import ConstNode, Network, Node
from tests.neurons.making import SHAPES, XOR_LABELS, XOR_SAMPLES, numbers, scattered

EXAMPLES = Path(__file__).parents[2] / "examples"
# ---- the numbers are right ----------------------------------------------------------------------------------


@pytest.mark.tiny
def test_published_worked_example() -> None:
    """M. Mazur, "A Step by Step Backpropagation Example", 2015: its numbers, as printed there.

    Its biases are not trained, so only the weights are compared after the step.
    """
    network = Network([2, 2, 2])
    weights = [0.15, 0.20, 0.35, 0.25, 0.30, 0.35, 0.40, 0.45, 0.60, 0.50, 0.55, 0.60]
    for connection, weight in zip(network.connections, weights, strict=True):
        connection.weight = weight
    label, sample = [0.01, 0.99], [0.05, 0.10]
    assert network.predict(sample) == pytest.approx([0.75136507, 0.772928465], abs=1e-9)
    assert [node.net for node in network.layers[1].nodes[:2]] == pytest.approx([0.3775, 0.3925])
    assert network.layers[1].nodes[0].output == pytest.approx(0.593269992, abs=1e-9)
    assert network.loss(label, sample) == pytest.approx(0.298371109, abs=1e-9)
    network.train_one_sample(label, sample, rate=0.5)
    assert network.layers[2].nodes[0].delta == pytest.approx(0.138498562, abs=1e-9)
    assert network.layers[2].nodes[0].upstream[0].get_gradient() == pytest.approx(0.082167041, abs=1e-9)
    assert network.layers[1].nodes[0].upstream[0].get_gradient() == pytest.approx(0.000438568, abs=1e-9)
    trained = [connection.weight for connection in network.connections if connection.upstream_node.node_index < 2]
    assert trained == pytest.approx(
        [0.149780716, 0.19956143, 0.24975114, 0.29950229, 0.35891648, 0.408666186, 0.511301270, 0.561370121], abs=1e-8
    )


def in_matrices(
    network: Network, names: list[str], bias: float, label: Sequence[float], sample: Sequence[float]
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Outputs, deltas and gradients by layer, computed with matrices and the derivatives in terms of net."""
    value: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "sigmoid": lambda net: 1.0 / (1.0 + np.exp(-net)),
        "tanh": np.tanh,
        "identity": lambda net: net,
    }
    slope: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "sigmoid": lambda net: np.exp(-net) / (1.0 + np.exp(-net)) ** 2,
        "tanh": lambda net: 1.0 / np.cosh(net) ** 2,
        "identity": np.ones_like,
    }
    matrices = [
        np.array([[arrow.weight for arrow in node.upstream] for node in layer.nodes[: layer.node_count]])
        for layer in network.layers[1:]
    ]
    outputs, nets = [np.array(sample)], []
    for matrix, name in zip(matrices, names, strict=True):
        nets.append(matrix @ np.append(outputs[-1], bias))
        outputs.append(value[name](nets[-1]))
    deltas = [(outputs[-1] - np.array(label)) * slope[names[-1]](nets[-1])]
    for position in range(len(matrices) - 1, 0, -1):
        arriving = matrices[position][:, :-1].T @ deltas[0]
        deltas.insert(0, arriving * slope[names[position - 1]](nets[position - 1]))
    gradients = [np.outer(delta, np.append(below, bias)) for delta, below in zip(deltas, outputs, strict=False)]
    return outputs, deltas, gradients


@pytest.mark.parametrize(("layers", "activation", "bias"), SHAPES)
def test_agrees_with_matrices(layers: list[int], activation: str | list[str], bias: float) -> None:
    network = scattered(layers, activation, bias)
    names = [activation] * (len(layers) - 1) if isinstance(activation, str) else activation
    for step in range(20):
        sample, label = numbers(layers[0], seed=step), numbers(layers[-1], seed=100 + step)
        outputs, deltas, gradients = in_matrices(network, names, bias, label, sample)
        network.train_one_sample(label, sample, rate=0.1)
        for layer, output in zip(network.layers, outputs, strict=True):
            got = [node.output for node in layer.nodes[: layer.node_count]]
            np.testing.assert_allclose(got, output, rtol=0, atol=1e-13)
        for layer, delta, gradient in zip(network.layers[1:], deltas, gradients, strict=True):
            nodes = layer.nodes[: layer.node_count]
            np.testing.assert_allclose([node.delta for node in nodes], delta, rtol=0, atol=1e-13)
            by_node = [[arrow.get_gradient() for arrow in node.upstream] for node in nodes]
            np.testing.assert_allclose(by_node, gradient, rtol=0, atol=1e-13)


def test_delta_of_the_input_nodes_is_the_gradient_of_the_sample() -> None:
    network, label, sample, step = scattered([3, 4, 2], "tanh"), [0.3, -0.2], [0.5, -0.4, 0.1], 1e-5
    network.get_gradient(label, sample)
    deltas = [node.delta for node in network.layers[0].nodes[:3]]
    for position, delta in enumerate(deltas):
        above, below = list(sample), list(sample)
        above[position] += step
        below[position] -= step
        measured = (network.loss(label, above) - network.loss(label, below)) / (2 * step)
        assert delta == pytest.approx(measured, rel=1e-7)


@pytest.mark.tiny
def test_update_goes_down_by_rate_times_gradient() -> None:
    network, label, sample = scattered([2, 3, 1]), [1.0], [0.2, 0.7]
    weights = [connection.weight for connection in network.connections]
    loss = network.loss(label, sample)
    gradients = network.get_gradient(label, sample)
    network.train_one_sample(label, sample, rate=0.25)
    for connection, weight, gradient in zip(network.connections, weights, gradients, strict=True):
        assert connection.weight == weight - 0.25 * gradient
        assert connection.get_gradient() == connection.gradient == gradient
    assert network.loss(label, sample) < loss


def test_sigmoid_far_out() -> None:
    assert neurons.sigmoid(-40.0) == pytest.approx(math.exp(-40.0), rel=1e-15)
    assert neurons.sigmoid(-1e9) == 0.0
    assert neurons.sigmoid(1e9) == 1.0


# ---- it learns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_learns_xor(seed: int) -> None:
    bias_output = 1.0 if seed % 2 == 0 else -1.0
    network = Network([2, 8, 1], bias_output=bias_output, seed=seed)
    network.train(XOR_LABELS, XOR_SAMPLES, rate=1.0, iteration=4000)
    for label, sample in zip(XOR_LABELS, XOR_SAMPLES, strict=True):
        assert network.predict(sample) == pytest.approx(label, abs=0.05)


@pytest.mark.tiny
def test_cannot_learn_xor_without_a_hidden_layer() -> None:
    network = Network([2, 1])
    network.train(XOR_LABELS, XOR_SAMPLES, rate=0.5, iteration=500)
    wrong = [abs(network.predict(x)[0] - t) for x, (t,) in zip(XOR_SAMPLES, XOR_LABELS, strict=True)]
    assert max(wrong) > 0.4


@pytest.mark.parametrize("seed", range(3))
def test_learns_the_eight_one_bit_numbers_through_three_nodes(seed: int) -> None:
    """The encoder of Rumelhart, Hinton and Williams (1986): one of eight bits, through three sigmoid nodes."""
    samples = [[float(place == bit) for place in range(8)] for bit in range(8)]
    network = Network([8, 3, 8], seed=seed)
    network.train(samples, samples, rate=3.0, iteration=1000)
    for sample in samples:
        assert [float(round(output)) for output in network.predict(sample)] == sample


def test_example_xor_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "xor_by_hand.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert printed.count(" right") == 4
    assert "(0-2) -> (1-0) = " in printed


def test_example_eight_bit(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "eight_bit.py"), run_name="__main__")
    assert "accuracy over all 256 numbers: 100.0%" in capsys.readouterr().out


@pytest.mark.tiny
def test_training_is_reproducible_and_can_be_cut_into_calls() -> None:
    def trained(seed: int, calls: list[int]) -> list[float]:
        network = Network([2, 3, 1], seed=seed)
        for iteration in calls:
            network.train(XOR_LABELS, XOR_SAMPLES, rate=0.5, iteration=iteration)
        return [connection.weight for connection in network.connections]

    assert trained(1, [20]) == trained(1, [5, 0, 15])
    assert trained(1, [20]) != trained(2, [20])


def test_divergence_is_named_and_leaves_finite_weights() -> None:
    network = scattered([1, 2, 1], "identity")
    with pytest.raises(ArithmeticError, match="diverged, try a rate well below 50"):
        network.train([[1.0], [-1.0]], [[2.0], [3.0]], rate=50.0, iteration=1000)
    assert all(math.isfinite(connection.weight) for connection in network.connections)


# ---- its parts -----------------------------------------------------------------------------------------------


@pytest.mark.tiny
def test_parts_and_their_order() -> None:
    network = Network([2, 3, 1], bias_output=-1.0)
    assert [len(layer.nodes) for layer in network.layers] == [3, 4, 1]
    assert [layer.node_count for layer in network.layers] == [2, 3, 1]
    assert [type(layer.nodes[-1]) for layer in network.layers] == [ConstNode, ConstNode, Node]
    assert network.layers[0].nodes[-1].output == -1.0
    in_order = [arrow for layer in network.layers for node in layer.nodes for arrow in node.upstream]
    assert in_order == list(network.connections)
    assert len(network.connections) == 3 * 3 + 4
    assert network.connections[0] is network.layers[0].nodes[0].downstream[0]
    for position, arrow in enumerate(network.layers[1].nodes[2].upstream):
        assert arrow.upstream_node is network.layers[0].nodes[position]
    network.get_gradient([1.0], [0.3, 0.4])
    assert network.layers[0].nodes[-1].output == -1.0
    assert network.layers[0].nodes[-1].delta == 0.0


def test_weights_start_uniform_within_a_tenth() -> None:
    weights = [connection.weight for connection in Network([30, 40, 10], seed=3).connections]
    assert max(map(abs, weights)) <= 0.1
    assert max(weights) > 0.099
    assert min(weights) < -0.099
    assert abs(sum(weights) / len(weights)) < 0.005
    assert weights != [connection.weight for connection in Network([30, 40, 10], seed=4).connections]


@pytest.mark.tiny
def test_dump(capsys: pytest.CaptureFixture[str]) -> None:
    network = Network([1, 2])
    for connection, weight in zip(network.connections, [0.5, -0.25, 1.0, 0.034567], strict=True):
        connection.weight = weight
    network.predict([2.0])
    network.dump()
    assert capsys.readouterr().out.splitlines() == [
        "(0-0): output = 2.000000, delta = 0.000000",
        "(0-1): output = 1.000000, delta = 0.000000",
        "(1-0): output = 0.679179, delta = 0.000000",
        "(1-1): output = 0.884379, delta = 0.000000",
        "(0-0) -> (1-0) = 0.500000",
        "(0-1) -> (1-0) = -0.250000",
        "(0-0) -> (1-1) = 1.000000",
        "(0-1) -> (1-1) = 0.034567",
    ]


def test_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(neurons.__file__).read_text(encoding="utf-8"))
    modules = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            modules.append(node.module or "")
    assert modules
    assert {module.split(".")[0] for module in modules} <= sys.stdlib_module_names


# ---- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network([]), "at least two"),
        (lambda: Network([3]), r"layers is \[3\]: give at least two"),
        (lambda: Network([2, 0, 1]), "a whole number of at least 1"),
        (lambda: Network([2, 1.5]), "a whole number of at least 1"),  # type: ignore[list-item]
        (lambda: Network([2, 1], "relu"), "'relu' is not known: choose from sigmoid, tanh, identity"),
        (lambda: Network([2, 3, 1], ["tanh"]), "1 activations came, but 2 layers follow the input"),
        (lambda: Network([2, 1], bias_output=math.nan), "bias_output is nan: give 1, -1"),
        (lambda: Network([2, 1], bias_output=0.5), "bias_output is 0.5: give 1, -1"),
        (lambda: Network([2, 1]).predict([1.0]), "sample has length 1: the input layer has 2 nodes"),
        (lambda: Network([2, 1]).predict([1.0, math.nan]), "sample holds nan at position 1"),
        (lambda: Network([2, 1]).predict(0.5), "sample is 0.5: the input layer has 2"),  # type: ignore[arg-type]
        (lambda: Network([2, 1]).loss([1.0, 2.0], [0.0, 1.0]), "label has length 2: the output layer has 1"),
        (lambda: Network([2, 1]).get_gradient([math.inf], [0.0, 1.0]), "label holds inf at position 0"),
        (lambda: Network([2, 1]).get_gradient([], [0.0, 1.0]), "label has length 0"),
        (lambda: Network([2, 1]).train_one_sample([1.0], [1.0], 0.1), "sample has length 1"),
        (lambda: Network([2, 1]).gradient_check([1.0, 0.0], [1.0]), "sample has length 1"),
        (lambda: Network([2, 1]).train([[1.0]], [], 0.1, 1), "1 labels came with 0 samples"),
        (lambda: Network([2, 1]).train([], [], 0.0, 1), "rate is 0.0: give a positive number"),
        (lambda: Network([2, 1]).train([], [], math.nan, 1), "rate is nan"),
        (lambda: Network([2, 1]).train([], [], 0.1, -1), "iteration is -1"),
    ],
)
def test_bad_input(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.tiny
def test_bad_row_is_named_before_any_step() -> None:
    network = Network([2, 1])
    weights = [connection.weight for connection in network.connections]
    with pytest.raises(ValueError, match="sample 1 has length 3"):
        network.train([[0.0], [1.0]], [[0.0, 1.0], [0.0, 1.0, 2.0]], rate=0.1, iteration=1)
    with pytest.raises(ValueError, match="label 1 holds nan"):
        network.train([[0.0], [math.nan]], [[0.0, 1.0], [0.0, 1.0]], rate=0.1, iteration=1)
    assert weights == [connection.weight for connection in network.connections]
