"""Losses: one number a sample, from outputs and targets of exactly fitting shapes; the mean weighs the samples.

Losses that are named after logits take logits, the output of a linear last layer: a softmax before them is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule import graph
from chainrule.errors import ConfigurationError, DtypeError, ShapeError
from chainrule.graph import INTEGERS, Node, active_build
from chainrule.graph.composites import absolute, is_label, log_softmax, maximum, minimum, one_hot, softmax, softplus
from chainrule.layers.checking import check_range
from chainrule.layers.divergences import bernoulli_divergence as bernoulli_divergence
from chainrule.layers.divergences import normal_divergence as normal_divergence
from chainrule.layers.scope import Scope


@dataclass(frozen=True)
class Loss:
    """A loss: ``per_sample(outputs, targets)`` gives (batch,), and calling it gives the weighted mean over the batch.

    L = Σᵢ wᵢ·lᵢ / Σᵢ wᵢ, with lᵢ the loss of sample i and wᵢ its weight (1 if none is given).
    """

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """The loss of each sample, of shape (batch,)."""
        raise ConfigurationError(f"{type(self).__name__} does not say what the loss of a sample is")

    def probabilities(self, outputs: Node) -> Node:
        """Outputs as a reader wants them: probabilities for a loss on logits, and otherwise the outputs themselves."""
        return outputs

    def sample(self, outputs: Node, scope: Scope) -> Node:
        """Targets drawn from the distribution that the outputs predict, whose -log p this loss is but for a constant.

        It is what optimizers want that measure curvature by the Fisher information (`chainrule.optimizers.KFAC`).
        Raises `ConfigurationError` for a loss that is none, or whose curvature is not its Fisher information.
        """
        raise ConfigurationError(
            f"{type(self).__name__} predicts no distribution whose Fisher information is its curvature; "
            "cross_entropy, binary_cross_entropy, mean_squared_error and half_squared_error do"
        )

    def __call__(self, outputs: Node, targets: Node, weights: Node | None = None) -> Node:
        """The mean over the batch, weighted if weights of shape (batch,) are given."""
        return weighted_mean(self.per_sample(outputs, targets), weights)


def weighted_mean(values: Node, weights: Node | None = None) -> Node:
    """Σᵢ wᵢ·vᵢ / Σᵢ wᵢ over the batch; 0 if all weights are."""
    if weights is None:
        return graph.sum(values) / float(max(values.size, 1))
    if weights.shape != values.shape:
        raise ShapeError(f"the weights are {list(weights.shape)}, and there is one a sample: {list(values.shape)}")
    weights = graph.cast(weights, values.dtype)
    total = graph.sum(weights)
    # A batch in which nothing counts has the loss 0, not 0/0.
    return graph.sum(values * weights) / graph.select(graph.eq(total, 0), 1, total)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """l = -Σₖ tₖ·log softmax(z)ₖ, from logits z of shape (batch, classes).

    Targets are labels (integers, (batch,)) or probabilities (floats, (batch, classes)). With ``smoothing`` ε and K
    classes, (1 - ε)·tₖ + ε/K stands for tₖ: the network is not asked to be ever surer.

    Raises `ShapeError` where shapes do not fit, `ConfigurationError` for the output of a softmax or of one unit.

    >>> cross_entropy(graph.input("z", (4, 3)), graph.input("t", (4,), "int32"))
    <div float32[]>

    Differs from: Keras, whose loss takes probabilities unless from_logits is set.

    Reference: C. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016 (smoothing).
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_range("CrossEntropy", "smoothing", self.smoothing, 0.0, 1.0)

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, classes) and (batch,) or (batch, classes) -> (batch,)."""
        _refuse_softmax("cross_entropy", outputs)
        if outputs.rank < 2:
            raise ShapeError(f"cross_entropy takes logits (batch, classes), and got {list(outputs.shape)}")
        classes = outputs.shape[-1]
        if classes == 1:
            raise ConfigurationError(
                "cross_entropy over one unit is always 0, and so is its gradient: "
                "give the last layer one unit a class, or use binary_cross_entropy"
            )
        if targets.dtype in INTEGERS:
            _labels_fit("cross_entropy", outputs, targets, outputs.shape[:-1])
            # Selected, not multiplied: a class ruled out by a logit of -∞ would make NaN of 0·∞.
            picked = graph.select(is_label(targets, classes), log_softmax(outputs), 0)
        else:
            _same("cross_entropy", outputs, targets)
            picked = targets * log_softmax(outputs)
        if self.smoothing:
            picked = picked * (1 - self.smoothing) + log_softmax(outputs) * (self.smoothing / classes)
        return -graph.sum(picked, range(1, outputs.rank))

    def probabilities(self, outputs: Node) -> Node:
        """softmax of the logits."""
        return softmax(outputs)

    def sample(self, outputs: Node, scope: Scope) -> Node:
        """Labels (batch,), each drawn by its probability: the largest of zₖ - log(-log uₖ), Gumbel's way."""
        # Away from 0, where the logarithm would end.
        u = scope.uniform("targets", outputs.shape) + 2.0**-26
        return graph.argmax(outputs - graph.log(-graph.log(u)), outputs.rank - 1)


