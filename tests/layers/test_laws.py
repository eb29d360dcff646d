"""Every layer, held to the same laws, as it trains and as it predicts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.explain import check_graph
from chainrule.gradients import RULES, gradients
from chainrule.graph import Build, Graph, Node
from chainrule.keys import Key
from chainrule.layers import Applicable, Record, Scope
from tests.layers.case import Case
from tests.layers.cases import CASES, unchanged

Array = NDArray[Any]
MODES = [True, False]


def build(
    layer: Applicable, shape: tuple[int, ...], dtype: str = "float64", *, training: bool = False, slopes: bool = False
) -> tuple[Graph, Record]:
    """The graph of one layer applied to "x" at the step "step": its output "y", new state, and gradients of Σy²."""
    with Build() as opened:
        record = Record(dtype)
        seed, step = graph.input("seed", (), "uint32"), graph.input("step", (), "uint32")
        record.seed = graph.random_bits(seed, step, "step")
        x = graph.input("x", shape, dtype)
        y = Scope(record, training=training).apply(layer, x, name="")
        outputs = {"y": y} | {name: node for name, node in record.values.items() if node.op != "input"}
        if slopes:
            named = {"x": x} | {name: graph.input(name, d.shape, d.dtype) for name, d in _parameters(record).items()}
            found = gradients(graph.sum(y**2), list(named.values()))
            outputs |= {f"d {name}": slope for name, slope in zip(named, found, strict=True)}
        whole = Graph.of(outputs, opened)
    return graph.verify(whole), record


def _parameters(record: Record) -> dict[str, Any]:
    return {name: one for name, one in record.declared.items() if name.startswith("parameters/")}


def arrays_of(record: Record, x: Array, seed: int = 0, step: int = 0) -> dict[str, Array]:
    key = Key(seed)
    arrays = {n: key.child(n).normal(d.shape).astype(d.dtype) for n, d in record.declared.items()}
    # A variance is not below 0.
    arrays |= {n: np.abs(array) + np.asarray(0.5, array.dtype) for n, array in arrays.items() if "variance" in n}
    return {"x": x, "seed": np.asarray(seed, np.uint32), "step": np.asarray(step, np.uint32)} | arrays


def by_path(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name.partition("/")[2]: array for name, array in arrays.items() if "/" in name}


def run(whole: Graph, arrays: dict[str, Array], engine: Any = None) -> dict[str, Array]:
    found: dict[str, Array] = (engine or ReferenceEngine()).compile(whole).run({n: arrays[n] for n in whole.inputs})
    return found


@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", CASES)
def test_shapes_and_parameters_are_as_said(name: str, training: bool) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (7, *case.sample), training=training)
    assert whole.outputs["y"].shape == (7, *case.output)
    wanted = {f"parameters/{path}": shape for path, shape in case.parameters.items()}
    wanted |= {f"state/{path}": shape for path, shape in case.state.items()}
    assert {path: d.shape for path, d in record.declared.items()} == wanted
    assert {declared.dtype for declared in record.declared.values()} <= {"float64"}
    assert record.applied[0].layer is case.layer
    assert (record.applied[0].inputs, record.applied[0].output) == (((7, *case.sample),), (7, *case.output))


@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", CASES)
def test_the_value_is_what_numpy_says(name: str, training: bool) -> None:
    case = CASES[name]
    plain = case.batched if training and case.batched else case.plain
    if training and case.random:
        return  # what it draws on average is what it predicts: below
    assert plain is not None
    whole, record = build(case.layer, (7, *case.sample), training=training)
    arrays = arrays_of(record, Key(1).normal((7, *case.sample)))
    expected = plain(arrays["x"], by_path(arrays))
    np.testing.assert_allclose(run(whole, arrays)["y"], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", CASES)
def test_a_batch_is_its_samples_one_by_one(name: str, training: bool) -> None:
    case = CASES[name]
    if training and (case.random or case.batched):
        return
    whole, record = build(case.layer, (7, *case.sample), training=training)
    arrays = arrays_of(record, Key(2).normal((7, *case.sample)))
    together = run(whole, arrays)["y"]
    single, _ = build(case.layer, (1, *case.sample), training=training)
    for row in range(7):
        alone = run(single, {**arrays, "x": arrays["x"][row : row + 1]})["y"]
        np.testing.assert_allclose(together[row : row + 1], alone, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.edge])
def test_the_gradient_passes_its_check(name: str, training: bool) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (3, *case.sample), training=training)
    wrt = ["x", *(f"parameters/{path}" for path in case.parameters)]
    arrays = arrays_of(record, Key(3).normal((3, *case.sample)))
    alone = Graph({"y": whole.outputs["y"]})
    check = check_graph(alone, {n: arrays[n] for n in alone.inputs}, wrt=[n for n in wrt if n in alone.inputs])
    assert check.passed, str(check)
    assert {row.name for row in check.rows} == set(wrt)


@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str, training: bool) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (2, *case.sample), "float32", training=training)
    arrays = arrays_of(record, Key(4).normal((2, *case.sample)).astype(np.float32))
    assert {array.dtype for path, array in arrays.items() if "/" in path} <= {np.dtype(np.float32)}
    assert {array.dtype for array in run(whole, arrays).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", CASES)
def test_a_batch_of_none_is_no_trouble(name: str) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (0, *case.sample))
    assert run(whole, arrays_of(record, np.zeros((0, *case.sample))))["y"].shape == (0, *case.output)


@pytest.mark.parametrize("name", CASES)
def test_only_training_draws_random_numbers_and_only_it_updates_state(name: str) -> None:
    case = CASES[name]
    for training in MODES:
        whole, _ = build(case.layer, (4, *case.sample), training=training)
        assert any(node.op == "random_bits" for node in whole.nodes) is (training and case.random)
        updated = {path.removeprefix("state/") for path in whole.outputs if path.startswith("state/")}
        assert updated == (set(case.state) if training else set())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.random])
def test_random_numbers_are_those_of_seed_and_step_and_change_nothing_on_average(name: str) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (4, *case.sample), training=True)
    x = Key(5).normal((4, *case.sample))

    def at(step: int, seed: int = 0) -> Array:
        return run(whole, arrays_of(record, x, step=step) | {"seed": np.asarray(seed, np.uint32)})["y"]

    first = at(1)
    np.testing.assert_array_equal(first, at(1))
    assert (first != at(2)).any()
    assert (first != at(1, seed=1)).any()
    if isinstance(case.layer, cr.Chain) or isinstance(getattr(case.layer, "layer", None), cr.Chain):
        return  # what is not linear in its noise is another thing on average
    assert case.plain is not None
    draws = np.stack([at(step) for step in range(300)])
    expected = case.plain(x, by_path(arrays_of(record, x)))
    assert (np.abs(draws.mean(0) - expected) <= 5 * draws.std(0) / np.sqrt(300) + 1e-12).all()
    assert (draws.std(0) > 0).any()


@pytest.mark.parametrize("training", MODES)
@pytest.mark.parametrize("name", CASES)
def test_the_engines_agree(name: str, training: bool) -> None:
    case = CASES[name]
    whole, record = build(case.layer, (6, *case.sample), training=training, slopes=True)
    arrays = arrays_of(record, Key(6).normal((6, *case.sample)))
    expected = run(whole, arrays)
    for path, found in run(whole, arrays, NativeEngine(cores=1)).items():
        np.testing.assert_allclose(found, expected[path], rtol=1e-10, atol=1e-12, err_msg=path)


@pytest.mark.parametrize("name", CASES)
def test_what_is_saved_comes_back(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    labels = np.arange(8) % 2
    data = cr.data.from_arrays(Key(7).normal((8, *case.sample)).reshape(8, -1), labels)
    model = cr.Chain(cr.Reshape(case.sample), case.layer, cr.Flatten(), cr.Dense(2))
    settings: dict[str, Any] = {"batch_size": 4, "engine": "reference", "dtype": "float64"}
    saved = cr.fit(model, data, epochs=1, **settings)
    saved.save(tmp_path / "run")
    loaded = cr.load(tmp_path / "run", engine="reference")
    assert loaded.model == model
    np.testing.assert_array_equal(loaded.outputs(data.inputs), saved.outputs(data.inputs))
    at_once = cr.fit(model, data, epochs=2, **settings)
    loaded.fit(data, epochs=2)
    for path, array in at_once.arrays.items():
        assert loaded.arrays[path].tobytes() == array.tobytes(), path


def test_laws_that_are_broken_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The laws above can fail: each meets what breaks it."""

    @dataclass(frozen=True)
    class Centred:
        """Takes the mean of the whole batch off: its samples are not one by one."""

        def apply(self, scope: Scope, *inputs: Node) -> Node:
            (x,) = inputs
            return x - graph.broadcast_like(graph.sum(x, 0), x, 0) / float(x.shape[0])

    @dataclass(frozen=True)
    class Careless:
        """Drops in prediction too, without making up for it, and the same in each step."""

        def apply(self, scope: Scope, *inputs: Node) -> Node:
            (x,) = inputs
            bits = graph.random_bits(graph.full(x.shape, 0, "uint32"), graph.full(x.shape, 1, "uint32"), "fixed")
            return graph.select(graph.lt(bits, 2**31), 0.0, x)

    monkeypatch.setitem(CASES, "broken", Case(Centred(), (3,), (3,), {}, unchanged))
    with pytest.raises(AssertionError):
        test_the_value_is_what_numpy_says("broken", False)
    with pytest.raises(AssertionError):
        test_a_batch_is_its_samples_one_by_one("broken", False)
    monkeypatch.setitem(CASES, "broken", Case(Careless(), (3,), (3,), {}, unchanged, random=True))
    with pytest.raises(AssertionError):
        test_only_training_draws_random_numbers_and_only_it_updates_state("broken")
    with pytest.raises(AssertionError):
        test_random_numbers_are_those_of_seed_and_step_and_change_nothing_on_average("broken")
    monkeypatch.setitem(RULES, "tanh", lambda g, y, x: (g * (1 + y**2),))
    with pytest.raises(AssertionError):
        test_the_gradient_passes_its_check("Dense, tanh", True)


