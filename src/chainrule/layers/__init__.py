"""Layers: configuration, and how it is applied to nodes. They know nothing of engines."""

from __future__ import annotations

from chainrule.layers.attention import MultiHeadAttention, attention_weights
from chainrule.layers.branching import Parallel, Residual
from chainrule.layers.chain import Chain
from chainrule.layers.channels import PadChannels, Rescale, SelectChannels
from chainrule.layers.codes import GaussianCode, Sparsity
from chainrule.layers.convolution import Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D
from chainrule.layers.dense import Activation, Dense, Flatten, Reshape
from chainrule.layers.embedding import Embedding, EmbeddingBag
from chainrule.layers.masking import Masked
from chainrule.layers.noise import Dropout, GaussianNoise, SpatialDropout, WeightNoise
from chainrule.layers.normalisation import BatchNorm, LayerNorm
from chainrule.layers.pooling import (
    AveragePool1D,
    AveragePool2D,
    GlobalAveragePool,
    GlobalMaxPool,
    MaxPool1D,
    MaxPool2D,
)
from chainrule.layers.positions import LearnedPositions, SinusoidalPositions, rotated
from chainrule.layers.recurrence import Bidirectional, Cell, Looping, Recurrent
from chainrule.layers.recurrent import GRU, LSTM, SimpleRNN
from chainrule.layers.resizing import Pad1D, Pad2D, Upsample1D, Upsample2D
from chainrule.layers.scope import AnyLayer, Applicable, Applied, Declaration, Record, Scope
from chainrule.layers.transformer import TransformerDecoder, TransformerEncoder, gelu
from chainrule.layers.transposed import ConvTranspose1D, ConvTranspose2D

__all__ = [
    "GRU", "LSTM", "Activation", "AnyLayer", "Applicable", "Applied", "AveragePool1D", "AveragePool2D", "BatchNorm",
    "Bidirectional", "Cell", "Chain", "Conv1D", "Conv2D", "ConvTranspose1D", "ConvTranspose2D", "Declaration",
    "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dropout", "Embedding", "EmbeddingBag", "Flatten",
    "GaussianCode", "GaussianNoise", "GlobalAveragePool", "GlobalMaxPool", "LayerNorm", "LearnedPositions",
    "Looping", "Masked", "MaxPool1D", "MaxPool2D", "MultiHeadAttention", "Pad1D", "Pad2D", "PadChannels",
    "Parallel", "Record", "Recurrent", "Rescale", "Reshape", "Residual", "Scope", "SelectChannels", "SimpleRNN",
    "SinusoidalPositions", "Sparsity", "SpatialDropout", "TransformerDecoder", "TransformerEncoder", "Upsample1D",
    "Upsample2D", "WeightNoise", "attention_weights", "gelu", "rotated",
]  # fmt: skip
