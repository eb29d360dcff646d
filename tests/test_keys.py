from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from chainrule import graph, keys
from chainrule.engines.reference import ReferenceEngine
from chainrule.graph import Graph
from chainrule.keys import Key, path_word, philox

#: Known answers of philox2x32-10 from Random123: counter word 0, counter word 1, key, first word of the output.
KNOWN = [
    (0x00000000, 0x00000000, 0x00000000, 0xFF1DAE59),
    (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0x2C3F628B),
    (0x243F6A88, 0x85A308D3, 0x13198A2E, 0xDD7CE038),
]


@pytest.mark.tiny
@pytest.mark.parametrize(("counter", "word", "key", "answer"), KNOWN)
def test_philox_gives_its_known_answers(counter: int, word: int, key: int, answer: int) -> None:
    bits = philox(np.array([key], np.uint32), np.array([counter], np.uint32), word)
    assert bits.dtype == np.uint32
    assert int(bits[0]) == answer


def test_the_op_gives_the_known_answer_too() -> None:
    # The CRC-32 of the empty path is 0, so the first known answer can be asked of the graph.
    assert path_word("") == 0
    seed, counter = graph.input("seed", (1,), "uint32"), graph.input("counter", (1,), "uint32")
    program = ReferenceEngine().compile(Graph({"bits": graph.random_bits(seed, counter, "")}))
    zero = np.zeros(1, np.uint32)
    assert int(program.run({"seed": zero, "counter": zero})["bits"][0]) == KNOWN[0][3]


def test_a_wrong_round_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_ROUNDS", 9)
    with pytest.raises(AssertionError):
        test_philox_gives_its_known_answers(*KNOWN[0])


def test_bits_depend_on_seed_path_and_place_alone() -> None:
    bits = Key(3, "a").bits(8)
    np.testing.assert_array_equal(bits[:5], Key(3, "a").bits(5))
    for other in (Key(4, "a"), Key(3, "b"), Key(3, "a").child("c")):
        assert (other.bits(8) != bits).all()
    assert Key(3).child("a").path == "/a"


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_numbers_do_not_depend_on_how_many_are_made_at_a_time(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> list[bytes]:
        key = Key(5, "a")
        return [key.bits(23).tobytes(), key.uniform((4, 6)).tobytes(), key.normal((5, 5)).tobytes()]

    at_once = made()
    monkeypatch.setattr(keys, "_BLOCK", block)
    assert made() == at_once


def test_many_numbers_take_little_more_memory_than_they_are() -> None:
    def peak() -> int:
        tracemalloc.start()
        try:
            Key(0).normal((500_000,))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak() < 1.5 * 8 * 500_000
    with pytest.MonkeyPatch.context() as patch:  # all at once take more: it is seen here
        patch.setattr(keys, "_BLOCK", 500_000)
        assert peak() > 5 * 8 * 500_000


def test_uniform_and_normal_numbers_are_spread_as_they_should_be() -> None:
    unit = Key(0, "u").uniform((20_000,))
    assert unit.min() >= 0
    assert unit.max() < 1
    # Mean and variance of 20,000 numbers lie within five standard errors.
    assert abs(unit.mean() - 0.5) < 5 * np.sqrt(1 / 12 / 20_000)
    assert abs(unit.var() - 1 / 12) < 0.003
    normal = Key(0, "n").normal((20_000,), 2.0)
    assert np.isfinite(normal).all()
    assert abs(normal.mean()) < 5 * 2 / np.sqrt(20_000)
    assert abs(normal.std() - 2) < 0.05
    low = Key(0, "u").uniform((4,), -3.0, -2.0)
    np.testing.assert_allclose(low, Key(0, "u").uniform((4,)) - 3.0)


def test_a_permutation_has_every_number_once() -> None:
    order = Key(1, "order").permutation(100)
    assert sorted(order.tolist()) == list(range(100))
    assert (order != np.arange(100)).any()
    assert Key(1, "order").permutation(0).shape == (0,)
