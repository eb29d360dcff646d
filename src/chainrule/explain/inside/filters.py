"""What a first layer looks for, and what a layer finds in a sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from chainrule.data import Dataset
from chainrule.engines.protocol import Array
from chainrule.errors import DataError
from chainrule.explain.inside.shapes import image_shape, placed_layer
from chainrule.explain.inside.view import features, layer_named, model_layers, samples_seen, title

if TYPE_CHECKING:
    from chainrule.run import Run


def filters(run: Run, layer: str | None = None) -> Array:
    """The kernels of a layer, one a channel that it gives: (channels, height, width, channels in).

    Without ``layer``, a path, they are those of the first layer that has weights: of a convolution, its kernels; of a
    dense layer that sees images, the weights of each unit as an image. One-dimensional kernels are
    (channels, length, channels in).

    Raises `ConfigurationError` for a path that there is not, `DataError` for a layer without kernels: a dense network
    on a table has no filters.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits", images=True)
    >>> run = cr.prepare(cr.Chain(cr.Conv2D(4, 3, cr.relu), cr.Flatten(), cr.Dense(10)), train)
    >>> filters(run).shape
    (4, 3, 3, 1)
    """
    layers, parameters = model_layers(run), run.parameters
    weighted = [path for path in layers if f"{path}.weight".lstrip(".") in parameters]
    if layer is None and not weighted:
        raise DataError("this network has no layer with weights, so it has no filters")
    path = weighted[0] if layer is None else layer_named(run, layer).path
    weight = parameters.get(f"{path}.weight".lstrip("."))
    if weight is not None and weight.ndim in (3, 4):
        return np.moveaxis(weight, -1, 0).copy()
    image = image_shape(run)
    first = path == weighted[0] if weighted else False
    if weight is not None and first and image is not None and weight.shape == (math.prod(image), weight.shape[-1]):
        return weight.T.reshape(-1, *image).copy()
    kernels = [
        f"{one} ({title(layers[one])})" for one in weighted if parameters[f"{one}.weight".lstrip(".")].ndim in (3, 4)
    ]
    there = f"layers that have: {', '.join(kernels)}"
    if not kernels:
        there = (
            "its samples are no images, and none of its layers has a kernel"
            if image is None
            else f"of this network only the first, {weighted[0] or 'the model'}, has weights that are images"
        )
    raise DataError(f"layer {path or 'of the model'} ({title(layers[path])}) has no filters; {there}")


def feature_maps(run: Run, inputs: Dataset | ArrayLike, layer: str | None = None) -> Array:
    """What a layer gives for some samples: (samples, rows, columns, channels), or of whatever shape it is.

    ``inputs`` are a data set or raw samples; ``layer`` is a path, of any layer. Without one it is the first that has
    a kernel and places. The network is asked as it predicts: no dropout, the running means of a batch normalisation.

    Raises `ConfigurationError` for a path that there is not, `DataError` where no layer has places.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits", images=True)
    >>> run = cr.prepare(cr.Chain(cr.Conv2D(4, 3, cr.relu), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(10)), train)
    >>> feature_maps(run, test.inputs[:2]).shape, feature_maps(run, test.inputs[:2], "1").shape
    ((2, 8, 8, 4), (2, 4, 4, 4))
    """
    chosen = placed_layer(run, None, "a feature map", last=False) if layer is None else layer_named(run, layer)
    return features(run, samples_seen(run, inputs), chosen.path)
