"""The rule law: the slope that a rule gives is the slope that central differences measure, to second order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from chainrule.gradients import RULES, gradients, nothing
from chainrule.graph import FLOATS, OPS, Node
from chainrule.graph.ops import Op
from tests.conformance.cases import CASES, Case, as_parameters, cases_of, interval
from tests.conformance.laws import check_slopes, named, run, weighted


def _smooth(case: Case) -> bool:
    has_rule = RULES[case.op] is not nothing or case.op in ("input", "param")
    return has_rule and bool(case.operands) and case.node(case.inputs()).dtype == "float64"


def check_rule(case: Case) -> None:
    inputs = case.inputs()
    check_slopes(weighted(case.node(inputs)), inputs, named(inputs, case.arrays()))


SMOOTH = [case for case in CASES if _smooth(case)]
WITHOUT = [case for case in CASES if RULES[case.op] is nothing and case.operands and case not in SMOOTH]


def check_rules(op: str) -> None:
    for case in cases_of(op):
        if case in SMOOTH:
            check_rule(case)


@pytest.mark.parametrize("case", as_parameters(SMOOTH))
def test_a_rule_gives_the_slope_that_differences_measure_and_its_slope_in_turn(case: Case) -> None:
    check_rule(case)


@pytest.mark.parametrize("case", SMOOTH, ids=str)
def test_gradients_have_the_shapes_and_dtypes_of_their_inputs_and_float32_agrees(case: Case) -> None:
    slopes = {}
    for dtype in FLOATS:
        inputs = case.inputs(dtype)
        node = case.node(inputs)
        if node.dtype not in FLOATS:
            return
        floats = [x for x in inputs if x.dtype in FLOATS]
        found = gradients(weighted(node), floats)
        assert [(g.shape, g.dtype) for g in found] == [(x.shape, x.dtype) for x in floats]
        slopes[dtype] = run(found, named(inputs, case.arrays(dtype=dtype)))
    for low, high in zip(slopes["float32"], slopes["float64"], strict=True):
        np.testing.assert_allclose(low, high, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("case", WITHOUT, ids=str)
def test_where_the_table_says_none_nothing_passes(case: Case) -> None:
    inputs = case.inputs()
    node = case.node(inputs)
    if node.dtype in FLOATS:
        for slope in run(gradients(weighted(node), inputs), named(inputs, case.arrays())):
            assert not slope.any()


def _turned(op: str) -> Any:
    def rule(g: Node, y: Node, *inputs: Node, **attributes: Any) -> tuple[Node | None, ...]:
        return tuple(part if part is None else part * 1.001 for part in RIGHT[op](g, y, *inputs, **attributes))

    return rule


RIGHT = dict(RULES)
WITH_RULE = sorted({case.op for case in SMOOTH} - {"input", "param", "scan", "last", "stack"})


@pytest.mark.parametrize("op", WITH_RULE)
def test_a_wrong_rule_is_found(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, op, _turned(op))
    with pytest.raises(AssertionError, match="differences measure"):
        check_rules(op)


def test_a_wrong_second_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # The rule of cos enters only when the slope of sin is differentiated again.
    monkeypatch.setitem(RULES, "cos", lambda g, y, x: (g,))
    with pytest.raises(AssertionError, match="order 2"):
        check_rules("sin")


@pytest.mark.parametrize("op", [name for name, op in OPS.items() if op.smooth != (-math.inf, math.inf)])
def test_the_declared_smooth_domain_is_where_operands_are_drawn(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    low, high = OPS[op].smooth
    for case in cases_of(op):
        for array in case.arrays():
            assert ((array > low) & (array < high)).all()
    wider = OPS[op]
    monkeypatch.setitem(OPS, op, Op(op, wider.family, wider.inputs, wider.attributes))
    assert interval(op) == (-2.0, 2.0)
    if op in ("log", "log1p", "power"):
        with pytest.raises(AssertionError):
            check_rules(op)
