"""Initial weights: functions from a key and a shape to a float64 array; the caller applies the graph's dtype."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ConfigurationError, ShapeError
from chainrule.keys import Key

Array = NDArray[Any]


class Initializer(Protocol):
    """What gives a parameter its first value."""

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """An array of this shape, made from this key alone."""


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """The number of inputs and of outputs of one unit: the last axis counts units, the last but one their inputs.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        return (math.prod(shape), math.prod(shape))
    taps = math.prod(shape[:-2])
    return shape[-2] * taps, shape[-1] * taps


@dataclass(frozen=True)
class Constant:
    """Every weight the same. Units that start alike stay alike: good for biases, and for showing just that.

    >>> Constant(0.5)(Key(0), (2,))
    array([0.5, 0.5])
    """

    value: float = 0.0

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The value, everywhere."""
        return np.full(shape, self.value, dtype=np.float64)


@dataclass(frozen=True)
class Uniform:
    """Weights spread evenly over [-limit, limit).

    >>> bool(abs(Uniform(0.1)(Key(0), (100,))).max() <= 0.1)
    True
    """

    limit: float = 0.05

    def __post_init__(self) -> None:
        _positive("Uniform", "limit", self.limit)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """Numbers of this distribution."""
        return key.uniform(shape, -self.limit, self.limit)


@dataclass(frozen=True)
class Normal:
    """Weights of a normal distribution with mean 0 and the deviation given.

    >>> round(float(Normal(2.0)(Key(0), (10000,)).std()), 1)
    2.0
    """

    deviation: float = 0.05

    def __post_init__(self) -> None:
        _positive("Normal", "deviation", self.deviation)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """Numbers of this distribution."""
        return key.normal(shape, self.deviation)


@dataclass(frozen=True)
class Glorot:
    """Weights of variance 2 / (n_in + n_out): signals keep their size through tanh-like layers, both ways.

    ``distribution`` is "uniform" (limit √(6 / (n_in + n_out))) or "normal".

    >>> Glorot()(Key(0), (4, 2)).shape
    (4, 2)

    Reference: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward networks", 2010.
    """

    distribution: str = "uniform"

    def __post_init__(self) -> None:
        _distribution("Glorot", self.distribution)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """Numbers of the variance that both fans ask for."""
        return _of_variance(key, shape, 2.0 / max(sum(fans(shape)), 1), self.distribution)


@dataclass(frozen=True)
class He:
    """Weights of variance 2 / n_in: signals keep their size through layers of ReLU.

    ``distribution`` is "normal" or "uniform" (limit √(6 / n_in)).

    >>> He()(Key(0), (4, 2)).shape
    (4, 2)

    Reference: K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", 2015.
    """

    distribution: str = "normal"

    def __post_init__(self) -> None:
        _distribution("He", self.distribution)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """Numbers of the variance that the inputs ask for."""
        return _of_variance(key, shape, 2.0 / max(fans(shape)[0], 1), self.distribution)


@dataclass(frozen=True)
class Sparse:
    """For each unit ``count`` weights of a normal distribution, and else 0: (n, units), each unit's own rows.

    The deviation of what goes into a unit does not depend on how many inputs there are, so that sigmoids start neither
    flat nor all alike: a start for deep autoencoders.

    >>> (Sparse(15)(Key(0), (100, 3)) != 0).sum(axis=0).tolist()
    [15, 15, 15]

    Reference: J. Martens, "Deep learning via Hessian-free optimization", 2010.
    """

    count: int = 15
    deviation: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.count, int) or isinstance(self.count, bool) or self.count < 1:
            raise ConfigurationError(f"Sparse: count is a whole number above 0, not {self.count!r}")
        _positive("Sparse", "deviation", self.deviation)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """Numbers of this distribution at rows drawn for each unit."""
        if len(shape) != 2:
            raise ShapeError(f"Sparse is for weights (n, units), and these are {list(shape)}")
        weights = np.zeros(shape)
        for unit in range(shape[1]):
            own = key.child(unit)
            rows = own.permutation(shape[0])[: self.count]
            weights[rows, unit] = own.normal(rows.shape, self.deviation)
        return weights


@dataclass(frozen=True)
class Orthogonal:
    """Weights whose columns are at right angles and of length ``gain``: a product that turns and keeps lengths.

    What goes through such a weight at each step of a recurrence neither grows nor fades. The axes before the last count
    as one; where they are fewer than the last, it is the rows that are at right angles.

    >>> w = Orthogonal()(Key(0), (3, 3))
    >>> bool(np.allclose(w.T @ w, np.eye(3)))
    True

    Reference: A. Saxe, J. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks", 2014.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _positive("Orthogonal", "gain", self.gain)

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """A matrix drawn evenly among all such."""
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal is for weights (n, units), and these are {list(shape)}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = key.normal((max(rows, columns), min(rows, columns)))
        basis, upper = np.linalg.qr(drawn)
        basis = basis * np.where(np.diag(upper) < 0, -1.0, 1.0)  # without it, not drawn evenly
        return np.asarray(self.gain * (basis if rows >= columns else basis.T).reshape(shape))


@dataclass(frozen=True)
class PerGate:
    """Weights (n, gates, units) of which each gate has first weights of its own: ``initializer`` sees (n, units).

    >>> PerGate(Glorot())(Key(0), (5, 4, 3)).shape
    (5, 4, 3)
    """

    initializer: Initializer

    def __call__(self, key: Key, shape: tuple[int, ...]) -> Array:
        """The gates side by side."""
        *rows, gates, units = shape
        return np.stack([self.initializer(key.child(gate), (*rows, units)) for gate in range(gates)], -2)


def _of_variance(key: Key, shape: tuple[int, ...], variance: float, distribution: str) -> Array:
    if distribution == "normal":
        return key.normal(shape, math.sqrt(variance))
    limit = math.sqrt(3.0 * variance)
    return key.uniform(shape, -limit, limit)


def _distribution(who: str, distribution: str) -> None:
    if distribution not in ("uniform", "normal"):
        raise ConfigurationError(f"{who}: distribution is 'uniform' or 'normal', not {distribution!r}")


def _positive(who: str, name: str, value: float) -> None:
    if not value > 0 or not math.isfinite(value):
        raise ConfigurationError(f"{who}: {name} is a positive number, not {value!r}")
