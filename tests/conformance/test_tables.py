"""Every table covers every op, and no other: an op that is added anywhere must be added everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chainrule.engines.reference import VALUES
from chainrule.gradients import RULES
from chainrule.graph import OPS
from chainrule.graph.printing import PRINTING
from chainrule.graph.shapes import SHAPES
from chainrule.graph.vectorizing import BATCHING
from tests.conformance.bad import BAD
from tests.conformance.cases import CASES, TAKES
from tests.conformance.plain import PLAIN
from tests.conformance.printed import FORMULAS

TABLES: dict[str, Mapping[str, Any]] = {
    "SHAPES": SHAPES,
    "VALUES": VALUES,
    "RULES": RULES,
    "BATCHING": BATCHING,
    "PRINTING": PRINTING,
    "cases": dict.fromkeys(case.op for case in CASES),
    "plain values": PLAIN,
    "bad inputs": dict.fromkeys(bad.op for bad in BAD),
    "formulas": FORMULAS,
}
#: These have no operand whose dtype is free.
_FIXED = {"input", "param", "constant", "iota", "scan", "last", "stack"}


def check_covers(name: str, table: Mapping[str, Any], ops: Mapping[str, Any] = OPS) -> None:
    missing, stray = sorted(set(ops) - set(table)), sorted(set(table) - set(ops))
    assert not missing, f"{name} lacks {', '.join(missing)}"
    assert not stray, f"{name} has {', '.join(stray)}, which the op list has not"


@pytest.mark.tiny
@pytest.mark.parametrize("name", TABLES)
def test_a_table_covers_every_op_and_no_other(name: str) -> None:
    check_covers(name, TABLES[name])


def test_every_op_with_operands_says_which_dtypes_it_takes() -> None:
    check_covers("dtypes", TAKES, {op: None for op in OPS if op not in _FIXED})


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_and_a_stray_op_are_found(name: str) -> None:
    lacking = {op: None for op in TABLES[name] if op != "tanh"}
    with pytest.raises(AssertionError, match="lacks tanh"):
        check_covers(name, lacking)
    with pytest.raises(AssertionError, match="has sinh"):
        check_covers(name, {**TABLES[name], "sinh": None})


def test_an_op_keeps_to_the_words_of_the_list() -> None:
    for name, op in OPS.items():
        assert op.name == name
        assert op.family in ("leaf", "elementwise", "reduce", "contract", "move", "index", "scan")
        assert op.smooth[0] < op.smooth[1]