@dataclass(frozen=True)
class SequenceCrossEntropy(Loss):
    """l = -(1/n)·Σₜ log softmax(zₜ)[sₜ], over the n positions t of a sample that have a symbol s: nats a symbol.

    ``outputs`` are logits z (batch, positions, symbols), ``targets`` the symbols (batch, positions), whole numbers, of
    which -1 stands for none: there nothing is asked for. A sample with no symbol at all loses 0. Divided by log 2 it is
    in bits.

    Raises `ShapeError` where shapes do not fit, `ConfigurationError` for the output of a softmax.

    >>> sequence_cross_entropy(graph.input("z", (4, 9, 65)), graph.input("s", (4, 9), "int32"))
    <div float32[]>

    Differs from: PyTorch, whose ignored target is -100, and whose mean counts all positions of a batch alike. Here each
    sample has its mean, and counts by its weight.
    """

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, positions, symbols) and (batch, positions) -> (batch,)."""
        _refuse_softmax("sequence_cross_entropy", outputs)
        if outputs.rank != 3:
            raise ShapeError(
                f"sequence_cross_entropy takes logits (batch, positions, symbols), and got {list(outputs.shape)}"
            )
        if targets.dtype not in INTEGERS:
            raise DtypeError(f"sequence_cross_entropy takes symbols, which are whole numbers, and got {targets.dtype}")
        _labels_fit("sequence_cross_entropy", outputs, targets, outputs.shape[:-1])
        picked = graph.select(is_label(targets, outputs.shape[-1]), log_softmax(outputs), 0)
        asked = graph.cast(targets >= 0, outputs.dtype)
        return -graph.sum(picked, (1, 2)) / maximum(graph.sum(asked, 1), 1)

    def probabilities(self, outputs: Node) -> Node:
        """softmax of the logits."""
        return softmax(outputs)


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """l = -t·log σ(z) - (1 - t)·log(1 - σ(z)), from logits z, summed over the outputs of a sample.

    Targets are floats in [0, 1] of the shape of the logits, or, for one output, labels 0 and 1 of shape (batch,).
    Computed as softplus(z) - t·z, which never overflows. With ``smoothing`` ε, (1 - ε)·t + ε/2 stands for t.

    >>> binary_cross_entropy(graph.input("z", (4, 1)), graph.input("t", (4, 1)))
    <div float32[]>

    Differs from: Keras and PyTorch, which take the mean over the outputs of a sample.
    """

    smoothing: float = 0.0

    def __post_init__(self) -> None:
        check_range("BinaryCrossEntropy", "smoothing", self.smoothing, 0.0, 1.0)

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, outputs) twice -> (batch,)."""
        _refuse_softmax("binary_cross_entropy", outputs, also="sigmoid")
        if targets.dtype in INTEGERS:
            single = outputs.rank == 1 or (outputs.rank == 2 and outputs.shape[1] == 1)
            if not single:
                raise ShapeError(
                    f"binary_cross_entropy takes labels for one output, and the outputs are {list(outputs.shape)}; "
                    "use cross_entropy for classes, or float targets of the same shape"
                )
            _labels_fit("binary_cross_entropy", outputs, targets, outputs.shape[:1])
            targets = graph.reshape(graph.cast(targets, outputs.dtype), outputs.shape)
        _same("binary_cross_entropy", outputs, targets)
        if self.smoothing:
            targets = targets * (1 - self.smoothing) + self.smoothing / 2
        return graph.sum(softplus(outputs) - targets * outputs, range(1, outputs.rank))

    def probabilities(self, outputs: Node) -> Node:
        """σ of the logits."""
        return graph.sigmoid(outputs)

    def sample(self, outputs: Node, scope: Scope) -> Node:
        """0 or 1 for each output, 1 with the probability σ(z)."""
        return graph.cast(scope.uniform("targets", outputs.shape) < graph.sigmoid(outputs), outputs.dtype)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """l = (1/n)·Σₖ (yₖ - tₖ)², over the n outputs of a sample; labels stand for rows that are 0 and 1.

    >>> mean_squared_error(graph.input("y", (4, 2)), graph.input("t", (4, 2)))
    <div float32[]>
    """

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, …) twice -> (batch,)."""
        return _mean_over_outputs(_error("mean_squared_error", outputs, targets) ** 2)

    def sample(self, outputs: Node, scope: Scope) -> Node:
        """y + √(n/2)·ε with ε of the standard normal distribution, n being the outputs of a sample."""
        count = outputs.size // max(outputs.shape[0], 1)
        return outputs + math.sqrt(count / 2) * scope.normal("targets", outputs.shape)


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """l = ½·Σₖ (yₖ - tₖ)²: the textbook's form, whose derivative is the error y - t itself.

    >>> half_squared_error(graph.input("y", (4, 2)), graph.input("t", (4, 2)))
    <div float32[]>
    """

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, …) twice -> (batch,)."""
        return graph.sum(_error("half_squared_error", outputs, targets) ** 2, range(1, outputs.rank)) * 0.5

    def sample(self, outputs: Node, scope: Scope) -> Node:
        """y + ε with ε of the standard normal distribution."""
        return outputs + scope.normal("targets", outputs.shape)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """l = (1/n)·Σₖ |yₖ - tₖ|, over the n outputs of a sample: the best constant is the median. Its slope at 0 is 0.

    >>> mean_absolute_error(graph.input("y", (4, 2)), graph.input("t", (4, 2)))
    <div float32[]>
    """

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, …) twice -> (batch,)."""
        return _mean_over_outputs(absolute(_error("mean_absolute_error", outputs, targets)))


@dataclass(frozen=True)
class Huber(Loss):
    """l = (1/n)·Σₖ h(yₖ - tₖ): half a squared error up to ``threshold`` δ, and straight from there on.

    h(e) = ½·e² for |e| ≤ δ, and δ·(|e| - ½·δ) beyond, so that single large errors do not rule.

    >>> huber(graph.input("y", (4, 2)), graph.input("t", (4, 2)))
    <div float32[]>

    Reference: P. Huber, "Robust estimation of a location parameter", 1964.

    Differs from: Keras and PyTorch, which call the threshold delta.
    """

    threshold: float = 1.0

    def __post_init__(self) -> None:
        value = self.threshold
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
            raise ConfigurationError(f"Huber: threshold is a number above 0, not {value!r}")

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, …) twice -> (batch,)."""
        size = absolute(_error("huber", outputs, targets))
        near = minimum(size, self.threshold)
        return _mean_over_outputs(near * (size - 0.5 * near))


