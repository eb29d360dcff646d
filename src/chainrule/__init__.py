"""chainrule trains neural networks by gradient descent and backpropagation, with every number open to view.

>>> import chainrule as cr
>>> train, test = cr.data.load("digits")
>>> model = cr.Chain(cr.Dense(64, cr.relu), cr.Dense(10))
>>> run = cr.fit(model, train, optimizer=cr.optimizers.SGD(0.1, momentum=0.9), epochs=3)
>>> run.evaluate(test)["accuracy"] > 0.9
True
"""

from __future__ import annotations

from chainrule import (
    augmentation,
    data,
    errors,
    gradients,
    graph,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    training,
)
from chainrule.fitting import fit, load, prepare
from chainrule.graph import Node, sigmoid, tanh
from chainrule.graph.composites import identity, leaky_relu, relu, softmax, step_function
from chainrule.layers import (
    GRU,
    LSTM,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Bidirectional,
    Chain,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    DepthwiseConv1D,
    DepthwiseConv2D,
    Dropout,
    Embedding,
    EmbeddingBag,
    Flatten,
    GaussianCode,
    GaussianNoise,
    GlobalAveragePool,
    GlobalMaxPool,
    LayerNorm,
    LearnedPositions,
    Masked,
    MaxPool1D,
    MaxPool2D,
    MultiHeadAttention,
    Pad1D,
    Pad2D,
    PadChannels,
    Parallel,
    Recurrent,
    Rescale,
    Reshape,
    Residual,
    Scope,
    SelectChannels,
    SimpleRNN,
    SinusoidalPositions,
    Sparsity,
    SpatialDropout,
    TransformerDecoder,
    TransformerEncoder,
    Upsample1D,
    Upsample2D,
    WeightNoise,
    gelu,
)
from chainrule.optimizers import schedules
from chainrule.run import Run
from chainrule.training import Callback, step

__version__ = "0.1.0"

__all__ = [
    "GRU", "LSTM", "AveragePool1D", "AveragePool2D", "BatchNorm", "Bidirectional", "Callback", "Chain", "Conv1D",
    "Conv2D", "ConvTranspose1D", "ConvTranspose2D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dropout",
    "Embedding", "EmbeddingBag", "Flatten", "GaussianCode", "GaussianNoise", "GlobalAveragePool", "GlobalMaxPool",
    "LayerNorm", "LearnedPositions", "Masked", "MaxPool1D", "MaxPool2D", "MultiHeadAttention", "Node", "Pad1D",
    "Pad2D", "PadChannels", "Parallel", "Recurrent", "Rescale", "Reshape", "Residual", "Run", "Scope",
    "SelectChannels", "SimpleRNN", "SinusoidalPositions", "Sparsity", "SpatialDropout", "TransformerDecoder",
    "TransformerEncoder", "Upsample1D", "Upsample2D", "WeightNoise", "__version__", "augmentation", "data",
    "errors", "fit", "gelu", "gradients", "graph", "identity", "initializers", "layers", "leaky_relu", "load",
    "losses", "metrics", "models", "optimizers", "prepare", "regularizers", "relu", "schedules", "sigmoid",
    "softmax", "step", "step_function", "tanh", "training",
]  # fmt: skip
