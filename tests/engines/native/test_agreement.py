"""Two engines, one graph: every op, random graphs with their gradients, and whole trainings agree."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native import NativeEngine, blocks, cache, grouping
from chainrule.engines.native import engine as engine_module
from chainrule.engines.native.expressions import EMIT, Emitter, Index
from chainrule.engines.native.kernels import LOOPS
from chainrule.engines.native.program import NativeProgram
from chainrule.engines.native.types import REGISTER
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import ConfigurationError, EngineError, GraphError
from chainrule.graph import FLOATS, OPS, Graph, Node, input, make, pad, rem, remake, rewrite, topological
from chainrule.graph.ops import TUPLE
from tests.conformance.cases import CASES
from tests.engines.native.fuzzing import UPDATES, Trial, differ, draw, examine, fuzz, outputs, program, shrink, trials

_TOLERANCE = {"float32": (2e-5, 1e-6), "float64": (1e-12, 1e-13)}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path_factory.getbasetemp() / "native-cache"))


def _all_cases(dtype: str) -> tuple[Graph, dict[str, Any]]:
    """Every case of the table in one graph: one module is compiled, not hundreds."""
    outputs: dict[str, Node] = {}
    arrays: dict[str, Any] = {}
    for case in CASES:
        if case.op in ("input", "param"):
            continue
        try:
            drawn = case.arrays(dtype=dtype)
            nodes = [input(f"{case}/{n}", array.shape, array.dtype.name) for n, array in enumerate(drawn)]
            node = case.node(nodes)
        except GraphError:  # an op of integers or booleans alone
            drawn = case.arrays()
            nodes = [input(f"{case}/{n}", array.shape, array.dtype.name) for n, array in enumerate(drawn)]
            node = case.node(nodes)
        if node.dtype != TUPLE:
            outputs[str(case)] = node
            arrays |= {f"{case}/{n}": array for n, array in enumerate(drawn)}
    graph = Graph(outputs)
    return graph, {name: arrays[name] for name in graph.inputs}


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_op_agrees_with_its_definition(dtype: str) -> None:
    graph, arrays = _all_cases(dtype)
    assert len(graph.outputs) > 200
    found, expected = (engine.compile(graph).run(arrays) for engine in (NativeEngine(), ReferenceEngine()))
    for name, array in expected.items():
        if array.dtype.name in FLOATS:
            rtol, atol = _TOLERANCE[array.dtype.name]
            np.testing.assert_allclose(found[name], array, rtol=rtol, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(found[name], array, err_msg=name)


def test_every_op_of_the_list_is_known() -> None:
    assert {*EMIT, *LOOPS, "input", "param", "scan", "last", "stack"} == set(OPS)


def test_random_graphs_with_their_gradients_agree() -> None:
    failures = fuzz(50, 20261121, NativeEngine())
    assert not failures, program(failures[0])


def test_random_graphs_are_of_every_kind() -> None:
    """Loops in loops, several carries, backwards; updates of every kind; and every op but those of data."""
    drawn = [trial for group in trials(300, 20261121) for trial in group]
    nodes = [node for trial in drawn for node in topological(outputs(trial).values(), bodies=True)]
    scans = [node for node in nodes if node.op == "scan"]
    assert {node.op for node in nodes} >= set(OPS) - {"stop_gradient"}
    assert any(node.op == "scan" for scan in scans for node in topological(scan.attributes["next"]))
    assert {1, 2, 3} <= {scan.attributes["n_carry"] for scan in scans}
    assert {0, 1, 2} <= {scan.attributes["n_xs"] for scan in scans}
    assert {True, False} == {scan.attributes["reverse"] for scan in scans}
    assert any(node.op == "window" and node.inputs[0].op == "window" for node in nodes)
    assert {update for trial in drawn for update in trial.updates} == set(range(len(UPDATES)))


def test_the_fuzzer_catches_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMIT, "tanh", lambda e, node, index: EMIT["neg"](e, node, index))
    chance = random.Random(1)
    assert differ([draw(chance) for _ in range(10)], NativeEngine())


def test_the_fuzzer_catches_and_shrinks_a_program_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(e: Emitter, node: Node, index: Index) -> str:
        raise KeyError("a hole in the table")

    monkeypatch.setitem(EMIT, "erf", broken)
    failure = next(failure for group in trials(50, 2) for failure in examine(group[:8], NativeEngine()))
    assert "a hole in the table" in program(failure)
    assert len(failure.trial.recipe) == 1


def _reads_nothing(root: Node, stored: set[Node]) -> tuple[set[Node], set[Node]]:
    """A planted fault: a loop is taken to read nothing, so it joins one that runs before what it reads is there."""
    return set(), set()


def _rewritten(change: Callable[[Node], Node]) -> Callable[[Graph], Graph]:
    return lambda graph: rewrite(graph).map(lambda node, inputs: change(remake(node, inputs)))


def _wrong_sum(made: Node) -> Node:
    """A planted fault: a sum becomes a difference."""
    return make("sub", made.inputs) if made.op == "add" and made.rank == 2 else made


def _wrong_way(made: Node) -> Node:
    """A planted fault: loops run the wrong way."""
    turned = {**made.attributes, "reverse": not made.attributes["reverse"]} if made.op == "scan" else {}
    return make("scan", made.inputs, **turned) if turned else made


def _overwritten(self: NativeProgram, state: Any, fixed: Any, each: Any, until: str = "") -> Any:
    """A planted fault: x is written before w has read it."""
    rows: dict[str, list[Any]] = {}
    now = dict(state)
    for n in range(len(each["run"])):
        slices = {name: array[n] for name, array in each.items()}
        first = self.run({name: ({**fixed, **now} | slices)[name] for name in self.graph.inputs})
        now |= {name: first[name] for name in now if name in first and name.endswith("/x")}
        second = self.run({name: ({**fixed, **now} | slices)[name] for name in self.graph.inputs})
        now |= {name: second[name] for name in now if name in second and not name.endswith("/x")}
        for name in first:
            if name not in state:
                rows.setdefault(name, []).append(first[name])
        if not first[until]:
            break
    return now, {name: np.stack(row) for name, row in rows.items()}


_NO_PLAN = lambda lifetimes: ([0] * len(lifetimes), sum(life.size for life in lifetimes) + 64)  # noqa: E731

#: What is broken, how many entries show it at most, and in what its program may be seen to be of that kind.
FAULTS: dict[str, tuple[Any, str, Any, int, str]] = {
    "fusion": (grouping, "near_and_far", _reads_nothing, 8, ""),
    "memory": (blocks, "plan", _NO_PLAN, 8, ""),
    "rewrite": (engine_module, "rewrite", _rewritten(_wrong_sum), 8, ""),
    "loops": (engine_module, "rewrite", _rewritten(_wrong_way), 6, "scan(carries"),
    "updates": (NativeProgram, "repeat", _overwritten, 1, "updates=("),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_fuzzer_catches_and_shrinks_a_planted_fault(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    *place, most, mark = FAULTS[fault]
    monkeypatch.setattr(*place)
    engine = NativeEngine()
    once, repeated = trials(50, 3)
    group = (repeated if fault == "updates" else once)[:15]
    failing = differ(group, engine)
    assert failing, "the fault was not noticed"
    found = shrink(group[failing[0]], lambda less: bool(differ([less], engine)))
    assert len(found.recipe) <= most
    text = program(found)
    assert "trial = Trial(recipe=" in text
    assert mark in text
    assert eval(text.split("\n")[0].removeprefix("trial = "), {"Trial": Trial}) == found


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-3)])
def test_a_training_follows_the_same_curve(dtype: str, tolerance: float) -> None:
    """The first 200 steps and more of the digits, momentum and a smaller last batch included."""
    train, _ = cr.data.load("digits")
    model = cr.Chain(cr.Dense(30, cr.sigmoid), cr.Dense(10))
    runs = [cr.fit(model, train, epochs=5, dtype=dtype, engine=engine) for engine in ("native", "reference")]
    losses = [run.history.steps["loss"] for run in runs]
    assert len(losses[0]) == 225
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=tolerance)
    for path, array in runs[0].parameters.items():
        np.testing.assert_allclose(array, runs[1].parameters[path], rtol=0, atol=tolerance)


def test_no_cut_changes_a_bit() -> None:
    train, _ = cr.data.load("iris")
    model = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3))
    whole = cr.fit(model, train, epochs=6, engine="native")
    parts = cr.fit(model, train, epochs=2, engine="native").fit(train, epochs=3).fit(train, epochs=6)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, parts.arrays[name])


def test_the_length_of_the_data_and_a_number_never_recompile() -> None:
    train, test = cr.data.load("iris")
    engine = NativeEngine()
    model = cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3))
    first = cr.fit(model, train, epochs=1, batch_size=10, engine=engine)
    before = len(engine.compilations)
    cr.fit(model, test, epochs=1, batch_size=10, engine=engine, optimizer=cr.optimizers.SGD(0.05, momentum=0.5))
    assert [entry.source for entry in engine.compilations[before:]] == ["in this process"]
    cr.fit(model, test, epochs=1, batch_size=15, engine=engine)
    assert "batch/indices: int32[10] -> int32[15]" in engine.compilations[-1].reason
    assert first.parameters


def test_a_wrong_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    x = input("x", (5,))
    graph = Graph({"y": cr.graph.exp(cr.graph.sin(x))})
    given = {"x": np.linspace(0, 1, 5, dtype=np.float32)}
    NativeEngine(verify=True).compile(graph).run(given)
    monkeypatch.setitem(EMIT, "sin", EMIT["cos"])
    monkeypatch.setitem(EMIT, "cos", EMIT["cos"])
    with pytest.raises(EngineError, match="differs at"):
        NativeEngine(verify=True).compile(Graph({"y": cr.graph.exp(cr.graph.sin(x) * 2)})).run(given)


def test_what_is_made_can_be_read() -> None:
    train, _ = cr.data.load("iris")
    run = cr.prepare(cr.Chain(cr.Dense(8, cr.tanh), cr.Dense(3)), train, engine=NativeEngine(profile=True))
    run.fit(train, epochs=2)
    program_ = run.built(run.spec, 32)[1]  # type: ignore[arg-type]
    assert isinstance(run.engine, NativeEngine)
    text = program_.loops()  # type: ignore[attr-defined]
    assert "contract(" in text
    assert "parameters/0.weight'" in text
    assert "define" in program_.llvm()  # type: ignore[attr-defined]
    assert len(program_.assembly()) > 1000  # type: ignore[attr-defined]
    rows = program_.profile()  # type: ignore[attr-defined]
    assert abs(sum(row.share for row in rows) - 1) < 1e-6
    assert 20 <= program_.plan.calls <= 40  # type: ignore[attr-defined]
    assert run.plan() == f"{program_.plan}\n{text}"  # type: ignore[attr-defined]
    with pytest.raises(ConfigurationError, match="no plan"):
        cr.prepare(cr.Chain(cr.Dense(3)), train, engine="reference").plan()


@pytest.mark.parametrize("exponent", [0.5, -0.5, 2.0, 3.0, -1.0, 0.0, 1.5, np.inf, -np.inf, np.nan, 1e300])
def test_powers_have_the_corners_of_their_definition(exponent: float) -> None:
    x = input("x", (10,), "float64")
    graph = Graph({"y": x**exponent})
    given = {"x": np.array([-np.inf, -2.0, -1.0, -0.0, 0.0, 0.25, 2.0, 1e300, np.inf, np.nan])}
    found, expected = (engine.compile(graph).run(given)["y"] for engine in (NativeEngine(), ReferenceEngine()))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0, equal_nan=True)


def test_numbers_too_large_for_float32_are_infinite_there() -> None:
    x = input("x", (4,))
    graph = Graph({"power": x**1e39, "border": pad(x, (1,), (1,), value=-1e300)})
    given = {"x": np.array([0.5, 1.0, -2.0, np.nan], np.float32)}
    with np.errstate(over="ignore"):
        found, expected = (engine.compile(graph).run(given) for engine in (NativeEngine(), ReferenceEngine()))
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def _remainders_agree(dtype: str) -> bool:
    """To the bit, for bits at random, which have quotients of any size, and for corners with corners."""
    random, count = np.random.default_rng(0), 20_000
    word = "uint32" if dtype == "float32" else "uint64"
    given = {name: random.integers(0, 2**64, count, np.uint64).astype(word).view(dtype).copy() for name in "ab"}
    limits = np.finfo(dtype)
    small, most = limits.tiny, limits.max
    corners = np.array([0, -0.0, 1, -1, 0.1, -2.5, 3, small, most, np.inf, -np.inf, np.nan], dtype)
    pairs = np.stack(np.meshgrid(corners, corners)).reshape(2, -1)
    for name, array in zip("ab", pairs, strict=True):
        given[name][: array.size] = array
    graph = Graph({"y": rem(*(input(name, (count,), dtype) for name in "ab"))})
    found, expected = (engine.compile(graph).run(given)["y"] for engine in (NativeEngine(), ReferenceEngine()))
    # A number too small to be normal counts as zero in compiled programs.
    normal = ~np.any([(array != 0) & (np.abs(array) < small) for array in (*given.values(), expected)], axis=0)
    found, expected = found[normal], expected[normal]
    numbers = ~np.isnan(expected)
    return bool(
        (np.isnan(found) == ~numbers).all() and (found[numbers].view(word) == expected[numbers].view(word)).all()
    )


@pytest.mark.parametrize("dtype", FLOATS)
def test_remainders_of_floats_are_exact(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _remainders_agree(dtype)

    def short(e: Emitter, node: Node, index: Index) -> str:
        """The straight line, right for small quotients."""
        a, b = (e.value(x, index) for x in node.inputs)
        kind = REGISTER[node.dtype]
        whole = e.intrinsic("trunc", kind, e.writer.emit(f"fdiv {kind} {a}, {b}"))
        return e.writer.emit(f"fsub {kind} {a}, {e.writer.emit(f'fmul {kind} {whole}, {b}')}")

    monkeypatch.setitem(EMIT, "rem", short)
    assert not _remainders_agree(dtype)


def test_the_cache_trusts_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path))
    name = cache.key("a program")
    cache.write(name, b"code")
    assert cache.read(name) == b"code"
    path = tmp_path / "native" / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert cache.read(name) is None  # a damaged entry is removed
    assert not path.exists()
    cache.write(name, b"code")
    if os.name == "posix":
        (tmp_path / "native").chmod(0o777)
        assert cache.read(name) is None  # others may have written it
        assert stat.S_IMODE((tmp_path / "native").stat().st_mode) == 0o700
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    cache.write(name, b"code")
    assert cache.read(name) is None


def test_a_second_process_finds_the_code_on_disk_and_damage_is_mended(tmp_path: Path) -> None:
    code = """
