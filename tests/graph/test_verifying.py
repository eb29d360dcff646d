"""The verifier finds every kind of broken graph: each is forged, since the functions that make nodes refuse to."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from chainrule import graph as g
from chainrule.errors import GraphError
from chainrule.graph import Graph, Node, make, verify, verifying


def forge(op: str, inputs: tuple[Node, ...] = (), shape: Any = (2,), dtype: str = "float32", **attributes: Any) -> Node:
    """A node that no function would make."""
    node = object.__new__(Node)
    fields = {"op": op, "inputs": inputs, "attributes": MappingProxyType(attributes), "shape": shape, "dtype": dtype}
    for name, value in fields.items():
        object.__setattr__(node, name, value)
    return node


def _x(name: str = "x", *shape: int) -> Node:
    return g.input(name, shape or (2,))


def _circle() -> Node:
    first = forge("exp", (_x(),))
    second = forge("neg", (first,))
    object.__setattr__(first, "inputs", (second,))
    return g.exp(second)


def _scan(body: Callable[[Node, Node], Node], carry: Node | None = None) -> Node:
    """The last carry of a scan over four slices of two."""
    h, x = carry or _x("h"), _x("xs", 4, 2)
    (after,), _ = g.scan(lambda carries, slices: ([body(carries[0], slices[0])], []), [h], [x])
    return after


def _scan_with(**changed: Any) -> Node:
    (scan,) = _scan(lambda h, x: h + x).inputs
    inputs = changed.pop("inputs", scan.inputs)
    broken = forge("scan", inputs, (), "tuple", **{**scan.attributes, **changed})
    return forge("last", (broken,), index=0)


def _stack(node: Node) -> Node:
    (scan,) = _scan(lambda h, x: h + x).inputs
    return forge("stack", (scan,), (4, *node.shape), node.dtype, node=node)


PARAM = g.param(0, (2,), "float32")

BROKEN: dict[str, tuple[Callable[[], Node], str]] = {
    "an unknown op": (lambda: forge("sinh", (_x(),)), "no op 'sinh'"),
    "a wrong shape": (lambda: forge("exp", (_x(),), (3,)), r"should be float32\[2\]"),
    "a wrong dtype": (lambda: forge("exp", (_x(),), dtype="float64"), r"should be float32\[2\]"),
    "operands that differ": (lambda: forge("add", (_x(), _x("y", 3))), "nothing is stretched"),
    "a dtype the op does not take": (lambda: forge("exp", (g.iota(2),), dtype="int32"), "exp takes float32"),
    "too few operands": (lambda: forge("add", (_x(),)), "add takes 2 inputs, and got 1"),
    "a missing attribute": (lambda: forge("sum", (_x(),), ()), r"has the attributes \[\]"),
    "a stray attribute": (lambda: forge("exp", (_x(),), axes=(0,)), r"has the attributes \['axes'\]"),
    "an attribute out of range": (lambda: forge("sum", (_x(),), (), axes=(1,)), "not distinct axes"),
    "an attribute of another kind": (lambda: forge("sum", (_x(),), (), axes=None), "sum"),
    "a bad node deep below": (lambda: g.exp(g.exp(g.exp(forge("neg", (_x(),), (3,))))), "neg"),
    "a circle": (_circle, "no circle"),
    "two inputs of one name": (lambda: g.sum(_x()) + g.sum(_x("x", 3)), "two inputs are called 'x'"),
    "a param outside a body": (lambda: g.exp(PARAM), "outside the body"),
    "a scan as an output": (lambda: _scan(lambda h, x: h + x).inputs[0], "is a scan"),
    "a scan read by another op": (lambda: forge("stop_gradient", _scan(lambda h, x: h).inputs, (), "tuple"), "tuple"),
    "a body that is not closed": (lambda: _scan_with(next=(g.exp(_x("outside")),)), "not closed.*'outside'"),
    "a param that is not there": (lambda: _scan_with(next=(g.param(5, (2,), "float32"),)), "param 5 of 2"),
    "a param of another shape": (lambda: _scan_with(next=(g.sum(g.param(1, (4, 2), "float32"), 0),)), "param 1"),
    "a bad node in a body": (lambda: _scan_with(next=(forge("exp", (PARAM,), dtype="float32", axes=1),)), "axes"),
    "a carry that changes": (lambda: _scan_with(next=(g.cast(PARAM, "float64"),)), "must be alike"),
    "a carry too few": (lambda: _scan_with(next=()), "1 carries and 0 next values"),
    "a stack of what is not in the body": (lambda: _stack(_x("outside")), "not closed"),
    "a stack of a bad node": (lambda: _stack(forge("exp", (PARAM,), (7,))), r"should be float32\[2\]"),
    "a stack of a scan": (lambda: _stack(_scan(lambda h, x: h).inputs[0]), "gives out"),
    "a last of no carry": (lambda: forge("last", _scan(lambda h, x: h).inputs, index=3), "no carry 3"),
}  # fmt: skip


def check_found(kind: str) -> None:
    build, message = BROKEN[kind]
    with pytest.raises(GraphError, match=message):
        verify(Graph({"y": build()}))


@pytest.mark.tiny
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_graph_is_found(kind: str) -> None:
    check_found(kind)


def _looping(next: Node, h: Node, xs: Node) -> Node:
    """The last carry of a forged scan over four slices."""
    attributes = {"next": (next,), "n_carry": 1, "n_xs": 1, "length": 4, "reverse": False}
    return forge("last", (forge("scan", (h, xs), (), "tuple", **attributes),), index=0)


def test_a_broken_body_within_a_body_is_found() -> None:
    broken = forge("exp", (PARAM,), (5,))
    for next, error in ((broken, True), (g.exp(PARAM), False)):
        inner = _looping(next, PARAM, g.broadcast_to(g.param(1, (2,), "float32"), (4, 2)))
        graph = Graph({"y": _looping(inner, _x("h"), _x("xs", 4, 2))})
        if error:
            with pytest.raises(GraphError, match=r"body of a scan, body of a scan.*float32\[2\]|must be alike"):
                verify(graph)
        else:
            verify(graph)


def test_what_is_well_formed_passes_and_comes_back() -> None:
    with g.Build() as build:
        y = g.sum(_scan(lambda h, x: g.tanh(h + x)) * 2)
    graph = Graph.of({"y": y}, build)
    assert verify(graph) is graph


def test_a_verifier_that_looks_at_no_shapes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Agreeing(dict[str, Any]):
        def __getitem__(self, op: str) -> Any:
            return lambda inputs, **attributes: ((2,), "float32")

    monkeypatch.setattr(verifying, "SHAPES", Agreeing())
    with pytest.raises(pytest.fail.Exception):
        check_found("too few operands")


def test_make_refuses_what_the_verifier_would_find() -> None:
    with pytest.raises(GraphError):
        make("add", (_x(), _x("y", 3)))
