"""Averages of weights, and noise on gradients: what is made of a descent beside its path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.layers.scope import PARAMETERS
from chainrule.optimizers.updates import OPTIMIZER, Number, Part, Tree, UpdateScope, check_rate, times

_LEAD = "lead"


@dataclass(frozen=True)
class Averaging(Part):
    """a ← β·a + (1 - β)·θ after each step, with β = ``decay``: an exponential moving average of the weights.

    It stands after what descends, and leaves the descent as it is: ``Compose(Adam(), Averaging(0.999))``. The average
    starts at the first weights; `Run.averaged` gives the run that has it in their place. What is remembered is a - θ.
    With the schedule ``lambda step: step / (step + 1.0)`` it is the plain mean of the weights after each step.

    Differs from: PyTorch, whose average starts at the weights after the first step, and Keras, where it is a setting
    of the optimizer (use_ema). Averages of layers' state, such as running statistics, are not made.

    >>> Averaging(0.99).decay
    0.99

    Reference: B. Polyak and A. Juditsky, "Acceleration of stochastic approximation by averaging", 1992.
    """

    decay: Number = 0.999

    wants: ClassVar[str] = "moves"
    other_words: ClassVar[Mapping[str, str]] = {"ema_momentum": "decay", "momentum": "decay", "beta": "decay"}

    def __post_init__(self) -> None:
        check_rate("Averaging", "decay", self.decay, 0.0, 1.0)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """The directions as they came; "lead" is remembered."""
        decay = scope.number("decay", self.decay)
        for path, direction in directions.items():
            # With θ' = θ + d: β·a + (1 - β)·θ' - θ' = β·(a - θ'). So it starts at 0, whatever θ is.
            moved = (parameters[path] + direction) - parameters[path]
            scope.store(_LEAD, path, times(decay, scope.remember(_LEAD, path, direction) - moved))
        return directions


def averaged(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's state becomes where averages are put in the place of parameters; {} if there are none."""
    changed: dict[str, Any] = {}
    for name, lead in arrays.items():
        room, _, rest = name.partition("/")
        what, _, path = rest.partition("/")
        if room == OPTIMIZER and what.rpartition(".")[2] == _LEAD:
            full = f"{PARAMETERS}/{path}"
            changed[full], changed[name] = arrays[full] + lead, 0 * lead
    return changed


@dataclass(frozen=True)
class Noise(Part):
    """g ← g + σ·n, with n of the standard normal distribution and σ = ``deviation``, a number or a schedule.

    The noise is a function of seed, step and parameter. Neelakantan's schedule is
    ``lambda step: 0.5 * (1.0 + step) ** -0.275``.

    >>> Noise(0.01).deviation
    0.01

    Reference: A. Neelakantan et al., "Adding gradient noise improves learning for very deep networks", 2015.
    """

    deviation: Number

    other_words: ClassVar[Mapping[str, str]] = dict.fromkeys(("stddev", "std", "sigma", "scale"), "deviation")

    def __post_init__(self) -> None:
        check_rate("Noise", "deviation", self.deviation, 0.0, math.inf)

    def apply(self, scope: UpdateScope, directions: Tree, parameters: Tree) -> Tree:
        """g + σ·n."""
        deviation = scope.number("deviation", self.deviation)
        return {path: g + times(deviation, scope.normal("noise", path, g)) for path, g in directions.items()}
