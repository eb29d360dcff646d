"""Images shifted, turned, zoomed, sheared, mirrored and cropped, each sample by numbers of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule import graph
from chainrule.augmentation.maps import Geometric, SamplingMap
from chainrule.augmentation.samples import spread
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.layers.checking import check_range
from chainrule.layers.scope import Scope


@dataclass(frozen=True)
class Shift(Geometric):
    """Each image shifted by up to ``pixels`` up or down, and left or right, spread evenly.

    As a rule by whole pixels, which blurs nothing; ``whole=False`` shifts by any number of them.

    >>> Shift(2).pixels
    2
    """

    pixels: float
    whole: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("Shift", "pixels", self.pixels, 0.0, math.inf)
        if self.whole and self.pixels != int(self.pixels):
            raise ConfigurationError(f"Shift: {self.pixels:g} is no number of whole pixels; whole=False takes any")

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with the image shifted."""
        return places.then(
            None, (self._drawn(scope, "down", places.shape[0]), self._drawn(scope, "right", places.shape[0]))
        )

    def _drawn(self, scope: Scope, name: str, size: int) -> Node:
        if not self.whole:
            return spread(scope, name, size, self.pixels)
        return graph.floor((2 * self.pixels + 1) * scope.uniform(name, (size,))) - float(self.pixels)


@dataclass(frozen=True)
class Rotate(Geometric):
    """Each image turned about its middle by up to ``degrees`` either way, spread evenly.

    >>> Rotate(15).degrees
    15
    """

    degrees: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("Rotate", "degrees", self.degrees, 0.0, 360.0)

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with the image turned."""
        return rotated(places, spread(scope, "angle", places.shape[0], math.radians(self.degrees)))


def rotated(places: SamplingMap, angle: Node) -> SamplingMap:
    """A map with the image turned anticlockwise by an angle a sample, (batch,), in radians."""
    cosine, sine = graph.cos(angle), graph.sin(angle)
    return places.then((cosine, sine, -sine, cosine), None)


@dataclass(frozen=True)
class Zoom(Geometric):
    """Each image made larger or smaller by a factor of up to 1 + ``part``, about its middle.

    The logarithm of the factor is spread evenly, so that as many are doubled as halved.

    >>> Zoom(0.1).part
    0.1
    """

    part: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("Zoom", "part", self.part, 0.0, math.inf)

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with the image zoomed."""
        factor = graph.exp(spread(scope, "factor", places.shape[0], math.log1p(self.part)))
        none = graph.zeros_like(factor)
        return places.then((factor, none, none, factor), None)


@dataclass(frozen=True)
class Shear(Geometric):
    """Each image slanted by up to ``degrees`` to the left or right, as italics are; rows are shifted, and stay whole.

    >>> Shear(10).degrees
    10
    """

    degrees: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("Shear", "degrees", self.degrees, 0.0, 90.0)

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with the image slanted."""
        angle = spread(scope, "angle", places.shape[0], math.radians(self.degrees))
        one, none = graph.full(angle.shape, 1, angle.dtype), graph.zeros_like(angle)
        return places.then((one, none, graph.sin(angle) / graph.cos(angle), one), None)


@dataclass(frozen=True)
class Flip(Geometric):
    """Left and right change sides with the probability ``horizontal``, top and bottom with ``vertical``.

    >>> Flip().horizontal
    0.5
    """

    horizontal: float = 0.5
    vertical: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("horizontal", "vertical"):
            check_range("Flip", name, getattr(self, name), 0.0, math.nextafter(1.0, 2.0))

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with the image mirrored, or not."""
        size = places.shape[:1]
        down, right = (
            1.0 - 2.0 * graph.cast(graph.lt(scope.uniform(name, size), probability), scope.dtype)
            for name, probability in (("vertical", self.vertical), ("horizontal", self.horizontal))
        )
        none = graph.zeros_like(down)
        return places.then((down, none, none, right), None)


@dataclass(frozen=True)
class Crop(Geometric):
    """A piece of each image, of any place, brought to the size of the whole: up to ``part`` of the area is cut away.

    The area that stays is spread evenly from 1 - ``part`` to 1, with the proportions of the image.

    >>> Crop(0.4).part
    0.4

    Reference: C. Szegedy and others, "Going deeper with convolutions", 2015.

    Differs from: PyTorch's RandomResizedCrop, which changes proportions too. A crop of an image that was padded
    (He 2016) is a `Shift`.
    """

    part: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("Crop", "part", self.part, 0.0, 1.0)

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with a piece of the image."""
        batch, height, width = places.shape
        side = graph.power(1.0 - self.part * scope.uniform("area", (batch,)), 0.5)
        down, right = (
            0.5 * (length - 1) * (1.0 - side) * spread(scope, name, batch, 1.0)
            for name, length in (("down", height), ("right", width))
        )
        none = graph.zeros_like(side)
        return places.then((side, none, none, side), (down, right))
