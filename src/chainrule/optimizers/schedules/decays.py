"""Schedules that go down, by jumps or smoothly, and the one that stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.graph import Node
from chainrule.optimizers.schedules.schedule import (
    Numbers,
    Schedule,
    check_steps,
    check_value,
    ease,
    to_the,
    up_to,
)

_INITIAL = dict.fromkeys(
    ("learning_rate", "lr", "base_lr", "init_value", "initial_learning_rate", "value", "start"), "initial"
)
_FINAL = dict.fromkeys(("eta_min", "end_learning_rate", "end_value", "alpha", "minimum", "end"), "final")
_STEPS = dict.fromkeys(("T_max", "decay_steps", "transition_steps", "total_iters", "total_steps"), "steps")
_FACTOR = dict.fromkeys(("gamma", "decay_rate", "rate"), "factor")
_EVERY = dict.fromkeys(("step_size", "decay_steps", "transition_steps", "steps"), "every")


@dataclass(frozen=True)
class Constant(Schedule):
    """η(t) = η₀, with η₀ = ``initial``: the number itself, where a schedule is asked for.

    >>> Constant(0.1).values(2).tolist()
    [0.1, 0.1]
    """

    initial: float

    other_words: ClassVar[Mapping[str, str]] = _INITIAL

    def __post_init__(self) -> None:
        check_value("Constant", "initial", self.initial)

    def at(self, step: Node, number: Numbers) -> Node:
        """η₀."""
        return number("initial", self.initial)


@dataclass(frozen=True)
class Step(Schedule):
    """η(t) = η₀·γ^⌊t/n⌋: times γ = ``factor`` every n = ``every`` steps, with η₀ = ``initial``.

    >>> Step(1.0, 0.5, every=2).values(5).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.25]

    Differs from: PyTorch's StepLR, which is called once an epoch, by habit, and counts those calls.
    """

    initial: float
    factor: float
    every: float

    other_words: ClassVar[Mapping[str, str]] = {**_INITIAL, **_FACTOR, **_EVERY}

    def __post_init__(self) -> None:
        check_value("Step", "initial", self.initial)
        check_value("Step", "factor", self.factor, above=True)
        check_steps("Step", "every", self.every)

    def at(self, step: Node, number: Numbers) -> Node:
        """η₀·γ^⌊t/n⌋."""
        every = number("every", self.every)
        # Whole where t is a multiple of n, however t/n is rounded.
        jumps = (step - graph.rem(step, every)) / every
        return number("initial", self.initial) * to_the(number("factor", self.factor), jumps)


@dataclass(frozen=True)
class Exponential(Schedule):
    """η(t) = η₀·γ^(t/n): times γ = ``factor`` in n = ``every`` steps, a little in each, with η₀ = ``initial``.

    >>> Exponential(1.0, 0.25, every=2).values(3).round(6).tolist()
    [1.0, 0.5, 0.25]

    Differs from: PyTorch's ExponentialLR, whose n is 1.
    """

    initial: float
    factor: float
    every: float = 1

    other_words: ClassVar[Mapping[str, str]] = {**_INITIAL, **_FACTOR, **_EVERY}

    def __post_init__(self) -> None:
        check_value("Exponential", "initial", self.initial)
        check_value("Exponential", "factor", self.factor, above=True)
        check_steps("Exponential", "every", self.every)

    def at(self, step: Node, number: Numbers) -> Node:
        """η₀·γ^(t/n)."""
        return number("initial", self.initial) * to_the(
            number("factor", self.factor), step / number("every", self.every)
        )


@dataclass(frozen=True)
class InverseTime(Schedule):
    """η(t) = η₀ / (1 + k·t), with η₀ = ``initial`` and k = ``rate``: half of it after 1/k steps, a third after 2/k.

    >>> InverseTime(1.0, rate=0.5).values(3).round(6).tolist()
    [1.0, 0.666667, 0.5]

    Differs from: Keras's InverseTimeDecay, whose decay_rate / decay_steps is k.

    Reference: H. Robbins and S. Monro, "A stochastic approximation method", 1951: steps whose sum is infinite, and
    whose squares have a finite one.
    """

    initial: float
    rate: float

    other_words: ClassVar[Mapping[str, str]] = {**_INITIAL, **dict.fromkeys(("decay_rate", "gamma", "decay"), "rate")}

    def __post_init__(self) -> None:
        check_value("InverseTime", "initial", self.initial)
        check_value("InverseTime", "rate", self.rate)

    def at(self, step: Node, number: Numbers) -> Node:
        """η₀ / (1 + k·t)."""
        return number("initial", self.initial) / (step * number("rate", self.rate) + 1.0)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """η(t) = η₁ + (η₀ - η₁)·(1 - t/T)^p until T = ``steps``, then η₁: a straight line for p = ``power`` = 1.

    ``initial`` is η₀, ``final`` η₁; it may rise.

    >>> Polynomial(1.0, 4).values(6).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    initial: float
    steps: float
    final: float = 0.0
    power: float = 1.0

    other_words: ClassVar[Mapping[str, str]] = {**_INITIAL, **_FINAL, **_STEPS}

    def __post_init__(self) -> None:
        check_value("Polynomial", "initial", self.initial)
        check_steps("Polynomial", "steps", self.steps)
        check_value("Polynomial", "final", self.final)
        check_value("Polynomial", "power", self.power, above=True)

    def at(self, step: Node, number: Numbers) -> Node:
        """η₁ + (η₀ - η₁)·(1 - t/T)^p."""
        left = 1.0 - up_to(step, number("steps", self.steps))
        shape = left if self.power == 1 else to_the(left, number("power", self.power))
        final = number("final", self.final)
        return final + (number("initial", self.initial) - final) * shape


@dataclass(frozen=True)
class Cosine(Schedule):
    """η(t) = η₁ + (η₀ - η₁)·(1 + cos(π·t/T))/2 until T = ``steps``, then η₁: level at both ends.

    ``initial`` is η₀, ``final`` η₁; it may rise.

    >>> Cosine(1.0, 4).values([0, 2, 4, 9]).round(6).tolist()
    [1.0, 0.5, 0.0, 0.0]

    Differs from: PyTorch's CosineAnnealingLR, which rises again after T; Keras's CosineDecay, whose alpha is η₁/η₀.

    Reference: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    initial: float
    steps: float
    final: float = 0.0

    other_words: ClassVar[Mapping[str, str]] = {**_INITIAL, **_FINAL, **_STEPS}

    def __post_init__(self) -> None:
        check_value("Cosine", "initial", self.initial)
        check_steps("Cosine", "steps", self.steps)
        check_value("Cosine", "final", self.final)

    def at(self, step: Node, number: Numbers) -> Node:
        """η₁ + (η₀ - η₁)·(1 + cos(π·t/T))/2."""
        final = number("final", self.final)
        left = 1.0 - up_to(step, number("steps", self.steps))
        return final + (number("initial", self.initial) - final) * ease(left)
