from __future__ import annotations

import itertools
import json
import math
import re
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import graph as G  # noqa: N812
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError, DataError, NotFiniteError
from chainrule.explain import Explanation, explain
from chainrule.explain.derivation import parse_parameter
from chainrule.explain.paths import largest_paths
from chainrule.explain.point import points, values_of
from chainrule.explain.symbols import Symbols
from chainrule.graph import Graph, Node
from tests.explain.making import (
    Convolution,
    Recurrent,
    adversarial,
    broken,
    classes,
    numbers,
    pool,
    wrong_factor,
)

ACTIVATIONS = [cr.sigmoid, cr.tanh, cr.relu, cr.leaky_relu, cr.softmax, None]
LOSSES = ["mean_squared_error", "half_squared_error", "binary_cross_entropy", "cross_entropy"]


def assert_sums(found: Explanation) -> None:
    """The parts and the remainder are the gradient: as numbers, and to the last digit as printed."""
    parts = [path.product for path in found.paths]
    size = max(map(abs, [*parts, found.gradient]), default=0.0)
    assert abs(math.fsum([*parts, found.remainder]) - found.gradient) <= 2**-52 * size
    if found.count == len(parts):
        assert abs(found.remainder) <= 1e-12 * sum(map(abs, parts))
    for path in found.paths:
        so_far = 1.0
        for link in path.links:
            so_far *= link.local
            assert link.product == so_far
            assert not link.folded or link.local == 1.0
        assert path.product == so_far
        assert path.links[0].name == "loss"
        assert path.links[-1].name == found.parameter
        assert [link.name for link in path.links if not link.folded][-1] == found.parameter
    text = str(found)
    assert max(map(len, text.splitlines())) <= 100
    if found.count > 1:
        (told,) = re.findall(r"Sum of the paths.*?\n(.*?)\n  ─+\n *(\S+)  the gradient", text, flags=re.DOTALL)
        lines = [re.match(r" *(−?[\d.]+(?:e\S+)?)  \S", line) for line in told[0].splitlines()]
        summed = [Decimal(match[1].replace("−", "-")) for match in lines if match]
        assert sum(summed, Decimal(0)) == Decimal(told[1].replace("−", "-"))
        assert len(summed) >= len(parts)


def assert_measured(found: Explanation) -> None:
    assert found.corner or abs(found.difference) <= 1e-7 * max(abs(found.gradient), 1e-3) + 10 * found.uncertain


@settings(max_examples=40, deadline=None)
@given(
    widths=st.lists(st.integers(1, 4), min_size=0, max_size=2),
    activation=st.sampled_from(ACTIVATIONS),
    loss=st.sampled_from(LOSSES),
    outputs=st.integers(2, 4),
    seed=st.integers(0, 1000),
    paths=st.sampled_from([1, 3, 12, 2000]),
    choice=st.integers(0, 10**6),
)
def test_parts_sum_to_the_gradient(
    widths: list[int], activation: Any, loss: str, outputs: int, seed: int, paths: int, choice: int
) -> None:
    data: Any = classes(5, 3, outputs, seed)
    if loss != "cross_entropy":
        data = cr.data.Dataset(data.inputs, np.eye(outputs)[np.asarray(data.targets)])
    layers = [cr.Dense(width, activation) for width in widths if activation is not cr.softmax or width > 1]
    run = cr.prepare(cr.Chain(*layers, cr.Dense(outputs)), data, loss=getattr(cr.losses, loss), seed=seed)
    elements = [
        f"{path}[{','.join(map(str, index))}]"
        for path, array in run.parameters.items()
        for index in np.ndindex(array.shape)
    ]
    found = explain(run, data, choice % 5, elements[choice % len(elements)], paths=paths)
    assert_sums(found)
    assert_measured(found)


