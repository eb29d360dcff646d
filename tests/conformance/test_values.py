"""The value law: what the reference engine computes is what plain loops compute, for every op, dtype and odd size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule.engines.reference import VALUES
from chainrule.errors import DtypeError
from chainrule.graph import DTYPES, OPS
from chainrule.graph.ops import fits
from tests.conformance.cases import CASES, TAKES, Case, Operand, as_parameters, cases_of
from tests.conformance.laws import named, run
from tests.conformance.plain import expected

Array = NDArray[Any]

#: Each of these gives the same bits on every engine.
EXACT = {name for name, op in OPS.items() if op.family in ("leaf", "move")} - {"fold"}


def check_value(case: Case, dtype: str = "") -> None:
    """The law: shape, dtype and numbers are those of the plain loops."""
    inputs, arrays = case.inputs(dtype), case.arrays(dtype=dtype)
    node = case.node(inputs)
    (value,) = run([node], named(inputs, arrays))
    wanted = expected(case, arrays)
    assert value.shape == node.shape == wanted.shape
    assert value.dtype.name == node.dtype
    if case.op in EXACT or value.dtype.kind != "f":
        np.testing.assert_array_equal(value, wanted)
    else:
        loose = 1e-5 if "float32" in (dtype, node.dtype) else 1e-13
        np.testing.assert_allclose(value, wanted, rtol=loose, atol=loose)


@pytest.mark.parametrize("case", as_parameters(CASES))
def test_the_value_is_that_of_plain_loops(case: Case) -> None:
    check_value(case)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", TAKES)
def test_an_op_takes_its_dtypes_and_refuses_the_others(op: str, dtype: str) -> None:
    for case in cases_of(op):
        if dtype not in TAKES[op] or not fits(case.attributes.get("value", 0), dtype):
            with pytest.raises(DtypeError, match=dtype):
                case.node(case.inputs(dtype))
        else:
            check_value(case, dtype)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint32", "int64"])
@pytest.mark.parametrize("op", ["add", "sub", "mul", "neg", "sum"])
def test_whole_numbers_wrap(op: str, dtype: str) -> None:
    ends = np.iinfo(dtype)
    numbers = np.array([ends.min, ends.max, ends.max, 1, 0], dtype)
    arrays = [numbers] if op in ("neg", "sum") else [numbers, np.roll(numbers, 1)]
    case = Case(op, tuple(Operand((5,), dtype) for _ in arrays), {"axes": (0,)} if op == "sum" else {})
    inputs = case.inputs()
    (value,) = run([case.node(inputs)], named(inputs, arrays))
    np.testing.assert_array_equal(value, expected(case, arrays))


def check_values(op: str) -> None:
    for case in cases_of(op):
        check_value(case)


@pytest.mark.parametrize("op", sorted(set(OPS) - {"input", "param", "scan", "last", "stack"}))
def test_a_wrong_value_is_found(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[..., Array] = VALUES[op]

    def wrong(node: Any, *arrays: Array) -> Array:
        value = np.array(right(node, *arrays))
        last = value.reshape(-1)[-1:]
        last[...] = ~last if value.dtype.kind in "bui" else last * 1.001 + 1e-3
        return value

    monkeypatch.setitem(VALUES, op, wrong)
    with pytest.raises(AssertionError):
        check_values(op)
