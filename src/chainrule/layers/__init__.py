"""Layers: configuration, and how it is applied to nodes. They know nothing of engines."""

from __future__ import annotations

from chainrule.layers.chain import Chain
from chainrule.layers.dense import Activation, Dense, Flatten, Reshape
from chainrule.layers.noise import Dropout, GaussianNoise, WeightNoise
from chainrule.layers.normalisation import BatchNorm, LayerNorm
from chainrule.layers.scope import AnyLayer, Applicable, Applied, Declaration, Record, Scope

__all__ = [
    "Activation", "AnyLayer", "Applicable", "Applied", "BatchNorm", "Chain", "Declaration", "Dense", "Dropout",
    "Flatten", "GaussianNoise", "LayerNorm", "Record", "Reshape", "Scope", "WeightNoise",
]  # fmt: skip
