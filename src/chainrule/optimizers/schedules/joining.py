"""Schedules made of others: one that is warmed up, and several one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import maximum, minimum
from chainrule.optimizers.schedules.schedule import Number, Numbers, Schedule, check_steps, check_value, follow


@dataclass(frozen=True)
class Warmup(Schedule):
    """η(t) = min((t + 1)/n, 1)·f(t): up in a straight line for n = ``steps`` steps, to a number or another schedule f.

    f = ``then`` counts from the beginning too, so that its end is the end of the training. No step has a rate of 0; the
    n-th is the first to have all.

    >>> Warmup(4, 1.0).values(6).tolist()
    [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]

    Differs from: PyTorch's LinearLR, with start_factor 1/n and n - 1 steps the same; others begin with a step of 0.

    Reference: P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017.
    """

    steps: float
    then: Number

    other_words: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("warmup_steps", "total_iters", "num_warmup_steps"), "steps"),
        **dict.fromkeys(("schedule", "after", "learning_rate", "peak", "initial"), "then"),
    }

    def __post_init__(self) -> None:
        check_steps("Warmup", "steps", self.steps)
        check_part("Warmup", "then", self.then)

    def at(self, step: Node, number: Numbers) -> Node:
        """min((t + 1)/n, 1)·f(t)."""
        share = minimum((step + 1.0) / number("steps", self.steps), 1.0)
        return share * follow("then", self.then, step, number)


@dataclass(frozen=True)
class Piecewise(Schedule):
    """One value after another: the first until the first boundary, the second from there on, and so on.

    ``boundaries`` are the steps with which the next begins; ``parts``, one more than those, are numbers, or schedules,
    each of which counts its steps from 0.

    >>> from chainrule.optimizers.schedules import Polynomial
    >>> Piecewise((2, 4), (0.1, 0.01, Polynomial(1.0, 2))).values(6).tolist()
    [0.1, 0.1, 0.01, 0.01, 1.0, 0.5]

    Differs from: Keras's PiecewiseConstantDecay, whose boundary still has the value before; PyTorch has MultiStepLR for
    factors and SequentialLR for schedules.
    """

    boundaries: tuple[float, ...]
    parts: tuple[Number, ...]

    other_words: ClassVar[Mapping[str, str]] = {
        "milestones": "boundaries", "values": "parts", "schedules": "parts", "schedulers": "parts",
    }  # fmt: skip

    def __post_init__(self) -> None:
        for name in ("boundaries", "parts"):
            if not isinstance(getattr(self, name), list | tuple):
                raise ConfigurationError(f"Piecewise: {name} is a list, not {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.parts) != len(self.boundaries) + 1:
            raise ConfigurationError(
                f"Piecewise: {len(self.boundaries)} boundaries part {len(self.boundaries) + 1} values, "
                f"not {len(self.parts)}"
            )
        for boundary in self.boundaries:
            check_steps("Piecewise", "a boundary", boundary)
        if any(after <= before for before, after in pairwise(self.boundaries)):
            raise ConfigurationError(
                f"Piecewise: boundaries rise, and these are {', '.join(map(str, self.boundaries))}"
            )
        for part in self.parts:
            check_part("Piecewise", "a part", part)

    def at(self, step: Node, number: Numbers) -> Node:
        """The part whose turn it is, at the step counted from its beginning."""
        found = follow("0", self.parts[0], step, number)
        for place, (boundary, part) in enumerate(zip(self.boundaries, self.parts[1:], strict=True), start=1):
            begin = number(f"boundary{place}", boundary)
            # A part whose turn it is not yet stands at its first step: before it, it may be anything.
            here = follow(str(place), part, maximum(step - begin, 0.0), number)
            found = graph.select(step < begin, found, here)
        return found


def check_part(who: str, name: str, value: Any) -> None:
    """Refuse what is neither a number of 0 or more nor a function."""
    if isinstance(value, type):
        raise ConfigurationError(f"{who}: {name} is a schedule such as {value.__name__}(…), not the class itself")
    if not callable(value):
        check_value(who, name, value)
