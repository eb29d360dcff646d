"""What is an image in a run: its samples, which may be rows to the network, and the places of its layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError
from chainrule.explain.inside.view import has_symbols, layer_named, model_layers, title
from chainrule.layers.scope import Applied

if TYPE_CHECKING:
    from chainrule.engines.protocol import Array
    from chainrule.run import Run


def image_shape(run: Run) -> tuple[int, int, int] | None:
    """Height, width and channels of the run's samples; None if they are no images.

    Rows count as images if their data say so, or if the model makes images of them.
    """
    layers = model_layers(run)
    shape = run.spec.arrays["inputs"][0] if run.spec is not None else ()
    size = 0 if has_symbols(run) else math.prod(shape)
    made = next((one.output[1:] for one in layers.values() if len(one.output) == 4), ())
    for known in (shape, run.preparation.shape or (), made):
        if len(known) in (2, 3) and math.prod(known) == size and (known[2:] or (1,))[0] in (1, 3):
            return (known[0], known[1], known[2] if len(known) == 3 else 1)
    return None


def images_of(run: Run, what: str) -> tuple[int, int, int]:
    """As `image_shape`; DataError where the samples are no images, with ``what`` wants them."""
    found = image_shape(run)
    if found is None:
        shape = run.spec.arrays["inputs"][0] if run.spec is not None else ()
        raise DataError(f"{what} wants images, and the samples of this run are {list(shape)}: rows of numbers")
    return found


def with_places(run: Run) -> Mapping[str, Applied]:
    """The layers whose output has more than one place: (batch, height, width, channels), or (batch, length, channels).

    What only changes the shape of the input, or pads it, is left out.
    """
    layers = model_layers(run)
    learned = {path.rpartition(".")[0] for path in run.parameters}
    first = next((place for place, one in enumerate(layers.values()) if one.path in learned), 0)
    return {
        path: one
        for place, (path, one) in enumerate(layers.items())
        if place >= first and path and len(one.output) in (3, 4) and math.prod(one.output[1:-1]) > 1
    }


def placed_layer(run: Run, path: str | None, what: str, *, last: bool) -> Applied:
    """A layer with places: the one at a path, or the first or the last that has a kernel.

    Raises `DataError` where the network has none: one of dense layers has no places.
    """
    known = with_places(run)
    if path is not None:
        chosen = layer_named(run, path)
        if chosen.path not in known:
            there = ", ".join(f"{one.path} ({title(one)})" for one in known.values()) or "none"
            raise DataError(
                f"{what} wants a layer with places, as a convolution has, and layer {path} ({title(chosen)}) gives "
                f"{list(chosen.output[1:])}; layers with places: {there}"
            )
        return chosen
    kernels = [one for one in known.values() if f"{one.path}.weight" in run.parameters]
    if not kernels:
        raise DataError(f"{what} wants a layer with places, as a convolution has, and this network has none")
    return kernels[-1 if last else 0]


def enlarged(maps: Array, size: tuple[int, int]) -> NDArray[np.float64]:
    """Maps, (…, rows, columns), at another size, bilinear, the corners of their places in place.

    >>> enlarged(np.array([[0.0, 1.0]]), (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    found = np.asarray(maps, np.float64)
    for axis, length in ((-2, size[0]), (-1, size[1])):
        count = found.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, count - 1)
        part = (at - low).reshape(-1, *[1] * (-axis - 1))
        found = np.take(found, low, axis) * (1 - part) + np.take(found, high, axis) * part
    return found
