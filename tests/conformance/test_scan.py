from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from chainrule import graph
from chainrule.gradients import RULES, gradients
from chainrule.graph import Node

from .laws import check_slopes, run
from .loops import LOOPS, B, F, H, Loop, X, loss_of
from .running import along, arrays_for


def _read(loop: Loop, outputs: list[Node], what: str) -> list[Node]:
    count = len(loop.init)
    return {"last": outputs[:count], "stack": outputs[count:], "both": outputs}[what]


def _close(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float = 1e-11) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("name", LOOPS)
def test_the_value_is_that_of_a_python_loop(name: str, length: int, reverse: bool) -> None:
    loop = LOOPS[name](length)
    loop.reverse = reverse
    arrays = arrays_for(loop.inputs)
    _close(run(loop.scanned(), arrays), run(loop.unrolled(), arrays))


@pytest.mark.parametrize("what", ["last", "stack", "both"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_gradients_are_those_of_the_unrolled_graph(name: str, reverse: bool, what: str) -> None:
    loop = LOOPS[name](3)
    loop.reverse = reverse
    arrays = arrays_for(loop.inputs)
    found, expected = (
        gradients(loss_of(_read(loop, outputs, what)), loop.floats) for outputs in (loop.scanned(), loop.unrolled())
    )
    _close(run(found, arrays), run(expected, arrays))


@pytest.mark.parametrize("what", ["last", "stack", "both"])
@pytest.mark.parametrize("name", LOOPS)
def test_second_gradients_are_those_of_the_unrolled_graph(name: str, what: str) -> None:
    loop = LOOPS[name](2)
    arrays = arrays_for(loop.inputs)
    random = np.random.default_rng(2)
    directions = [random.normal(size=node.shape) for node in loop.floats]
    found, expected = (
        gradients(along(loss_of(_read(loop, outputs, what)), loop.floats, directions), loop.floats)
        for outputs in (loop.scanned(), loop.unrolled())
    )
    _close(run(found, arrays), run(expected, arrays), 1e-10)


@pytest.mark.parametrize("name", LOOPS)
def test_a_cotangent_that_is_the_same_at_each_step_gives_the_same_gradients(name: str) -> None:
    """A plain sum hands a repeated number back, which is made inside the loop and never becomes a sequence."""
    loop = LOOPS[name](3)
    arrays = arrays_for(loop.inputs)
    directions = [np.cos(np.arange(node.size)).reshape(node.shape) for node in loop.floats]

    def found(outputs: list[Node]) -> list[Node]:
        total = graph.full((), 0, F)
        for node in outputs:
            if node.dtype in graph.FLOATS:
                total = total + graph.sum(node)
        return [*gradients(total, loop.floats), *gradients(along(total, loop.floats, directions), loop.floats)]

    _close(run(found(loop.scanned()), arrays), run(found(loop.unrolled()), arrays), 1e-10)


@pytest.mark.parametrize("name", sorted(set(LOOPS) - {"truncated", "without_gradient"}))
def test_slopes_are_those_of_central_differences_to_second_order(name: str) -> None:
    loop = LOOPS[name](3)
    check_slopes(loss_of(loop.scanned()), loop.floats, arrays_for(loop.inputs))


@pytest.mark.parametrize("wanted", range(6))
def test_one_gradient_alone_is_the_same_as_among_others(wanted: int) -> None:
    loop = LOOPS["lstm"](3)
    arrays = arrays_for(loop.inputs)
    loss = loss_of(loop.scanned())
    together = gradients(loss, loop.floats)[wanted]
    (alone,) = gradients(loss, [loop.floats[wanted]])
    _close(run([alone], arrays), run([together], arrays))


@pytest.mark.tiny
@pytest.mark.parametrize("name", ["simple", "lstm", "nested", "without_gradient"])
def test_a_scan_of_no_steps_gives_back_its_start(name: str) -> None:
    loop = LOOPS[name](0)
    arrays = arrays_for(loop.inputs)
    outputs = loop.scanned()
    lasts = run(outputs[: len(loop.init)], arrays)
    _close(lasts, [arrays[node.attributes["name"]] for node in loop.init])
    stacks = outputs[len(loop.init) :]
    assert all(array.shape == node.shape for array, node in zip(run(stacks, arrays), stacks, strict=True))
    found = run(gradients(loss_of(outputs), loop.floats), arrays)
    expected = run(gradients(loss_of(loop.init), loop.floats), arrays)
    _close(found, expected)


def test_a_wrong_rule_inside_a_body_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "tanh", lambda g, y, x: (g * (1 - y),))
    loop = LOOPS["simple"](3)
    with pytest.raises(AssertionError, match="differences measure"):
        check_slopes(loss_of(loop.scanned()), loop.floats, arrays_for(loop.inputs))


def _scans(nodes: list[Node]) -> list[Node]:
    return [node for node in graph.topological(nodes) if node.op == "scan"]


def _body(scan: Node, nodes: list[Node]) -> Counter[str]:
    """How often each op stands in the body of a scan."""
    taken = [n.attributes["node"] for n in graph.topological(nodes) if n.op == "stack" and n.inputs[0] is scan]
    return Counter(node.op for node in graph.topological([*scan.attributes["next"], *taken]))


def _backward(loop: Loop, loss: Node | None = None) -> tuple[Node, list[Node]]:
    found = gradients(loss_of(loop.scanned()) if loss is None else loss, loop.floats)
    forward, *others = _scans(found)
    (backward,) = others
    assert forward.attributes["reverse"] is not backward.attributes["reverse"]
    return backward, found


@pytest.mark.tiny
def test_the_backward_pass_of_an_lstm_is_as_lean_as_by_hand() -> None:
    loop = LOOPS["lstm"](5)
    backward, found = _backward(loop)
    assert backward.attributes["n_carry"] == 2
    assert _body(backward, found)["contract"] == 1
    # The three products that need no loop: of the inputs, and of both weights.
    assert sum(node.op == "contract" for node in graph.topological(found)) == 3
    kept = {node for node in graph.topological(found) if node.op == "stack" and node.inputs[0] is not backward}
    outputs = {node for node in graph.topological(loop.scanned()) if node.op == "stack"}
    assert len(kept | outputs) == 8, "four gates, tanh(c), c and h before the step; and h, which the loop gives out"
    assert {node.shape for node in kept} == {(5, B, H)}
    captured = backward.inputs[backward.attributes["n_carry"] + backward.attributes["n_xs"] :]
    assert captured == (loop.captured[1],), "nothing is captured but the recurrent weight"


def test_cheap_values_are_made_again_where_that_saves_memory() -> None:
    w, u = graph.input("w", (H, H), F), graph.input("u", (H, H), F)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        z = carries[0] @ u + slices[0] @ w
        h = graph.select(graph.le(z, 0), 0, z)
        return [h], []

    loop = Loop(body, [graph.input("h", (B, H), F)], [graph.input("x", (3, B, H), F)], captured=[w, u])
    backward, _ = _backward(loop)
    assert [x.dtype for x in backward.inputs[1 : 1 + backward.attributes["n_xs"]]] == ["bool"], "the mask, and no more"


def test_gradients_that_cannot_be_taken_outside_are_summed_in_a_carry_of_their_own_size() -> None:
    backward, _ = _backward(LOOPS["captured"](3))
    starts = Counter(node.shape for node in backward.inputs[: backward.attributes["n_carry"]])
    # The state's own, the elementwise scales' (each used in two ways, summed in one carry), and that of what is joined.
    assert starts == {(B, H): 4, (B, X): 1}
    for name in ("simple", "tables", "images", "lengths"):
        backward, _ = _backward(LOOPS[name](3))
        assert backward.attributes["n_carry"] == 1, f"{name}: products and tables are summed outside"


@pytest.mark.tiny
def test_no_carry_gets_a_gradient_that_does_not_need_one() -> None:
    loop = LOOPS["without_gradient"](3)
    backward, _ = _backward(loop)
    assert backward.attributes["n_carry"] == 3  # h, the mean and the sum for w; not the integers, not the coins
    backward, _ = _backward(loop, loss_of(loop.scanned()[:1]))
    assert backward.attributes["n_carry"] == 2
    (wanted,) = gradients(loss_of(loop.scanned()[:1]), loop.captured[1:2])
    backward = _scans([wanted])[-1]
    assert backward.attributes["n_carry"] == 1


def test_a_repeated_gradient_is_summed_before_it_is_repeated() -> None:
    w = graph.input("w", (B, H), F)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        return [carries[0] * graph.sin(graph.sum(w + slices[0]))], []

    loop = Loop(body, [graph.input("h", (), F)], [graph.input("x", (3, B, H), F)], captured=[w])
    backward, _ = _backward(loop)
    assert [node.shape for node in backward.inputs[: backward.attributes["n_carry"]]] == [(), ()]


def test_what_is_reached_through_whole_numbers_alone_gets_no_gradient() -> None:
    w = graph.input("w", (H,), F)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        counted = graph.cast(graph.cast(carries[0] * w, "int32"), F)
        return [graph.tanh(carries[0] * w), carries[1] * counted], []

    init = [graph.input("h", (H,), F), graph.input("count", (H,), F)]
    loop = Loop(body, init, [], 3, captured=[w])
    (found,) = gradients(loss_of(loop.scanned()), [w])
    backward = _scans([found])[-1]
    assert backward.attributes["n_carry"] == 2  # of h, and the sum for w


def test_gradients_that_share_terms_are_taken_in_time() -> None:
    w = graph.input("w", (B,), F)

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        a = b = w * carries[0]
        for _ in range(40):  # 2⁴⁰ terms, if each were followed by itself
            a, b = 0.5 * a, b + b
        return [graph.tanh(a * b)], [w + carries[0]]

    loop = Loop(body, [graph.input("h", (B,), F)], [], 2, captured=[w])
    arrays = arrays_for(loop.inputs)
    found, expected = (gradients(loss_of(x), loop.floats) for x in (loop.scanned(), loop.unrolled()))
    _close(run(found, arrays), run(expected, arrays))


@pytest.mark.tiny
def test_what_does_not_change_with_time_is_repeated_and_not_stacked() -> None:
    loop = LOOPS["params"](3)
    stacked = loop.scanned()[2:]
    assert [node.op for node in stacked] == ["stack", "stack", "input", "broadcast", "stack", "stack"]


def test_only_one_forward_scan_runs_also_for_second_gradients() -> None:
    loop = LOOPS["simple"](3)
    directions = [np.ones(node.shape) for node in loop.floats]
    second = gradients(along(loss_of(loop.scanned()), loop.floats, directions), loop.floats)
    directions_of_time = Counter(scan.attributes["reverse"] for scan in _scans([*second, *loop.scanned()]))
    assert directions_of_time == {False: 2, True: 2}  # forwards, back, forwards through the way back, and back


def test_a_broadcast_is_never_captured() -> None:
    for name in LOOPS:
        loop = LOOPS[name](3)
        for scan in _scans(gradients(loss_of(loop.scanned()), loop.floats)):
            captured = scan.inputs[scan.attributes["n_carry"] + scan.attributes["n_xs"] :]
            assert not [node for node in captured if node.op == "broadcast"], name


def test_origins_lead_from_the_backward_scan_to_the_layer() -> None:
    loop = LOOPS["simple"](3)
    with graph.Build() as build, graph.scope("0"):
        loss = loss_of(loop.scanned())
        found = gradients(loss, loop.floats)
        whole = graph.Graph.of({str(n): node for n, node in enumerate(found)}, build)
    backward = _scans(found)[-1]
    assert whole.origins[backward].path == "0"
    assert whole.origins[backward].phase == "backward"
    inside = [node for node in graph.topological(backward.attributes["next"]) if node.inputs]
    assert {whole.origins[node].path for node in inside} == {"0"}
