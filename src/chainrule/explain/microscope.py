"""Between an ordinary model and the network as objects (`chainrule.neurons`): each is the other, seen otherwise.

**The sign.** On both sides a delta is +∂E/∂net, the gradient of the loss by a unit's weighted sum, a gradient is
+∂E/∂w, and the update subtracts. (Textbooks that define δ = −∂E/∂net add.) Nothing changes sign between the two.

**The weights.** ``network.layers[l].nodes[j].upstream[i].weight`` is ``weight[i, j]`` of dense layer l − 1, and what
the bias node gives, its weight times its output, is ``bias[j]``. A bias node with output −1 therefore holds −bias.

**The numbers.** The network is given what the model itself sees: inputs and targets after the run's preparation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError
from chainrule.explain.naming import name_nodes
from chainrule.explain.point import points, values_of
from chainrule.gradients import gradients
from chainrule.graph import Graph, Node, sigmoid, tanh
from chainrule.graph.composites import identity
from chainrule.layers import Chain, Dense
from chainrule.losses import HalfSquaredError, half_squared_error
from chainrule.neurons import ACTIVATIONS, Network
from chainrule.optimizers import SGD

if TYPE_CHECKING:
    from chainrule.run import Data, Run

Array = NDArray[Any]

_NAMED: dict[str, Callable[[Node], Node]] = {"sigmoid": sigmoid, "tanh": tanh, "identity": identity}


@dataclass(frozen=True)
class _DenseLayer:
    path: str
    units: int
    activation: str
    bias: bool
    #: Where the activation is applied: in the layer itself, or by a function after it.
    output_path: str

    def named(self, name: str) -> str:
        """The full name of something of this layer."""
        return f"{self.path}.{name}" if self.path else name


def to_network(run: Run) -> Network:
    """The model of a run as a `chainrule.neurons.Network`, with the run's parameters.

    It can be done for dense layers with sigmoid, tanh or no activation, trained on half the squared error; the
    network's training with a rate is then that of plain descent with this learning rate and batches of one. Deltas and
    gradients have the same sign on both sides: +∂E/∂net and +∂E/∂w.

    Raises `ConfigurationError`, which names the layer, for anything else.

    >>> import chainrule as cr
    >>> data = cr.data.Dataset(np.eye(2), np.array([[0.0], [1.0]]))
    >>> run = cr.prepare(cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(1)), data, loss=cr.losses.half_squared_error)
    >>> network = to_network(run)
    >>> bool(abs(network.predict([1.0, 0.0])[0] - run.predict(data.inputs)[0, 0]) < 1e-6)
    True
    """
    layers = _dense_layers(run)
    parameters = run.parameters
    first = parameters[layers[0].named("weight")].shape[0]
    with_bias = {layer.bias for layer in layers}
    if len(with_bias) > 1:
        odd = next(layer for layer in layers if not layer.bias)
        raise ConfigurationError(
            f"layer {odd.path} has no bias and others have one; a Network has bias nodes everywhere or nowhere"
        )
    network = Network(
        [first, *(layer.units for layer in layers)],
        [layer.activation for layer in layers],
        bias_output=1.0 if with_bias == {True} else 0.0,
    )
    for layer, after in zip(layers, network.layers[1:], strict=True):
        weight = parameters[layer.named("weight")].astype(np.float64)
        for j, node in enumerate(after.nodes[: layer.units]):
            *arrows, from_bias = node.upstream
            for i, arrow in enumerate(arrows):
                arrow.weight = float(weight[i, j])
            from_bias.weight = float(parameters[layer.named("bias")][j]) if layer.bias else 0.0
    return network


def from_network(network: Network, learning_rate: float = 0.1) -> Run:
    """A network as an ordinary run in float64, with the network's weights: dense layers, half the squared error.

    The run descends plainly, in batches of one and in the order of the data, as `Network.train` does: fitted to the
    same samples with the same rate, both go through the same weights. Deltas and gradients have the same sign on both
    sides: +∂E/∂net and +∂E/∂w.

    Raises `ConfigurationError` for bias nodes whose output is not 1, −1 or 0: their biases would learn at another rate.

    >>> network = Network([2, 3, 1], "tanh", seed=1)
    >>> run = from_network(network)
    >>> bool(abs(run.predict(np.array([[0.5, -1.0]]))[0, 0] - network.predict([0.5, -1.0])[0]) < 1e-12)
    True
    """
    from chainrule.data import Dataset
    from chainrule.fitting import prepare

    counts = [layer.node_count for layer in network.layers]
    biases = {layer.nodes[-1].output for layer in network.layers[:-1]}
    if len(biases) != 1 or not biases <= {1.0, -1.0, 0.0}:
        raise ConfigurationError(f"the bias nodes give {sorted(biases)}; only 1, −1 or 0 learn as a bias does")
    (bias_output,) = biases
    dense = []
    for number, layer in enumerate(network.layers[1:]):
        activation = next((name for name, each in ACTIVATIONS.items() if each == layer.nodes[0].activation), "")
        if activation not in _NAMED or any(
            node.activation != layer.nodes[0].activation for node in layer.nodes[: layer.node_count]
        ):
            raise ConfigurationError(
                f"layer {number + 1} of the network does not have one of the activations {', '.join(_NAMED)}"
            )
        function = None if activation == "identity" else _NAMED[activation]
        dense.append(Dense(layer.node_count, function, bias=bias_output != 0))
    sample = Dataset(np.zeros((1, counts[0])), np.zeros((1, counts[-1])))
    optimizer = SGD(learning_rate=learning_rate)
    settings: dict[str, Any] = {"batch_size": 1, "shuffle": False, "dtype": "float64"}
    run = prepare(Chain(*dense), sample, loss=half_squared_error, optimizer=optimizer, **settings)
    run.set_parameters(parameters_of(network))
    return run


def parameters_of(network: Network) -> dict[str, Array]:
    """The weights of a network as parameters by path: "0.weight" (n, units), and "0.bias" (units,) if it has biases."""
    found: dict[str, Array] = {}
    for number, layer in enumerate(network.layers[1:]):
        nodes = layer.nodes[: layer.node_count]
        rows = np.array([[arrow.weight for arrow in node.upstream] for node in nodes])
        bias_output = network.layers[number].nodes[-1].output
        found[f"{number}.weight"] = rows[:, :-1].T.copy()
        if bias_output:
            found[f"{number}.bias"] = rows[:, -1] * bias_output
    return found


def look(run: Run, data: Data, sample: int) -> dict[str, Array]:
    """Every number of one training sample in float64, by name, read from the graph of the loss.

    For each dense layer "0", "1", …: "0.net" the weighted sums, "0.output" the activations, "0.delta" = +∂E/∂net, and
    "0.weight.gradient", "0.bias.gradient"; and "loss". Raises as `to_network` does.
    """
    layers = _dense_layers(run)
    (point,) = points(run, data, [sample])
    loss = point.graph.outputs["loss"]
    names = name_nodes(point.graph, loss)
    values = values_of(Graph({"loss": loss}), point.arrays)
    found = {"loss": values[loss]}
    nets: list[Node] = []
    for layer in layers:
        net = _nodes_of(point.graph, names, layer.path)[0]
        output = _nodes_of(point.graph, names, layer.output_path)[-1]
        nets.append(net)
        found |= {layer.named("net"): values[net][0], layer.named("output"): values[output][0]}
    deltas = {layer.named("delta"): node for layer, node in zip(layers, gradients(loss, nets), strict=True)}
    run_deltas = ReferenceEngine().compile(Graph(deltas)).run(point.arrays)
    found |= {name: value[0] for name, value in run_deltas.items()}
    slopes = {name: node for name, node in point.graph.outputs.items() if name.startswith("gradient/")}
    for name, value in ReferenceEngine().compile(Graph(slopes)).run(point.arrays).items():
        found[f"{name.removeprefix('gradient/')}.gradient"] = value
    return found


def _nodes_of(graph: Graph, names: dict[Node, str], path: str) -> list[Node]:
    """The weighted sum and the output of one dense layer, as far as they are made at this path."""
    return [node for node in names if _path(graph, node) == path and node.op != "input"]


def _path(graph: Graph, node: Node) -> str:
    origin = graph.origins.get(node)
    return origin.path if origin is not None else ""


def _dense_layers(run: Run) -> list[_DenseLayer]:
    if run.model is None or not isinstance(run.loss, HalfSquaredError):
        name = type(run.loss).__name__ if run.loss is not None else "a step of its own"
        raise ConfigurationError(f"a Network learns by half the squared error, and this run by {name}")
    found: list[_DenseLayer] = []
    for each in run.layers:
        layer = each.layer
        if isinstance(layer, Chain):
            continue
        if isinstance(layer, Dense):
            if any(other.path == each.path for other in found):
                raise ConfigurationError(
                    f"layer {each.path} is applied twice; a Network has its own weights everywhere"
                )
            if len(each.output) != 2:
                raise ConfigurationError(
                    f"layer {each.path} gives {list(each.output[1:])}; a Network has rows of nodes"
                )
            found.append(
                _DenseLayer(each.path, layer.units, _activation(layer.activation, each.path), layer.bias, each.path)
            )
        elif found and found[-1].activation == "identity" and layer in _NAMED.values():
            before = found.pop()
            where = before.output_path if layer is identity else each.path
            found.append(replace(before, activation=_activation(layer, each.path), output_path=where))
        else:
            title = getattr(layer, "__name__", "") or type(layer).__name__
            raise ConfigurationError(f"layer {each.path} is {title}; a Network is made of dense layers alone")
    if not found:
        raise ConfigurationError("the model has no dense layer, so there is nothing to make a Network of")
    return found


def _activation(function: Any, path: str) -> str:
    if function is None:
        return "identity"
    for name, known in _NAMED.items():
        if function is known:
            return name
    title = getattr(function, "__name__", repr(function))
    raise ConfigurationError(f"layer {path} has the activation {title}; a Network knows {', '.join(_NAMED)}")
