"""What goes wrong with gradients on their way back through the depth of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.explain.health.measures import LayerHealth
from chainrule.explain.health.rules.case import Case, Finding

#: Through fewer links a trend is none.
_LINKS = 3
#: What a link changes a gradient by is counted beyond this factor.
_CHANGES = 1.5
#: What weights have to multiply sizes by, so that they are kept, behind these activations; behind others it is 1.
_KEEPS = {"sigmoid": 4.0, "relu": 2**0.5}
_NAMES = {"relu": "ReLU", "leaky_relu": "leaky ReLU"}


def vanishing_gradients(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """From the last layer with weights to the first the gradient falls a thousandfold, by more than a third a layer.

    The factor is that of the stretch in which it falls. Float32 and Adam bear less; but steps of one size for all
    layers then leave the first where they are.
    """
    for one in _trends(case):
        if one.first < 1e-3 * one.last and one.factor < 1 / _CHANGES:
            yield Finding(
                "vanishing gradients",
                one.where,
                f"gradients shrink {1 / one.factor:.2g}-fold per layer {one.way}: {one.why}",
                f"try {'' if one.activation == 'relu' else 'ReLU with '}He initialisation, batch or layer "
                "normalisation, or residual connections; or fewer layers",
                ("a frozen layer", "learning rate too low"),
            )


def exploding_gradients(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The same the other way round: a thousandfold larger in the first layer, by more than half each time."""
    # Where hardly anything moves and yet the loss rises, that is the noise of outputs that are huge.
    noise = ("learning rate too high",) if case.fastest < 1e-4 else ()
    for one in _trends(case):
        if one.first > 1e3 * one.last and one.factor > _CHANGES:
            yield Finding(
                "exploding gradients",
                one.where,
                f"gradients grow {one.factor:.2g}-fold per layer {one.way}: {one.why}",
                "try Glorot initialisation or, with ReLU, He's (the default), batch or layer normalisation, or "
                "clipping: Compose(ClipNorm(1.0), …)",
                ("a frozen layer", "learning rate too low", *noise),
            )


@dataclass(frozen=True)
class _Trend:
    """The gradient at the first layer and at the last, and what is known of the stretch where it changes most.

    ``factor`` is what a layer multiplies the gradient by, on its way back; ``way`` and ``why`` are words.
    """

    where: str
    first: float
    last: float
    factor: float
    way: str
    why: str
    activation: str


def _trends(case: Case) -> Iterator[_Trend]:
    layers = case.weighty
    sizes = np.array([one.gradient for one in layers], np.float64)
    if len(layers) <= _LINKS or not np.all((sizes > 0) & (sizes < np.inf)):
        return
    links = np.log(sizes[:-1] / sizes[1:])  # what each multiplies the gradient by, on its way back
    begin, end = _stretch(links if sizes[0] > sizes[-1] else -links)
    if end - begin < _LINKS:
        return
    factor = float(np.exp(links[begin:end].mean()))
    low, high = layers[begin], layers[end]
    every = list(case.health.layers)
    between = every[every.index(low) : every.index(high) + 1]
    named = Counter(one.activation for one in between if one.activation)
    activation = named.most_common(1)[0][0] if named else ""
    yield _Trend(
        f"layers {low.path} to {high.path}", float(sizes[0]), float(sizes[-1]), factor,
        f"below layer {high.path}, from {sizes[end]:.2g} to {sizes[begin]:.2g} at layer {low.path}",
        _why(between, activation, factor < 1), activation,
    )  # fmt: skip


def _stretch(links: np.ndarray) -> tuple[int, int]:
    """Where the sum of what each link has beyond the least that counts is largest: begin and end."""
    sums = np.concatenate([[0.0], np.cumsum(links - np.log(_CHANGES))])
    gains = sums - np.minimum.accumulate(sums)
    end = int(gains.argmax())
    return int(sums[: end + 1].argmin()), end


def _why(layers: Sequence[LayerHealth], activation: str, shrinks: bool) -> str:
    """What stands in a stretch of layers: its activation, and weights that are too small or too large for it."""
    name = _NAMES.get(activation, activation)
    saturated = [one.saturated for one in layers if one.saturated == one.saturated]
    if shrinks and saturated and np.median(saturated) > 0.5:
        return f"saturated {name}, where {np.median(saturated):.0%} of the values lie where it is flat"
    gains = np.array([one.gain for one in layers[1:] if one.gain > 0])
    if not len(gains):
        return name or "what stands between them"
    gain, keeps = float(np.exp(np.log(gains).mean())), _KEEPS.get(activation, 1.0)
    size = "small" if gain < 0.8 * keeps else "large" if gain > 1.25 * keeps else ""
    if not size or shrinks != (size == "small"):
        return name or "what stands between the layers"
    return (
        f"{name}{' with ' if name else ''}{size} weights (they multiply sizes by {gain:.2g}, and {keeps:.2g} would "
        "keep them)"
    )
