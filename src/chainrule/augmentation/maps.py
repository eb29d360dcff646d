"""Where each point of a new image is read in the old one: one map for all that moves pixels, and one pass of reading.

What turns, shifts, scales, shears, mirrors or bends an image only says from where its points come. Maps are composed
before a pixel is touched, so however many there are, each pixel is interpolated once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from chainrule import graph
from chainrule.augmentation.samples import Samples, change_images
from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.graph.composites import absolute, maximum, minimum
from chainrule.layers.scope import Scope

#: Names for what lies outside of an image; a number is a value of its own.
OUTSIDE = ("edge", "reflect")


@dataclass(frozen=True)
class SamplingMap:
    """A point p of the new image is read at M·(p + d(p)) + t in the old one.

    Points are (down, right) from the middle of the image, in pixels. ``matrix`` M has four numbers a sample, row by
    row, ``offset`` t two, each (batch,); ``displacement`` d two for each pixel, (batch, height, width), or is None.
    """

    shape: tuple[int, int, int]
    matrix: tuple[Node, Node, Node, Node]
    offset: tuple[Node, Node]
    displacement: tuple[Node, Node] | None = None

    @classmethod
    def identity(cls, shape: tuple[int, int, int], dtype: str) -> SamplingMap:
        """Each point at its own place, for (batch, height, width)."""
        one, zero = (graph.full(shape[:1], value, dtype) for value in (1, 0))
        return cls(shape, (one, zero, zero, one), (zero, zero))

    def then(self, matrix: tuple[Node, Node, Node, Node] | None, offset: tuple[Node, Node] | None) -> SamplingMap:
        """The map of doing this one first, and then one that reads at B·p + s: M·B and M·s + t."""
        (a, b, c, d), (down, right) = self.matrix, self.offset
        if offset is not None:
            s, r = offset
            down, right = a * s + b * r + down, c * s + d * r + right
        if matrix is not None:
            e, f, g, h = matrix
            a, b, c, d = a * e + b * g, a * f + b * h, c * e + d * g, c * f + d * h
        return replace(self, matrix=(a, b, c, d), offset=(down, right))

    def displaced(self, down: Node, right: Node) -> SamplingMap:
        """This map with a displacement of each pixel more."""
        if self.displacement is not None:
            down, right = self.displacement[0] + down, self.displacement[1] + right
        return replace(self, displacement=(down, right))

    def places(self) -> tuple[Node, Node]:
        """Row and column at which each pixel is read, from 0, (batch, height, width)."""
        batch, height, width = self.shape
        dtype = self.offset[0].dtype
        y = graph.broadcast(graph.cast(graph.iota(height), dtype) - (height - 1) / 2, [0, 2], [batch, width])
        x = graph.broadcast(graph.cast(graph.iota(width), dtype) - (width - 1) / 2, [0, 1], [batch, height])
        if self.displacement is not None:
            y, x = y + self.displacement[0], x + self.displacement[1]
        a, b, c, d, down, right = (
            graph.broadcast(numbers, [1, 2], [height, width]) for numbers in (*self.matrix, *self.offset)
        )
        return a * y + b * x + (down + (height - 1) / 2), c * y + d * x + (right + (width - 1) / 2)


def resample(images: Node, places: SamplingMap, outside: str | float = "edge") -> Node:
    """Images (batch, height, width, channels) read through a map, between four pixels by bilinear interpolation.

    Outside of the image lies its "edge", continued; the image mirrored in its outer pixels, "reflect"; or a value.
    """
    batch, height, width, channels = images.shape
    y, x = (_inside(place, length, outside) for place, length in zip(places.places(), (height, width), strict=True))
    row, column = graph.floor(y), graph.floor(x)
    flat = graph.reshape(images, (batch, height * width, channels) if channels > 1 else (batch, height * width))

    def read(one: int, other: int) -> Node:
        r, c = graph.cast(row, "int32") + one, graph.cast(column, "int32") + other
        if isinstance(outside, str):
            # The last row and column have none behind them; what is read instead has weight 0.
            r, c = (minimum(place, length - 1) for place, length in ((r, height), (c, width)))
            return graph.gather(flat, r * width + c, axis=1, batch=1)
        there = graph.logical_and(_among(r, height), _among(c, width))
        if channels > 1:
            there = graph.broadcast(there, [3], [channels])
        return graph.select(there, graph.gather(flat, r * width + c, axis=1, batch=1), float(outside))

    down, right = y - row, x - column
    if channels > 1:
        down, right = (graph.broadcast(part, [3], [channels]) for part in (down, right))
    upper = _between(read(0, 0), read(0, 1), right)
    found = _between(upper, _between(read(1, 0), read(1, 1), right), down)
    return graph.reshape(found, images.shape)


def _among(place: Node, length: int) -> Node:
    return graph.logical_and(graph.le(graph.zeros_like(place), place), graph.lt(place, length))


def _between(a: Node, b: Node, part: Node) -> Node:
    return a + part * (b - a)


def _inside(place: Node, length: int, outside: str | float) -> Node:
    """A place in the image that stands for one outside of it, if it is not a value of its own that lies there."""
    if outside == "reflect" and length > 1:
        around = graph.rem(absolute(place), 2.0 * (length - 1))
        place = minimum(around, 2.0 * (length - 1) - around)
    if isinstance(outside, str):
        return minimum(maximum(place, 0.0), float(length - 1))
    # So far outside that all four neighbours are, and no further: a whole number has to hold it.
    return minimum(maximum(place, -2.0), length + 1.0)


@dataclass(frozen=True)
class Geometric:
    """What moves pixels: it adds to a map, and all that stand next to each other are read through one map.

    ``outside`` is what lies outside of the image: "edge", its edge continued; "reflect", the image mirrored in its
    outer pixels; or a number, as the network sees it.
    """

    outside: str | float = field(default="edge", kw_only=True)

    def __post_init__(self) -> None:
        number = isinstance(self.outside, int | float) and not isinstance(self.outside, bool)
        if not (number and abs(float(self.outside)) < float("inf")) and self.outside not in OUTSIDE:
            raise ConfigurationError(
                f'{type(self).__name__}: outside is "edge", "reflect" or a finite number, not {self.outside!r}'
            )

    def add_to(self, places: SamplingMap, scope: Scope) -> SamplingMap:
        """The map with this after it, by random numbers of a scope."""
        raise NotImplementedError

    def apply(self, scope: Scope, samples: Samples) -> Samples:
        """Images whose pixels were moved."""
        return moved(samples, [(self, scope)])


def moved(samples: Samples, parts: Iterable[tuple[Geometric, Scope]]) -> Samples:
    """Samples moved by one part after the other, each with a scope of its own, in one pass."""
    listed = list(parts)

    def change(images: Node) -> Node:
        places = SamplingMap.identity((images.shape[0], images.shape[1], images.shape[2]), images.dtype)
        for part, scope in listed:
            places = part.add_to(places, scope)
        return resample(images, places, listed[0][0].outside)

    return change_images(samples, change, type(listed[0][0]).__name__)
