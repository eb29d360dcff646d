"""Shifting and scaling of numbers, there and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.errors import ConfigurationError, DataError

Numbers = float | tuple[float, ...]

_MAXIMUM_NUMBERS = 1_000_000
_LARGEST = 1e150  # the square is still finite
_SMALLEST = 1e-150  # so is one over it


def check_numbers(name: str, value: Any, nonzero: bool = False) -> Numbers:
    """``value`` as a float or a tuple of floats; ConfigurationError names the setting that is neither."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        if not 0 < len(value) <= _MAXIMUM_NUMBERS:
            raise ConfigurationError(f"{name}: one number a feature was expected, not {len(value)} of them")
        return tuple(_number(f"{name}[{index}]", one, nonzero) for index, one in enumerate(value))
    return _number(name, value, nonzero)


def as_numbers(value: Numbers) -> float | list[float]:
    """A float, or a list of floats where there is one a feature: what TOML and JSON can hold."""
    return list(value) if isinstance(value, tuple) else value


def _number(name: str, value: Any, nonzero: bool) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise ConfigurationError(f"{name}: a number was expected, not {value!r:.60}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or (nonzero and number == 0.0):
        raise ConfigurationError(f"{name}: {number} cannot be used here")
    return number


@dataclass(frozen=True)
class Scaling:
    """Values shifted and scaled, ``(values − shift) · scale``, and back, ``values / scale + shift``.

    Both are numbers, or one number an output (the last axis). A network with outputs in (−1, 1) learns prices
    in thousands by way of one of these; its predictions are turned back into prices.

    >>> prices = np.array([[100.0], [200.0], [300.0]])
    >>> scaling = Scaling.to_range(prices, -0.8, 0.8)
    >>> scaling.forward(prices).round(6).ravel().tolist()
    [-0.8, 0.0, 0.8]
    >>> scaling.backward(scaling.forward(prices)).ravel().tolist()
    [100.0, 200.0, 300.0]
    """

    shift: Numbers = 0.0
    scale: Numbers = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", check_numbers("shift", self.shift))
        object.__setattr__(self, "scale", check_numbers("scale", self.scale, nonzero=True))
        shift, scale = self.shift, self.scale
        if isinstance(shift, tuple) and isinstance(scale, tuple) and len(shift) != len(scale):
            raise ConfigurationError(f"shift has {len(shift)} numbers and scale {len(scale)}; they must agree")

    @property
    def changes_nothing(self) -> bool:
        """Whether values pass as they are."""
        return self == Scaling()

    def forward(self, values: ArrayLike) -> NDArray[Any]:
        """``(values − shift) · scale``, computed in float64; float64 stays, all else becomes float32."""
        array = np.asarray(values)
        shifted: NDArray[Any] = (array.astype(np.float64) - np.asarray(self.shift)) * np.asarray(self.scale)
        return shifted if array.dtype == np.float64 else shifted.astype(np.float32)

    def backward(self, values: ArrayLike) -> NDArray[Any]:
        """``values / scale + shift``: what ``forward`` did, undone."""
        array = np.asarray(values)
        restored: NDArray[Any] = array.astype(np.float64) / np.asarray(self.scale) + np.asarray(self.shift)
        return restored if array.dtype == np.float64 else restored.astype(np.float32)

    @classmethod
    def standardize(cls, values: ArrayLike) -> Scaling:
        """Mean 0 and standard deviation 1 for each column of ``values``; a column without spread is only shifted.

        >>> Scaling.standardize([[1.0], [3.0]])
        Scaling(shift=(2.0,), scale=(1.0,))
        """
        array = _finite(values)
        mean, deviation = array.mean(axis=0), array.std(axis=0)
        # Rounding leaves a constant column with a deviation that is tiny and not always zero.
        constant = (array.max(axis=0) == array.min(axis=0)) | (deviation < _SMALLEST)
        return cls(_plain(mean), _plain(1.0 / np.where(constant, 1.0, deviation)))

    @classmethod
    def to_range(cls, values: ArrayLike, low: float, high: float) -> Scaling:
        """The smallest value of each column becomes ``low`` and the largest ``high``; a constant, the middle."""
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ConfigurationError(f"low={low} and high={high}: a range goes from a lower to a higher number")
        array = _finite(values)
        smallest, largest = array.min(axis=0), array.max(axis=0)
        constant = largest - smallest < _SMALLEST * (high - low)
        scale = (high - low) / np.where(constant, high - low, largest - smallest)
        start = np.where(constant, (low + high) / 2.0, low)
        return cls(_plain(smallest - start / scale), _plain(scale))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for TOML or JSON."""
        return {"shift": as_numbers(self.shift), "scale": as_numbers(self.scale)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scaling:
        """The scaling that ``to_dict`` wrote; ConfigurationError names the key that is wrong."""
        if not isinstance(values, Mapping):
            raise ConfigurationError("target: a table with shift and scale was expected")
        for key in values:
            if key not in ("shift", "scale"):
                raise ConfigurationError(f"target: unknown key {key!r}; known are shift, scale")
        return cls(
            check_numbers("target.shift", values.get("shift", 0.0)),
            check_numbers("target.scale", values.get("scale", 1.0), nonzero=True),
        )


class Moments:
    """Mean, deviation and range of values that come block by block; no more than one block is held.

    The blocks are merged in float64 as they come: equal blocks give equal bits.

    Reference: T. Chan, G. Golub and R. LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979.

    >>> moments = Moments()
    >>> for block in ([[1.0], [2.0]], [[3.0], [6.0]]):
    ...     moments.add(np.array(block))
    >>> moments.scaling() == Scaling.standardize([[1.0], [2.0], [3.0], [6.0]])
    True
    """

    def __init__(self) -> None:
        self._count, self._mean, self._squares = 0, np.zeros(()), np.zeros(())
        self._lowest, self._highest = np.array(math.inf), np.array(-math.inf)
        self._bytes = True

    def add(self, values: NDArray[Any]) -> None:
        """One block (samples, …): a column is a feature; more axes are one; uint8 is brought into 0 … 1."""
        self._bytes = self._bytes and values.dtype == np.uint8
        array = _finite(values if values.ndim == 2 else values.ravel())
        count, mean = len(array), array.mean(axis=0)
        total, apart = self._count + count, mean - self._mean
        self._squares = self._squares + ((array - mean) ** 2).sum(axis=0) + apart**2 * (self._count * count / total)
        self._mean = self._mean + apart * (count / total)
        self._count = total
        self._lowest = np.minimum(self._lowest, array.min(axis=0))
        self._highest = np.maximum(self._highest, array.max(axis=0))

    def scaling(self) -> Scaling:
        """What gives all of them mean 0 and deviation 1; a column without spread is only shifted."""
        if not self._count:
            raise DataError("no values to scale")
        if self._bytes:
            return Scaling(0.0, 1.0 / max(float(self._highest.max()), 1.0))
        deviation = np.sqrt(self._squares / self._count)
        constant = (self._lowest == self._highest) | (deviation < _SMALLEST)
        return Scaling(_plain(self._mean), _plain(1.0 / np.where(constant, 1.0, deviation)))


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.size == 0:
        raise DataError("no values to scale")
    if array.ndim > 2:
        array = array.reshape(-1, array.shape[-1])
    if not np.isfinite(array).all():
        raise DataError("the values to scale hold NaN or infinite numbers")
    if np.abs(array).max() > _LARGEST:
        raise DataError(f"the values to scale go beyond {_LARGEST:g}; divide them by a large number first")
    return array


def _plain(values: Any) -> Numbers:
    return float(values) if np.ndim(values) == 0 else tuple(float(value) for value in values)
