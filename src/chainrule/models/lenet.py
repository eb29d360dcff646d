"""LeNet-5, as it was in 1998."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import composite
from chainrule.initializers import Constant, Initializer, Uniform
from chainrule.keys import Key
from chainrule.layers import (
    Activation,
    AnyLayer,
    AveragePool2D,
    Chain,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Pad2D,
    Rescale,
    Scope,
)
from chainrule.layers.convolution import Kernel
from chainrule.layers.scope import one_input
from chainrule.layers.windows import Padding, Sizes, is_whole
from chainrule.models.checking import Shape, images
from chainrule.models.codes import DIGITS, CodeDistance

#: Which maps of S2 each map of C3 sees: Table I of the paper.
TABLE = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5), (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5),
    (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip
#: The first weights of a unit are uniform in ±2.4 by the number of its inputs.
_LIMIT = 2.4


@composite
def scaled_tanh(x: Node) -> Node:
    """1.7159·tanh(2x/3), which is 1 at 1 and -1 at -1, where its curvature is largest.

    >>> scaled_tanh(graph.input("x", (3,)))
    <mul float32[3]>

    Reference: Y. LeCun, L. Bottou, G. Orr and K. Müller, "Efficient backprop", 1998.
    """
    return 1.7159 * graph.tanh(x * (2 / 3))


@dataclass(frozen=True, repr=False)
class TableConv2D(Kernel):
    """A convolution of which each output sees some channels alone: those that ``connections`` lists for it.

    ``weight`` is (kernel height, kernel width, number of connections), in the order of the table; what is not connected
    has no weight. The other settings are those of `Conv2D`. First weights are uniform in ±2.4/n, with n the inputs of
    their output.

    >>> TableConv2D(((0, 1), (1,)), 3)
    TableConv2D(connections=((0, 1), (1,)), kernel=3)

    Reference: Y. LeCun et al., "Gradient-based learning applied to document recognition", 1998, Table I.
    """

    connections: tuple[tuple[int, ...], ...]
    kernel: Sizes = 5
    activation: Activation | None = None
    _: KW_ONLY
    stride: Sizes = 1
    padding: Padding = "valid"
    dilation: Sizes = 1
    bias: bool = True
    weight: Initializer | None = None
    bias_start: Initializer = Constant(0.0)

    def __post_init__(self) -> None:
        table = self.connections if isinstance(self.connections, list | tuple) else ()
        rows = [tuple(row) if isinstance(row, list | tuple) else () for row in table]
        if not rows or not all(row and all(map(is_whole, row)) and len({*row}) == len(row) for row in rows):
            raise ConfigurationError(
                f"TableConv2D: connections is a tuple with a tuple of different channels for each output, not "
                f"{self.connections!r}"
            )
        object.__setattr__(self, "connections", tuple(rows))
        super().__post_init__()

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, height, width, channels) -> (batch, height, width, outputs)."""
        x = one_input(inputs)
        lengths = self._places(x)
        if x.dtype != scope.dtype:
            raise DtypeError(f"wants {scope.dtype}, and got {x.dtype}; use graph.cast")
        last = max(map(max, self.connections))
        if last >= x.shape[-1]:
            raise ShapeError(f"the table connects channel {last}, and {x.shape[-1]} channels came")
        taps = self._each(self.kernel)
        fans = np.concatenate([np.full(len(row), len(row) * math.prod(taps)) for row in self.connections])

        def usual(key: Key, shape: tuple[int, ...]) -> NDArray[Any]:
            return np.asarray(Uniform(_LIMIT)(key, shape) / fans)

        weight = scope.parameter("weight", (*taps, len(fans)), self.weight or usual)
        # A place beyond the last weight reads 0: what is not connected.
        place = np.full((x.shape[-1], len(self.connections)), len(fans), np.int32)
        pairs = [(channel, output) for output, row in enumerate(self.connections) for channel in row]
        for number, pair in enumerate(pairs):
            place[pair] = number
        kernel = graph.gather(weight, graph.constant(place), axis=len(taps))
        return self._finished(scope, self._product(x, kernel, lengths, 1))


def lenet5(outputs: int = 10, shape: Shape = (28, 28, 1), *, distances: bool = False) -> Chain:
    """LeNet-5, the network that read cheques: grey images of 28×28, in the middle of 32×32, or of 32×32.

    As in the paper: pixels from 0 to 1 become -0.1 (background) to 1.175; C1, 6 maps of 5×5; S2, the sum of each 2×2
    square times a coefficient, plus a bias, both learned, one of each a map; C3, 16 maps of 5×5, each of which sees
    some maps of S2 alone, by Table I; S4 as S2; C5, 120 units that see all of 5×5×16; F6, 84 units. Each has
    1.7159·tanh(2x/3) after its sum. First weights are uniform in ±2.4 by the number of inputs. Up to F6 that is 60,000
    parameters, layer by layer those of the paper: 156, 12, 1,516, 32, 48,120, 10,164.

    The last layer gives logits for cross-entropy, by 10·84 weights and 10 biases that are learned. With ``distances``
    it is the paper's: how far the 84 units, 7×12, are from a fixed drawing of each digit, nothing of it learned.

    Not as in the paper: the drawings are ours; the loss with ``distances`` is the paper's (its equation 9) without the
    class for what is no digit; biases start at 0. Training is yours: the paper's was by second derivatives, one image
    a step. With first weights this small, plain descent learns nothing visible for some hundred steps.

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
    layers.append(TableConv2D(TABLE, 5, scaled_tanh))
    layers += [_subsampling(), _convolution(120, 400), Flatten(), Dense(84, scaled_tanh, weight=_first(120))]
    if distances and outputs != len(DIGITS):
        raise ConfigurationError(
            f"lenet5: there are drawings of {len(DIGITS)} digits, and {outputs} outputs are wanted"
        )
    return Chain(*layers, CodeDistance(DIGITS) if distances else Dense(outputs, weight=_first(84)))


def _convolution(maps: int, inputs: int) -> Conv2D:
    return Conv2D(maps, 5, scaled_tanh, padding="valid", weight=_first(inputs))


def _subsampling() -> Chain:
    """The sum of each square, times a coefficient and plus a bias for each map: a depthwise kernel of one tap."""
    return Chain(AveragePool2D(2), Rescale(4.0), DepthwiseConv2D(1, scaled_tanh, weight=_first(4)))


def _first(inputs: int) -> Uniform:
    return Uniform(_LIMIT / inputs)
