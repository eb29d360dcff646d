"""How much each number of a sample matters to an output: by the gradient, smoothed, or gathered along a way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data import Dataset
from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError, ShapeError
from chainrule.explain.inside.view import Output, by_input, chosen_units, samples_seen
from chainrule.keys import Key

if TYPE_CHECKING:
    from chainrule.run import Run


def saliency(run: Run, inputs: Dataset | ArrayLike, output: Output = None) -> Array:
    """The gradient ∂S/∂x of an output's score by each sample, of the samples' shape: how it would change the output.

    S is an output of the last layer, a logit for a loss on logits, and x a sample as the network sees it: prepared.
    ``inputs`` are a data set or raw samples, (samples, …). ``output`` is the name of a class, the number of an output,
    or one number for each sample; without it, each sample is asked for the output that is largest.

    Raises `ShapeError` for samples of another shape, `ConfigurationError` for a class that there is not, and for a step
    of one's own, which has no single model.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits", images=True)
    >>> run = cr.fit(cr.Chain(cr.Conv2D(4, 3, cr.relu), cr.Flatten(), cr.Dense(10)), train, epochs=1)
    >>> saliency(run, test.inputs[:2], "7").shape
    (2, 8, 8, 1)

    Reference: K. Simonyan, A. Vedaldi and A. Zisserman, "Deep inside convolutional networks", 2013.
    """
    seen = samples_seen(run, inputs)
    return by_input(run, seen, chosen_units(run, seen, output)).slope


def smooth_saliency(
    run: Run,
    inputs: Dataset | ArrayLike,
    output: Output = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    seed: int = 0,
) -> Array:
    """SmoothGrad: the mean of the gradients at n samples x + N(0, σ²), of the samples' shape.

    n is ``samples``, and σ is ``noise`` times the range of each sample, its largest number less its smallest. The
    output that is asked for is the one that is largest for x itself. The noise follows from ``seed``. All else is as in
    `saliency`.

    Raises `ConfigurationError` for settings that have no meaning.

    Reference: D. Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017.
    """
    at_least("samples", samples)
    if not 0 <= noise < np.inf:
        raise ConfigurationError(f"noise is a share of each sample's range, 0 or more, not {noise!r}")
    seen = samples_seen(run, inputs)
    units = chosen_units(run, seen, output)
    found = np.empty_like(seen)
    for place, (one, unit) in enumerate(zip(seen, units, strict=True)):
        drawn = Key(seed).child("smooth").child(place).normal((samples, *one.shape))
        around = one + noise * (one.max() - one.min()) * drawn
        found[place] = _slopes(run, around, unit).mean(axis=0, dtype=np.float64)
    return found


def integrated_gradients(
    run: Run,
    inputs: Dataset | ArrayLike,
    output: Output = None,
    *,
    baseline: ArrayLike = 0.0,
    steps: int = 64,
) -> Array:
    """(xᵢ − x′ᵢ)·∫₀¹ ∂S(x′ + α(x − x′))/∂xᵢ dα for each sample, of the samples' shape: its part in the output.

    They are complete: their sum over a sample is S(x) − S(x′), so that they share out the whole of what the sample
    makes of the output. x is the sample as the network sees it, and x′ is ``baseline``, in the same units: a number, or
    an array of a sample's shape; 0 is black for images, and the mean for columns that were standardised. The integral
    is taken at ``steps`` points (Gauss and Legendre's); where a ReLU makes corners, twice as many halve the error or
    better. All else is as in `saliency`.

    Raises `ShapeError` for a baseline of another shape.

    Reference: M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks", 2017.
    """
    at_least("steps", steps)
    seen = samples_seen(run, inputs)
    start = np.asarray(baseline, np.float64)
    if start.shape not in ((), seen.shape[1:]):
        raise ShapeError(f"a baseline is a number, or a sample of {list(seen.shape[1:])}, not {list(start.shape)}")
    units = chosen_units(run, seen, output)
    points, weights = np.polynomial.legendre.leggauss(steps)
    parts = (points / 2 + 0.5).reshape(-1, *[1] * (seen.ndim - 1))
    found = np.empty_like(seen)
    for place, (one, unit) in enumerate(zip(seen, units, strict=True)):
        way = one.astype(np.float64) - start
        found[place] = way * np.tensordot(weights / 2, _slopes(run, start + parts * way, unit), 1)
    return found


def _slopes(run: Run, rows: NDArray[np.float64], unit: np.int64) -> Array:
    """The gradients of one output at many samples."""
    return by_input(run, np.asarray(rows, run.dtype), np.full(len(rows), unit)).slope


def at_least(name: str, value: int, least: int = 1) -> None:
    """Refuse what is no whole number of at least so much."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} is a whole number of {least} or more, not {value!r}")
