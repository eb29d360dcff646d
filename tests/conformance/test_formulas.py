"""A formula is a rule printed on symbols: pinned for every op, and derived from the table and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from chainrule.errors import GraphError
from chainrule.gradients import RULES, formula, formula_of
from chainrule.graph import OPS, contract, input
from tests.conformance.cases import CASES, Case
from tests.conformance.printed import FORMULAS, VARIANTS


@pytest.mark.parametrize("op", OPS)
def test_the_formula_of_an_op_as_printed(op: str) -> None:
    assert formula(op) == FORMULAS[op]


@pytest.mark.parametrize(("op", "attributes", "text"), VARIANTS)
def test_a_formula_follows_the_attributes(op: str, attributes: dict[str, Any], text: str) -> None:
    assert formula(op, **attributes) == text


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_node_has_a_formula(case: Case) -> None:
    node = case.node(case.inputs())
    lines = formula_of(node).splitlines()
    wanted = (
        len(node.inputs) if OPS[node.op].family not in ("leaf", "scan") and "no gradient passes" not in lines[0] else 1
    )
    assert len(lines) - (node.op == "max") == wanted


def test_a_formula_of_a_node_does_not_depend_on_its_names() -> None:
    g = input("g", (2, 3))
    assert formula_of(contract(g, g, "ij,kj->ik")) == "da = contract(g, b; ik,kj→ij)\ndb = contract(g, a; ik,ij→kj)"


def test_a_formula_is_read_off_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "tanh", lambda g, y, x: (g * (1 + y**2),))
    assert formula("tanh") == "dx = g·(1 + y²)"
    with pytest.raises(AssertionError):
        test_the_formula_of_an_op_as_printed("tanh")


def test_what_has_no_formula_is_said() -> None:
    with pytest.raises(GraphError, match="no op 'sinh'"):
        formula("sinh")
    with pytest.raises(GraphError, match="not exponents"):
        formula("power", exponents=2.0)
