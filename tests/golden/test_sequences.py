"""Recurrent layers, attention and blocks beside arrays of another framework: values and every gradient."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import chainrule as cr
from chainrule import graph
from chainrule.engines.native import NativeEngine
from chainrule.engines.reference import ReferenceEngine
from chainrule.formats.frameworks import from_pytorch
from chainrule.gradients import pull_back
from chainrule.graph import Build, Graph, Node
from chainrule.layers import MultiHeadAttention, Record, Scope
from chainrule.layers import attention as attention_module
from chainrule.layers.masking import steps_below

Array = NDArray[Any]
NATIVE = NativeEngine(cores=1)


@cache
def stored() -> dict[str, dict[str, Array]]:
    """The arrays of each case by their names in it."""
    with np.load(Path(__file__).parent / "sequences.npz") as file:
        cases: dict[str, dict[str, Array]] = {}
        for name in file.files:
            for part in ("/weights/", "/d/", "/"):
                head, found, tail = name.rpartition("/") if part == "/" else name.partition(part)
                if found:
                    cases.setdefault(head, {})[part.strip("/") + "/" * (part != "/") + tail] = file[name]
                    break
    return cases


KINDS = {"SimpleRNN": cr.SimpleRNN, "LSTM": cr.LSTM, "GRU": cr.GRU}


def layer_of(name: str) -> Any:
    kind, *settings = name.split("/")
    if kind in KINDS:
        layer: Any = KINDS[kind](3, sequences=True)
        return cr.Bidirectional(layer) if "True" in settings else layer
    if kind == "attention":
        return MultiHeadAttention(2, causal=settings == ["causal"])
    first = settings[0] == "True"
    if kind == "encoder":
        return cr.TransformerEncoder(2, 6, norm_first=first, causal="causal" in settings)
    return cr.TransformerDecoder(2, 6, norm_first=first)


def check(name: str, engine: Any, dtype: str, tolerance: float) -> None:
    case, layer = stored()[name], layer_of(name)
    given = {key: array for key, array in case.items() if key in ("x", "s0", "s1", "memory")}
    with Build() as opened:
        record = Record(dtype)
        nodes = {key: graph.input(key, array.shape, dtype) for key, array in given.items()}
        inputs: list[Node] = list(nodes.values())
        if "lengths" in case:
            lengths = graph.constant(case["lengths"].astype(np.int32))
            if "memory" in case:
                inputs.append(steps_below(lengths, nodes["memory"]))
            else:
                layer, inputs = cr.Masked(layer), [*inputs, lengths]
        y = Scope(record).apply(layer, *inputs, name="")
        cotangent = graph.constant(np.cos(np.arange(y.size)).reshape(y.shape), dtype)
        wrt = nodes | {path.partition("/")[2]: node for path, node in record.values.items()}
        slopes = pull_back({y: cotangent}, list(wrt.values()))
        whole = Graph.of({"value": y} | {f"d:{path}": s for path, s in zip(wrt, slopes, strict=True)}, opened)
    bare = layer.layer if isinstance(layer, cr.Masked) else layer
    weights, expected = (
        from_pytorch(bare, {key.removeprefix(part): array for key, array in case.items() if key.startswith(part)})
        for part in ("weights/", "d/")
    )
    arrays = given | {f"parameters/{path}": array for path, array in weights.items()}
    found = engine.compile(whole).run({key: arrays[key].astype(dtype) for key in whole.inputs})
    expected = {f"d:{path}": array for path, array in expected.items()}
    expected |= {key: case[key] for key in ("value", *(f"d:{key}" for key in given))}
    assert set(found) == set(expected)
    for key, array in expected.items():
        error = np.abs(found[key] - array).max()
        assert error <= tolerance * max(1.0, np.abs(array).max()), f"{name}: {key} differs by {error}"


CASES = [
    *(f"{kind}/{ways}/{what}" for kind in KINDS for ways in (False, True) for what in ("whole", "lengths")),
    *(f"{kind}/state" for kind in KINDS),
    *(f"attention/{what}" for what in ("plain", "causal", "padding", "memory")),
    *(f"encoder/{first}{causal}" for first in (True, False) for causal in ("", "/causal")),
    *(f"decoder/{first}" for first in (True, False)),
]


def test_every_case_is_tried() -> None:
    assert set(stored()) == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_another_framework(name: str) -> None:
    check(name, ReferenceEngine(), "float64", 1e-10)


@pytest.mark.parametrize("name", ["LSTM/True/lengths", "GRU/state", "attention/padding", "decoder/True"])
def test_the_native_engine_has_them_too(name: str) -> None:
    check(name, NATIVE, "float32", 3e-6)


def test_what_is_wrong_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates in another order, and attention that sees what comes later."""
    case = dict(stored()["GRU/False/whole"])
    case["weights/weight_ih_l0"] = case["weights/weight_ih_l0"][[3, 4, 5, 0, 1, 2, 6, 7, 8]]
    monkeypatch.setitem(stored(), "GRU/False/whole", case)
    with pytest.raises(AssertionError, match="differs"):
        check("GRU/False/whole", ReferenceEngine(), "float64", 1e-10)
    given = attention_module.attention_weights
    monkeypatch.setattr(attention_module, "attention_weights", lambda q, k, m, causal: given(q, k, m, False))
    with pytest.raises(AssertionError, match="differs"):
        check("attention/causal", ReferenceEngine(), "float64", 1e-10)
