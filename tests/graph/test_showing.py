"""How graphs read: the fewest brackets that keep the meaning, short names, bodies indented."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.graph import Build, Graph, Node, expression, printing, scope, show
from chainrule.graph.printing import PRINTING, Text
from tests.conformance.cases import CASES, Case

A, B, C, X = (g.input(name, (2, 3), "float64") for name in "abcx")
M, N = (g.input(name, (2,), "int32") for name in "ij")
P, Q = (g.input(name, (2,), "bool") for name in "pq")
S = g.input("s", (), "float64")

TEXTS: list[tuple[Node, str]] = [
    (A + B + C, "a + b + c"),
    (A + (B + C), "a + b + c"),
    (A - B - C, "a − b − c"),
    (A - (B - C), "a − (b − c)"),
    (A - (B + C), "a − (b + c)"),
    (A + (B - C), "a + (b − c)"),
    (A * B * C, "a·b·c"),
    (A * (B * C), "a·b·c"),
    (A * (B + C), "a·(b + c)"),
    ((A + B) * C, "(a + b)·c"),
    (A / B / C, "a/b/c"),
    (A / (B * C), "a/(b·c)"),
    (A / (B / C), "a/(b/c)"),
    (A * (B / C), "a·(b/c)"),
    (A * B / C, "a·b/c"),
    (A + B * C, "a + b·c"),
    (-A, "−a"),
    (-A * B, "−a·b"),
    (-(A * B), "−a·b"),
    (-(A + B), "−(a + b)"),
    (A * -B, "a·(−b)"),
    (A - -B, "a − (−b)"),
    (g.make("neg", (-A,)), "−(−a)"),
    (A**2, "a²"),
    ((A + B) ** 2, "(a + b)²"),
    ((-A) ** 2, "(−a)²"),
    (-(A**2), "−a²"),
    ((A**2) ** 3, "(a²)³"),
    (A**-1, "a⁻¹"),
    (A**0.5, "√a"),
    ((A + B) ** 0.5, "√(a + b)"),
    (A**1.5, "a^1.5"),
    (g.tanh(A) ** 2, "tanh(a)²"),
    (1 - A**2, "1 − a²"),
    (A * -0.5, "a·(−0.5)"),
    (2 * A, "2·a"),
    (A * np.pi, "a·π"),
    (A + float("inf"), "a + ∞"),
    (A < B, "a < b"),
    (A <= 0, "a ≤ 0"),
    (g.eq(A, B + 1), "a = b + 1"),
    (P & Q | P, "p ∧ q ∨ p"),
    (P & (Q | P), "p ∧ (q ∨ p)"),
    (P ^ Q, "p ⊻ q"),
    (~P, "¬p"),
    (~(P & Q), "¬(p ∧ q)"),
    (g.eq(M, N) & P, "i = j ∧ p"),
    (g.shift_left(M, N), "i ≪ j"),
    (g.shift_right(M + N, 1), "i + j ≫ 1"),
    (M * -3, "i·(−3)"),
    (g.select(A < B, A, 0), "select(a < b, a, 0)"),
    (g.select(P, M, N), "select(p, i, j)"),
    (g.cast(A, "float32"), "float32(a)"),
    (g.sum(A), "sum(a)"),
    (g.sum(A, 1), "sum(a; axes 1)"),
    (g.max(A, (0, 1)), "max(a)"),
    (g.contract(A, B, "ij,kj->ik"), "contract(a, b; ij,kj→ik)"),
    (g.contract(A, B, "xy,xy->"), "contract(a, b; ij,ij→)"),
    (g.reshape(A, (3, 2)), "reshape(a; shape 3×2)"),
    (g.transpose(A), "transpose(a; axes 1,0)"),
    (g.broadcast(S, (0,), (4,)), "broadcast(s; axes 0)"),
    (g.full((2, 2), 3.0, "float32"), "3"),
    (g.constant(np.array([1.0, -2.0])), "[ 1., −2.]"),
    (g.constant(np.zeros(100)), "constant"),
    (g.constant(True), "true"),
    (g.iota(5), "iota(size 5)"),
    (A[1], "reshape(a[1:2, :]; shape 3)"),
    (A[:, ::2], "a[:, ::2]"),
    ((A + B)[0:1, 1:3:2], "(a + b)[0:1, 1:3:2]"),
    (g.pad(A, [0, 1], [0, 0], value=1.0), "pad(a; low 0,1; value 1)"),
    (g.concatenate([A, B]), "concatenate(a, b; axis 0)"),
    (g.window(A, [1], [2], [1], [2]), "window(a; axes 1; sizes 2; dilations 2)"),
    (g.gather(A, M), "gather(a, i; axis 0)"),
]


@pytest.mark.parametrize(("node", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_an_expression_has_the_fewest_brackets(node: Node, text: str) -> None:
    names = {each: each.attributes["name"] for each in (A, B, C, X, M, N, P, Q, S)}
    assert expression(node, names) == text


def test_what_has_a_name_is_written_as_its_name() -> None:
    total = A + B
    assert expression(g.tanh(total) * total, {total: "t"}) == "tanh(t)·t"
    assert expression(total, {total: "t"}) == "a + b"


def test_letters_that_are_known_are_kept() -> None:
    product = g.contract(A, B, "ij,kj->ik")
    assert expression(product, {}, {A: "br", B: "cr"}) == "contract(a, b; br,cr→bc)"
    assert expression(product, {}, {B: "cj"}) == "contract(a, b; ij,cj→ic)"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_op_can_be_shown(case: Case) -> None:
    node = case.node(case.inputs())
    listing = show(Graph({"y": node}))
    assert "y" in listing
    assert "\n\n" not in listing


def test_a_listing_names_each_node_once_and_says_where_it_came_from() -> None:
    with Build() as build:
        x, w = g.input("x", (4, 3)), g.input("w", (3, 2))
        with scope("dense"):
            h = g.tanh(x @ w)
        loss = g.sum(h**2) * 0.5
    assert show(Graph.of({"loss": loss, "again": loss, "h": h, "given": x}, build)).splitlines() == [
        "x      float32[4, 3]  input",
        "w      float32[3, 2]  input",
        "n1     float32[4, 2]  contract(x, w; ij,jk→ik)  dense",
        "h      float32[4, 2]  tanh(n1)                  dense",
        "n2     float32[4, 2]  h²",
        "n3     float32[]      sum(n2)",
        "loss   float32[]      n3·0.5",
        "again  float32[]      loss",
        "given  float32[4, 3]  x",
    ]


def test_the_next_value_of_an_input_has_a_prime() -> None:
    step = g.input("step", (), "int32")
    assert show(Graph({"step": step + 1})).splitlines() == ["step   int32[]  input", "step′  int32[]  step + 1"]


def test_a_body_stands_below_its_scan() -> None:
    h, xs, w = g.input("h", (2,)), g.input("xs", (5, 2)), g.input("w", (2,))
    (after,), (rows,) = g.scan(lambda c, s: ([g.tanh(c[0] + s[0] * w)], [c[0] * 2]), [h], [xs], reverse=True)
    assert show(Graph({"after": after, "rows": rows})).splitlines() == [
        "h         float32[2]     input",
        "xs        float32[5, 2]  input",
        "w         float32[2]     input",
        "n1        scan           scan(carries h; sequences xs; captured w; 5 steps, backwards)",
        "  n1.1    float32[2]     xs[t]·w",
        "  n1.2    float32[2]     carry0 + n1.1",
        "  n1.3    float32[2]     tanh(n1.2)",
        "  n1.4    float32[2]     carry0·2",
        "  carry0  float32[2]     ← n1.3",
        "after     float32[2]     last(n1; index 0)",
        "rows      float32[5, 2]  stack(n1; n1.4)",
    ]


def test_a_deep_graph_is_no_trouble() -> None:
    x = g.input("x", ())
    for _ in range(3000):
        x = g.exp(x)
    assert len(show(Graph({"y": x})).splitlines()) == 3001
    assert expression(x, {}).count("exp") == 3000


def test_an_op_without_a_print_rule_is_written_as_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PRINTING, "sum")
    assert expression(g.sum(A, 1), {}) == "sum(a; axes 1)"


def test_a_print_rule_that_drops_its_brackets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(node: Node, operand: Any) -> Text:
        return Text(f"{operand(node.inputs[0])}·{operand(node.inputs[1])}", printing.Level.MUL)

    monkeypatch.setitem(PRINTING, "mul", careless)
    with pytest.raises(AssertionError):
        test_an_expression_has_the_fewest_brackets(A * (B + C), "a·(b + c)")


def test_what_is_made_of_the_steps_of_a_loop_is_written_out() -> None:
    x = g.input("x", (4, 2))
    _, (steps,) = g.scan(lambda c, s: ([g.tanh(c[0] + s[0])],) * 2, [g.zeros_like(x[0])], [x])
    text = expression(g.sum(g.exp(steps)), {})
    assert text.startswith("sum(exp(stack(scan(")
    assert text.endswith("tanh(param0 + param1))))")
