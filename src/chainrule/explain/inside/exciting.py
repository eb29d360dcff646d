"""The input that most excites a unit: gradient ascent on the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError
from chainrule.explain.inside.saliency import at_least
from chainrule.explain.inside.shapes import image_shape
from chainrule.explain.inside.view import by_input, chosen_units, layer_named, model_layers
from chainrule.keys import Key

if TYPE_CHECKING:
    from chainrule.run import Run


@dataclass(frozen=True)
class Excited:
    """Inputs that were made to excite units.

    ``inputs`` (units, …) are samples as the network sees them, ``units`` their numbers, (units,), and ``scores``
    (units, steps + 1) what each unit said on the way, from the noise that it began with.
    """

    layer: str
    units: Array
    inputs: Array
    scores: Array


def excite(
    run: Run,
    units: int | Sequence[int] | None = None,
    layer: str = "",
    *,
    steps: int = 128,
    rate: float = 0.05,
    decay: float = 0.02,
    blur: float = 0.1,
    limits: tuple[float, float] | None = None,
    seed: int = 0,
) -> Excited:
    """Make, for each unit of a layer, the input x that most excites it: x ← blur((1 − λ)·x + η·g/rms(g)), g = ∂S/∂x.

    S is what the unit gives, before an activation that only rises, since it would be flat; of a channel of a
    convolution, the mean over its places. ``layer`` is a path; "", the whole model, has the classes as its units.
    ``units`` are numbers, all of them (32 at most) if None. η is ``rate``, λ ``decay``, and ``blur`` is how much of
    each pixel is spread over its neighbours each step, for images; both keep what is seen from becoming noise.
    ``limits`` keep x between two numbers, in the units that the network sees, as (0, 1) for images of uint8. The first
    x is a little noise by ``seed``; where g is 0, as before units that are all silent, it is begun with more noise.

    Raises `ConfigurationError` for a layer or a unit that there is not.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits")
    >>> run = cr.fit(cr.Chain(cr.Dense(16, cr.relu), cr.Dense(10)), train, epochs=1)
    >>> found = excite(run, [3, 7], steps=20)
    >>> found.inputs.shape, bool((found.scores[:, -1] > found.scores[:, 0]).all())
    ((2, 64), True)

    Reference: D. Erhan et al., "Visualizing higher-layer features of a deep network", 2009; J. Yosinski et al.,
    "Understanding neural networks through deep visualization", 2015.
    """
    at_least("steps", steps)
    _check(rate, decay, blur, limits)
    model_layers(run)
    width = layer_named(run, layer).output[-1]
    wanted = np.atleast_1d(np.asarray(range(min(width, 32)) if units is None else units))
    shape = run.spec.arrays["inputs"][0] if run.spec is not None else ()
    image = image_shape(run)
    key, spread = Key(seed).child("excite"), np.full((len(wanted), *(1 for _ in shape)), 0.01)
    x = np.asarray(key.normal((len(wanted), *shape), 0.01), np.float64)
    chosen = chosen_units(run, np.asarray(x, run.dtype), wanted, layer)
    scores = []
    for step in range(steps + 1):
        opened = by_input(run, np.asarray(x, run.dtype), chosen, layer, before=True)
        scores.append(opened.score)
        if step == steps:
            break
        slope = opened.slope.astype(np.float64).reshape(len(x), -1)
        size = np.sqrt(np.mean(slope**2, axis=1, keepdims=True))
        x = (1 - decay) * x + rate * np.divide(slope, size, out=np.zeros_like(slope), where=size > 0).reshape(x.shape)
        if image is not None and blur:
            x = _blurred(x.reshape(-1, *image), blur).reshape(x.shape)
        still = (size == 0).reshape(spread.shape)
        if still.any():
            spread = np.where(still, np.minimum(4 * spread, 1.0), spread)
            x = np.where(still, spread * key.child(step).normal(x.shape), x)
        if limits is not None:
            x = np.clip(x, *limits)
    return Excited(layer, chosen, np.asarray(x, run.dtype), np.stack(scores, axis=1))


def _blurred(x: Array, part: float) -> Array:
    """Images, (batch, height, width, channels), with a part of each pixel spread over those beside it."""
    for axis in (1, 2):
        padded = np.pad(x, [(1, 1) if each == axis else (0, 0) for each in range(4)], mode="edge")
        length = x.shape[axis]
        before, after = (np.take(padded, np.arange(start, start + length), axis) for start in (0, 2))
        x = (1 - part) * x + part * 0.5 * (before + after)
    return x


def _check(rate: float, decay: float, blur: float, limits: tuple[float, float] | None) -> None:
    if not 0 < rate < np.inf:
        raise ConfigurationError(f"rate is a number above 0, not {rate!r}")
    for name, value in (("decay", decay), ("blur", blur)):
        if not 0 <= value < 1:
            raise ConfigurationError(f"{name} is a number from 0 to below 1, not {value!r}")
    if limits is not None and (len(limits) != 2 or not limits[0] < limits[1]):
        raise ConfigurationError(f"limits are two numbers, the lower one first, not {limits!r}")
