"""A network of depthwise separable convolutions."""

from __future__ import annotations

from chainrule.errors import ConfigurationError
from chainrule.graph.composites import relu
from chainrule.initializers import He
from chainrule.layers import AnyLayer, BatchNorm, Chain, Conv2D, Dense, DepthwiseConv2D, GlobalAveragePool
from chainrule.models.checking import Shape, images

#: Channels of each separable convolution, and whether it halves the image: Table 1 of the paper.
_TABLE = (
    (64, False), (128, True), (128, False), (256, True), (256, False), (512, True), *((512, False),) * 5, (1024, True),
    (1024, False),
)  # fmt: skip
#: The last map of the paper's network has as many rows.
_LAST = 7


def mobile(outputs: int = 10, shape: Shape = (32, 32, 3), *, width: float = 0.25) -> Chain:
    """MobileNet: 13 depthwise separable convolutions, each a 3×3 kernel a channel and then a 1×1 that mixes channels.

    A 3×3 convolution comes first, the mean over all places and ``outputs`` logits come last; each convolution is
    normalised by the batch and has ReLU. ``width`` α multiplies the number of channels. The paper's network is
    `mobile(1000, (224, 224, 3), width=1.0)`, with 4,231,976 parameters; it halves the image five times. A smaller
    one is halved as often as leaves 7 rows, and the first strides become 1.

    >>> len(mobile().layers)
    84

    Reference: A. Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications",
    2017.
    """
    if not isinstance(width, int | float) or isinstance(width, bool) or not 0 < width <= 4:
        raise ConfigurationError(f"mobile: width is a number above 0, 1.0 in the paper, not {width!r}")
    first = images("mobile", outputs, shape, 1)
    halvings = [True, *(halves for _, halves in _TABLE)]
    left = sum(halvings)
    while left and min(shape[:2]) < _LAST * 2**left:
        halvings[halvings.index(True)] = False
        left -= 1
    strides = [2 if halves else 1 for halves in halvings]
    layers: list[AnyLayer] = [first, Conv2D(_scaled(32, width), 3, stride=strides[0], bias=False, weight=He())]
    layers += [BatchNorm(), relu]
    for (channels, _), stride in zip(_TABLE, strides[1:], strict=True):
        layers += [DepthwiseConv2D(3, stride=stride, bias=False, weight=He()), BatchNorm(), relu]
        layers += [Conv2D(_scaled(channels, width), 1, bias=False, weight=He()), BatchNorm(), relu]
    return Chain(*layers, GlobalAveragePool(), Dense(outputs))


def _scaled(channels: int, width: float) -> int:
    return max(int(channels * width), 1)
