"""Single runs by threads that linger: the same bits, by whoever answers; who does not is left out."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule.engines.native import NativeEngine, lingering, program, team
from chainrule.engines.native.lingering import AWAY, HERE
from chainrule.engines.native.program import NativeProgram
from chainrule.graph import Graph, contract, exp, input

RANDOM = np.random.default_rng(0)
GIVEN = {name: RANDOM.random(shape, np.float32) for name, shape in {"x": (1, 700), "w": (700, 400)}.items()}


@pytest.fixture
def own_team(monkeypatch: pytest.MonkeyPatch) -> team.Team:
    """A team of two cores that nobody else calls, or comes to by himself."""
    monkeypatch.setenv("CHAINRULE_THREADS", "2")
    monkeypatch.setattr(program, "_SOON", 0.0)
    monkeypatch.setattr(team, "_teams", [team.Team()])
    return team.team()


def _program(cores: int = 2) -> NativeProgram:
    """What some cores do in microseconds, and nobody is woken for."""
    x, w = input("x", (1, 700)), input("w", (700, 400))
    found = NativeEngine(cores=cores).compile(Graph({"y": exp(contract(x, w, "ik,kj->ij") / 1000)}))
    assert isinstance(found, NativeProgram)
    assert found.cores == cores
    return found


def _state(box: int) -> Any:
    return ctypes.c_int64.from_address(box)


@contextlib.contextmanager
def _who_stays(compiled: NativeProgram, core: int = 1) -> Iterator[None]:
    """One who comes again and again, since on a busy machine nobody knows when he is there."""
    over = threading.Event()

    def stay() -> None:
        while not over.is_set():
            compiled._stay(core)

    thread = threading.Thread(target=stay)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _by(count: int, compiled: NativeProgram, others: team.Team) -> NDArray[Any]:
    """The output, once so many cores have taken part."""
    compiled._job.boxes, compiled._job.helpers = others.boxes, compiled.cores - 1
    end = time.perf_counter() + 30
    while time.perf_counter() < end:
        _, outputs = compiled._binding.bind(GIVEN)
        if compiled._lead(compiled._call_with) == count:
            return outputs["y"]
    raise AssertionError("nobody has taken part")


def test_two_take_part_and_the_bits_are_the_same(own_team: team.Team) -> None:
    compiled, second = _program(), _program()
    expected = NativeEngine(cores=1).compile(compiled.graph).run(GIVEN)["y"]
    with _who_stays(compiled):
        for _ in range(20):
            np.testing.assert_array_equal(_by(2, compiled, own_team), expected)
            np.testing.assert_array_equal(_by(2, second, own_team), expected)  # another program's code
            np.testing.assert_array_equal(compiled.run(GIVEN)["y"], expected)


def test_each_of_three_does_a_part(own_team: team.Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "_TO_ANSWER", 10**9)  # whoever is there is waited for
    compiled = _program(cores=3)
    expected = NativeEngine(cores=1).compile(compiled.graph).run(GIVEN)["y"]
    with _who_stays(compiled, 1), _who_stays(compiled, 2):
        for _ in range(5):
            np.testing.assert_array_equal(_by(3, compiled, own_team), expected)


def test_who_takes_part_beside_one_who_is_left_out_is_the_second_of_two(own_team: team.Team) -> None:
    compiled = _program(cores=3)
    expected = NativeEngine(cores=1).compile(compiled.graph).run(GIVEN)["y"]
    _state(own_team.box(1)).value = HERE  # and nobody looks into it
    with _who_stays(compiled, 2):
        np.testing.assert_array_equal(_by(2, compiled, own_team), expected)
        job, core, cores = (_state(own_team.box(2) + 8 * word).value for word in (1, 2, 3))
    assert (job, core, cores) == (compiled._call_with, 1, 2)
    assert _state(own_team.box(1)).value == HERE


def test_a_call_ends_when_all_who_take_part_have_ended(own_team: team.Team) -> None:
    compiled, ended = _program(), list[int]()
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    part = kind(compiled._code.address("part"))

    @kind
    def slowly(job: int, core: int, cores: int) -> int:
        done = int(part(job, core, cores))
        time.sleep(0.05)
        ended.append(core)
        return done

    compiled._job.part = ctypes.cast(slowly, ctypes.c_void_p).value
    with _who_stays(compiled):
        _by(2, compiled, own_team)
        assert ended == [1]


def test_calls_that_follow_each_other_soon_ask_somebody_to_stay(
    own_team: team.Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(own_team, "invite", lambda count, stay: asked.append(count))
    monkeypatch.setattr(program, "_SOON", 1e9)
    compiled = _program()
    compiled.run(GIVEN)
    assert asked == [2]
    monkeypatch.setattr(program, "_SOON", 0.0)  # as if each call came late
    for _ in range(5):
        compiled.run(GIVEN)
    assert asked == [2]


def test_an_invitation_is_not_repeated_at_once(own_team: team.Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "_AGAIN", 1e9)
    came = threading.Semaphore(0)
    for _ in range(3):
        own_team.invite(2, lambda core: came.release())
    assert came.acquire(timeout=20)
    assert not came.acquire(timeout=0.05)


def test_invitations_in_vain_become_rare(own_team: team.Team, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    came: list[float] = []

    def calls(count: int, met: bool) -> int:
        nonlocal now
        before = len(came)
        for _ in range(count):
            now += 1e-4
            own_team.met |= met
            own_team.invite(1, lambda core: None)
            if own_team._invited == now:
                came.append(now)
        return len(came) - before

    assert calls(1000, met=True) > 80
    assert calls(1000, met=False) < 10
    assert calls(100_000, met=False) < 50
    assert calls(5000, met=True) > 100


def test_who_does_not_answer_is_left_out(own_team: team.Team) -> None:
    """As when the system has put the thread aside: its box says that it is here, and nobody looks into it."""
    compiled = _program()
    state = _state(own_team.box(1))
    state.value = HERE
    expected = np.exp(GIVEN["x"] @ GIVEN["w"] / np.float32(1000))
    np.testing.assert_allclose(compiled.run(GIVEN)["y"], expected, rtol=1e-5)
    assert state.value == HERE


def test_after_a_long_wait_nobody_is_asked_for_a_while(own_team: team.Team, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = _program()
    asked: list[float] = []

    def late(job: int) -> int:
        asked.append(time.perf_counter())
        compiled._alone(job)
        time.sleep(0.01)
        return 2

    monkeypatch.setattr(compiled, "_lead", late)
    for _ in range(50):
        compiled.run(GIVEN)
        monkeypatch.setattr(compiled, "_pace", team.Pace(2))  # which would go on asking
    assert len(asked) == 1 or asked[1] - asked[0] > 20 * 0.01
    monkeypatch.setattr(compiled, "_not_before", 0.0)  # as if the time were over
    before = len(asked)
    compiled.run(GIVEN)
    assert len(asked) == before + 1


def test_who_is_not_asked_goes(own_team: team.Team) -> None:
    compiled = _program()
    compiled._stay(1)  # which ends by itself
    assert _state(own_team.box(1)).value == AWAY


def test_threads_that_predict_at_the_same_time_do_not_mix(own_team: team.Team) -> None:
    compiled, other = _program(), _program()
    inputs = [np.full((1, 700), value, np.float32) for value in (1, 2)]
    expected = [_program().run({**GIVEN, "x": x})["y"] for x in inputs]
    wrong: list[int] = []

    def go(number: int, by: NativeProgram) -> None:
        for _ in range(300):
            if (by.run({**GIVEN, "x": inputs[number]})["y"] != expected[number]).any():
                wrong.append(number)

    threads = [threading.Thread(target=go, args=(n, by)) for n in (0, 1) for by in (compiled, other)]
    with _who_stays(compiled):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_nobody_who_lingers(own_team: team.Team) -> None:
    compiled = _program()
    expected = compiled.run(GIVEN)["y"]
    with _who_stays(compiled):
        _by(2, compiled, own_team)
    child = os.fork()
    if child == 0:
        os._exit(0 if (compiled.run(GIVEN)["y"] == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
