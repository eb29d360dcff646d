"""Schedules that go up and down: warm restarts, and one cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import maximum, minimum
from chainrule.optimizers.schedules.schedule import Numbers, Schedule, check_steps, check_value, ease, to_the


@dataclass(frozen=True)
class WarmRestarts(Schedule):
    """η(t) = η₁ + (η₀ - η₁)·(1 + cos(π·c/Tᵢ))/2, c steps after the last restart, in a period of Tᵢ = T₀·gⁱ steps.

    ``initial`` is η₀, ``period`` T₀, ``growth`` g (1 or more), ``final`` η₁. Where a period that grows is no whole
    number of steps, the first step in it has begun it.

    >>> WarmRestarts(1.0, period=2, growth=2).values(7).round(6).tolist()
    [1.0, 0.5, 1.0, 0.853553, 0.5, 0.146447, 1.0]

    Differs from: PyTorch's CosineAnnealingWarmRestarts and Keras's CosineDecayRestarts, in the names; Keras may let η₀
    shrink by restarts.

    Reference: I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017.
    """

    initial: float
    period: float
    growth: float = 1.0
    final: float = 0.0

    other_words: ClassVar[Mapping[str, str]] = {
        "T_0": "period", "T_mult": "growth", "eta_min": "final", "first_decay_steps": "period", "t_mul": "growth",
        "initial_learning_rate": "initial", "lr": "initial", "learning_rate": "initial", "alpha": "final",
    }  # fmt: skip

    def __post_init__(self) -> None:
        check_value("WarmRestarts", "initial", self.initial)
        check_steps("WarmRestarts", "period", self.period)
        check_value("WarmRestarts", "growth", self.growth)
        if self.growth < 1:
            raise ConfigurationError(f"WarmRestarts: growth is 1 or more, not {self.growth!r}: periods do not shrink")
        check_value("WarmRestarts", "final", self.final)

    def at(self, step: Node, number: Numbers) -> Node:
        """η₁ + (η₀ - η₁)·(1 + cos(π·c/Tᵢ))/2."""
        period, final = number("period", self.period), number("final", self.final)
        if self.growth == 1:
            share = graph.rem(step, period) / period
        else:
            share = _share(step, period, number("growth", self.growth))
        return final + (number("initial", self.initial) - final) * ease(1.0 - share)


def _share(step: Node, first: Node, growth: Node) -> Node:
    """How much of its period is done at a step: period i begins at T₀·(gⁱ - 1)/(g - 1)."""

    def begin(index: Node) -> Node:
        return first * (to_the(growth, index) - 1.0) / (growth - 1.0)

    # Rounding may put a step before its period or after it: it is looked at whether the neighbour has it.
    index = graph.floor(graph.log(step * (growth - 1.0) / first + 1.0) / graph.log(growth))
    near = step + 1e-12 * (step + 1.0)
    index = graph.select(begin(index + 1.0) <= near, index + 1.0, graph.select(near < begin(index), index - 1.0, index))
    share = (step - begin(index)) / (first * to_the(growth, index))
    return minimum(maximum(share, 0.0), 1.0)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from ``initial`` to ``peak`` in the first part, ``rise``, of T = ``steps`` steps, then down to ``final``.

    Both ways go by half a cosine; from T on it is ``final``. Without them, ``initial`` is peak/25 and ``final``
    initial/10000. A momentum goes the other way: ``SGD(OneCycle(1.0, 1000), momentum=OneCycle(0.85, 1000, initial=0.95,
    final=0.95))``.

    >>> OneCycle(1.0, 10, rise=0.5, initial=0.5, final=0.0).values([0, 5, 10, 11]).tolist()
    [0.5, 1.0, 0.0, 0.0]

    Differs from: the paper, which goes in straight lines, and lower in a last part; PyTorch's OneCycleLR, which counts
    T - 1 steps from the first value to the last, and refuses more.

    Reference: L. Smith, "A disciplined approach to neural network hyper-parameters: part 1", 2018; L. Smith and N.
    Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018.
    """

    peak: float
    steps: float
    rise: float = 0.3
    initial: float | None = None
    final: float | None = None

    other_words: ClassVar[Mapping[str, str]] = {
        "max_lr": "peak", "max_learning_rate": "peak", "total_steps": "steps", "pct_start": "rise",
        "div_factor": "initial, the first value itself", "final_div_factor": "final, the last value itself",
    }  # fmt: skip

    def __post_init__(self) -> None:
        check_value("OneCycle", "peak", self.peak)
        check_steps("OneCycle", "steps", self.steps)
        check_value("OneCycle", "rise", self.rise, above=True)
        if not self.rise < 1:
            raise ConfigurationError(f"OneCycle: rise is the part of the steps that go up, below 1, not {self.rise!r}")
        for name in ("initial", "final"):
            if getattr(self, name) is not None:
                check_value("OneCycle", name, getattr(self, name))

    def at(self, step: Node, number: Numbers) -> Node:
        """Up, and down."""
        first = self.peak / 25 if self.initial is None else self.initial
        initial, peak = number("initial", first), number("peak", self.peak)
        final = number("final", first / 10_000 if self.final is None else self.final)
        share = step / number("steps", self.steps)
        rise = number("rise", self.rise)
        up = initial + (peak - initial) * ease(minimum(share / rise, 1.0))
        down = final + (peak - final) * ease(1.0 - minimum(maximum((share - rise) / (1.0 - rise), 0.0), 1.0))
        return graph.select(share < rise, up, down)
