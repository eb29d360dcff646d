"""Arrays on their way into a program: however they lie in memory, what is read is what they say; outputs are new."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from chainrule import graph as g
from chainrule.engines.native import NativeEngine, binding
from chainrule.errors import DtypeError, EngineError, ShapeError
from chainrule.graph import Graph

Array = NDArray[Any]

X = g.input("x", (3, 4))
WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)
ADDED = Graph({"y": X + g.constant(WEIGHTS), "total": g.sum(X)})
GIVEN = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def _read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _unaligned(array: Array) -> Array:
    raw = np.empty(array.nbytes + 1, np.uint8)
    found = raw[1:].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


WAYS: dict[str, Callable[[Array], Any]] = {
    "as it is": lambda a: a,
    "by columns": np.asfortranarray,
    "every other": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "read only": _read_only,
    "read only, by columns": lambda a: _read_only(np.asfortranarray(a)),
    "stretched": lambda a: np.broadcast_to(a[:1], a.shape),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": _unaligned,
    "of a derived class": lambda a: a.view(np.ma.MaskedArray),
}


@pytest.mark.tiny
@pytest.mark.parametrize("way", WAYS)
def test_arrays_may_lie_in_memory_in_any_way(way: str) -> None:
    given = WAYS[way](GIVEN)
    before = np.array(given)
    found = NativeEngine().compile(ADDED).run({"x": given})
    np.testing.assert_array_equal(found["y"], np.asarray(before, np.float32) + WEIGHTS)
    np.testing.assert_array_equal(given, before)


def test_an_order_that_is_not_seen_to_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of the checks: with the addresses of whatever comes, columns are read as rows."""
    monkeypatch.setattr(binding, "_first_byte", lambda array: array)
    monkeypatch.setattr(binding, "_addressof", lambda array: array.ctypes.data)
    found = NativeEngine().compile(ADDED).run({"x": np.asfortranarray(GIVEN)})
    assert (found["y"] != GIVEN + WEIGHTS).any()


def test_numbers_and_empty_arrays_have_addresses_too() -> None:
    x, n = g.input("x", (0, 3)), g.input("n", ())
    program = NativeEngine().compile(Graph({"y": x * g.broadcast_to(n, (0, 3)), "n": n + n}))
    found = program.run({"x": np.zeros((0, 3), np.float32), "n": np.array(4, np.float32)})
    assert found["y"].shape == (0, 3)
    assert found["n"] == 8


def test_outputs_are_the_callers_own() -> None:
    program = NativeEngine().compile(ADDED)
    first = program.run({"x": GIVEN})
    kept = first["y"].copy()
    second = program.run({"x": 2 * GIVEN})
    np.testing.assert_array_equal(first["y"], kept)
    assert not np.shares_memory(first["y"], second["y"])


def test_what_is_only_handed_on_is_the_callers_own_too() -> None:
    program: Any = NativeEngine().compile(Graph({"x": X, "again": X, "constant": g.constant(WEIGHTS)}))
    assert program.gives_new
    first, second = program.run({"x": GIVEN}), program.run({"x": GIVEN})
    arrays = [*first.values(), *second.values(), GIVEN, WEIGHTS]
    for number, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:number])
    np.testing.assert_array_equal(second["again"], GIVEN)
    np.testing.assert_array_equal(second["constant"], WEIGHTS)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_in_place_is_a_copy_of_what_was_given(way: str) -> None:
    x = g.input("w", (3, 4))
    program = NativeEngine().compile(Graph({"w": x + x}))
    given = WAYS[way](GIVEN)
    before = np.array(given)
    found = program.run({"w": given})["w"]
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(found, np.asarray(before + before, np.float32))
    assert found.flags.writeable


@pytest.mark.tiny
@pytest.mark.parametrize(
    ("arrays", "error", "told"),
    [
        ({}, EngineError, "the graph wants an array for its input 'x' (float32[3, 4])"),
        ({"x": GIVEN.T}, ShapeError, "input 'x' is [3, 4], and the array given is [4, 3]"),
        ({"x": GIVEN.astype(np.float64)}, DtypeError, "input 'x' is float32, and the array given is float64"),
        ({"x": GIVEN.tolist()}, DtypeError, "input 'x' is float32, and the array given is float64"),
    ],
)
def test_what_does_not_fit_is_refused(arrays: dict[str, Any], error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        NativeEngine().compile(ADDED).run(arrays)
    assert str(caught.value) == told


def test_an_input_that_nothing_reads_in_the_end_has_to_fit_all_the_same() -> None:
    x, unread = g.input("x", (2,)), g.input("unread", (2,))
    program = NativeEngine().compile(Graph({"y": x + (unread - unread) * 0}))
    zeros = np.zeros(2, np.float32)
    np.testing.assert_array_equal(program.run({"unread": zeros, "x": zeros + 1})["y"], zeros + 1)
    with pytest.raises(ShapeError):
        program.run({"unread": np.zeros(3, np.float32), "x": zeros})


def test_arrays_that_are_given_again_are_read_again() -> None:
    program = NativeEngine().compile(ADDED)
    given = GIVEN.copy()
    for number in range(3):
        given[:] = number  # in place
        np.testing.assert_array_equal(program.run({"x": given})["y"], given + WEIGHTS)
    for number in range(50):  # a new one each time, often where the last one lay
        given = np.full_like(GIVEN, number)
        np.testing.assert_array_equal(program.run({"x": given})["y"], given + WEIGHTS)
    for array in (given, GIVEN, GIVEN.T.copy().T, given, _read_only(GIVEN), given):
        np.testing.assert_array_equal(program.run({"x": array})["y"], array + WEIGHTS)
    with pytest.raises(EngineError):
        program.run({})
    del given, array
    with pytest.raises(EngineError, match="the graph wants an array for its input 'x'"):
        program.run({})
    with pytest.raises(ShapeError):
        program.run({"x": None})  # type: ignore[dict-item]


def test_what_was_given_is_not_kept() -> None:
    program = NativeEngine().compile(ADDED)
    given = GIVEN.copy()
    program.run({"x": given})
    gone = weakref.ref(given)
    del given
    assert gone() is None


def test_what_is_written_in_place_is_found_again_by_the_next_run() -> None:
    w = g.input("w", (3, 4))
    program = NativeEngine().compile(Graph({"w": w + w, "twice": w * 2 + X}))
    given = {"w": GIVEN.copy(), "x": GIVEN}
    for _ in range(3):
        np.testing.assert_array_equal(program.run(given)["w"], GIVEN + GIVEN)
        np.testing.assert_array_equal(given["w"], GIVEN)
