"""Images brighter, with less contrast, in other colours, and noisy: what changes pixels where they are.

Values are those that the network sees, after the preparation of the data; they are not cut off at black and white.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from chainrule import graph
from chainrule.augmentation.samples import Samples, change_images, over_pixels, spread
from chainrule.errors import ShapeError
from chainrule.graph import Node
from chainrule.graph.composites import mean
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope


@dataclass(frozen=True)
class Brightness:
    """Each image brighter or darker: a number of up to ``most`` either way is added to all of it.

    >>> Brightness(0.2).most
    0.2
    """

    most: float

    def __post_init__(self) -> None:
        check_range("Brightness", "most", self.most, 0.0, math.inf)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Images that are brighter or darker."""

        def change(x: Node) -> Node:
            return x + over_pixels(spread(scope, "added", x.shape[0], self.most), x)

        return change_images(samples, change, "Brightness")


@dataclass(frozen=True)
class Contrast:
    """Each image with more or less contrast: f·(x - m) + m, with m its mean and f up to 1 + ``part``, or one over it.

    >>> Contrast(0.3).part
    0.3
    """

    part: float

    def __post_init__(self) -> None:
        check_range("Contrast", "part", self.part, 0.0, math.inf)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Images of other contrast."""

        def change(x: Node) -> Node:
            factor = graph.exp(spread(scope, "factor", x.shape[0], math.log1p(self.part)))
            middle = graph.broadcast_like(mean(x, (1, 2, 3)), x, (1, 2, 3))
            # x + (f - 1)·(x - m), so that f = 1 leaves every bit as it is.
            return x + over_pixels(factor - 1.0, x) * (x - middle)

        return change_images(samples, change, "Contrast")


@dataclass(frozen=True)
class Colour:
    """Each image in other colours: more or less of them, and each channel a little more or less.

    ``saturation`` s scales what tells a pixel from its grey, the mean of its channels, by up to 1 + s, or one over it;
    ``shift`` is the most that is added to or taken from each channel, a number a channel.

    Raises `ShapeError` for images of one channel, which have no colour.

    >>> Colour(0.3).shift
    0.0
    """

    saturation: float
    shift: float = 0.0

    def __post_init__(self) -> None:
        for name in ("saturation", "shift"):
            check_range("Colour", name, getattr(self, name), 0.0, math.inf)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Images of other colours."""

        def change(x: Node) -> Node:
            batch, height, width, channels = x.shape
            if channels == 1:
                raise ShapeError(f"Colour wants images with colours, and got {list(x.shape)}; Brightness takes grey")
            factor = graph.exp(spread(scope, "factor", batch, math.log1p(self.saturation)))
            grey = graph.broadcast_like(mean(x, 3), x, 3)
            added = self.shift * (2.0 * scope.uniform("shift", (batch, channels)) - 1.0)
            return x + over_pixels(factor - 1.0, x) * (x - grey) + graph.broadcast(added, [1, 2], [height, width])

        return change_images(samples, change, "Colour")


@dataclass(frozen=True)
class PixelNoise:
    """Each number of an image with noise of its own added, of the normal distribution with this ``deviation``.

    It serves samples of any shape. `GaussianNoise` is a layer that does so inside of a model.

    >>> PixelNoise(0.1).deviation
    0.1
    """

    deviation: float

    def __post_init__(self) -> None:
        check_range("PixelNoise", "deviation", self.deviation, 0.0, math.inf)

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Samples with noise."""
        x = samples.inputs
        return replace(samples, inputs=x + self.deviation * scope.normal("noise", x.shape))