@pytest.mark.parametrize(
    ("layers", "data", "parameters"),
    [
        (
            [cr.Reshape((4, 4, 1)), Convolution(2), pool, cr.Flatten(), cr.Dense(3)],
            classes(4, 16),
            ["1.weight[1,1,0,1]", "1.bias[0]", "4.weight[3,2]"],
        ),
        (
            [cr.Reshape((4, 3)), Recurrent(3), cr.Dense(3)],
            classes(4, 12),
            ["1.weight[1,2]", "1.recurrent[0,1]", "2.bias[1]"],
        ),
        ([cr.Dense(4), cr.softmax, cr.Dense(1)], numbers(), ["0.weight[2,1]", "2.weight[3,0]"]),
    ],
    ids=["windows", "a loop", "softmax"],
)
def test_any_layer_is_explained(layers: list[Any], data: Any, parameters: list[str]) -> None:
    run = cr.prepare(cr.Chain(*layers), data)
    for parameter in parameters:
        for paths in (4, 500):
            found = explain(run, data, 2, parameter, paths=paths)
            assert found.paths
            assert_sums(found)
            assert_measured(found)


def test_a_step_with_two_descents_is_explained() -> None:
    run = cr.prepare(adversarial(), numbers())
    for parameter in ("generator.0.weight[1,2]", "judge.0.weight[1,2]"):
        found = run.explain(numbers(), 3, parameter)
        assert_sums(found)
        assert_measured(found)
        assert "Random numbers are those of step 0" in str(found)
    assert "judge.0.weight′[" in str(run.explain(numbers(), 3, "generator.0.weight[1,2]"))


SMALLEST = """\
∂loss/∂0.weight[0,0] for sample 0: 0.363431

Forward
  0.weight[0,0]       0.5
  net                   1  = x·0.weight[0,0]
  h              0.731059  = sigmoid(net)
  out             1.46212  = h·1.weight[0,0]
  loss           0.106776  = 0.5·(out − t)²

Chain rule, with w for 0.weight[0,0]
  ∂loss/∂w = ∂loss/∂out · ∂out/∂h · ∂h/∂net · ∂net/∂w
  ∂loss/∂out = out − t       = 0.462117
  ∂out/∂h    = 1.weight[0,0] = 2
  ∂h/∂net    = h·(1 − h)     = 0.196612
  ∂net/∂w    = x             = 2
  ∂loss/∂w   = 0.462117 · 2 · 0.196612 · 2 = 0.363431

Step by step, from the loss down
  element               value  derivative of the line above       product
  loss               0.106776                                           1
  (out − t)²         0.213552  0.5                                    0.5
  out − t            0.462117  2·(out − t) = 0.924234            0.462117
  out                 1.46212  1                                 0.462117
  h                  0.731059  1.weight[0,0] = 2                 0.924234
  net                       1  h·(1 − h) = 0.196612              0.181715
  0.weight[0,0]           0.5  x = 2                             0.363431

Update that this sample alone would cause
  w ← w − η·∂loss/∂w = 0.5 − 0.5·0.363431 = 0.318285

Measured, by moving the parameter (central differences, float64)
  backpropagation  0.363430990692
"""


def smallest() -> tuple[cr.Run, cr.data.Dataset]:
    """One input, one sigmoid unit, one output, two weights."""
    data = cr.data.Dataset(np.array([[2.0]]), np.array([[1.0]]))
    model = cr.Chain(cr.Dense(1, cr.sigmoid, bias=False), cr.Dense(1, bias=False))
    run = cr.prepare(model, data, loss=cr.losses.half_squared_error, optimizer=cr.optimizers.SGD(0.5))
    run.set_parameters({"0.weight": np.array([[0.5]]), "1.weight": np.array([[2.0]])})
    return run, data


@pytest.mark.tiny
def test_the_smallest_network_is_derived_as_in_a_textbook() -> None:
    run, data = smallest()
    assert str(run.explain(data, 0, "0.weight[0,0]")).startswith(SMALLEST)
    second = run.explain(data, 0, "1.weight")
    assert [(factor.of, factor.by, factor.formula) for factor in second.chain] == [
        ("loss", "out", "out − t"),
        ("out", "1.weight[0,0]", "h"),
    ]
    # By hand: E = ½(v·σ(w·x) − t)², with w = 0.5, v = 2, x = 2, t = 1.
    h = 1 / (1 + math.exp(-1))
    assert second.gradient == pytest.approx((2 * h - 1) * h, rel=1e-15)
    assert run.explain(data, 0, "0.weight[0,0]").gradient == pytest.approx((2 * h - 1) * 2 * h * (1 - h) * 2, rel=1e-15)


