"""Sequences made to measure how far back a network remembers: what is asked at the end was said at the beginning."""

from __future__ import annotations

import numpy as np

from chainrule.data.dataset import Dataset
from chainrule.data.preparation import Preparation
from chainrule.errors import ConfigurationError
from chainrule.keys import Key


def adding_problem(samples: int, length: int, *, seed: int = 0) -> Dataset:
    """Sequences of numbers, two of which are marked: the target is their sum.

    A step is a pair (vₜ, mₜ) with vₜ uniform in [0, 1); mₜ is 1 at one step of the first half and at one of the second,
    and 0 elsewhere; y = Σₜ mₜ·vₜ. Inputs are (samples, length, 2), targets (samples, 1), float32. Who always says the
    mean, 1, has a mean squared error of 1/6 = 0.167, the variance of the sum: less is remembering.

    Raises `ConfigurationError` for no samples, and for sequences of fewer than 2 steps.

    >>> data = adding_problem(100, 20)
    >>> data.inputs.shape, data.targets.shape
    ((100, 20, 2), (100, 1))
    >>> values, marked = data.inputs[0].T
    >>> bool(abs(values[marked == 1].sum() - data.targets[0, 0]) < 1e-6)
    True

    Differs from: the problem as first published, whose values lie in [-1, 1), whose first mark is among the first ten
    steps, and whose target is scaled into (0, 1). This is the form that later work measures by.

    Reference: S. Hochreiter and J. Schmidhuber, "Long short-term memory", 1997, section 5.4; Q. Le, N. Jaitly and G.
    Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015 (this form).
    """
    _check("adding_problem", samples=(samples, 1), length=(length, 2))
    key = Key(seed).child("adding problem")
    values = key.child("values").uniform((samples, length)).astype(np.float32)
    half, rows = length // 2, np.arange(samples)
    marked = np.zeros((samples, length), np.float32)
    marked[rows, np.floor(key.child("first").uniform((samples,), 0, half)).astype(int)] = 1
    marked[rows, np.floor(key.child("second").uniform((samples,), half, length)).astype(int)] = 1
    targets = (values * marked).sum(axis=1, keepdims=True)
    return Dataset(np.stack([values, marked], axis=2), targets, name=f"adding-{length}")


def copy_task(samples: int, delay: int, *, remembered: int = 10, symbols: int = 8, seed: int = 0) -> Dataset:
    """Symbols that are to be said again, in their order, after a delay.

    The first K = ``remembered`` steps are symbols, each of 0 … S - 1 with the same probability, S = ``symbols``; then
    come ``delay`` blanks, S, of which the last is the sign to begin, S + 1; then K blanks more, at which the symbols
    are asked for. So each is remembered for ``delay`` + K steps. Inputs and targets are whole numbers, (samples,
    delay + 2·K), S + 2 symbols in all; where nothing is asked for the target is -1. Who guesses is right once in S
    times, and has a cross-entropy of log S: less is remembering.

    Raises `ConfigurationError` for a number that is too small.

    >>> data = copy_task(1, 4, remembered=3, symbols=8, seed=1)
    >>> data.inputs.tolist(), data.targets.tolist()
    ([[7, 4, 0, 8, 8, 8, 9, 8, 8, 8]], [[-1, -1, -1, -1, -1, -1, -1, 7, 4, 0]])

    Differs from: the task as published, where blanks are asked for while it waits, so that its loss is small before
    anything has been remembered.

    Reference: M. Arjovsky, A. Shah and Y. Bengio, "Unitary evolution recurrent neural networks", 2016, after S.
    Hochreiter and J. Schmidhuber, "Long short-term memory", 1997, section 5.
    """
    _check("copy_task", samples=(samples, 1), delay=(delay, 1), remembered=(remembered, 1), symbols=(symbols, 2))
    drawn = Key(seed).child("copy task").uniform((samples, remembered), 0, symbols)
    inputs = np.full((samples, delay + 2 * remembered), symbols, np.int32)
    inputs[:, :remembered] = np.floor(drawn)
    inputs[:, remembered + delay - 1] = symbols + 1
    targets = np.full_like(inputs, -1)
    targets[:, -remembered:] = inputs[:, :remembered]
    return Dataset(inputs, targets, preparation=Preparation(symbols=symbols + 2), name=f"copy-{delay}")


def _check(who: str, **numbers: tuple[int, int]) -> None:
    for name, (value, least) in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigurationError(f"{who}: {name} is a whole number from {least} on, not {value!r}")
