"""Layers: configuration, and how it is applied to nodes. They know nothing of engines."""

from __future__ import annotations

from chainrule.layers.chain import Chain
from chainrule.layers.dense import Activation, Dense, Flatten, Reshape
from chainrule.layers.scope import AnyLayer, Applicable, Applied, Declaration, Record, Scope

__all__ = [
    "Activation", "AnyLayer", "Applicable", "Applied", "Chain", "Declaration", "Dense", "Flatten", "Record", "Reshape",
    "Scope",
]  # fmt: skip
