"""A map of samples by what the layer before the last says of them: what the network holds for alike lies together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.data import Dataset
from chainrule.engines.protocol import Array
from chainrule.errors import ConfigurationError, DataError
from chainrule.explain.inside.view import features, layer_named, model_layers, samples_seen
from chainrule.layers.scope import Applied

if TYPE_CHECKING:
    from chainrule.run import Run

METHODS = ("pca", "t-sne")
_PERPLEXITY = 30.0


@dataclass(frozen=True)
class Embedding:
    """Points in a plane, (samples, 2), float64; the layer they speak of, and how they were found.

    ``explained`` (2,) is the share of the variance along each axis, NaN for t-SNE, whose axes mean nothing. ``note``
    says what was done instead of what was asked for, if anything.
    """

    points: NDArray[np.float64]
    layer: str
    method: str
    explained: NDArray[np.float64]
    note: str = ""


def embedding(
    run: Run, inputs: Dataset | ArrayLike, layer: str | None = None, *, method: str = "pca", seed: int = 0
) -> Embedding:
    """Lay samples out in a plane by what a layer gives for them, the one before the last if no path is said.

    ``method`` is "pca": the two directions along which the layer's values vary most (Pearson 1901), signs chosen so
    that the largest part of each is above 0; or "t-sne", which keeps neighbours together (van der Maaten and Hinton
    2008), by scikit-learn, an extra; where it is not installed, PCA is taken and ``note`` says so.

    Raises `DataError` for fewer than three samples, `ConfigurationError` for a path that there is not.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("digits")
    >>> run = cr.fit(cr.Chain(cr.Dense(16, cr.relu), cr.Dense(10)), train, epochs=1)
    >>> found = embedding(run, test)
    >>> found.points.shape == (len(test), 2), found.layer
    (True, '0')
    """
    if method not in METHODS:
        raise ConfigurationError(f"method is 'pca' or 't-sne', not {method!r}")
    path = penultimate(run) if layer is None else layer_named(run, layer).path
    seen = samples_seen(run, inputs)
    if len(seen) < 3:
        raise DataError(f"a map wants at least three samples, and there are {len(seen)}")
    values = features(run, seen, path) if path is not None else seen
    rows = values.reshape(len(values), -1).astype(np.float64)
    named = "the input" if path is None else path
    if method == "pca":
        return _pca(rows, named)
    try:
        return Embedding(_tsne(rows, seed), named, "t-sne", np.full(2, np.nan))
    except ImportError:
        note = "scikit-learn is not installed (pip install 'chainrule[sklearn]'), so this is PCA and not t-SNE"
        found = _pca(rows, named)
        return Embedding(found.points, named, "pca", found.explained, note)


def penultimate(run: Run) -> str | None:
    """The path of the layer whose output the last layer with weights is given; None if that is given the input."""
    applied = list(model_layers(run).values())
    parameters = run.parameters
    last = next((place for place in reversed(range(len(applied))) if _is_weighted(applied[place], parameters)), 0)
    # Its input is what stands before it in the same chain; if it is the first there, what stands before that chain.
    wanted, depth = applied[last].inputs[:1], applied[last].depth
    for one in reversed(applied[:last]):
        if one.depth > depth:
            continue
        before = one.path != applied[last].path.rpartition(".")[0] and not applied[last].path.startswith(f"{one.path}.")
        if before and one.path and (one.output,) == wanted:
            return one.path
        depth = one.depth
    return None


def _is_weighted(layer: Applied, parameters: dict[str, Array]) -> bool:
    return f"{layer.path}.weight".lstrip(".") in parameters


def _pca(rows: NDArray[np.float64], layer: str) -> Embedding:
    centred = rows - rows.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    count = min(2, len(directions))
    found = directions[:count]
    largest = np.argmax(np.abs(found), axis=1)
    found = found * np.where(found[np.arange(count), largest] < 0, -1.0, 1.0)[:, None]
    points, shares = np.zeros((len(rows), 2)), np.zeros(2)
    points[:, :count] = centred @ found.T
    total = float(np.sum(sizes**2))
    shares[:count] = sizes[:count] ** 2 / total if total else 0.0
    return Embedding(points, layer, "pca", shares)


def _tsne(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(rows) - 1) / 3)
    found: Any = TSNE(
        2, perplexity=perplexity, init="pca" if rows.shape[1] > 1 else "random", random_state=seed & 0xFFFFFFFF
    ).fit_transform(rows)
    return np.asarray(found, np.float64)
