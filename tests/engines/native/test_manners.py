"""Manners: threads, forks, workers, an interpreter that ends, and processors with other vectors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.engines.native import NativeEngine, machine
from chainrule.engines.native.layouts import lay_out
from chainrule.engines.native.machine import Target, assembly, host, target
from chainrule.engines.native.module import write_module
from chainrule.engines.reference import ReferenceEngine
from chainrule.errors import EngineError
from chainrule.gradients import gradients
from chainrule.graph import Graph, broadcast_to, contract, input, rewrite, sum, tanh

x, w, b = input("x", (33, 17)), input("w", (17, 21)), input("b", (21,))
y = tanh(contract(x, w, "mk,kn->mn") + broadcast_to(b, (33, 21)))
GRAPH = Graph({"y": y, **{f"d{n}": g for n, g in enumerate(gradients(sum(y * y), [x, w, b]))}})
_RANDOM = np.random.default_rng(0)
GIVEN = {name: _RANDOM.normal(size=node.shape).astype(np.float32) for name, node in GRAPH.inputs.items()}


def right(found: dict[str, Any], given: dict[str, Any] | None = None) -> None:
    expected = ReferenceEngine().compile(GRAPH).run(given or GIVEN)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=2e-5, atol=1e-5, err_msg=name)


def test_threads_share_a_program_and_have_programs_of_their_own() -> None:
    shared = NativeEngine().compile(GRAPH)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            own = NativeEngine().compile(GRAPH)
            given = {name: array * np.float32(1 + number) for name, array in GIVEN.items()}
            for _ in range(20):
                right(own.run(given), given)
                right(shared.run(given), given)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_threads_that_share_a_program_take_turns_with_its_memory() -> None:
    x = input("x", (300, 300))
    y = tanh(contract(x, x, "ij,jk->ik"))
    program = NativeEngine().compile(Graph({"z": contract(tanh(y * x), y, "ij,jk->ik")}))  # y lies in the arena
    given = [{"x": _RANDOM.normal(size=(300, 300)).astype(np.float32)} for _ in range(3)]
    alone = [program.run(arrays)["z"] for arrays in given]
    begin = threading.Barrier(3)
    wrong: list[int] = []

    def work(number: int) -> None:
        begin.wait()
        wrong.extend(number for _ in range(10) if not np.array_equal(program.run(given[number])["z"], alone[number]))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


_FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
from tests.engines.native.test_manners import GIVEN, GRAPH, NativeEngine, right
program = NativeEngine().compile(GRAPH)
right(program.run(GIVEN))
child = os.fork()
if child == 0:
    right(program.run(GIVEN))
    right(NativeEngine().compile(GRAPH).run(GIVEN))
    os._exit(7)
_, status = os.waitpid(child, 0)
right(program.run(GIVEN))
sys.exit(os.waitstatus_to_exitcode(status))
"""

_FORK_IN_A_FIT = """
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from tests.engines.native.test_manners import cr, digits, fitted, weights
class Fork(cr.Callback):
    child = None
    def on_steps(self, training, records):
        if self.child is None:
            self.child = os.fork()
fork = Fork()
found = weights(fitted(0, callbacks=[fork]))
fresh = weights(fitted(0))
same = all(np.array_equal(found[path], array) for path, array in fresh.items())
if fork.child == 0:
    os._exit(7 if same else 1)
_, status = os.waitpid(fork.child, 0)
sys.exit(os.waitstatus_to_exitcode(status) if same else 2)
"""

#: One call into native code that takes minutes; {end} is how the interpreter ends while it runs.
_SHUTDOWN = """
import os, signal, sys, threading, time
import numpy as np
from chainrule.graph import Graph, input, sum, tanh
from tests.engines.native.test_manners import NativeEngine
x, n = input("x", (100_000,)), input("n", ())
program = NativeEngine().compile(Graph({{"x": tanh(x), "loss": sum(x) + n}}))
given = {{"x": np.ones(100_000, np.float32)}}, {{}}, {{"n": np.zeros(10**7, np.float32)}}
begun = threading.Event()
threading.Thread(target=lambda: (begun.set(), program.repeat(*given)), daemon=True).start()
begun.wait()
time.sleep(0.05)
print("leaving", flush=True)
{end}
"""