def test_formulas_are_what_the_numbers_are() -> None:
    """Each formula, evaluated at the values of its elements, is the local derivative that stands beside it."""
    run, data = cr.prepare(cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(2, cr.relu), cr.Dense(3)), classes()), classes()
    (point,) = points(run, data, [1])
    loss = point.graph.outputs["loss"]
    values = values_of(Graph({"loss": loss}), point.arrays)
    checked = 0
    for path in run.parameters:
        symbols = Symbols(point.graph, loss, values)
        for way in largest_paths(loss, point.graph.inputs[f"parameters/{path}"], 1, values, 20).paths:
            for above, step in itertools.pairwise(way):
                formula = symbols.derivative(above.node, above.place, step.position, step.place, step.derivative)
                assert formula is not None
                known = {made: place for place, made in symbols._elements.items()}
                inputs = Graph({"d": formula}).inputs
                arrays = {name: np.asarray(symbols.value(*known[node]), node.dtype) for name, node in inputs.items()}
                value = ReferenceEngine().compile(Graph({"d": formula})).run(arrays)["d"]
                assert value == pytest.approx(step.derivative, rel=1e-12)
                checked += 1
    assert checked > 100


def test_a_dead_unit_has_a_gradient_of_zero_and_it_is_said_where() -> None:
    data = numbers()
    run = cr.prepare(cr.Chain(cr.Dense(2, cr.relu), cr.Dense(1)), data)
    run.set_parameters({"0.bias": np.array([-100.0, 100.0])})
    dead = run.explain(data, 0, "0.weight[1,0]")
    assert dead.gradient == dead.measured == dead.count == dead.remainder == 0
    assert [link.formula for link in dead.paths[0].links if link.local == 0] == ["select(net[0] ≤ 0, 0, 1)"]
    assert "Every path meets a derivative of 0" in str(dead)
    assert_sums(dead)
    assert run.explain(data, 0, "0.weight[1,1]").gradient != 0


@pytest.mark.tiny
def test_an_input_of_zero_leaves_its_weight_alone() -> None:
    data = cr.data.Dataset(np.array([[0.0, 1.0]]), np.array([[1.0]]))
    found = cr.prepare(cr.Chain(cr.Dense(2, cr.tanh), cr.Dense(1)), data).explain(data, 0, "0.weight[0,1]")
    assert found.gradient == 0
    assert found.paths[0].links[-1].formula == "x[0]"
    assert found.update.before == found.update.after


def test_what_max_passes_over_has_no_path() -> None:
    data = cr.data.Dataset(np.array([[1.0, 2.0]]), np.array([[1.0]]))
    run = cr.prepare(cr.Chain(cr.Dense(3), lambda x: G.reshape(G.max(x, 1), (x.shape[0], 1))), data)
    run.set_parameters({"0.bias": np.array([0.0, 50.0, 0.0])})
    found = run.explain(data, 0, "0.bias[2]")
    assert found.paths == ()
    assert found.gradient == found.measured == 0
    assert "No path leads to the loss: it ends at net[2]" in str(found)


def test_a_parameter_that_the_loss_does_not_need() -> None:
    used, idle = cr.Dense(1), cr.Chain(cr.Dense(1), name="idle")

    @cr.step
    def step(state: Any, batch: Any) -> dict[str, Node]:
        state.apply(idle, batch.inputs)
        loss = cr.losses.mean_squared_error(state.apply(used, batch.inputs), batch.targets)
        state.descend(loss, [used, idle], cr.optimizers.SGD(0.1))
        return {"loss": loss}

    found = cr.prepare(step, numbers()).explain(numbers(), 0, "idle.0.weight[1,0]")
    assert found.gradient == found.measured == 0
    assert "does not depend on this parameter at all" in str(found)


def test_a_shared_layer_has_paths_through_each_use() -> None:
    shared = cr.Dense(3, cr.tanh)
    run = cr.prepare(cr.Chain(shared, shared, cr.Dense(1)), numbers())
    found = run.explain(numbers(), 1, "0.weight[1,2]")
    assert_sums(found)
    assert found.count == 4
    assert {sum(link.name.startswith("0.net₂") for link in path.links) for path in found.paths} == {1}
    assert {sum(link.name.startswith("0.net[") for link in path.links) for path in found.paths} == {0, 1}


def test_a_corner_is_said() -> None:
    data = cr.data.Dataset(np.array([[0.0]]), np.array([[5.0]]))
    run = cr.prepare(cr.Chain(cr.Dense(1, cr.relu), cr.Dense(1)), data)
    found = run.explain(data, 0, "0.bias[0]")
    assert found.corner
    assert found.gradient == 0
    assert "corner at this very point" in str(found)


