"""Both networks are one: the objects of `chainrule.neurons` and the graph of a model agree in every number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule.errors import ConfigurationError
from chainrule.explain.microscope import from_network, look, parameters_of, to_network
from chainrule.neurons import Network
from tests.explain.making import broken, classes, numbers, wrong_factor

Array = NDArray[Any]

TOLERANCE = 1e-12
RATE = 0.2

SHAPES: dict[str, tuple[list[int], Any, float]] = {
    "1-1": ([1, 1], "sigmoid", 1.0),
    "2-3-1": ([2, 3, 1], "sigmoid", 1.0),
    "3-4-2": ([3, 4, 2], "tanh", 1.0),
    "8-3-8": ([8, 3, 8], "sigmoid", 1.0),
    "2-5-4-3": ([2, 5, 4, 3], ["tanh", "sigmoid", "identity"], 1.0),
    "4-1-4 with -1": ([4, 1, 4], ["sigmoid", "tanh"], -1.0),
    "3-3-1 without": ([3, 3, 1], ["tanh", "identity"], 0.0),
}


def _data(shape: list[int], samples: int = 5) -> cr.data.Dataset:
    random = np.random.default_rng(sum(shape))
    return cr.data.Dataset(random.uniform(-1, 1, (samples, shape[0])), random.uniform(0, 1, (samples, shape[-1])))


def _seen(network: Network, data: cr.data.Dataset, sample: int) -> dict[str, Array]:
    """What `look` gives of a run, of the objects."""
    label, row = np.asarray(data.targets)[sample].tolist(), np.asarray(data.inputs)[sample].tolist()
    found: dict[str, Array] = {"loss": np.array(network.loss(label, row))}
    network.get_gradient(label, row)
    for number, layer in enumerate(network.layers[1:]):
        nodes = layer.nodes[: layer.node_count]
        bias_output = network.layers[number].nodes[-1].output
        arrows = np.array([[arrow.get_gradient() for arrow in node.upstream] for node in nodes])
        found[f"{number}.net"] = np.array([node.net for node in nodes])
        found[f"{number}.output"] = np.array([node.output for node in nodes])
        found[f"{number}.delta"] = np.array([node.delta for node in nodes])
        found[f"{number}.weight.gradient"] = arrows[:, :-1].T
        if bias_output:
            found[f"{number}.bias.gradient"] = arrows[:, -1] / bias_output
    return found


def _assert_agree(run: cr.Run, network: Network, data: cr.data.Dataset) -> None:
    for sample in range(len(data.inputs)):
        ours, theirs = look(run, data, sample), _seen(network, data, sample)
        assert set(ours) == set(theirs)
        for name, array in theirs.items():
            np.testing.assert_allclose(ours[name], array, rtol=0, atol=TOLERANCE, err_msg=name)
    for path, array in parameters_of(network).items():
        np.testing.assert_allclose(run.parameters[path], array, rtol=0, atol=TOLERANCE, err_msg=path)


@pytest.mark.parametrize("name", SHAPES)
def test_both_agree_before_and_after_fifty_steps(name: str) -> None:
    """Activations, deltas, gradients and weights, to 1e-12, from the objects' own first weights."""
    shape, activation, bias_output = SHAPES[name]
    network = Network(shape, activation, bias_output=bias_output, seed=7)
    data = _data(shape)
    run = from_network(network, learning_rate=RATE)
    first = parameters_of(network)
    _assert_agree(run, network, data)

    network.train(np.asarray(data.targets).tolist(), np.asarray(data.inputs).tolist(), rate=RATE, iteration=10)
    run.fit(data, epochs=10, progress=False)
    assert int(run.arrays["step"]) == 50
    assert any(np.abs(run.parameters[path] - array).max() > 1e-3 for path, array in first.items())
    _assert_agree(run, network, data)

    _assert_agree(run, to_network(run), data)


@pytest.mark.parametrize("op", ["sigmoid", "contract", "sub", "sum"])
def test_the_agreement_is_broken_by_a_broken_rule(op: str) -> None:
    network = Network([2, 3, 1], seed=7)
    data = _data([2, 3, 1])
    with broken(op, wrong_factor):
        run = from_network(network, learning_rate=RATE)
        network.train(np.asarray(data.targets).tolist(), np.asarray(data.inputs).tolist(), rate=RATE, iteration=10)
        run.fit(data, epochs=10, progress=False)
        with pytest.raises(AssertionError):
            _assert_agree(run, network, data)