_JOBLIB = """
import sys
from joblib import Parallel, delayed
import numpy as np
from tests.engines.native.test_manners import fitted, weights
alone = [weights(fitted(seed)) for seed in range(3)]
for backend in ("loky", "threading"):
    work = delayed(lambda seed: weights(fitted(seed)))
    together = Parallel(n_jobs=2, backend=backend)(work(seed) for seed in range(3))
    for one, other in zip(alone, together):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[path], other[path]) for path in one), backend
"""


def digits() -> cr.data.Dataset:
    return cr.data.load("digits")[0]


def fitted(seed: int, *, units: int = 48, epochs: int = 2, **settings: Any) -> cr.Run:
    """A short training, with the smaller last batch of an epoch in it."""
    model = cr.Chain(cr.Dense(units, cr.tanh), cr.Dense(10))
    return cr.fit(model, digits(), epochs=epochs, seed=seed, engine="native", progress=False, **settings)


def weights(run: cr.Run) -> dict[str, Any]:
    return run.parameters


def same(one: cr.Run, other: cr.Run) -> bool:
    """Whether two trainings ended with the same bits."""
    first, second = one.parameters, other.parameters
    return first.keys() == second.keys() and all(np.array_equal(first[path], second[path]) for path in first)


def test_two_fits_in_one_process_know_nothing_of_each_other() -> None:
    alone = [fitted(seed) for seed in range(2)]
    assert not same(*alone)

    class Within(cr.Callback):
        """Trains another network between two calls of the first."""

        inner: cr.Run | None = None

        def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
            self.inner = self.inner or fitted(1)

    within = Within()
    assert same(fitted(0, callbacks=[within]), alone[0])
    assert within.inner is not None
    assert same(within.inner, alone[1])

    # Long enough calls into native code for the two to run at one time.
    alone = [fitted(seed, units=200, epochs=20) for seed in range(2)]
    begin = threading.Barrier(2)
    together: dict[int, cr.Run] = {}

    def work(seed: int) -> None:
        begin.wait()
        together[seed] = fitted(seed, units=200, epochs=20)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(together[seed], alone[seed]) for seed in range(2))


