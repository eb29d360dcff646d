"""Residual networks for small images."""

from __future__ import annotations

from chainrule.graph.composites import relu
from chainrule.initializers import He
from chainrule.layers import (
    AnyLayer,
    BatchNorm,
    Chain,
    Conv2D,
    Dense,
    GlobalAveragePool,
    MaxPool2D,
    PadChannels,
    Residual,
)
from chainrule.models.checking import Shape, images

_BLOCKS = 3


def resnet20(outputs: int = 10, shape: Shape = (32, 32, 3), *, projections: bool = False) -> Chain:
    """The residual network of 20 layers for CIFAR-10: stages of 16, 32 and 64 channels, three blocks of two each.

    3×3×16; then blocks of two 3×3 convolutions, each normalised by the batch, with ReLU between and after the sum; the
    first block of the second and third stage halves the image. The mean over all places goes to ``outputs`` logits.
    Shortcuts have no parameters (option A: every second place, and zeros for the new channels); with ``projections``
    they are 1×1 convolutions, normalised too, where the shape changes (option B). Parameters for 10 classes: 269,722,
    and 272,474 with projections.

    >>> len(resnet20().layers)
    24

    Reference: K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2016, section 4.2.
    """
    layers: list[AnyLayer] = [images("resnet20", outputs, shape, 4), _convolution(16, 1), BatchNorm(), relu]
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(_BLOCKS):
            halves = stage > 0 and block == 0
            layers += [_block(channels, halves, projections), relu]
    return Chain(*layers, GlobalAveragePool(), Dense(outputs, weight=He()))


def _convolution(channels: int, stride: int) -> Conv2D:
    # One row on each side, as in the paper: "same" would have none on top of an even image with a stride of 2.
    return Conv2D(channels, 3, stride=stride, padding=1, bias=False, weight=He())


def _block(channels: int, halves: bool, projections: bool) -> Residual:
    shortcut: AnyLayer | None = None
    if halves and projections:
        shortcut = Chain(Conv2D(channels, 1, stride=2, bias=False, weight=He()), BatchNorm())
    elif halves:
        shortcut = Chain(MaxPool2D(1, stride=2, padding="same"), PadChannels(channels))
    stride = 2 if halves else 1
    first = (_convolution(channels, stride), BatchNorm(), relu)
    return Residual(*first, _convolution(channels, 1), BatchNorm(), projection=shortcut)
