"""Random keys: (seed, step, path) -> bits, the only source of randomness.

Bits come from Philox-2x32-10, a function of a key and a counter, so that they depend on what is asked for
and never on the engine, the number of threads or the order of the questions.

Reference: J. Salmon, M. Moraes, R. Dror and D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint32]

_MULTIPLIER = np.uint64(0xD256D193)
_WEYL = 0x9E3779B9
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
#: Numbers are made so many at a time, since on their way they take ten times the memory that they take in the end.
_BLOCK = 1 << 14


def path_word(path: str) -> int:
    """The 32-bit word that stands for a path: its CRC-32.

    >>> path_word("0.weight") == path_word("1.weight")
    False
    """
    return zlib.crc32(path.encode())


def philox(seed: Bits, counter: Bits, word: int | Bits) -> Bits:
    """Philox-2x32-10 of the counter ``(counter, word)`` under the key ``seed``; the first output word.

    ``seed`` and ``counter`` are uint32 arrays of one shape; the answer has that shape. So may ``word`` be.

    >>> hex(int(philox(np.zeros(1, np.uint32), np.zeros(1, np.uint32), 0)[0]))
    '0xff1dae59'
    """
    left = counter.astype(np.uint64)
    right = np.full(counter.shape, word, dtype=np.uint64)
    key = seed.astype(np.uint64)
    for _ in range(_ROUNDS):
        product = left * _MULTIPLIER
        left, right = (product >> _HALF) ^ key ^ right, product & _LOW
        key = (key + np.uint64(_WEYL)) & _LOW
    return left.astype(np.uint32)


@dataclass(frozen=True)
class Key:
    """A place in the tree of random numbers: a seed, and the path that leads from it.

    Two keys of different paths give unrelated numbers; one key gives the same numbers each time it is asked.

    >>> Key(0).child("0.weight").uniform((2,)).round(3)
    array([0.109, 0.287])
    """

    seed: int
    path: str = ""

    def child(self, name: str | int) -> Key:
        """The key of a place below this one."""
        return Key(self.seed, f"{self.path}/{name}")

    def numbers(self, count: int, first: int = 0) -> NDArray[np.float64]:
        """The number, evenly over [0, 1), of each of so many children: first, first + 1, …

        >>> bool(Key(0).numbers(3, 5)[2] == Key(0).child(7).uniform(()))
        True
        """
        found = np.empty(count, np.float64)
        for begin, end in _blocks(count):
            seed = np.full(end - begin, self.seed & 0xFFFFFFFF, dtype=np.uint32)
            names = range(first + begin, first + end)
            words = np.array([path_word(f"{self.path}/{name}") for name in names], np.uint32)
            found[begin:end] = _joined(*(philox(seed, np.full_like(words, half), words) for half in (0, 1)))
        return found

    def bits(self, count: int) -> Bits:
        """``count`` random 32-bit words."""
        words = np.empty(count, np.uint32)
        for begin, end in _blocks(count):
            words[begin:end] = self._words(begin, end)
        return words

    def _words(self, begin: int, end: int) -> Bits:
        seed = np.full(end - begin, self.seed & 0xFFFFFFFF, dtype=np.uint32)
        return philox(seed, np.arange(begin, end, dtype=np.uint32), path_word(self.path))

    def _unit(self, begin: int, end: int, count: int) -> NDArray[np.float64]:
        """Some of ``count`` numbers in [0, 1): upper bits from one half of the words, lower ones from the other."""
        return _joined(self._words(begin, end), self._words(count + begin, count + end))

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """Numbers spread evenly over [low, high), of the shape given, float64."""
        count = int(np.prod(shape, dtype=np.int64))
        numbers = np.empty(count, np.float64)
        for begin, end in _blocks(count):
            numbers[begin:end] = low + (high - low) * self._unit(begin, end, count)
        return numbers.reshape(shape)

    def normal(self, shape: tuple[int, ...], deviation: float = 1.0) -> NDArray[np.float64]:
        """Numbers of a normal distribution around 0, by Box and Muller's transform, float64."""
        count = int(np.prod(shape, dtype=np.int64))
        radii, angles = self.child("radius"), self.child("angle")
        numbers = np.empty(count, np.float64)
        for begin, end in _blocks(count):
            radius = np.sqrt(-2.0 * np.log1p(-radii._unit(begin, end, count)))
            numbers[begin:end] = deviation * radius * np.cos(2.0 * np.pi * angles._unit(begin, end, count))
        return numbers.reshape(shape)

    def permutation(self, count: int) -> NDArray[np.int64]:
        """The numbers 0 … count − 1 in a random order."""
        words = self.bits(2 * count).astype(np.uint64)
        return np.argsort((words[:count] << _HALF) | words[count:], kind="stable")


def _joined(upper: Bits, lower: Bits) -> NDArray[np.float64]:
    """Numbers in [0, 1) of two words each."""
    words = (upper.astype(np.uint64) << np.uint64(21)) ^ (lower.astype(np.uint64) >> np.uint64(11))
    return words.astype(np.float64) * 2.0**-53


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    return ((begin, min(begin + _BLOCK, count)) for begin in range(0, count, _BLOCK))
