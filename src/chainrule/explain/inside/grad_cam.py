"""Grad-CAM: where in an image a layer has found what speaks for an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from chainrule.data import Dataset
from chainrule.engines.protocol import Array
from chainrule.explain.inside.shapes import placed_layer
from chainrule.explain.inside.view import Output, by_layer, chosen_units, samples_seen

if TYPE_CHECKING:
    from chainrule.run import Run


def grad_cam(run: Run, inputs: Dataset | ArrayLike, output: Output = None, layer: str | None = None) -> Array:
    """L = max(0, Σₖ αₖ·Aₖ) with αₖ = the mean of ∂S/∂Aₖ over all places: (samples, rows, columns), of the layer.

    Aₖ is channel k of what the layer gives, and S the output that is asked for, as in `saliency`. ``layer`` is its
    path; without one it is the last that has a kernel and places. A layer over sequences gives (samples, length).
    `enlarged` brings the maps to the size of the image.

    Raises `ConfigurationError` for a path that there is not, `DataError` for a layer, or a network, without places.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits", images=True)
    >>> model = cr.Chain(cr.Conv2D(4, 3, cr.relu), cr.MaxPool2D(2), cr.Flatten(), cr.Dense(10))
    >>> run = cr.fit(model, train, epochs=1)
    >>> grad_cam(run, test.inputs[:2]).shape, grad_cam(run, test.inputs[:2], "7", layer="1").shape
    ((2, 8, 8), (2, 4, 4))

    Reference: R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based localization",
    2017.
    """
    chosen = placed_layer(run, layer, "Grad-CAM", last=True)
    seen = samples_seen(run, inputs)
    opened = by_layer(run, seen, chosen_units(run, seen, output), chosen.path)
    weights = opened.slope.mean(axis=tuple(range(1, opened.slope.ndim - 1)), keepdims=True)
    found: Array = np.maximum((weights * opened.features).sum(axis=-1), 0)
    return found
