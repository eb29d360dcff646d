"""Convolutions: one small kernel of weights applied at every place, over images and sequences, channels last."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import composite
from chainrule.initializers import Constant, Initializer
from chainrule.layers.dense import Activation, usual_weight
from chainrule.layers.scope import Scope, one_input
from chainrule.layers.windows import Padding, Sizes, Windowed, is_whole, padded

PLACES, TAPS = "xyz", "ijk"


@composite
def convolution(
    x: Node,
    weight: Node,
    strides: tuple[int, ...],
    borders: tuple[tuple[int, int], ...],
    dilations: tuple[int, ...],
    groups: int = 1,
) -> Node:
    """contract(window(pad(x)), weight): x is (batch, …, channels), weight (taps…, channels / groups, out).

    >>> x, weight = graph.input("x", (1, 5, 2)), graph.input("w", (3, 2, 4))
    >>> convolution(x, weight, (2,), ((1, 1),), (1,)).shape
    (1, 3, 4)
    """
    count = len(strides)
    axes = range(1, count + 1)
    spread, kernel, letters, out = grouped(padded(x, list(borders)), weight, count, groups)
    windows = graph.window(spread, axes, weight.shape[:count], strides, dilations)
    places, taps = PLACES[:count], TAPS[:count]
    inside, shared, outside = letters
    terms = f"b{places}{shared}{inside}{taps},{taps}{inside}{shared}{outside}->b{places}{shared}{outside}"
    y = graph.contract(windows, kernel, terms)
    return graph.reshape(y, (*y.shape[: count + 1], out))


def grouped(x: Node, weight: Node, count: int, groups: int) -> tuple[Node, Node, tuple[str, str, str], int]:
    """x and weight with an axis for groups, and letters for channels in, groups and channels out.

    An axis of one element gets no letter, so that a depthwise convolution is a product of three axes, not five.
    """
    *taps, inside, out = weight.shape
    outside = out // groups
    shape, kernel = [*x.shape[:-1]], [*taps]
    letters = ("c" if groups == 1 or inside > 1 else "", "g" if groups > 1 else "",
               "o" if groups == 1 or outside > 1 else "")  # fmt: skip
    sizes = dict(zip(letters, (inside, groups, outside), strict=True))
    shape += [size for letter, size in zip((letters[1], letters[0]), (groups, inside), strict=True) if letter]
    kernel += [sizes[letter] for letter in letters if letter]
    return graph.reshape(x, shape), graph.reshape(weight, kernel), letters, out


class Kernel(Windowed):
    """What all convolutions are refused for, and what each does after its product."""

    kernel: Sizes
    activation: Activation | None
    stride: Sizes
    padding: Padding
    dilation: Sizes
    bias: bool
    weight: Initializer | None
    bias_start: Initializer
    #: Padding that has a name.
    named: ClassVar[tuple[str, ...]] = ("same", "valid")

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            self._check(name)
        self._check_padding(self.padding, self.named)
        if self.activation is not None and not callable(self.activation):
            raise ConfigurationError(
                f"{type(self).__name__}: activation is a function such as chainrule.relu, not {self.activation!r}"
            )

    def _whole(self, name: str) -> None:
        if not is_whole(value := getattr(self, name), 1):
            raise ConfigurationError(f"{type(self).__name__}: {name} is a whole number above 0, not {value!r}")

    def _divided(self, channels: int, groups: int, what: str) -> None:
        if channels % groups:
            raise ShapeError(
                f"{channels} channels {what} cannot be divided into {groups} groups: {channels} / {groups} is not whole"
            )

    def _convolved(self, scope: Scope, x: Node, channels: int, groups: int) -> Node:
        lengths = self._places(x)
        if x.dtype != scope.dtype:
            raise DtypeError(f"wants {scope.dtype}, and got {x.dtype}; use graph.cast")
        self._divided(x.shape[-1], groups, "that come in")
        shape = (*self._each(self.kernel), x.shape[-1] // groups, channels)
        weight = scope.parameter("weight", shape, self.weight or usual_weight(self.activation))
        return self._finished(scope, self._product(x, weight, lengths, groups))

    def _finished(self, scope: Scope, y: Node) -> Node:
        if self.bias:
            channels = y.shape[-1]
            y = y + graph.broadcast_to(scope.parameter("bias", (channels,), self.bias_start), y.shape)
        return self.activation(y) if self.activation else y

    def _product(self, x: Node, weight: Node, lengths: tuple[int, ...], groups: int) -> Node:
        borders = self._borders(self.padding, lengths, self.kernel, self.stride, self.dilation, "kernel")
        strides, dilations = self._each(self.stride), self._each(self.dilation)
        return convolution(x, weight, strides, tuple(borders), dilations, groups)


@dataclass(frozen=True, repr=False)
class Convolution(Kernel):
    """The settings of a convolution; `Conv2D` says what they mean."""

    channels: int
    kernel: Sizes = 3
    activation: Activation | None = None
    _: KW_ONLY
    stride: Sizes = 1
    padding: Padding = "same"
    dilation: Sizes = 1
    groups: int = 1
    bias: bool = True
    weight: Initializer | None = None
    bias_start: Initializer = Constant(0.0)

    def __post_init__(self) -> None:
        self._whole("channels")
        self._whole("groups")
        if self.channels % self.groups:
            raise ConfigurationError(
                f"{type(self).__name__}: {self.channels} channels cannot be divided into {self.groups} groups"
            )
        super().__post_init__()

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> (batch, …, channels out)."""
        return self._convolved(scope, one_input(inputs), self.channels, self.groups)


