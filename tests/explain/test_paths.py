"""The largest paths, beside all paths of a small network walked one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule.explain import paths as searching
from chainrule.explain.local import edges, operands_of
from chainrule.explain.paths import largest_paths, product
from chainrule.explain.point import points, values_of
from chainrule.gradients import differentiable
from chainrule.graph import FLOATS, Graph, Node
from chainrule.losses import Loss
from tests.explain.making import Convolution, classes, numbers, pool

Array = NDArray[Any]


def _walk(loss: Node, node: Node, place: int, values: Mapping[Node, Array], so_far: float) -> Iterator[float]:
    """The product of every path from an element to the loss, by walking each on its own."""
    if node is loss:
        yield so_far
        return
    for reader in Graph({"loss": loss}).nodes:
        if reader.op == "scan" or reader.dtype not in FLOATS or not differentiable(reader):
            continue
        for position, below in enumerate(operands_of(reader)):
            if below is node:
                for part in edges(reader, position, np.array([place]), values):
                    for target, derivative in zip(part.targets, part.derivatives, strict=True):
                        if derivative:
                            yield from _walk(loss, reader, int(target), values, so_far * derivative)


def _setting(run: cr.Run, data: cr.data.Dataset, path: str) -> tuple[Node, Node, dict[Node, Array], Array]:
    (point,) = points(run, data, [0])
    loss = point.graph.outputs["loss"]
    values = values_of(point.graph, point.arrays)
    return loss, point.graph.inputs[f"parameters/{path}"], values, values[point.graph.outputs[f"gradient/{path}"]]


NETWORKS: dict[str, tuple[list[Any], Any, Loss | None]] = {
    "classes": ([cr.Dense(3, cr.tanh), cr.Dense(2, cr.sigmoid), cr.Dense(3)], classes(), None),
    "numbers": ([cr.Dense(4, cr.leaky_relu), cr.Dense(2)], numbers(outputs=2), None),
    "softmax": ([cr.Dense(3), cr.softmax, cr.Dense(1)], numbers(), cr.losses.half_squared_error),
    "windows": ([cr.Reshape((4, 4, 1)), Convolution(2), pool, cr.Flatten(), cr.Dense(2)], numbers(4, 16, 2), None),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_largest_paths_are_the_largest_of_all(name: str) -> None:
    layers, data, loss_of = NETWORKS[name]
    run = cr.prepare(cr.Chain(*layers), data, loss=loss_of)
    for path in run.parameters:
        loss, start, values, slopes = _setting(run, data, path)
        place = start.size // 2
        every = sorted(_walk(loss, start, place, values, 1.0), key=abs, reverse=True)
        found = largest_paths(loss, start, place, values, 7)
        assert found.exact
        assert found.count == len(every)
        products = [product(way) for way in found.paths]
        np.testing.assert_allclose(np.abs(products), np.abs(every[:7]), rtol=1e-12)
        gradient = slopes.ravel()[place]
        tolerance = 1e-12 * sum(map(abs, every))
        assert sum(every) == pytest.approx(gradient, abs=tolerance)
        assert found.slope == pytest.approx(gradient, abs=tolerance)


def test_a_search_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    data = classes(inputs=4)
    run = cr.prepare(cr.Chain(cr.Dense(20, cr.tanh), cr.Dense(20, cr.tanh), cr.Dense(3)), data)
    loss, start, values, _ = _setting(run, data, "0.weight")
    whole = largest_paths(loss, start, 5, values, 4)
    monkeypatch.setattr(searching, "_ROOM", 8)
    short = largest_paths(loss, start, 5, values, 4)
    assert whole.exact
    assert not short.exact
    assert short.slope == pytest.approx(whole.slope, rel=1e-9) or short.count < whole.count
    assert [step.node for step in short.paths[0]][-1] is start


def test_the_same_question_gets_the_same_answer() -> None:
    """Units that start alike have paths of equal products."""
    data = numbers()
    layers = [cr.Dense(4, cr.tanh, weight=cr.initializers.Constant(0.3)) for _ in range(2)]
    run = cr.prepare(cr.Chain(*layers, cr.Dense(1, weight=cr.initializers.Constant(0.3))), data)
    loss, start, values, _ = _setting(run, data, "0.weight")
    first, second = (largest_paths(loss, start, 1, values, 3) for _ in range(2))
    assert [[step.place for step in way] for way in first.paths] == [
        [step.place for step in way] for way in second.paths
    ]