@dataclass(frozen=True)
class Hinge(Loss):
    """l = Σₖ max(0, 1 - tₖ·yₖ): nothing is lost where an output is on its target's side by a margin of 1.

    Targets are -1 and 1, of the shape of the outputs; or labels, for one output a class, whose own is to be 1 and the
    others -1.

    >>> hinge(graph.input("y", (4, 3)), graph.input("t", (4,), "int32"))
    <div float32[]>

    Reference: C. Cortes and V. Vapnik, "Support-vector networks", 1995.

    Differs from: Keras, which takes the mean over outputs, and targets 0 and 1 for -1 and 1.
    """

    def per_sample(self, outputs: Node, targets: Node) -> Node:
        """(batch, outputs) and (batch, outputs) or (batch,) -> (batch,)."""
        if targets.dtype in INTEGERS and outputs.rank == 2:
            _labels_fit("hinge", outputs, targets, outputs.shape[:1])
            if outputs.shape[1] == 1:
                raise ShapeError("hinge takes labels for one output a class, and there is one output in all")
            targets = one_hot(targets, outputs.shape[1], outputs.dtype, off=-1.0)
        _same("hinge", outputs, targets)
        return graph.sum(maximum(1 - targets * outputs, 0), range(1, outputs.rank))


cross_entropy = CrossEntropy()
sequence_cross_entropy = SequenceCrossEntropy()
binary_cross_entropy = BinaryCrossEntropy()
mean_squared_error = MeanSquaredError()
half_squared_error = HalfSquaredError()
mean_absolute_error = MeanAbsoluteError()
huber = Huber()
hinge = Hinge()


def _mean_over_outputs(x: Node) -> Node:
    count = x.size // max(x.shape[0], 1) if x.rank else 1
    return graph.sum(x, range(1, x.rank)) / float(count)


def _error(name: str, outputs: Node, targets: Node) -> Node:
    if targets.dtype in INTEGERS and outputs.rank == 2 and targets.rank == 1 and outputs.shape[1] > 1:
        _labels_fit(name, outputs, targets, outputs.shape[:1])
        targets = one_hot(targets, outputs.shape[1], outputs.dtype)
    _same(name, outputs, targets)
    return outputs - targets


def _same(name: str, outputs: Node, targets: Node) -> None:
    if outputs.shape != targets.shape:
        raise ShapeError(
            f"{name}: the outputs are {list(outputs.shape)} and the targets {list(targets.shape)}; "
            "they must be the same, since nothing is stretched silently: reshape the targets, or change the last layer"
        )
    if outputs.dtype != targets.dtype:
        raise DtypeError(f"{name}: the outputs are {outputs.dtype} and the targets {targets.dtype}")


def _labels_fit(name: str, outputs: Node, labels: Node, shape: tuple[int, ...]) -> None:
    if labels.shape != shape:
        raise ShapeError(
            f"{name}: outputs {list(outputs.shape)} want labels {list(shape)}, and the labels are {list(labels.shape)}"
        )


def _refuse_softmax(name: str, outputs: Node, also: str = "softmax") -> None:
    build = active_build()
    region = build.regions.get(outputs) if build is not None else None
    found = "sigmoid" if outputs.op == "sigmoid" else region.name if region is not None else ""
    if found in ("softmax", also):
        where = str(build.origins[outputs]) if build is not None and outputs in build.origins else "the last layer"
        raise ConfigurationError(
            f"{name} takes logits, and layer {where} ends in a {found}: it would be applied twice. "
            f"Leave the {found} out; predict and evaluate apply it by themselves"
        )
