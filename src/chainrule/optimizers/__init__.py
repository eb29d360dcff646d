"""Optimizers: compositions of small updates, each a few nodes of the step's graph."""

from __future__ import annotations

from chainrule.optimizers.adam import Adam, AdamDirection
from chainrule.optimizers.sgd import SGD, Momentum
from chainrule.optimizers.updates import Compose, Descend, Number, Optimizer, Tree, Update, UpdateScope, times

__all__ = [
    "SGD", "Adam", "AdamDirection", "Compose", "Descend", "Momentum", "Number", "Optimizer", "Tree", "Update",
    "UpdateScope", "times",
]  # fmt: skip
