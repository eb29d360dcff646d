"""What goes wrong inside layers: units, weights, what normalises them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.explain.health.measures import SMALL
from chainrule.explain.health.rules.case import Case, Finding, layers_named


def dead_units(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """More than half of a layer's ReLU units give 0 for each sample: some always do, half leave a network narrower."""
    found = [one for one in case.health.layers if one.dead > 0.5]
    if found:
        yield Finding(
            "dead units",
            layers_named(found),
            f"{_up_to([one.dead for one in found])} of the ReLU units are 0 for all samples looked at, so no gradient "
            "reaches their weights and they stay so",
            "begin anew, and try a smaller learning rate or He initialisation; leaky_relu has a slope everywhere",
            ("no gradient", "learning rate too low"),
        )


def saturated_units(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """More than 3/4 of the values inside are where the function is flat; an output at its end may simply be right."""
    ends = case.health.ends
    found = [one for one in case.health.layers if one.saturated > 0.75 and one.path not in ends]
    if found:
        name = found[0].activation
        gain = max((one.gain for one in found if one.gain > 0), default=0.0)
        weights = f"large weights, which multiply sizes by {gain:.2g}, drive them there; so " if gain > 4 else ""
        yield Finding(
            "saturated units",
            layers_named(found),
            f"{_up_to([one.saturated for one in found])} of the values lie where {name} is flat, with under a "
            f"twentieth of its largest slope: {weights}the gradient that passes is next to nothing",
            "try smaller first weights (Glorot initialisation, the default), scaled inputs, or normalisation before "
            "the activation; relu does not saturate",
            ("a frozen layer", "no gradient", "learning rate too low"),
        )


def equal_weights(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """All units of a layer have the same weights and the same gradients, within a hundredth, which is rounding."""
    found = [one for one in case.weighty if one.equal]
    if found:
        yield Finding(
            "equal weights",
            layers_named(found),
            "the units have the same weights and get the same gradients, so that they stay one unit for good",
            "random first weights (the default); a constant is for biases",
            ("no gradient", "learning rate too low"),
        )


def frozen_layers(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """A layer is not moved at all, with a gradient that is not 0, in a step that moves others."""
    moved = any(one.update > 0 for one in case.weighty)
    found = [one for one in case.weighty if moved and one.update == 0 and one.weight_gradient > 0]
    if found:
        largest = max(one.weight_gradient for one in found)
        yield Finding(
            "a frozen layer",
            layers_named(found),
            f"the weights have a gradient, {largest:.2g}, and the update leaves them as they are",
            "if that is not meant: a group of the optimizer has a learning rate of 0, or nothing that learns",
        )


def no_gradient(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The gradient of a layer's weights is exactly 0 though a later layer's is not."""
    layers = case.weighty
    found = [
        one
        for place, one in enumerate(layers)
        if one.weight_gradient == 0 and any(other.weight_gradient > 0 for other in layers[place + 1 :])
    ]
    if found:
        yield Finding(
            "no gradient",
            layers_named(found),
            "the gradient of the weights is exactly 0, and that of a later layer is not: nothing comes through",
            "look between the two for stop_gradient or a function without slope, such as step_function",
            ("learning rate too low",),
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


def _up_to(shares: Sequence[float]) -> str:
    return f"{'up to ' if len(shares) > 1 else ''}{max(shares):.0%}"
