"""Values and gradients against arrays that another framework made (make_golden.py says how): at most 1e-10 apart."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.engines.reference import ReferenceEngine
from chainrule.gradients import RULES, pull_back
from chainrule.graph import Graph, Node, rewrite, verify
from tests.golden import networks
from tests.golden.networks import Operands

HERE = Path(__file__).parent
D = "float64"
Array = NDArray[Any]


def load(name: str) -> dict[str, dict[str, Array]]:
    """case -> name -> array, of one file."""
    cases: dict[str, dict[str, Array]] = {}
    with np.load(HERE / f"{name}.npz") as file:
        for key in file.files:
            case, _, part = key.rpartition("/")
            cases.setdefault(case, {})[part] = file[key]
    return cases


def _table(name: str) -> dict[str, dict[str, Any]]:
    """A table of attributes, read from the script itself: there is no second list to keep in step."""
    for node in ast.parse((HERE / "make_golden.py").read_text("utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            assert node.value is not None
            table: dict[str, dict[str, Any]] = ast.literal_eval(node.value)
            return table
    raise AssertionError(f"make_golden.py has no {name}")


def _elementwise(op: str) -> Callable[[Operands], Node]:
    if op == "power":
        return lambda p: p["x"] ** 2.5
    return lambda p: g.make(op, tuple(p.values()))


NETWORKS: dict[str, Callable[[str], Callable[[Operands], Node]]] = {
    "elementwise": lambda case: _elementwise(case.partition(",")[0]),
    "convolution": lambda case: lambda p: networks.convolution(p, **_table("CONVOLUTIONS")[case]),
    "pooling": lambda case: (
        lambda p: (
            networks.mean(g.window(p["x"], [2, 3], [2, 2], [2, 2]), (4, 5))
            if case == "mean"
            else networks.pooling(p, **_table("POOLINGS")[case.partition(",")[0]])
        )
    ),
    "losses": lambda case: {
        "cross_entropy": networks.cross_entropy,
        "binary_cross_entropy": networks.binary_cross_entropy,
        "mean_squared_error": lambda p: networks.mean((p["input"] - p["target"]) ** 2),
    }[case.partition(",")[0].partition(" ")[0]],
    "embedding": lambda case: lambda p: g.gather(p["table"], p["index"]),
    "layer_norm": lambda case: lambda p: networks.layer_norm(p["x"], p["weight"], p["bias"]),
    "attention": lambda case: networks.block,
    "recurrence": lambda case: {"lstm": networks.lstm, "gru": networks.gru}[case],
}
CASES = [(name, case) for name in NETWORKS for case in load(name)]


def check_golden(name: str, case: str, *, rewritten: bool = False) -> None:
    arrays = load(name)[case]
    given = {key: array for key, array in arrays.items() if key not in ("value", "cotangent") and key[:2] != "d:"}
    inputs = {key: g.input(key, array.shape, array.dtype.name) for key, array in given.items()}
    value = NETWORKS[name](case)(inputs)
    wanted = [key[2:] for key in arrays if key.startswith("d:")]
    cotangent = g.constant(arrays["cotangent"], D)
    slopes = pull_back({value: cotangent}, [inputs[key] for key in wanted])
    graph = verify(Graph({"value": value, **{f"d:{key}": slope for key, slope in zip(wanted, slopes, strict=True)}}))
    if rewritten:
        graph = verify(rewrite(graph))
    for key, found in ReferenceEngine().compile(graph).run(given).items():
        largest = np.max(np.abs(arrays[key]), initial=1e-300)
        assert np.max(np.abs(found - arrays[key]), initial=0) <= 1e-10 * largest, f"{name}, {case}: {key} differs"


@pytest.mark.parametrize(("name", "case"), CASES)
def test_values_and_gradients_are_those_of_another_framework(name: str, case: str) -> None:
    check_golden(name, case)


@pytest.mark.parametrize(("name", "case"), [each for each in CASES if each[0] != "elementwise"])
def test_rewriting_keeps_them(name: str, case: str) -> None:
    check_golden(name, case, rewritten=True)


def test_small_numbers_are_held_to_the_same_number_of_digits() -> None:
    """1e-10 of the largest says little of a tail: those are compared one by one."""
    cases = load("elementwise")
    for op in ("tanh", "sigmoid", "erf", "expm1", "log1p"):
        arrays = cases[f"{op}, far and near"]
        x = g.input("x", arrays["x"].shape, D)
        (value,) = ReferenceEngine().compile(Graph({"y": g.make(op, (x,))})).run({"x": arrays["x"]}).values()
        np.testing.assert_allclose(value, arrays["value"], rtol=1e-14)


def test_every_file_is_tested_and_none_is_large() -> None:
    files = {path.stem: path.stat().st_size for path in HERE.glob("*.npz")}
    others = "optimizers schedules batch_norm weighted_losses curves lbfgs image_layers sequences"
    assert set(files) == {*NETWORKS, *others.split()}
    assert max(files.values()) < 200_000


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "sigmoid", lambda dy, y, x: (dy * y * (1 - y * (1 + 1e-9)),))
    with pytest.raises(AssertionError, match="d:x differs"):
        check_golden("elementwise", "sigmoid")