class Clock(cr.Callback):
    """Notes, at each call, how many steps were done, and how long this thread has computed, other processes aside."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float]] = []

    def on_steps(self, training: Any, records: list[dict[str, Any]]) -> None:
        self.told.append((len(records), time.thread_time()))

    def on_epoch(self, training: Any, record: dict[str, Any]) -> None:
        self.told.append((0, time.thread_time()))


def cheap() -> cr.data.Dataset:
    """A hundred thousand steps an epoch, for batches of 2."""
    inputs = np.random.default_rng(0).normal(size=(200_000, 2)).astype(np.float32)
    return cr.data.from_arrays(inputs, (inputs[:, 0] > inputs[:, 1]).astype(np.int64))


def test_callbacks_are_called_every_tenth_of_a_second_however_cheap_the_steps() -> None:
    data, clock = cheap(), Clock()
    model = cr.Chain(cr.Dense(2, cr.tanh), cr.Dense(2))
    cr.fit(model, data, epochs=1, batch_size=2, engine="native", callbacks=[clock], progress=False)
    counts, times = np.array(clock.told).T
    assert counts.sum() == 100_000
    assert np.diff(times).max() <= 0.1
    assert len(counts) < 200  # and yet there are many steps in one call, also when many have been recorded
    assert counts.argmax() > 3  # the first calls are short: nobody knows yet how long a step takes


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
def test_ctrl_c_ends_a_training_of_cheap_steps_at_once_and_leaves_it_whole() -> None:
    data, clock = cheap(), Clock()
    asked: list[float] = []

    def interrupt() -> None:
        asked.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    model = cr.Chain(cr.Dense(2, cr.tanh), cr.Dense(2))
    run = cr.prepare(model, data, batch_size=2, engine="native")
    timer.start()
    run.fit(data, epochs=1000, callbacks=[clock], progress=False)
    assert time.monotonic() - asked[0] < 1.0  # a tenth of it, where no other process is in the way
    assert run.stopped == "interrupted"
    assert int(run.arrays["step"]) == len(run.history) == sum_of_steps(clock)
    assert run.history.samples == run.epoch * len(data) + run.offset


def sum_of_steps(clock: Clock) -> int:
    return int(np.sum([count for count, _ in clock.told]))


def _python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, os.getcwd()])}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_runs_what_its_parent_compiled() -> None:
    done = _python(_FORK)
    assert done.returncode == 7, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_training_that_is_forked_in_its_middle_goes_on_in_both() -> None:
    done = _python(_FORK_IN_A_FIT)
    assert done.returncode == 7, done.stderr


ENDS = {
    "falls off the end": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an error": ("raise SystemError('over')", 1),
    "terminated": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -15),
    "interrupted": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -2),
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
@pytest.mark.parametrize("how", ENDS)
def test_an_interpreter_may_end_while_a_program_runs(how: str) -> None:
    end, code = ENDS[how]
    start = time.monotonic()
    done = _python(_SHUTDOWN.format(end=end))
    assert (done.returncode, done.stdout.strip()) == (code, "leaving"), done.stderr
    assert "Fatal" not in done.stderr
    assert time.monotonic() - start < 30  # it did not wait for the program


def test_workers_of_joblib_compile_and_run() -> None:
    pytest.importorskip("joblib", reason="joblib comes with scikit-learn, which is not installed")
    done = _python(_JOBLIB)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="these are processors of the x86-64 family")
@pytest.mark.parametrize(("cpu", "register"), [("x86-64", "xmm"), ("haswell", "ymm"), ("skylake-avx512", "zmm")])
def test_vectors_are_as_wide_as_the_processor_has_them(cpu: str, register: str) -> None:
    chosen = target(cpu)
    written = write_module(lay_out(rewrite(GRAPH)), target=chosen)
    text = assembly(written.text, chosen)
    assert f"%{register}" in text
    wider = {"xmm": ("ymm", "zmm"), "ymm": ("zmm",), "zmm": ()}[register]
    assert not any(f"%{name}" in text for name in wider)
    if chosen.runs_here:
        right(NativeEngine(cpu=cpu).compile(GRAPH).run(GIVEN))


@pytest.mark.skipif(host().triple.split("-")[0] != "x86_64", reason="these are processors of the x86-64 family")
def test_a_machine_without_avx_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = fitted(0)
    monkeypatch.setenv("CHAINRULE_CPU", "x86-64")
    engine = NativeEngine()
    run = cr.fit(
        cr.Chain(cr.Dense(48, cr.tanh), cr.Dense(10)), digits(), epochs=2, seed=0, engine=engine, progress=False
    )
    for path, array in run.parameters.items():
        np.testing.assert_allclose(array, usual.parameters[path], rtol=1e-3, atol=1e-5, err_msg=path)
    assert run.spec is not None
    program: Any = run.built(run.spec, 32)[1]
    text = program.assembly()
    assert "%xmm" in text
    assert "%ymm" not in text
    assert not re.search(r"^\s+v[a-z]+ps\b", text, re.MULTILINE)  # every AVX instruction begins with a v
    # A machine that has no more than that refuses code for one that has.
    monkeypatch.setattr(machine, "host", lambda: Target(host().triple, "x86-64"))
    with pytest.raises(EngineError, match="cannot run code for skylake-avx512: its vectors are wider"):
        NativeEngine(cpu="skylake-avx512").compile(GRAPH)


#: In float32 and float64: the product of the layer, the exponential within tanh, and a sum.
@pytest.mark.parametrize(("dtype", "lanes"), [("float32", "4s"), ("float64", "2d")])
def test_neon_code_is_written_for_arm(dtype: str, lanes: str) -> None:
    chosen = Target("aarch64-unknown-linux-gnu", "cortex-a72")
    assert chosen.vector_bytes == 16
    assert not chosen.runs_here or host().triple.startswith("aarch64")
    x, w = input("x", (33, 17), dtype), input("w", (17, 21), dtype)
    y = tanh(contract(x, w, "mk,kn->mn"))
    text = assembly(write_module(lay_out(rewrite(Graph({"y": y, "sum": sum(y * y)}))), target=chosen).text, chosen)
    multiplied = re.findall(rf"fmla\tv\d+\.{lanes}", text)
    assert len(multiplied) >= 8  # the tile of the product, in registers
    for instruction in ("fmul", "fadd", "fdiv"):
        assert re.search(rf"{instruction}\tv\d+\.{lanes}", text), instruction
    called, defined = set(re.findall(r"\tbl\t(\S+)", text)), set(re.findall(r"^([\w.]+):", text, re.MULTILINE))
    assert called - defined <= {"memcpy", "memmove", "memset"}  # nothing of a library of mathematics
