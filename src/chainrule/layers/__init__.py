"""Layers: configuration, and how it is applied to nodes. They know nothing of engines."""

from __future__ import annotations

from chainrule.layers.chain import Chain
from chainrule.layers.convolution import Conv1D, Conv2D
from chainrule.layers.dense import Activation, Dense, Flatten, Reshape
from chainrule.layers.noise import Dropout, GaussianNoise, WeightNoise
from chainrule.layers.normalisation import BatchNorm, LayerNorm
from chainrule.layers.pooling import (
    AveragePool1D,
    AveragePool2D,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool1D,
    MaxPool2D,
)
from chainrule.layers.scope import AnyLayer, Applicable, Applied, Declaration, Record, Scope

__all__ = [
    "Activation", "AnyLayer", "Applicable", "Applied", "AveragePool1D", "AveragePool2D", "BatchNorm", "Chain",
    "Conv1D", "Conv2D", "Declaration", "Dense", "Dropout", "Flatten", "GaussianNoise", "GlobalAveragePool",
    "GlobalMaxPool", "LayerNorm", "MaxPool1D", "MaxPool2D", "Record", "Reshape", "Scope", "WeightNoise",
]  # fmt: skip
