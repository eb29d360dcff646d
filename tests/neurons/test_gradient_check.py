"""The network's check of its own gradients passes, and fails whatever is broken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest

from chainrule import neurons
from chainrule.neurons import Connection, ConstNode, GradientCheckError, Network, Node
from tests.neurons.making import SHAPES, numbers, scattered


@pytest.mark.parametrize(("layers", "activation", "bias"), SHAPES)
def test_gradient_check_passes(layers: list[int], activation: str | list[str], bias: float) -> None:
    for network in (Network(layers, activation, bias), scattered(layers, activation, bias)):
        weights = [connection.weight for connection in network.connections]
        label, sample = numbers(layers[-1], seed=2), numbers(layers[0], seed=3)
        assert network.gradient_check(label, sample) < 1e-6
        assert weights == [connection.weight for connection in network.connections]
        network.predict(sample)
        outputs = [node.output for layer in network.layers for node in layer.nodes]
        network.gradient_check(label, sample)
        assert outputs == [node.output for layer in network.layers for node in layer.nodes]


def flipped_output_delta(node: Node, label: float) -> None:
    node.delta = (label - node.output) * node.activation.derivative(node.output)


def scaled_output_delta(node: Node, label: float) -> None:
    node.delta = 1.001 * (node.output - label) * node.activation.derivative(node.output)


def output_delta_without_slope(node: Node, label: float) -> None:
    node.delta = node.output - label


def hidden_delta(node: Node) -> float:
    arriving = sum(arrow.weight * arrow.downstream_node.delta for arrow in node.downstream)
    return arriving * node.activation.derivative(node.output)


def flipped_hidden_delta(node: Node) -> None:
    node.delta = -hidden_delta(node)


def scaled_hidden_delta(node: Node) -> None:
    node.delta = 1.001 * hidden_delta(node)


def hidden_delta_without_weights(node: Node) -> None:
    arriving = sum(arrow.downstream_node.delta for arrow in node.downstream)
    node.delta = arriving * node.activation.derivative(node.output)


def hidden_delta_of_one_arrow(node: Node) -> None:
    arrow = node.downstream[0]
    node.delta = arrow.weight * arrow.downstream_node.delta * node.activation.derivative(node.output)


def flipped_gradient(connection: Connection) -> None:
    connection.gradient = -connection.downstream_node.delta * connection.upstream_node.output


def gradient_with_ends_exchanged(connection: Connection) -> None:
    connection.gradient = connection.upstream_node.delta * connection.downstream_node.output


def gradient_without_bias(connection: Connection) -> None:
    is_bias = isinstance(connection.upstream_node, ConstNode)
    connection.gradient = 0.0 if is_bias else connection.downstream_node.delta * connection.upstream_node.output


def not_a_number(connection: Connection) -> None:
    connection.gradient = math.nan


SABOTAGE: list[tuple[type, str, Callable[..., None]]] = [
    (Node, "calc_output_layer_delta", flipped_output_delta),
    (Node, "calc_output_layer_delta", scaled_output_delta),
    (Node, "calc_output_layer_delta", output_delta_without_slope),
    (Node, "calc_hidden_layer_delta", flipped_hidden_delta),
    (Node, "calc_hidden_layer_delta", scaled_hidden_delta),
    (Node, "calc_hidden_layer_delta", hidden_delta_without_weights),
    (Node, "calc_hidden_layer_delta", hidden_delta_of_one_arrow),
    (Connection, "calc_gradient", flipped_gradient),
    (Connection, "calc_gradient", gradient_with_ends_exchanged),
    (Connection, "calc_gradient", gradient_without_bias),
    (Connection, "calc_gradient", not_a_number),
]


@pytest.mark.tiny
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize(("owner", "method", "wrong"), SABOTAGE, ids=[wrong.__name__ for _, _, wrong in SABOTAGE])
def test_gradient_check_fails_on_a_broken_gradient(
    owner: type, method: str, wrong: Callable[..., None], activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for network in (Network([3, 4, 2], activation), scattered([3, 4, 2], activation)):
        network.gradient_check([0.2, 0.7], [0.5, -0.4, 0.1])
        with monkeypatch.context() as patch:
            patch.setattr(owner, method, wrong)
            with pytest.raises(GradientCheckError, match=r"\(\d-\d\) -> \(\d-\d\) = .*backpropagation says"):
                network.gradient_check([0.2, 0.7], [0.5, -0.4, 0.1])


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "identity"])
def test_gradient_check_fails_on_the_slope_of_another_activation(name: str) -> None:
    """The output delta is right for each activation by its own derivative, not by luck for one of them."""
    for other in neurons.ACTIVATIONS.keys() - {name}:
        for position in (1, 2):
            network = scattered([3, 4, 2], name)
            for node in network.layers[position].nodes[: network.layers[position].node_count]:
                node.activation = neurons.Activation(
                    neurons.ACTIVATIONS[name].value, neurons.ACTIVATIONS[other].derivative
                )
            with pytest.raises(GradientCheckError):
                network.gradient_check([0.2, 0.7], [0.5, -0.4, 0.1])


class Exchanged(Network):
    """The widely copied mistake: label and sample exchanged on the way to the gradient."""

    def get_gradient(self, label: Sequence[float], sample: Sequence[float]) -> list[float]:
        return super().get_gradient(sample, label)


@pytest.mark.tiny
def test_gradient_check_fails_when_label_and_sample_are_exchanged() -> None:
    with pytest.raises(GradientCheckError):
        Exchanged([3, 4, 3]).gradient_check([0.1, 0.9, 0.4], [0.9, 0.2, 0.7])
    with pytest.raises(ValueError, match="sample has length 2: the input layer has 3 nodes"):
        Exchanged([3, 4, 2]).gradient_check([0.1, 0.9], [0.9, 0.2, 0.7])
    same = [0.1, 0.9, 0.4]
    Exchanged([3, 4, 3]).gradient_check(same, same)  # why no test of ours may use a label equal to its sample


def test_gradient_check_refuses_where_it_could_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    network = scattered([2, 3, 1])
    reached = network.predict([0.3, 0.4])
    with pytest.raises(ValueError, match="too small to check"):
        network.gradient_check(reached, [0.3, 0.4])
    with monkeypatch.context() as patch:  # but a large wrong gradient is seen even there
        patch.setattr(Connection, "calc_gradient", lambda connection: setattr(connection, "gradient", 1.0))
        with pytest.raises(GradientCheckError):
            network.gradient_check(reached, [0.3, 0.4])