import numpy as np
from chainrule import graph
from chainrule.engines.native import NativeEngine, blocks, cache, grouping
from chainrule.engines.native import engine as engine_module
x = graph.input("x", (3,))
engine = NativeEngine()
print(engine.compile(graph.Graph({"y": graph.tanh(x) + 1})).run({"x": np.zeros(3, np.float32)})["y"][0])
print(engine.compilations[0].source)
"""
    environment = {**os.environ, "CHAINRULE_CACHE": str(tmp_path)}

    def run() -> list[str]:
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split("\n")[:2]

    assert [run(), run()] == [["1.0", "compiled"], ["1.0", "on disk"]]
    for path in (tmp_path / "native").iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert [run(), run()] == [["1.0", "compiled"], ["1.0", "on disk"]]


def test_a_loop_over_time_counts_as_often_as_it_is_gone_through() -> None:
    x, w = input("x", (7, 4, 8)), input("w", (8, 8))

    def body(carries: list[Node], slices: list[Node]) -> tuple[list[Node], list[Node]]:
        return [cr.graph.contract(carries[0], w, "bi,io->bo") + slices[0]], []

    (last,), _ = cr.graph.scan(body, [cr.graph.zeros_like(x[0])], [x])
    program = NativeEngine(cores=1, profile=True).compile(Graph({"last": last}))
    program.run({"x": np.ones((7, 4, 8), np.float32), "w": np.ones((8, 8), np.float32)})
    assert isinstance(program, NativeProgram)
    (product,) = (row for row in program.profile() if row.kernel.startswith("contract"))
    assert product.operations >= 7 * 2 * 4 * 8 * 8
