"""Schedules: hyperparameters as functions of the step, nodes of the step's graph; each is for any number."""

from __future__ import annotations

from chainrule.optimizers.schedules.cycles import OneCycle, WarmRestarts
from chainrule.optimizers.schedules.decays import Constant, Cosine, Exponential, InverseTime, Polynomial, Step
from chainrule.optimizers.schedules.joining import Piecewise, Warmup
from chainrule.optimizers.schedules.schedule import Numbers, Schedule, draw, plot, steps_per_epoch, values

__all__ = [
    "Constant", "Cosine", "Exponential", "InverseTime", "Numbers", "OneCycle", "Piecewise", "Polynomial", "Schedule",
    "Step", "WarmRestarts", "Warmup", "draw", "plot", "steps_per_epoch", "values",
]  # fmt: skip
