"""The network as objects, as textbooks first draw it: nodes, connections, and the numbers they hold.

One class a thing, one method an equation, no arrays. For a sample x with label t, where node i feeds node j:

================  =====================================  ======================================
forward           net_j = Σ_i w_ji · y_i, y_j = f(net_j)  :meth:`Node.calc_output`
loss              E = ½ Σ_k (t_k − y_k)²                  :meth:`Network.loss`
delta, output     δ_j = (y_j − t_j) · f′(net_j)           :meth:`Node.calc_output_layer_delta`
delta, others     δ_j = f′(net_j) · Σ_k w_kj · δ_k        :meth:`Node.calc_hidden_layer_delta`
gradient          ∂E/∂w_ji = δ_j · y_i                    :meth:`Connection.calc_gradient`
update            w_ji ← w_ji − rate · ∂E/∂w_ji           :meth:`Connection.update_weight`
================  =====================================  ======================================

**The sign.** Here delta is +∂E/∂net and gradient is +∂E/∂w, so the update *subtracts*. Many textbooks
(T. Mitchell, "Machine Learning", 1997, chapter 4) take δ = −∂E/∂net and add: their delta is the negative of ours.

**The order.** ``network.layers[l].nodes[j].upstream[i]`` is the connection from node i of layer l − 1 to node j
of layer l; the last of ``upstream`` comes from the bias node. ``network.connections`` holds all connections in
that order: by layer, then by j, then by i. All numbers are Python floats.

This module imports nothing of chainrule: it is the independent witness that the engines are right.
Source: D. Rumelhart, G. Hinton, R. Williams, "Learning representations by back-propagating errors", 1986.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple


class Activation(NamedTuple):
    """A function f of the weighted sum, and its derivative f′ written in terms of the output y = f(net)."""

    value: Callable[[float], float]
    derivative: Callable[[float], float]


def sigmoid(net: float) -> float:
    """The sigmoid 1 / (1 + e^(−net)), in a form that never overflows.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    if net >= 0.0:
        return 1.0 / (1.0 + math.exp(-net))
    return math.exp(net) / (1.0 + math.exp(net))


IDENTITY = Activation(lambda net: net, lambda output: 1.0)
SIGMOID = Activation(sigmoid, lambda output: output * (1.0 - output))
TANH = Activation(math.tanh, lambda output: 1.0 - output * output)
ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "identity": IDENTITY}


class GradientCheckError(ArithmeticError):
    """A gradient of backpropagation is not the one measured by moving the weight; the connection is named."""


class Connection:
    """An arrow from one node to a node of the next layer: its weight, and the gradient ∂E/∂weight.

    >>> print(Connection(Node(0, 1), Node(1, 2), weight=0.034567))
    (0-1) -> (1-2) = 0.034567
    """

    def __init__(self, upstream_node: Node, downstream_node: Node, weight: float) -> None:
        self.upstream_node, self.downstream_node = upstream_node, downstream_node
        self.weight, self.gradient = weight, 0.0

    def calc_gradient(self) -> None:
        """∂E/∂w_ji = δ_j · y_i: the delta where the arrow ends times the output where it starts."""
        self.gradient = self.downstream_node.delta * self.upstream_node.output

    def get_gradient(self) -> float:
        """The gradient as :meth:`calc_gradient` last left it."""
        return self.gradient

    def update_weight(self, rate: float) -> None:
        """w_ji ← w_ji − rate · ∂E/∂w_ji, with the gradient that :meth:`calc_gradient` left."""
        self.weight -= rate * self.gradient

    def __str__(self) -> str:
        return f"{self.upstream_node.name} -> {self.downstream_node.name} = {self.weight:.6f}"


