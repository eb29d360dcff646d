"""Weights in panels: nothing of it is seen from outside, and each core's part of a step lies by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine, panels
from chainrule.engines.native.panels import Panels, in_panels
from chainrule.graph import rewrite
from chainrule.training import DataSpec
from chainrule.training.feeding import feed

Array = NDArray[Any]


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_THREADS", "2")


MODELS: dict[str, Callable[[], Any]] = {
    "two layers, ragged": lambda: cr.Chain(cr.Dense(300, cr.relu), cr.Dense(10)),
    "sigmoid": lambda: cr.Chain(cr.Dense(300, cr.sigmoid), cr.Dense(10)),
    "deep and wide": lambda: cr.Chain(cr.Dense(256, cr.tanh), cr.Dense(288, cr.relu), cr.Dense(10)),
}
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "descent": lambda: cr.optimizers.SGD(0.1),
    "momentum": lambda: cr.optimizers.SGD(0.1, momentum=0.9),
    "Adam": lambda: cr.optimizers.Adam(1e-2),
    "average": lambda: cr.optimizers.Compose(cr.optimizers.Adam(1e-2), cr.optimizers.Averaging(0.9)),
    "norms of units": lambda: cr.optimizers.Compose(
        cr.optimizers.AdaptiveClip(0.05), cr.optimizers.SGD(0.1), cr.optimizers.MaxNorm(1.5)
    ),
}


def _step(model: Any, optimizer: Any, batch: int, engine: Any) -> tuple[Any, dict[str, Array], dict[str, Array]]:
    """A compiled step, its state, and what it is given."""
    random = np.random.default_rng(0)
    data = cr.data.from_arrays(random.random((64, 150), np.float32), np.arange(64) % 10)
    run = cr.prepare(model, data, optimizer=optimizer, batch_size=batch, seed=0, dtype="float64", engine=engine)
    assert isinstance(run.spec, DataSpec)
    _, program = run.built(run.spec, batch)
    _, arrays = feed(data, run.preparation, None)
    fixed = {f"data/{name}": array for name, array in arrays.items()}
    fixed |= {name: np.asarray(number, np.float64) for name, number in run.numbers.items()}
    return program, run.arrays, {**fixed, "seed": np.asarray(0, np.uint32)}


def _after(program: Any, state: dict[str, Array], fixed: dict[str, Array], batch: int, steps: int) -> dict[str, Array]:
    dtype = program.graph.inputs["batch/indices"].dtype
    rows = np.arange(steps * batch).reshape(steps, batch) % 64
    last, logs = program.repeat(state, fixed, {"batch/indices": rows.astype(dtype)}, until="finite")
    return {**last, **logs}


@pytest.mark.parametrize("batch", [1, 24])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_training_in_panels_is_the_reference(model: str, optimizer: str, batch: int) -> None:
    def make(engine: Any) -> tuple[Any, dict[str, Array], dict[str, Array]]:
        return _step(MODELS[model](), OPTIMIZERS[optimizer](), batch, engine)

    expected = _after(*make("reference"), batch, 4)
    for settings in ({"cores": 2}, {"cores": 3, "one_by_one": "backwards"}):
        program, state, fixed = make(NativeEngine(**settings))
        assert any(name.startswith("parameters/") for name in program.panels)
        before = {name: array.copy() for name, array in state.items()}
        found = _after(program, state, fixed, batch, 4)
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-11, err_msg=name)
        assert all((state[name] == array).all() for name, array in before.items())
        single = program.run({**state, **fixed, "batch/indices": np.arange(batch, dtype=np.int32)})
        assert set(single) == set(program.graph.outputs)
        assert single["parameters/0.weight"].shape == state["parameters/0.weight"].shape


def test_arrays_go_into_panels_and_back() -> None:
    array = np.arange(5 * 70, dtype=np.float32).reshape(5, 70)
    layout = Panels(5, 70)
    split = layout.split(array, np.ones((3, 5, 32), np.float32))
    assert split.shape == (3, 5, 32)
    assert (split[1, 2] == array[2, 32:64]).all()
    assert (split[2, :, 6:] == 0).all()
    assert (layout.join(np.ascontiguousarray(split)) == array).all()


def test_weights_go_into_the_memory_of_the_last_call_and_what_that_gave_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(engine: Any) -> tuple[Any, dict[str, Array], dict[str, Array]]:
        return _step(MODELS["two layers, ragged"](), OPTIMIZERS["momentum"](), 24, engine)

    real, places = Panels.split, list[int]()

    def split(self: Panels, array: Array, place: Array) -> Array:
        places.append(place.ctypes.data)
        return real(self, array, place)

    monkeypatch.setattr(Panels, "split", split)
    program, state, fixed = make(NativeEngine(cores=2))
    first = _after(program, state, fixed, 24, 2)
    kept = {name: array.copy() for name, array in first.items()}
    again = _after(program, state, fixed, 24, 2)
    count = len(program.panels)
    assert count == 2
    assert places[:count] == places[count:]
    for name, array in kept.items():
        np.testing.assert_array_equal(first[name], array)
        np.testing.assert_array_equal(again[name], array)


def test_a_call_that_comes_in_between_has_memory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    program, state, fixed = _step(MODELS["sigmoid"](), OPTIMIZERS["descent"](), 24, NativeEngine(cores=1))
    expected = _after(program, state, fixed, 24, 2)
    other = {name: array + 1 if array.dtype == np.float64 else array for name, array in state.items()}
    real, within = Panels.split, list[dict[str, Array]]()

    def split(self: Panels, array: Array, place: Array) -> Array:
        found = real(self, array, place)
        if not within:
            within.append({})
            within[0] = _after(program, other, fixed, 24, 2)
        return found

    monkeypatch.setattr(Panels, "split", split)
    found = _after(program, state, fixed, 24, 2)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    assert (within[0]["parameters/0.weight"] != expected["parameters/0.weight"]).any()


@pytest.mark.parametrize("optimizer", ["average", "norms of units"])
def test_no_loop_reads_a_weight_across_its_panels(optimizer: str) -> None:
    engine = NativeEngine(cores=2)
    program, state, _ = _step(cr.Chain(cr.Dense(300, cr.relu), cr.Dense(10)), OPTIMIZERS[optimizer](), 24, engine)
    assert sorted(program.panels) == sorted(name for name, array in state.items() if array.shape == (150, 300))
    loops = program.loops()
    assert "transpose(parameters/0.weight" not in loops
    assert "transpose(optimizer/" not in loops


def test_small_weights_go_without() -> None:
    step = _step(MODELS["two layers, ragged"](), cr.optimizers.SGD(0.1), 24, "reference")[0].graph
    lowered = rewrite(step)
    assert set(in_panels(lowered)[1]) == {"parameters/0.weight"}
    alone = NativeEngine(cores=1).compile(step)
    assert set(alone.panels) == {"parameters/0.weight"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", ["nothing is cut", "no zeros"])
def test_what_stands_beyond_the_columns_would_be_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(engine: Any) -> tuple[Any, dict[str, Array], dict[str, Array]]:
        return _step(MODELS["sigmoid"](), OPTIMIZERS["momentum"](), 24, engine)

    expected = _after(*make("reference"), 24, 3)
    if fault == "nothing is cut":
        monkeypatch.setattr(panels, "_joined", _shifted)
    else:
        real = Panels.split

        def ones(self: Panels, array: Array, place: Array) -> Array:
            real(self, array, place)
            place[place == 0] = 1
            return place

        monkeypatch.setattr(Panels, "split", ones)
    found = _after(*make(NativeEngine(cores=2)), 24, 3)
    assert any(not np.allclose(found[name], array, rtol=1e-9) for name, array in expected.items())


def _shifted(tiles: Any, columns: int) -> Any:
    """The last columns instead of the first."""
    *outer, count, width = tiles.shape
    whole = graph.make("reshape", (tiles,), shape=(*outer, count * width))
    starts = (*(0 for _ in outer), count * width - columns)
    return graph.make("slice", (whole,), starts=starts, stops=whole.shape, steps=(1,) * whole.rank)