@pytest.mark.tiny
def test_there_and_back_gives_the_same_weights() -> None:
    network = Network([3, 4, 2], ["tanh", "sigmoid"], bias_output=-1.0, seed=3)
    run = from_network(network)
    again = to_network(run)
    assert [layer.node_count for layer in again.layers] == [3, 4, 2]
    for path, array in parameters_of(network).items():
        assert (parameters_of(again)[path] == array).all()
    # What the bias node of the first gave, −1 times its weight, the other's gives as 1 times the opposite.
    assert again.layers[1].nodes[0].upstream[-1].weight == -network.layers[1].nodes[0].upstream[-1].weight


@pytest.mark.tiny
def test_functions_between_layers_are_their_activations() -> None:
    data = numbers()
    model = cr.Chain(cr.Dense(3), cr.sigmoid, cr.Dense(2, cr.tanh), cr.Dense(1), cr.identity)
    run = cr.prepare(model, data, loss=cr.losses.half_squared_error, dtype="float64")
    network = to_network(run)
    row = np.asarray(data.inputs)[0].tolist()
    assert network.predict(row)[0] == pytest.approx(run.predict(data.inputs[:1])[0, 0], abs=1e-14)
    seen = look(run, data, 0)
    assert seen["0.output"] == pytest.approx(1 / (1 + np.exp(-seen["0.net"])))


def test_a_single_layer_without_a_chain() -> None:
    data = numbers()
    run = cr.prepare(cr.Dense(1), data, loss=cr.losses.half_squared_error, dtype="float64")
    network = to_network(run)
    label, row = np.asarray(data.targets)[0].tolist(), np.asarray(data.inputs)[0].tolist()
    assert network.loss(label, row) == pytest.approx(float(look(run, data, 0)["loss"]), abs=1e-14)


REFUSED: list[tuple[Any, Any, str]] = [
    (cr.Chain(cr.Dense(3, cr.relu), cr.Dense(1)), "half_squared_error", "layer 0 has the activation relu"),
    (
        cr.Chain(cr.Dense(3), cr.relu, cr.Dense(1)),
        "half_squared_error",
        "layer 1 has the activation relu|layer 1 is relu",
    ),
    (cr.Chain(cr.Flatten(), cr.Dense(1)), "half_squared_error", "layer 0 is Flatten"),
    (cr.Chain(cr.Dense(3, bias=False), cr.Dense(1)), "half_squared_error", "layer 0 has no bias and others have one"),
    (cr.Chain(cr.Dense(1)), "mean_squared_error", "half the squared error, and this run by MeanSquaredError"),
]


@pytest.mark.tiny
@pytest.mark.parametrize(("model", "loss", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
def test_what_is_no_such_network_is_refused(model: Any, loss: str, words: str) -> None:
    data = numbers(inputs=1)
    run = cr.prepare(model, data, loss=getattr(cr.losses, loss))
    with pytest.raises(ConfigurationError, match=words):
        to_network(run)


def test_a_shared_layer_and_a_step_of_ones_own_are_refused() -> None:
    shared = cr.Dense(3, cr.tanh)
    run = cr.prepare(cr.Chain(shared, shared, cr.Dense(1)), numbers(), loss=cr.losses.half_squared_error)
    with pytest.raises(ConfigurationError, match="layer 0 is applied twice"):
        to_network(run)

    @cr.step
    def own(state: Any, batch: Any) -> Any:
        loss = cr.losses.half_squared_error(state.apply(shared, batch.inputs), batch.inputs)
        state.descend(loss, shared, cr.optimizers.SGD(0.1))
        return {"loss": loss}

    with pytest.raises(ConfigurationError, match="a step of its own"):
        to_network(cr.prepare(own, numbers()))
    with pytest.raises(ConfigurationError, match="CrossEntropy"):
        to_network(cr.prepare(cr.Chain(cr.Dense(3)), classes()))


@pytest.mark.tiny
def test_a_bias_node_that_would_learn_at_another_rate_is_refused() -> None:
    network = Network([2, 1])
    network.layers[0].nodes[-1].output = 0.5
    with pytest.raises(ConfigurationError, match=r"bias nodes give \[0.5\]"):
        from_network(network)
