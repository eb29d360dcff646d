"""The rules of a diagnosis: each small, with its threshold and why it stands there.

A rule is a function of the case and of what was found before it, and gives findings. A threshold is where healthy
trainings have room on their side: a rule is to be silent unless something is wrong. A finding names what it explains,
and that is then not told beside it.
"""

from __future__ import annotations

from chainrule.explain.health.rules.case import Case, Finding, Rule
from chainrule.explain.health.rules.data import class_imbalance, leaking_column, no_better_than_chance, unscaled_inputs
from chainrule.explain.health.rules.depth import exploding_gradients, vanishing_gradients
from chainrule.explain.health.rules.flow import (
    batch_too_small,
    dead_units,
    equal_weights,
    frozen_layers,
    no_gradient,
    saturated_units,
)
from chainrule.explain.health.rules.generators import mode_collapse
from chainrule.explain.health.rules.outputs import softmax_twice, squashed_logits, targets_out_of_range
from chainrule.explain.health.rules.rates import not_finite, rate_too_high, rate_too_low
from chainrule.explain.health.rules.time import exploding_through_time, vanishing_through_time

__all__ = ["RULES", "Case", "Finding", "Rule"]

#: In this order: what is a cause comes before what may only be its effect.
RULES: tuple[Rule, ...] = (
    unscaled_inputs, targets_out_of_range, squashed_logits, softmax_twice, class_imbalance, leaking_column,
    batch_too_small, equal_weights, vanishing_gradients, exploding_gradients, exploding_through_time, not_finite,
    rate_too_high, vanishing_through_time, dead_units, saturated_units, no_gradient, frozen_layers, rate_too_low,
    no_better_than_chance, mode_collapse,
)  # fmt: skip
