"""LeNet-5, as it was in 1998."""

from __future__ import annotations

from chainrule import graph
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import composite
from chainrule.initializers import Uniform
from chainrule.layers import (
    AnyLayer,
    AveragePool2D,
    Chain,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Pad2D,
    Parallel,
    Rescale,
    SelectChannels,
)
from chainrule.models.checking import Shape, images

#: Which maps of S2 each of the first 15 maps of C3 sees, the sixteenth sees all: Table I of the paper.
_TRIPLES = ((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5))
_QUADRUPLES = (
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5),
    (0, 2, 3, 5),
)  # fmt: skip


@composite
def scaled_tanh(x: Node) -> Node:
    """1.7159·tanh(2x/3), which is 1 at 1 and -1 at -1, where its curvature is largest.

    >>> scaled_tanh(graph.input("x", (3,)))
    <mul float32[3]>

    Reference: Y. LeCun, L. Bottou, G. Orr and K. Müller, "Efficient backprop", 1998.
    """
    return 1.7159 * graph.tanh(x * (2 / 3))


def lenet5(outputs: int = 10, shape: Shape = (28, 28, 1)) -> Chain:
    """LeNet-5, the network that read cheques: grey images of 28×28, in the middle of 32×32, or of 32×32.

    As in the paper: pixels from 0 to 1 become -0.1 (background) to 1.175; C1, 6 maps of 5×5; S2, the sum of each 2×2
    square times a coefficient, plus a bias, both learned, one of each a map; C3, 16 maps of 5×5, each of which sees
    some maps of S2 alone, by Table I; S4 as S2; C5, 120 units that see all of 5×5×16; F6, 84 units. Each has
    1.7159·tanh(2x/3) after its sum. First weights are uniform in ±2.4 by the number of inputs. Up to F6 that is 60,000
    parameters, layer by layer those of the paper: 156, 12, 1,516, 32, 48,120, 10,164.

    Not as in the paper: the last layer gives logits, for a softmax with cross-entropy, and has 10·84 weights and 10
    biases that are learned; there it was ten distances from fixed drawings of the digits, under another loss. Biases
    start at 0. Training is yours: the paper's was by second derivatives, one image a step.

    >>> from chainrule.layers import Record, Scope
    >>> record = Record("float32")
    >>> Scope(record).apply(lenet5(), graph.input("x", (1, 784)), name="").shape
    (1, 10)

    Reference: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
    1998.
    """
    first = images("lenet5", outputs, shape, 1)
    if tuple(shape) not in ((28, 28, 1), (32, 32, 1)):
        given = "×".join(map(str, shape))
        raise ConfigurationError(
            f"lenet5: its images are grey, 28×28 or 32×32, and these are {given}; simple_cnn takes any"
        )
    layers: list[AnyLayer] = [first]
    if shape[0] == 28:
        layers.append(Pad2D(2))
    layers += [Rescale(1.275, -0.1), _convolution(6, 25), _subsampling()]
    triples = SelectChannels(tuple(channel for group in _TRIPLES for channel in group))
    quadruples = SelectChannels(tuple(channel for group in _QUADRUPLES for channel in group))
    layers.append(
        Parallel(
            Chain(triples, _convolution(len(_TRIPLES), 75, groups=len(_TRIPLES))),
            Chain(quadruples, _convolution(len(_QUADRUPLES), 100, groups=len(_QUADRUPLES))),
            _convolution(1, 150),
        )
    )
    layers += [_subsampling(), _convolution(120, 400), Flatten(), Dense(84, scaled_tanh, weight=_first(120))]
    return Chain(*layers, Dense(outputs, weight=_first(84)))


def _convolution(maps: int, inputs: int, groups: int = 1) -> Conv2D:
    return Conv2D(maps, 5, scaled_tanh, padding="valid", groups=groups, weight=_first(inputs))


def _subsampling() -> Chain:
    """The sum of each square, times a coefficient and plus a bias for each map: a depthwise kernel of one tap."""
    return Chain(AveragePool2D(2), Rescale(4.0), DepthwiseConv2D(1, scaled_tanh, weight=_first(4)))


def _first(inputs: int) -> Uniform:
    return Uniform(2.4 / inputs)
