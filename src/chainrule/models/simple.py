"""A small network for small images."""

from __future__ import annotations

from chainrule.graph.composites import relu
from chainrule.layers import Chain, Conv2D, Dense, Dropout, Flatten, MaxPool2D
from chainrule.models.checking import Shape, images


def simple_cnn(outputs: int = 10, shape: Shape = (28, 28, 1), *, dropout: float = 0.0) -> Chain:
    """Two convolutions with pooling, and two dense layers: what most introductions train on digits.

    3×3×32, pooling by 2, 3×3×64, pooling by 2, 128 units, ``outputs`` logits, all with ReLU; ``dropout`` before the
    last layer. For 28×28×1 and 10 classes it has 421,642 parameters. Images are (batch, height, width, channels), or
    rows of as many numbers.

    >>> len(simple_cnn().layers)
    8
    """
    return Chain(
        images("simple_cnn", outputs, shape, 4),
        Conv2D(32, 3, relu),
        MaxPool2D(2),
        Conv2D(64, 3, relu),
        MaxPool2D(2),
        Flatten(),
        Dense(128, relu),
        *([Dropout(dropout)] if dropout else []),
        Dense(outputs),
    )
