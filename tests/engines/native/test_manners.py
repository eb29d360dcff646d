"""Manners: threads, forks, workers, an interpreter that ends, and processors with other vectors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from chainrule.engines.native import NativeEngine
from chainrule.engines.native.layouts import lay_out
from chainrule.engines.native.machine import Target, assembly, host, target
from chainrule.engines.native.module import write_module
from chainrule.engines.reference import ReferenceEngine
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

_SHUTDOWN = """
import threading
from tests.engines.native.test_manners import GIVEN, GRAPH, NativeEngine
program = NativeEngine().compile(GRAPH)
threading.Thread(target=lambda: [program.run(GIVEN) for _ in range(10**9)], daemon=True).start()
print("leaving")
"""

_JOBLIB = """
import sys
from joblib import Parallel, delayed
from tests.engines.native.test_manners import GIVEN, GRAPH, NativeEngine, right
def work(number):
    right(NativeEngine().compile(GRAPH).run(GIVEN))
    return number
for backend in ("loky", "threading"):
    assert Parallel(n_jobs=2, backend=backend)(delayed(work)(n) for n in range(4)) == [0, 1, 2, 3]
"""


def _python(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, os.getcwd()])}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_runs_what_its_parent_compiled() -> None:
    done = _python(_FORK)
    assert done.returncode == 7, done.stderr


def test_an_interpreter_may_end_while_a_program_runs() -> None:
    done = _python(_SHUTDOWN)
    assert (done.returncode, done.stdout.strip()) == (0, "leaving"), done.stderr


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


def test_neon_code_is_written_for_arm() -> None:
    chosen = Target("aarch64-unknown-linux-gnu", "cortex-a72")
    written = write_module(lay_out(rewrite(GRAPH)), target=chosen)
    assert "fmla\tv" in assembly(written.text, chosen)
