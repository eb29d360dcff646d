"""The conformance suite over reference × native: every case of the table in every dtype, odd sizes, patterns, scans."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import graph as g
from chainrule.engines.native import NativeEngine
from chainrule.engines.native.expressions import EMIT
from chainrule.engines.native.kernels import LOOPS as KERNELS
from chainrule.errors import EngineError
from chainrule.gradients import gradients
from chainrule.graph import DTYPES, FLOATS, OPS, Graph, Node, vectorize
from chainrule.graph.ops import TUPLE, fits
from tests.conformance.cases import CASES, TAKES, Case
from tests.conformance.loops import LOOPS, loss_of
from tests.conformance.running import arrays_for
from tests.engines.native.together import Together

#: Below, at, and above what a vector holds; and nothing that it divides.
SIZES = (1, 2, 3, 7, 15, 17, 33, 100)
#: Nothing is computed here, so no bit may change.
_EXACT = {name for name, op in OPS.items() if op.family in ("leaf", "move")} - {"fold"}


def _takes(case: Case, dtype: str) -> bool:
    if case.op not in TAKES:  # an op without a free operand: its own dtype
        return dtype == "float64"
    return dtype in TAKES[case.op] and fits(case.attributes.get("value", 0), dtype)


def _run(case: Case, dtype: str) -> tuple[list[Node], dict[str, Any]]:
    inputs = case.inputs(dtype if case.op in TAKES else "")
    arrays = case.arrays(dtype=dtype if case.op in TAKES else "")
    return [case.node(inputs)], {node.attributes["name"]: array for node, array in zip(inputs, arrays, strict=True)}


@functools.cache
def table(dtype: str) -> Together:
    """Every case that takes a dtype, run."""
    whole = Together()
    for case in CASES:
        if _takes(case, dtype):
            whole.add(str(case), *_run(case, dtype))
    return whole.compare(NativeEngine())


@pytest.mark.parametrize(
    ("case", "dtype"), [(case, dtype) for case in CASES for dtype in DTYPES if _takes(case, dtype)], ids=str
)
def test_a_case_has_the_value_of_its_definition(case: Case, dtype: str) -> None:
    table(dtype).check(str(case), exact=case.op in _EXACT)


@pytest.mark.tiny
def test_every_op_of_the_list_is_known() -> None:
    assert {*EMIT, *KERNELS, "input", "param", "scan", "last", "stack"} == set(OPS)
    assert not set(EMIT) & set(KERNELS)


@pytest.mark.parametrize("op", sorted(set(OPS) - {"input", "param", "scan", "last", "stack"}))
def test_an_op_that_the_engine_lacks_is_refused_by_name(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from chainrule.engines.native import engine

    monkeypatch.setattr(engine, "_KNOWN", engine._KNOWN - {op})
    case = next(case for case in CASES if case.op == op)
    with pytest.raises(EngineError, match=rf"lacks the ops {op}$"):
        NativeEngine().compile(Graph({"y": case.node(case.inputs())}))


# ---- sizes -------------------------------------------------------------------------------------------------------


def _odd_sizes(n: int, dtype: str) -> dict[str, list[Node]]:
    """What may go wrong at the end of a vector, for one size."""
    row, wide, tall = (g.input(name, shape, dtype) for name, shape in (("r", (n,)), ("w", (3, n)), ("t", (n, 3))))
    square, index = g.input("s", (n, n), dtype), g.input("i", (5,), "int32")
    around = g.pad(row, [1], [1])
    return {
        "map": [g.tanh(row) * row + 1, g.sigmoid(wide), tall * g.broadcast(row, [1], [3]), g.exp(g.transpose(wide))],
        "reduce": [op(x, axes) for op in (g.sum, g.max) for x in (wide, tall) for axes in (0, 1, None)],
        "argmax": [g.argmax(x, axis) for x in (wide, tall) for axis in (0, 1)],
        "sums": [g.sum(square, 0), g.sum(square, 1), g.sum(g.exp(square) * square)],
        "products": [wide @ tall, tall @ wide, square @ tall, wide @ square, square @ g.transpose(square)],
        "vectors": [g.contract(row, row, "i,i->"), g.contract(square, row, "ij,j->i"), g.contract(row, row, "i,j->ij")],
        "windows": [
            g.contract(g.window(around, [0], [3]), wide[:, 0], "nk,k->n"),
            g.max(g.window(around, [0], [2], [2]), 1),
            g.fold(tall, [0], [3], [1], [1], [n + 2]),
            g.fold(tall, [0], [3], [2], [1], [2 * n + 1]),
        ],
        "indices": [
            g.gather(tall, index),
            g.gather(wide, index, axis=1),
            g.scatter_add(tall[:5], index[: min(n, 5)], 4),
        ],
        "moves": [g.reverse(tall, 0), g.concatenate([wide, wide * 2], 1), g.reshape(tall, (3, n)), square[::2, 1:]],
    }


@functools.cache
def sizes(dtype: str) -> Together:
    whole = Together()
    for n in SIZES:
        for what, nodes in _odd_sizes(n, dtype).items():
            whole.add(f"{what} {n}", nodes, arrays_for(_inputs(nodes)))
    return whole.compare(NativeEngine())


def _inputs(nodes: list[Node]) -> list[Node]:
    return list(Graph({str(number): node for number, node in enumerate(nodes)}).inputs.values())


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("n", SIZES)
def test_no_size_is_odd(n: int, dtype: str) -> None:
    for what in _odd_sizes(n, dtype):
        sizes(dtype).check(f"{what} {n}")


def _large(dtype: str) -> dict[str, list[Node]]:
    a, b, c = (g.input(name, shape, dtype) for name, shape in (("a", (130, 257)), ("b", (257, 65)), ("c", (130, 65))))
    image, kernel = g.input("image", (2, 28, 29, 3), dtype), g.input("kernel", (3, 3, 3, 17), dtype)
    padded = g.pad(image, [0, 1, 1, 0], [0, 1, 1, 0])
    patches = g.window(padded, [1, 2], [3, 3], [2, 1])
    deep = g.input("deep", (1, 2000), dtype)
    return {
        "product": [a @ b, g.contract(a, b, "mk,kn->nm")],
        "product, one side turned": [g.contract(c, b, "mn,kn->mk"), g.contract(a, c, "mk,mn->kn")],
        "bias and activation": [g.tanh(a @ b + g.broadcast(g.sum(b, 0), [0], [130]))],
        "convolution": [g.contract(patches, kernel, "bhwcij,ijco->bhwo")],
        "pooling": [g.max(g.window(image, [1, 2], [2, 2], [2, 2]), [4, 5])],
        "deep sum": [deep @ g.transpose(deep), g.sum(deep * deep), g.contract(deep, deep, "ai,bi->ab")],
        "batches": [g.contract(g.reshape(a, (13, 10, 257)), g.reshape(c, (13, 10, 65)), "bik,bij->bkj")],
    }


@functools.cache
def large(dtype: str) -> Together:
    whole = Together()
    for what, nodes in _large(dtype).items():
        whole.add(what, nodes, arrays_for(_inputs(nodes)))
    return whole.compare(NativeEngine())


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("what", list(_large("float32")))
def test_large_sizes(what: str, dtype: str) -> None:
    large(dtype).check(what)


# ---- strides and letters -------------------------------------------------------------------------------------------


@functools.cache
def permutations() -> Together:
    """A view in any order of axes, with steps and padding, into what reduces and what multiplies."""
    whole = Together()
    x, w = g.input("x", (4, 5, 6, 7), "float64"), g.input("w", (3, 6), "float64")
    for order in itertools.permutations(range(4)):
        turned = g.transpose(x, order)
        view = g.pad(turned[:, 1::2, ::2, :-1], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1], 0.5)
        last = view.shape[3]
        nodes = [
            g.sum(view, (0, 2)),
            g.max(view, (1, 3)),
            g.argmax(g.reverse(view, (0, 3)), 2),
            g.contract(view, g.exp(view), "abcd,abed->ace"),
            g.contract(g.reshape(view, (-1, last)), g.broadcast(w[0, :2], [0], [last]), "nd,de->ne"),
            g.sum(g.window(view, [3, 0], [2, 2], [2, 1]), (1, 4)),
        ]
        whole.add(str(order), nodes, arrays_for(_inputs(nodes)))
    return whole.compare(NativeEngine())


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))), ids=str)
def test_awkward_views(order: tuple[int, ...]) -> None:
    permutations().check(str(order))


#: The size of an axis by its letter: s is in both operands and in the output, a and b in one of them, k is summed.
_LENGTHS = {"s": 2, "t": 3, "a": 9, "c": 1, "b": 17, "d": 2, "k": 3, "l": 5}


def _patterns(dtype: str) -> list[str]:
    """One letter of each kind or none, with the axes in every order; in float32 a hundred with up to two of a kind."""
    chance = random.Random(0)
    found = []
    if dtype == "float32":
        kinds = [tuple(chance.choice(("", pair[0], pair)) for pair in ("st", "ac", "bd", "kl")) for _ in range(100)]
    else:
        kinds = list(itertools.product(*(("", letter) for letter in "sabk")))
    for s, a, b, k in kinds:
        parts = (s + a + k, s + b + k, s + a + b)
        if dtype == "float32":
            found.append("{},{}->{}".format(*("".join(chance.sample(part, len(part))) for part in parts)))
        else:
            orders = itertools.product(*(itertools.permutations(part) for part in parts))
            found += ["{},{}->{}".format(*map("".join, order)) for order in orders]
    return list(dict.fromkeys(found))


@functools.cache
def contractions(dtype: str) -> Together:
    whole = Together()
    for letters in _patterns(dtype):
        left, right = letters.split("->")[0].split(",")
        a, b = (g.input(name, [_LENGTHS[k] for k in part], dtype) for name, part in (("a", left), ("b", right)))
        whole.add(letters, [g.contract(a, b, letters)], arrays_for([a, b]))
    return whole.compare(NativeEngine())


@pytest.mark.parametrize(("dtype", "count"), [("float32", 80), ("float64", 250)])
def test_every_pattern_of_letters(dtype: str, count: int) -> None:
    assert len(contractions(dtype).names) > count
    contractions(dtype).check_all()


# ---- whole transformations -----------------------------------------------------------------------------------------


@functools.cache
def vectorized() -> Together:
    """Every case for three values of each operand, and of all at once."""
    whole = Together()
    for case in CASES:
        kind = next(dtype for dtype in ("float64", "int32", "uint32") if _takes(case, dtype))
        nodes, _ = _run(case, kind)
        inputs = Graph({"y": nodes[0]}).inputs
        for batched in [[name] for name in inputs] + [list(inputs)] * (len(inputs) > 1):
            many = vectorize(Graph({"y": nodes[0]}), batched, 3)
            if many.outputs["y"].dtype == TUPLE:
                continue
            draws = [case.arrays(seed, kind if case.op in TAKES else "") for seed in range(3)]
            arrays = {
                f"x{n}": np.stack(rows) if f"x{n}" in batched else rows[0]
                for n, rows in enumerate(zip(*draws, strict=True))
            }
            whole.add(f"{case} by {'+'.join(batched)}", [many.outputs["y"]], arrays)
    return whole.compare(NativeEngine())


def test_vectorized_graphs() -> None:
    assert len(vectorized().names) > 350
    vectorized().check_all()


_LENGTHS_OF_SCANS = (0, 1, 3)


@functools.cache
def scans(length: int) -> Together:
    """Loops of the conformance suite, forwards and back, with their gradients, and for two values of everything."""
    whole = Together()
    for name, make in LOOPS.items():
        for reverse in (False, True):
            loop = make(length)
            loop.reverse = reverse
            outputs = loop.scanned()
            nodes = [*outputs, *gradients(loss_of(outputs), loop.floats)]
            kind = f"{name} {'back' if reverse else 'forth'}"
            whole.add(kind, nodes, arrays_for(loop.inputs))
            if length != 3 or reverse:
                continue
            names = list(Graph({str(n): node for n, node in enumerate(nodes)}).inputs)
            many = vectorize(Graph({str(n): node for n, node in enumerate(nodes)}), names, 2)
            draws = [arrays_for(loop.inputs, seed) for seed in range(2)]
            stacked = {name: np.stack([draw[name] for draw in draws]) for name in names}
            whole.add(f"{kind}, two", list(many.outputs.values()), stacked)
    return whole.compare(NativeEngine())


@pytest.mark.parametrize("length", _LENGTHS_OF_SCANS)
def test_scans_with_their_gradients(length: int) -> None:
    scans(length).check_all()


def _swapping(length: int) -> tuple[list[Node], list[Node]]:
    """Three carries go round, a fourth stands still, a fifth counts; constants and two captured arrays are read."""
    a, b, c, d = (g.input(name, (3,), "float64") for name in "abcd")
    weights = g.constant(np.array([0.5, 2.0, -1.0]))
    shift = g.input("shift", (3,), "float64")

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        a, b, c, d, count, odd = carries
        out = a * weights + g.cast(g.broadcast(count, [0], [3]), "float64") + slices[0]
        return [b, c, a, d, count * 3 + 1, ~odd], [out, b, count, odd, shift, weights]

    xs = g.input("xs", (length, 3), "float64")
    count, odd = g.input("count", (), "int64"), g.input("odd", (), "bool")
    lasts, stacks = g.scan(body, [a, b, c, d, count, odd], [xs], length=length)
    return [*lasts, *stacks], [a, b, c, d, count, odd, xs, shift]


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_carries_that_change_places(length: int) -> None:
    whole = Together()
    nodes, inputs = _swapping(length)
    whole.add("swap", nodes, arrays_for(inputs))
    whole.compare(NativeEngine()).check("swap")


# ---- seen to fail --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["tanh", "reverse", "select", "gather"])
def test_a_wrong_op_is_found(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right: Callable[..., str] = EMIT[op]

    def wrong(e: Any, node: Node, index: Any) -> str:
        """The first element, wherever one looks."""
        return right(e, node, (0,) * len(index))

    monkeypatch.setitem(EMIT, op, wrong)
    whole = Together()
    for case in CASES:
        if case.op == op:
            whole.add(str(case), *_run(case, "float64"))
    whole.compare(NativeEngine())
    with pytest.raises(AssertionError):
        whole.check_all()


def test_one_element_spread_over_the_array_that_it_is_of() -> None:
    x = g.input("x", (2, 3), "float64")
    first = g.reshape(x[0:1, 0:1], ())
    graph = Graph({"y": x * g.broadcast(first, [0, 1], [2, 3]) + x})
    array = np.arange(2.0, 8.0).reshape(2, 3)
    np.testing.assert_array_equal(
        NativeEngine(cores=1).compile(graph).run({"x": array})["y"], array * array[0, 0] + array
    )