def test_noise_on_weights_leaves_biases_and_the_weights_themselves_alone() -> None:
    layer = cr.WeightNoise(cr.Dense(3), 0.5)
    whole, record = build(layer, (2, 4), training=True)
    arrays = arrays_of(record, np.zeros((2, 4)))
    np.testing.assert_array_equal(run(whole, arrays)["y"], np.stack([arrays["parameters/bias"]] * 2))
    # What is drawn is one weight for all samples of a step, of the deviation asked for.
    wide, record = build(cr.WeightNoise(cr.Dense(400, bias=False), 0.5), (40, 40), training=True)
    arrays = arrays_of(record, np.eye(40))
    noise = run(wide, arrays)["y"] - arrays["parameters/weight"]
    assert abs(noise.std() - 0.5) < 0.015
    train, _ = cr.data.load("iris")
    still = cr.fit(cr.Chain(layer), train, epochs=1, optimizer=cr.optimizers.SGD(0.0), engine="reference")
    first = cr.prepare(cr.Chain(cr.Dense(3)), train, engine="reference").parameters
    assert {path: array.tobytes() for path, array in still.parameters.items()} == {
        path: array.tobytes() for path, array in first.items()
    }


def test_gaussian_noise_has_the_deviation_and_the_tails_asked_for() -> None:
    whole, record = build(cr.GaussianNoise(0.25), (100, 400), training=True)
    noise = run(whole, arrays_of(record, np.zeros((100, 400))))["y"]
    error = 4 / np.sqrt(noise.size)
    assert abs(noise.mean()) < 0.25 * error
    assert abs(noise.std() - 0.25) < 0.25 * error
    assert abs((np.abs(noise) > 0.5).mean() - 0.0455) < 0.21 * error