@pytest.mark.tiny
def test_a_broken_rule_shows_in_the_difference() -> None:
    run, data = smallest()
    assert abs(run.explain(data, 0, "0.weight").difference) < 1e-10
    with broken("sigmoid", wrong_factor):
        found = run.explain(data, 0, "0.weight")
    assert abs(found.difference) > 1e-4
    assert_sums(found)


@pytest.mark.parametrize(
    "optimizer",
    [cr.optimizers.SGD(0.2), cr.optimizers.SGD(0.2, momentum=0.9), cr.optimizers.Adam(0.05)],
    ids=["plain", "momentum", "Adam"],
)
def test_the_update_is_the_one_that_training_makes(optimizer: Any) -> None:
    data = numbers(samples=1)
    settings: dict[str, Any] = {"batch_size": 1, "dtype": "float64", "optimizer": optimizer}
    run = cr.prepare(cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(1)), data, **settings)
    run.fit(data, epochs=3, progress=False)
    found = run.explain(data, 0, "0.weight[1,2]").update
    assert found.before == run.parameters["0.weight"][1, 2]
    assert found.plain == (optimizer == cr.optimizers.SGD(0.2))
    run.fit(data, epochs=4, progress=False)
    assert found.after == pytest.approx(run.parameters["0.weight"][1, 2], rel=1e-14)


def test_an_explanation_is_plain_values() -> None:
    run = cr.prepare(cr.Chain(cr.Dense(3, cr.tanh), cr.Dense(3)), classes())
    found = run.explain(classes(), 2, " 0.weight[1, 2] ")
    assert found.parameter == "0.weight[1,2]"
    told = json.loads(json.dumps(found.to_dict()))
    assert told["gradient"] == found.gradient
    assert told["paths"][0]["links"][-1]["name"] == "0.weight[1,2]"
    assert str(found) == str(run.explain(classes(), 2, "0.weight[1,2]"))


@pytest.mark.parametrize("sizes", [(64, [64], 10), (784, [300], 10), (784, [300, 300], 10)], ids=str)
def test_a_large_network_is_explained_at_once(sizes: tuple[int, list[int], int]) -> None:
    inputs, hidden, outputs = sizes
    data = classes(5, inputs, outputs)
    run = cr.prepare(cr.Chain(*(cr.Dense(units, cr.relu) for units in hidden), cr.Dense(outputs)), data)
    start = time.perf_counter()
    found = run.explain(data, 3, "0.weight[10,3]")
    # A fifth of a second where nothing else runs.
    assert time.perf_counter() - start < 10
    assert_sums(found)


@pytest.mark.tiny
def test_what_names_no_parameter_is_answered_with_those_there_are() -> None:
    run = cr.prepare(cr.Chain(cr.Dense(2, cr.tanh), cr.Dense(1)), numbers())
    assert parse_parameter(run, "1.bias") == ("1.bias", (0,))
    for text, word in [
        ("2.weight[0,0]", r"there is no parameter '2.weight'; there are 0.weight \[3, 2\], 0.bias \[2\]"),
        ("0.weight", r"0.weight is \[3, 2\], so an element is 0.weight\[0…2,0…1\]"),
        ("0.weight[1]", "no element"),
        ("0.weight[3,0]", "no element"),
        ("0.weight[-1,0]", "no element"),
        ("0.weight[a,b]", "whole numbers"),
        ("0.weight[1,2", "does not name a parameter"),
        ("", "does not name a parameter"),
    ]:
        with pytest.raises(ConfigurationError, match=word):
            parse_parameter(run, text)


@pytest.mark.tiny
def test_bad_questions_are_refused() -> None:
    run = cr.prepare(cr.Chain(cr.Dense(1)), numbers())
    for sample in (6, -1, 1.5, True):
        with pytest.raises(DataError, match="no sample"):
            run.explain(numbers(), sample, "0.bias[0]")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="paths"):
        explain(run, numbers(), 0, "0.bias[0]", paths=0)
    run.set_parameters({"0.weight": np.full((3, 1), np.inf)})
    with pytest.raises(NotFiniteError, match="loss of sample 0 is not finite: first infinite in input"):
        run.explain(numbers(), 0, "0.bias[0]")
