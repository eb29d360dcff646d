"""Layers of images and sequences against arrays that another framework made, for 640 settings (make_layers.py)."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.formats.configuration import from_plain
from chainrule.gradients import RULES, pull_back
from chainrule.graph import Build, Graph, Node
from chainrule.layers import Applicable, Record, Scope, convolution
from tests.golden.drawn import drawn

Array = NDArray[Any]
#: How many cases a test takes together.
_MANY = 64


@dataclass(frozen=True)
class Case:
    """A layer, the shape that it is given, and what another framework has of it."""

    number: int
    layer: Applicable
    shape: tuple[int, ...]
    arrays: dict[str, Array]

    @property
    def name(self) -> str:
        return f"case {self.number}: {self.layer} of {list(self.shape)}"


@functools.cache
def cases() -> list[Case]:
    with np.load(Path(__file__).parent / "image_layers.npz") as file:
        listed = json.loads(file["cases"].tobytes().decode())
        stores = {True: file["numbers"].astype(np.float64), False: file["fractions"]}
    begin = {True: 0, False: 0}
    found = []
    for number, case in enumerate(listed):
        arrays, whole = {}, case["whole"]
        for name, shape in case["arrays"].items():
            arrays[name] = stores[whole][begin[whole] : begin[whole] + prod(shape)].reshape(shape)
            begin[whole] += prod(shape)
        found.append(Case(number, from_plain(case["layer"]), tuple(case["x"]), arrays))
    assert begin == {whole: len(store) for whole, store in stores.items()}
    return found


def built(chosen: Sequence[Case], dtype: str) -> tuple[Graph, dict[str, Array]]:
    """One graph of several layers: each with its value and its gradients; and the operands of all of them."""
    outputs: dict[str, Node] = {}
    given: dict[str, Array] = {}
    with Build() as opened:
        record = Record(dtype)
        scope = Scope(record)
        for case in chosen:
            x = graph.input(f"x/{case.number}", case.shape, dtype)
            value = scope.apply(case.layer, x, name=case.number)
            assert value.shape == case.arrays["value"].shape, case.name
            wrt = {"x": x} | {
                name[2:]: record.values[f"parameters/{case.number}.{name[2:]}"]
                for name in case.arrays
                if name[:2] == "d:" and name != "d:x"
            }
            cotangent = graph.input(f"cotangent/{case.number}", value.shape, dtype)
            slopes = pull_back({value: cotangent}, list(wrt.values()))
            outputs |= {f"{case.number}/value": value}
            outputs |= {f"{case.number}/d:{name}": slope for name, slope in zip(wrt, slopes, strict=True)}
            operands = {"cotangent": cotangent, **wrt}
            given |= {node.attributes["name"]: drawn(f"{case.number}/{name}", node.shape).astype(dtype)
                      for name, node in operands.items()}  # fmt: skip
        whole = Graph.of(outputs, opened)
    return whole, given


def check(chosen: Sequence[Case], engine: Any, dtype: str, tolerance: float) -> None:
    whole, given = built(chosen, dtype)
    found = engine.compile(whole).run({name: given[name] for name in whole.inputs})
    for case in chosen:
        for name, array in case.arrays.items():
            error = np.max(np.abs(found[f"{case.number}/{name}"] - array), initial=0.0)
            assert error <= tolerance * np.max(np.abs(array), initial=1e-300), f"{case.name}: {name} differs"


@pytest.mark.parametrize("start", range(0, 640, _MANY))
def test_values_and_gradients_are_those_of_another_framework(start: int) -> None:
    check(cases()[start : start + _MANY], ReferenceEngine(), "float64", 1e-10)


@pytest.mark.parametrize("start", range(0, 640, 2 * _MANY))
def test_float32_too(start: int) -> None:
    check(cases()[start : start + 2 * _MANY], ReferenceEngine(), "float32", 1e-6)


def some(count: int, first: int) -> list[Case]:
    """Cases of every kind of layer, small ones, another choice for another ``first``."""
    kinds: dict[str, list[Case]] = {}
    for case in cases():
        if prod(case.shape) <= 60:
            kinds.setdefault(type(case.layer).__name__, []).append(case)
    return [row[(first * count + n) % len(row)] for row in kinds.values() for n in range(count)]


@pytest.mark.parametrize(("first", "dtype", "tolerance"), [(0, "float64", 1e-10), (1, "float32", 1e-6)])
def test_the_native_engine_has_them_too(first: int, dtype: str, tolerance: float) -> None:
    """Whole numbers, so that sums are exact in any order; what divides is within rounding."""
    check(some(2, first), NativeEngine(cores=1), dtype, tolerance)


def test_there_are_hundreds_and_they_differ() -> None:
    count = Counter(type(case.layer).__name__ for case in cases())
    assert len(cases()) == 640
    assert count["Conv2D"] == 160
    assert count["ConvTranspose2D"] == 90
    assert len({str(case.layer) for case in cases()}) > 500


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(g: Node, y: Node, x: Node, *, axes: Any, sizes: Any, strides: Any, dilations: Any) -> tuple[Node]:
        return (graph.fold(graph.reverse(g, -1), axes, sizes, strides, dilations, [x.shape[axis] for axis in axes]),)

    monkeypatch.setitem(RULES, "window", turned)
    with pytest.raises(AssertionError, match="d:x differs"):
        check(cases()[:_MANY], ReferenceEngine(), "float64", 1e-10)


def test_weights_in_another_order_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels out before channels in, as other frameworks have them."""
    given = convolution.grouped

    def mixed(x: Node, weight: Node, count: int, groups: int) -> Any:
        *taps, inside, out = weight.shape
        return given(x, graph.reshape(graph.transpose(weight), (*taps, inside, out)), count, groups)

    monkeypatch.setattr(convolution, "grouped", mixed)
    with pytest.raises(AssertionError, match="value differs"):
        check(cases()[:_MANY], ReferenceEngine(), "float64", 1e-10)
