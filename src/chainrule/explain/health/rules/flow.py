"""What goes wrong between the layers: gradients on their way back, units, weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.explain.health.measures import SMALL
from chainrule.explain.health.rules.case import Case, Finding, found_already

#: Over this many layers a trend is one. Two numbers make no trend.
_LAYERS = 4


def vanishing_gradients(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """From the last layer with weights to the first the gradient falls a thousandfold, by more than half a layer.

    Float32 and Adam bear less; but steps of one size for all layers then leave the first where they are. In a
    recurrence it is the same from its last step to its first.
    """
    for one in _trends(case):
        if 0 < one.first < 1e-3 * one.last and one.factor < 0.5:
            yield Finding(
                "vanishing gradients",
                one.where,
                f"the gradient by the output of the first {one.each} is {one.first:.2g}, of the last {one.last:.2g}: "
                f"it shrinks {1 / one.factor:.2g}-fold a {one.each} on its way back",
                "ReLU with He's first weights, batch or layer normalisation, or residual connections keep its size; "
                "so do fewer layers"
                if one.each == "layer"
                else "gates (LSTM, GRU), or a way past each step, keep its size; so do larger first weights of the "
                "recurrence, and shorter sequences",
            )


def exploding_gradients(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The same the other way round: a thousandfold larger in the first layer or step, more than twice each time."""
    for one in _trends(case):
        if one.first > 1e3 * one.last > 0 and one.factor > 2:
            yield Finding(
                "exploding gradients",
                one.where,
                f"the gradient by the output of the first {one.each} is {one.first:.2g}, of the last {one.last:.2g}: "
                f"it grows {one.factor:.2g}-fold a {one.each} on its way back",
                "smaller first weights (He's or Glorot's, which are the default), normalisation, or clipping: "
                "Compose(ClipNorm(1.0), …)"
                if one.each == "layer"
                else "clipping, Compose(ClipGlobalNorm(1.0), …), and smaller first weights: the same "
                "weights are met in each step, so that what they stretch is stretched each time",
            )


@dataclass(frozen=True)
class _Trend:
    """The gradient at the beginning and at the end of a chain of layers, or of steps, and its factor for each."""

    where: str
    each: str
    first: float
    last: float
    links: int

    @property
    def factor(self) -> float:
        return float((self.first / self.last) ** (1 / self.links))


def _trends(case: Case) -> Iterator[_Trend]:
    """Down the depth of the network, and back through the steps of each recurrence."""
    layers = case.weighty
    found = [
        _Trend(f"layer {one.path}, applied {one.uses} times", "step", one.first_gradient, one.gradient, one.uses - 1)
        for one in layers
    ]
    found += [
        _Trend(f"the loop in layer {one.where}, {one.steps} steps", "step", one.first, one.last, one.steps)
        for one in case.health.loops
    ]
    if layers:
        where = f"layers {layers[0].path} to {layers[-1].path}"
        found.append(_Trend(where, "layer", layers[0].gradient, layers[-1].gradient, len(layers) - 1))
    for one in found:
        if one.links >= _LAYERS - 1 and 0 < one.first < np.inf and 0 < one.last < np.inf:
            yield one


def dead_units(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """More than half of a layer's ReLU units give 0 for each sample: some always do, half leave a network narrower."""
    for one in case.health.layers:
        if one.dead > 0.5:
            yield Finding(
                "dead units",
                f"layer {one.path}",
                f"{one.dead:.0%} of its ReLU units are 0 for all samples looked at, so no gradient reaches their "
                "weights and they stay so",
                "begin anew with a smaller learning rate or He's first weights; leaky_relu has a slope everywhere",
            )


def saturated_units(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """More than 3/4 of the values inside are where the function is flat; an output at its end may simply be right."""
    for one in case.health.layers[:-1]:
        if one.saturated > 0.75:
            yield Finding(
                "saturated units",
                f"layer {one.path}",
                f"{one.saturated:.0%} of its values lie where {one.activation} is flat, with under a twentieth of its "
                "largest slope: the gradient that passes is next to nothing",
                "smaller first weights, scaled inputs, or normalisation before the activation; relu does not saturate",
            )


def equal_weights(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """All units of a layer have the same weights and the same gradients, up to rounding: nothing will part them."""
    for one in case.weighty:
        if one.equal:
            yield Finding(
                "equal weights",
                f"layer {one.path}",
                "its units have the same weights and get the same gradients, so that they stay one unit for good",
                "random first weights (the default); a constant is for biases",
            )


def frozen_layers(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """A layer is not moved at all, with a gradient that is not 0, in a step that moves others."""
    moved = any(one.update > 0 for one in case.weighty)
    for one in case.weighty:
        if moved and one.update == 0 and one.weight_gradient > 0:
            yield Finding(
                "a frozen layer",
                f"layer {one.path}",
                f"the gradient of its weights is {one.weight_gradient:.2g}, and the update leaves them as they are",
                "if that is not meant: a group of the optimizer has a learning rate of 0, or nothing that learns",
            )


def no_gradient(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The gradient of a layer's weights is exactly 0 though a later layer's is not, and no dead units say why."""
    known = "dead units", "saturated units", "equal weights"
    for place, one in enumerate(case.weighty):
        later = any(other.weight_gradient > 0 for other in case.weighty[place + 1 :])
        if one.weight_gradient == 0 and later and not found_already(before, *known):
            yield Finding(
                "no gradient",
                f"layer {one.path}",
                "the gradient of its weights is exactly 0, and that of a later layer is not: nothing comes through",
                "look between the two for stop_gradient or a function without slope, such as step_function",
            )


def batch_too_small(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """A layer goes by the other samples of the batch, as batch normalisation does, and there are hardly any."""
    size = case.run.batch_size
    if case.health.mixing and size < SMALL:
        yield Finding(
            "a batch too small to normalise by",
            f"layer {case.health.mixing}",
            "what it gives for a sample depends on the others of its batch, as batch normalisation does, and "
            + (
                "a batch is one sample: by its own mean it is 0, whatever it was, and no gradient passes"
                if size == 1
                else f"a batch is {size} samples, whose mean and variance are little more than noise"
            ),
            "batches of 16 or more, or layer normalisation, which looks at one sample at a time; accumulating "
            "gradients does not help",
        )
