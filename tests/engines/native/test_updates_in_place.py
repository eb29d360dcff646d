"""A weight is updated where it lies, in the loop that makes its gradient, tile by tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.engines.choose import choose
from chainrule.engines.native import NativeEngine, contraction
from chainrule.graph import Graph

Array = NDArray[Any]
STEPS = 4


def step(samples: int, rows: int, columns: int, twice: bool = False) -> tuple[Graph, dict[str, Array]]:
    """Momentum for a weight whose gradient is a product."""
    random = np.random.default_rng(0)
    shapes = {"x": (samples, rows), "slope": (samples, columns), "weight": (rows, columns), "velocity": (rows, columns)}
    arrays = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    x, slope, weight, velocity = (g.input(name, array.shape, "float64") for name, array in arrays.items())
    # The weight's own square is in the slope, so that what was written too early would be seen.
    gradient = g.contract(x, slope, "bi,bo->io")
    velocity = velocity * 0.9 + gradient + weight * weight * 0.01
    outputs = {"velocity": velocity, "weight": weight - velocity * 0.01}
    if twice:
        outputs["gradient"] = gradient
    return Graph(outputs), arrays


def after(engine: Any, graph: Graph, arrays: dict[str, Array]) -> dict[str, Array]:
    state = {name: arrays[name] for name in ("weight", "velocity")}
    fixed = {name: arrays[name] for name in ("x", "slope")}
    found, _ = engine.compile(graph).repeat(state, fixed, {"step": np.zeros(STEPS)})
    return dict(found)


def replaced(graph: Graph) -> set[str]:
    block = NativeEngine(cores=1).compile(graph).written.block  # type: ignore[attr-defined]
    return {old.attributes["name"] for old in block.replaces.values()}


@pytest.mark.parametrize("samples", [1, 5, 32])
@pytest.mark.parametrize(("rows", "columns"), [(24, 40), (37, 50), (3, 17), (200, 16), (1, 64)])
@pytest.mark.parametrize("cores", [1, 2, 3])
def test_the_weight_is_that_of_the_definition(samples: int, rows: int, columns: int, cores: int) -> None:
    graph, arrays = step(samples, rows, columns)
    expected = after(choose("reference"), graph, arrays)
    found = after(NativeEngine(cores=cores), graph, arrays)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-12)


def test_weight_and_velocity_stay_where_they_are() -> None:
    assert replaced(step(32, 24, 40)[0]) == {"weight", "velocity"}


def test_a_gradient_that_is_wanted_has_a_place_of_its_own() -> None:
    graph, arrays = step(32, 24, 40, twice=True)
    assert not replaced(graph)
    state = {name: arrays[name] for name in ("weight", "velocity")}
    fixed = {name: arrays[name] for name in ("x", "slope")}
    _, logs = NativeEngine().compile(graph).repeat(state, fixed, {"step": np.zeros(1)})
    np.testing.assert_allclose(logs["gradient"][0], arrays["x"].T @ arrays["slope"], rtol=1e-12)


def test_a_sum_in_blocks_is_written_elsewhere() -> None:
    # Its tiles are not done before the last block is.
    graph, _ = step(4095, 64, 64)
    assert not replaced(graph)


def test_tiles_that_do_not_take_turns_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contraction._Near, "__init__", _of_one_tile)
    graph, arrays = step(32, 24, 40)
    expected = after(choose("reference"), graph, arrays)
    found = after(NativeEngine(cores=1), graph, arrays)
    assert np.abs(found["weight"] - expected["weight"]).max() > 1e-6


_whole = contraction._Near.__init__


def _of_one_tile(near: Any, e: Any, t: Any, rows: int, width: int) -> None:
    _whole(near, e, t, rows, width)
    near._rows = 1 << 40  # no tile is the second
