"""What does not fit is refused when the graph is built, and the message says what came and what would fit."""

from __future__ import annotations

import pytest

from chainrule.errors import DtypeError, GraphError, ShapeError
from chainrule.graph import OPS, broadcast_to, contract, input, make, select, shapes
from tests.conformance.bad import BAD, Bad


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.op)
def test_what_does_not_fit_is_refused_in_words(bad: Bad) -> None:
    with pytest.raises(bad.error) as caught:
        bad.call()
    assert type(caught.value) is bad.error
    for piece in bad.says:
        assert piece in str(caught.value)


@pytest.mark.parametrize("op", OPS)
def test_attributes_that_an_op_has_not_are_refused(op: str) -> None:
    with pytest.raises(GraphError, match=f"{op} has the attributes"):
        make(op, (), nonsense=1)


@pytest.mark.parametrize("op", [name for name, op in OPS.items() if op.inputs and not op.variadic])
def test_a_wrong_number_of_operands_is_refused(op: str) -> None:
    attributes = dict.fromkeys(OPS[op].attributes)
    with pytest.raises(GraphError, match=rf"{op} takes {len(OPS[op].inputs)} inputs, and got 7"):
        make(op, (input("x"),) * 7, **attributes)


def test_there_is_no_other_op() -> None:
    with pytest.raises(GraphError, match="no op 'sinh'"):
        make("sinh", (input("x"),))


def test_an_array_is_not_a_node() -> None:
    with pytest.raises(GraphError, match=r"exp takes nodes, not float; wrap arrays with graph.constant"):
        make("exp", (1.0,))  # type: ignore[arg-type]


def test_the_builders_refuse_in_words_too() -> None:
    x, pixels = input("x", (2,)), input("p", (2,), "uint8")
    with pytest.raises(ShapeError, match=r"not the end of the shape \[2, 3\]"):
        broadcast_to(x, (2, 3))
    with pytest.raises(ShapeError, match="not of the form"):
        contract(x, x, "i,i")
    with pytest.raises(ShapeError, match="named by letters"):
        contract(x, x, "1,1->")
    with pytest.raises(ShapeError, match="at least one side"):
        select(input("c", (2,), "bool"), 1, 0)
    with pytest.raises(ShapeError, match="@ multiplies two matrices"):
        x @ x
    for number in (300, -1, 0.5, float("inf"), float("nan")):
        with pytest.raises(DtypeError, match=r"not a number that .* could hold"):
            pixels + number
    with pytest.raises(DtypeError, match="not str"):
        x + "1"  # type: ignore[operator]
    assert (pixels + 255).dtype == "uint8"


def test_a_message_that_says_less_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "_text", lambda x: "something")
    bad = next(bad for bad in BAD if bad.op == "contract")
    with pytest.raises(AssertionError):
        test_what_does_not_fit_is_refused_in_words(bad)