class Connections:
    """All connections of a network, in the order of the module's text: iterate, index or take ``len``."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []

    def add_connection(self, connection: Connection) -> None:
        """Put a connection at the end."""
        self.connections.append(connection)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.connections)

    def __len__(self) -> int:
        return len(self.connections)

    def __getitem__(self, position: int) -> Connection:
        return self.connections[position]

    def dump(self) -> None:
        """Print each connection on a line of its own."""
        for connection in self.connections:
            print(connection)


class Node:
    """One unit: the weighted sum ``net``, ``output`` = f(net), and ``delta`` = +∂E/∂net."""

    def __init__(self, layer_index: int, node_index: int, activation: Activation = SIGMOID) -> None:
        self.layer_index, self.node_index, self.activation = layer_index, node_index, activation
        self.upstream: list[Connection] = []
        self.downstream: list[Connection] = []
        self.net = self.output = self.delta = 0.0
        self.name = f"({layer_index}-{node_index})"

    def append_upstream_connection(self, connection: Connection) -> None:
        """Join a connection that ends here."""
        self.upstream.append(connection)

    def append_downstream_connection(self, connection: Connection) -> None:
        """Join a connection that starts here."""
        self.downstream.append(connection)

    def set_output(self, output: float) -> None:
        """Fix the output, as is done with the nodes of the input layer."""
        self.net = self.output = output

    def calc_output(self) -> None:
        """net_j = Σ_i w_ji · y_i, and y_j = f(net_j)."""
        self.net = sum([arrow.weight * arrow.upstream_node.output for arrow in self.upstream])
        self.output = self.activation.value(self.net)

    def calc_output_layer_delta(self, label: float) -> None:
        """δ_j = (y_j − t_j) · f′(net_j), for E = ½ Σ_k (t_k − y_k)² and any activation f."""
        self.delta = (self.output - label) * self.activation.derivative(self.output)

    def calc_hidden_layer_delta(self) -> None:
        """δ_j = f′(net_j) · Σ_k w_kj · δ_k, over the nodes k that this one feeds."""
        arriving = sum([arrow.weight * arrow.downstream_node.delta for arrow in self.downstream])
        self.delta = arriving * self.activation.derivative(self.output)

    def __str__(self) -> str:
        return f"{self.name}: output = {self.output:.6f}, delta = {self.delta:.6f}"


class ConstNode(Node):
    """The bias node: its output is constant, nothing leads to it, and so its delta stays 0."""

    def __init__(self, layer_index: int, node_index: int, output: float = 1.0) -> None:
        super().__init__(layer_index, node_index, IDENTITY)
        self.set_output(output)

    def calc_output(self) -> None:
        """Nothing to do: the output is constant."""

    def calc_hidden_layer_delta(self) -> None:
        """Nothing to do: no connection leads here that could use a delta."""


class Layer:
    """``node_count`` nodes in order, then a bias node, unless ``bias_output`` is None (the output layer)."""

    def __init__(self, index: int, node_count: int, activation: Activation, bias_output: float | None) -> None:
        self.layer_index, self.node_count = index, node_count
        self.nodes = [Node(index, position, activation) for position in range(node_count)]
        if bias_output is not None:
            self.nodes.append(ConstNode(index, node_count, bias_output))

    def set_output(self, sample: Sequence[float]) -> None:
        """Put a sample into the nodes, the bias node left out."""
        for node, number in zip(self.nodes[: self.node_count], sample, strict=True):
            node.set_output(number)

    def calc_output(self) -> None:
        """Compute the output of each node from the layer before."""
        for node in self.nodes:
            node.calc_output()

    def dump(self) -> None:
        """Print each node on a line of its own."""
        for node in self.nodes:
            print(node)


class Network:
    """A fully connected network, trained on the squared error E = ½ Σ_k (t_k − y_k)².

    ``layers`` are the node counts from input to output; ``activation`` is "sigmoid", "tanh" or "identity", one for
    all layers or a list with one for each layer after the input. Bias nodes give ``bias_output``: 1, or −1 by
    choice (0 is a network without biases). Weights start uniform in ±0.1, drawn from ``seed``. ValueError where a
    setting, a label or a sample does not fit.

    >>> network = Network([2, 3, 1], seed=1)
    >>> samples, labels = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [1]]
    >>> before = network.loss([1], [0, 1])
    >>> network.train(labels, samples, rate=1.0, iteration=1000)
    >>> network.loss([1], [0, 1]) < 0.1 * before
    True

    Differs from Keras and PyTorch: their mean squared error has no one half and divides by the output count.
    """

    def __init__(
        self,
        layers: Sequence[int],
        activation: str | Sequence[str] = "sigmoid",
        bias_output: float = 1.0,
        seed: int = 0,
    ) -> None:
        counts = list(layers)
        names = [activation] * (len(counts) - 1) if isinstance(activation, str) else list(activation)
        if len(counts) < 2:
            raise ValueError(f"layers is {counts}: give at least two, an input and an output layer, as in [2, 1]")
        if any(isinstance(count, bool) or not isinstance(count, int) or count < 1 for count in counts):
            raise ValueError(f"layers is {counts}: each is a count of nodes, a whole number of at least 1")
        if len(names) != len(counts) - 1:
            raise ValueError(f"{len(names)} activations came, but {len(counts) - 1} layers follow the input")
        if unknown := [name for name in names if name not in ACTIVATIONS]:
            raise ValueError(f"activation {unknown[0]!r} is not known: choose from {', '.join(ACTIVATIONS)}")
        if bias_output not in (1.0, -1.0, 0.0):
            raise ValueError(f"bias_output is {bias_output}: give 1, -1, or 0 for no bias")
        self.layers = [
            Layer(index, count, ACTIVATIONS[name], float(bias_output) if index < len(names) else None)
            for index, (count, name) in enumerate(zip(counts, ["identity", *names], strict=True))
        ]
        self.connections = Connections()
        generator = random.Random(seed)
        for before, after in zip(self.layers[:-1], self.layers[1:], strict=True):
            for downstream_node in after.nodes[: after.node_count]:
                for upstream_node in before.nodes:
                    connection = Connection(upstream_node, downstream_node, generator.uniform(-0.1, 0.1))
                    upstream_node.append_downstream_connection(connection)
                    downstream_node.append_upstream_connection(connection)
                    self.connections.add_connection(connection)

    def predict(self, sample: Sequence[float]) -> list[float]:
        """The outputs y for one sample x; each node keeps its own output."""
        self.layers[0].set_output(_numbers("sample", sample, "input", self.layers[0]))
        for layer in self.layers[1:]:
            layer.calc_output()
        return [node.output for node in self.layers[-1].nodes]

    def loss(self, label: Sequence[float], sample: Sequence[float]) -> float:
        """E = ½ Σ_k (t_k − y_k)², for the label t and the outputs y of this sample."""
        targets = _numbers("label", label, "output", self.layers[-1])
        return 0.5 * sum([(t - y) * (t - y) for t, y in zip(targets, self.predict(sample), strict=True)])

    def calc_delta(self, label: Sequence[float]) -> None:
        """The delta of every node, from the output layer back, with the outputs that :meth:`predict` left.

        It goes on to the input nodes, whose activation is the identity: their delta is ∂E/∂x.
        """
        targets = _numbers("label", label, "output", self.layers[-1])
        for node, target in zip(self.layers[-1].nodes, targets, strict=True):
            node.calc_output_layer_delta(target)
        for layer in reversed(self.layers[:-1]):
            for node in layer.nodes:
                node.calc_hidden_layer_delta()

    def calc_gradient(self) -> None:
        """The gradient of every connection, with the deltas that :meth:`calc_delta` left."""
        for connection in self.connections:
            connection.calc_gradient()

    def update_weight(self, rate: float) -> None:
        """Move every weight against its gradient, with the gradients that :meth:`calc_gradient` left."""
        for connection in self.connections:
            connection.update_weight(rate)

    def get_gradient(self, label: Sequence[float], sample: Sequence[float]) -> list[float]:
        """∂E/∂w of every connection, for this label and this sample, in the order of ``connections``.

        >>> network = Network([1, 1])
        >>> network.connections[0].weight = network.connections[1].weight = 0.0
        >>> network.get_gradient([0.0], [2.0])  # δ = (½ − 0) · ½ · (1 − ½) = ⅛, times the inputs 2 and 1
        [0.25, 0.125]
        """
        self.predict(sample)
        self.calc_delta(label)
        self.calc_gradient()
        return [connection.get_gradient() for connection in self.connections]

    def train_one_sample(self, label: Sequence[float], sample: Sequence[float], rate: float) -> None:
        """One step of stochastic gradient descent; the outputs, deltas and gradients left are those before it.

        Raises ArithmeticError, and leaves the weights as they are, if a gradient is not finite.
        """
        if not all(map(math.isfinite, self.get_gradient(label, sample))):
            raise ArithmeticError(f"a gradient is not finite: training diverged, try a rate well below {rate}")
        self.update_weight(rate)

    def train(
        self, labels: Sequence[Sequence[float]], data_set: Sequence[Sequence[float]], rate: float, iteration: int
    ) -> None:
        """Go ``iteration`` times through the samples in order, with one step after each.

        All labels and samples are looked at first, so that a ValueError, with the row named, precedes any step.
        """
        if len(labels) != len(data_set):
            raise ValueError(f"{len(labels)} labels came with {len(data_set)} samples: give one label a sample")
        if not (math.isfinite(rate) and rate > 0.0):
            raise ValueError(f"rate is {rate}: give a positive number such as 0.5")
        if iteration < 0:
            raise ValueError(f"iteration is {iteration}: give the count of passes through the data, at least 0")
        for row, (label, sample) in enumerate(zip(labels, data_set, strict=True)):
            _numbers(f"label {row}", label, "output", self.layers[-1])
            _numbers(f"sample {row}", sample, "input", self.layers[0])
        for _ in range(iteration):
            for label, sample in zip(labels, data_set, strict=True):
                self.train_one_sample(label, sample, rate)

    def gradient_check(
        self, label: Sequence[float], sample: Sequence[float], step: float = 1e-5, tolerance: float = 1e-6
    ) -> float:
        """The worst relative error of :meth:`get_gradient` beside (E(w + step) − E(w − step)) / (2 · step).

        It is |gradient − measured| over the larger of the two, or over 1e-4 · max(1, E) where both are smaller:
        below that one would see only rounding. Raises GradientCheckError if it is above ``tolerance``, and
        ValueError if all gradients are so small that even a wrong one would pass.

        >>> Network([2, 3, 2], "tanh").gradient_check([0.5, -0.2], [0.3, 0.9]) < 1e-6
        True
        """
        gradients = self.get_gradient(label, sample)
        floor = 1e-4 * max(1.0, self.loss(label, sample))
        worst, largest, blame = 0.0, 0.0, ""
        for connection, gradient in zip(self.connections, gradients, strict=True):
            weight = connection.weight
            connection.weight = weight + step
            above = self.loss(label, sample)
            connection.weight = weight - step
            below = self.loss(label, sample)
            connection.weight = weight
            measured = (above - below) / (2.0 * step)
            error = abs(gradient - measured) / max(abs(gradient), abs(measured), floor)
            largest = max(largest, abs(measured))
            if not error <= worst:  # true for NaN as well, which must not pass
                worst = error if math.isfinite(error) else math.inf
                blame = f"{connection}: backpropagation says {gradient:.9g}, moving the weight {measured:.9g}"
        self.get_gradient(label, sample)  # the nodes still hold the outputs of a moved weight
        if worst > tolerance:
            raise GradientCheckError(f"{blame} (relative error {worst:.2g}, allowed {tolerance:.2g})")
        if largest <= 100.0 * tolerance * floor:
            raise ValueError(f"no gradient exceeds {largest:.2g}, too small to check: take another label or sample")
        return worst

    def dump(self) -> None:
        """Print every node, layer by layer, and every connection."""
        for layer in self.layers:
            layer.dump()
        self.connections.dump()


def _numbers(what: str, values: Sequence[float], side: str, layer: Layer) -> list[float]:
    """``values`` as floats, one for each node of the layer, or a ValueError that says what does not fit."""
    advice = f"the {side} layer has {layer.node_count} nodes, give a list of {layer.node_count} numbers"
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        raise ValueError(f"{what} is {values!r}: {advice}") from None
    if len(numbers) != layer.node_count:
        raise ValueError(f"{what} has length {len(numbers)}: {advice}")
    for position, number in enumerate(numbers):
        if not math.isfinite(number):
            raise ValueError(f"{what} holds {number} at position {position}: every number must be finite")
    return numbers