@dataclass(frozen=True, repr=False)
class Conv2D(Convolution):
    """A kernel of weights that slides over an image: y = f(x ∗ W + b).

    y[b, i, j, o] = f(Σ x[b, s·i + d·k - p, s·j + d·l - p, c]·W[k, l, c, o] + b[o]), the sum over the taps k, l and the
    channels c, with s = ``stride``, d = ``dilation`` and p what is padded (with zeros) before. x is (batch, height,
    width, channels), ``weight`` W is (kernel height, kernel width, channels in / groups, ``channels``), ``bias`` b is
    (channels,), and ``activation`` is f. ``kernel``, ``stride`` and ``dilation`` are numbers, or pairs (height, width).

    ``padding`` is "same": as many places come out as go in, divided by the stride and rounded up; "valid": none; a
    number for all four borders; or one entry an axis, a number or a pair: ((top, bottom), (left, right)). ``groups``
    divides the channels: each group of outputs sees its group of inputs alone.

    First weights and biases are as those of `Dense`: He's for ReLU and Glorot's otherwise, by the taps and channels
    that one output sees. ``bias=False`` leaves b out, as before `BatchNorm`, which has a shift of its own.

    Raises `ShapeError` where the kernel is larger than the padded image, or the channels do not divide into groups.

    Differs from: PyTorch, which has channels first, a weight (out, in / groups, height, width), no padding by default,
    and "same" for stride 1 alone. Keras pads nothing by default. Where "same" pads an odd number of rows, the one more
    is at the bottom and at the right, as in TensorFlow: with a stride above 1 that differs from PyTorch's padding=1.

    >>> Conv2D(32, 3).stride
    1

    Reference: Y. LeCun et al., "Backpropagation applied to handwritten zip code recognition", 1989.
    """


@dataclass(frozen=True, repr=False)
class Conv1D(Convolution):
    """A kernel of weights that slides along a sequence: y[b, i, o] = f(Σ x[b, s·i + d·k - p, c]·W[k, c, o] + b[o]).

    x is (batch, length, channels), ``weight`` W is (kernel, channels in / groups, ``channels``); all else is as in
    `Conv2D`. ``padding`` may be "causal" too: all of it before, so that no output sees what comes after its place.

    >>> Conv1D(8, 5, padding="causal")
    Conv1D(channels=8, kernel=5, padding='causal')

    Reference: A. Waibel et al., "Phoneme recognition using time-delay neural networks", 1989.
    """

    dimensions: ClassVar[int] = 1
    named: ClassVar[tuple[str, ...]] = ("same", "valid", "causal")


@dataclass(frozen=True, repr=False)
class _Depthwise(Kernel):
    kernel: Sizes = 3
    activation: Activation | None = None
    _: KW_ONLY
    multiplier: int = 1
    stride: Sizes = 1
    padding: Padding = "same"
    dilation: Sizes = 1
    bias: bool = True
    weight: Initializer | None = None
    bias_start: Initializer = Constant(0.0)

    def __post_init__(self) -> None:
        self._whole("multiplier")
        super().__post_init__()

    def apply(self, scope: Scope, *inputs: Node) -> Node:
        """(batch, …, channels) -> (batch, …, channels · multiplier)."""
        x = one_input(inputs)
        self._places(x)
        return self._convolved(scope, x, x.shape[-1] * self.multiplier, x.shape[-1])


@dataclass(frozen=True, repr=False)
class DepthwiseConv2D(_Depthwise):
    """A kernel for each channel of an image, which sees that channel alone: `Conv2D` with as many groups as channels.

    Each channel gives ``multiplier`` channels, side by side; ``weight`` is (kernel height, kernel width, 1, channels ·
    multiplier), and the other settings are those of `Conv2D`. Followed by a `Conv2D` with a kernel of 1, which mixes
    the channels, it is a depthwise separable convolution.

    >>> DepthwiseConv2D(3, stride=2)
    DepthwiseConv2D(stride=2)

    Differs from: Keras, whose weight is (height, width, channels, multiplier).

    Reference: A. Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications",
    2017.
    """


@dataclass(frozen=True, repr=False)
class DepthwiseConv1D(_Depthwise):
    """A kernel for each channel of a sequence, which sees that channel alone; all else is as in `DepthwiseConv2D`.

    >>> DepthwiseConv1D(5, padding="causal")
    DepthwiseConv1D(kernel=5, padding='causal')
    """

    dimensions: ClassVar[int] = 1
    named: ClassVar[tuple[str, ...]] = ("same", "valid", "causal")
