"""The rules of a diagnosis: each small, with its threshold and why it stands there.

A rule is a function of the case and of what was found before it, and gives findings. A threshold is where healthy
trainings have room on their side: a rule is to be silent unless something is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Dataset
from chainrule.explain.health.measures import Health, LayerHealth
from chainrule.losses import BinaryCrossEntropy, CrossEntropy
from chainrule.optimizers import DeltaBarDelta, Rprop

if TYPE_CHECKING:
    from chainrule.run import Data, Run

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Finding:
    """Something that goes wrong: its name, the layer or column, the evidence in numbers, and what helps."""

    name: str
    where: str
    evidence: str
    remedy: str


@dataclass(frozen=True)
class Case:
    """What the rules see: a run, the data it is looked at with, and what was measured."""

    run: Run
    data: Data
    health: Health

    @property
    def weighty(self) -> tuple[LayerHealth, ...]:
        """The layers with weights, in the order in which they are applied."""
        return tuple(one for one in self.health.layers if not np.isnan(one.weight_gradient))

    @cached_property
    def losses(self) -> Floats:
        """The loss over the run, in up to a hundred means of 64 samples or more: what is noise is no finding."""
        history = self.run.history
        found = np.asarray(history.column("loss"), np.float64)
        found = found[np.isfinite(found)]
        parts = max(1, min(100, history.samples // 64, len(found)))
        return np.array([part.mean() for part in np.array_split(found, parts) if len(part)])

    @property
    def beginning(self) -> float:
        """The loss before anything was learned, of the first steps that have 16 samples together."""
        samples, losses = self.run.history.column("samples"), self.run.history.column("loss")
        count = max(1, -(-16 // max(int(samples[0]), 1))) if len(samples) else 0
        return float(np.mean(losses[:count])) if count else float("nan")


Rule = Callable[[Case, Sequence[Finding]], Iterator[Finding]]

#: How far a loss has to rise, and where it has to stand at the end, both beside where it began, to be a finding.
_ROSE = ((1.1, 1.1), (1.25, 0.95), (2.0, 0.75), (3.0, 0.5))
_WHOLE_SETS = "batch_size=None: this optimizer finds its own rates from signs, which the noise of small batches turns"
#: Over this many layers a trend is one. Two numbers make no trend.
_LAYERS = 4


def vanishing_gradients(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """From the last layer with weights to the first the gradient falls a thousandfold, by more than half a layer.

    Float32 and Adam bear less; but steps of one size for all layers then leave the first where they are.
    """
    first, last, factor = _trend(case)
    if 0 < first < 1e-3 * last and factor < 0.5:
        yield Finding(
            "vanishing gradients",
            f"layers {case.weighty[0].path} to {case.weighty[-1].path}",
            f"the gradient by the output of the first layer is {first:.2g}, of the last {last:.2g}: it shrinks "
            f"{1 / factor:.2g}-fold a layer on its way back",
            "ReLU with He's first weights, batch or layer normalisation, or residual connections keep its size; so do "
            "fewer layers",
        )


def exploding_gradients(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The same the other way round: a thousandfold larger in the first layer, more than twice a layer."""
    first, last, factor = _trend(case)
    if first > 1e3 * last > 0 and factor > 2:
        yield Finding(
            "exploding gradients",
            f"layers {case.weighty[0].path} to {case.weighty[-1].path}",
            f"the gradient by the output of the first layer is {first:.2g}, of the last {last:.2g}: it grows "
            f"{factor:.2g}-fold a layer on its way back",
            "smaller first weights (He's or Glorot's, which are the default), normalisation, or clipping: "
            "Compose(ClipNorm(1.0), …)",
        )


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


def unscaled_inputs(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """An input beyond 20, or one a hundred times the middle one, rules the first layer; 1 is what weights begin for."""
    sizes = case.health.inputs
    if sizes is None or not np.any(sizes > 0):
        return
    flat = np.ravel(sizes).astype(np.float64)
    largest, middle = float(flat.max()), float(np.median(flat[flat > 0]))
    if largest > 20 or (largest > 1 and largest > 100 * middle) or largest < 0.02:
        yield Finding(
            "unscaled inputs",
            _column(case, int(flat.argmax())),
            f"the network sees inputs whose root mean square goes up to {largest:.3g} (the middle one: {middle:.3g}); "
            "first weights and learning rates are made for about 1",
            "data.standardize() gives each column the mean 0 and the deviation 1, also in predictions",
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
    for place, one in enumerate(case.weighty):
        later = any(other.weight_gradient > 0 for other in case.weighty[place + 1 :])
        if one.weight_gradient == 0 and later and not _found(before, "dead units", "saturated units", "equal weights"):
            yield Finding(
                "no gradient",
                f"layer {one.path}",
                "the gradient of its weights is exactly 0, and that of a later layer is not: nothing comes through",
                "look between the two for stop_gradient or a function without slope, such as step_function",
            )


def rate_too_high(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The loss has risen; or it rose on its way, and the less has come back the less it had to rise."""
    losses = case.losses
    if len(losses) < 10:
        return
    start, peak, end = case.beginning, losses.max(), float(np.median(losses[-len(losses) // 5 :]))
    if start > 0 and any(peak > rise * start and end > back * start for rise, back in _ROSE):
        updates = [one.update for one in case.weighty]
        yield Finding(
            "learning rate too high",
            "",
            f"the loss began at {start:.3g}, rose to {peak:.3g} and stands at {end:.3g}; a step changes the weights of "
            f"a layer by up to {max(updates, default=0.0):.2g} of their size (about 0.001 is usual)",
            _WHOLE_SETS
            if isinstance(case.run.optimizer, Rprop | DeltaBarDelta) and case.run.batch_size < len(case.data)
            else "a tenth of the learning rate; run.find_learning_rate(data) or `chainrule rate` looks for one",
        )


def not_finite(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The training ended in a step whose loss or gradient is not finite: that is no matter of degree."""
    if case.run.stopped == "not finite":
        yield Finding(
            "not finite",
            "",
            f"step {len(case.run.history) + 1:,} gave a loss or a gradient that is infinite or NaN, and was not taken; "
            f"the loss began at {case.beginning:.3g}",
            "the error that ended it names the node where it began; a smaller learning rate, scaled inputs, or "
            "clipping: Compose(ClipNorm(1.0), …)",
        )


def rate_too_low(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The loss has fallen by less than a twentieth in 20 steps or more, and weights move by under 1e-4 of their size.

    Where gradients are lost on their way, that is the cause, and found already.
    """
    losses = case.losses
    lost = (
        "vanishing gradients",
        "dead units",
        "saturated units",
        "equal weights",
        "no gradient",
        "exploding gradients",
    )
    if len(case.run.history) < 20 or _found(before, *lost):
        return
    start, end = case.beginning, losses[-len(losses) // 10 :].mean()
    largest = max((one.update for one in case.weighty), default=np.inf)
    if 0.95 * start < end <= 1.1 * start and largest < 1e-4:
        yield Finding(
            "learning rate too low",
            "",
            f"in {len(case.run.history):,} steps the loss went from {start:.4g} to {end:.4g}, and a step changes the "
            f"weights of no layer by more than {largest:.2g} of their size (about 0.001 is usual)",
            "ten times the learning rate; run.find_learning_rate(data) or `chainrule rate` looks for one",
        )


def squashed_logits(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """A loss on logits behind a bounded activation: the classes can never be told apart by more than its width."""
    if isinstance(case.run.loss, CrossEntropy | BinaryCrossEntropy) and case.health.last in ("sigmoid", "tanh", "relu"):
        yield Finding(
            "squashed logits",
            "the last layer",
            f"{type(case.run.loss).__name__} takes logits, any numbers, and the outputs end in {case.health.last}",
            "leave out the last activation; predict and evaluate turn logits into probabilities by themselves",
        )


def targets_out_of_range(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """Targets that are numbers lie beyond what the last activation can give, by more than a hundredth."""
    low, high = {"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, np.inf)}.get(
        case.health.last, (-np.inf, np.inf)
    )
    if case.run.model is None or not isinstance(case.data, Dataset):
        return  # only where there is one model is it known what the targets are compared with
    if case.data.targets is None or case.data.labels is not None:
        return
    targets = np.asarray(case.run.preparation.target.forward(case.data.targets))
    outside = float(np.mean((targets < low - 0.01) | (targets > high + 0.01)))
    if outside > 0:
        yield Finding(
            "targets out of range",
            "the last layer",
            f"the outputs end in {case.health.last}, from {low:g} to {high:g}, and {outside:.0%} of the targets lie "
            f"outside: they go from {targets.min():.3g} to {targets.max():.3g}",
            "a last layer without activation, or targets scaled into its range",
        )


def class_imbalance(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The most frequent class counts ten times as much as the rarest: always saying it would look good."""
    labels, names = _labels(case)
    if labels is None or len(labels) < 50:
        return
    assert isinstance(case.data, Dataset)
    counts = np.bincount(labels, weights=case.data.weights, minlength=len(names))
    present = counts[counts > 0]
    if len(present) > 1 and present.max() > 10 * present.min():
        rare = int(np.where(counts > 0, counts, np.inf).argmin())
        yield Finding(
            "class imbalance",
            f"class {names[rare]}",
            f"{counts.max() / counts.sum():.0%} of the samples are {names[int(counts.argmax())]}, and "
            f"{counts[rare] / counts.sum():.1%} are {names[rare]}: saying the first every time is right that often",
            "data.weigh_classes() (--class-weights) lets each class count the same; judge by recall_per_class",
        )


def leaking_column(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """One column of several tells the target by itself, 99 of 100 times, and the next best does not come near it.

    Half of the samples say what goes with which value, the others are told by it. Where several columns are as good,
    the target is simply easy.
    """
    if not isinstance(case.data, Dataset) or case.data.targets is None or len(case.data) < 100:
        return
    inputs = case.data.inputs.reshape(len(case.data), -1)
    targets = case.data.targets.reshape(len(case.data), -1)
    if inputs.shape[1] < 3 or inputs.shape[1] > 1000 or targets.shape[1] != 1:
        return
    scores = np.array([_alone(column, targets[:, 0], case.data.labels is not None) for column in inputs.T])
    best = int(scores.argmax())
    if scores[best] >= 0.99 and np.delete(scores, best).max() < 0.9:
        said = "right" if case.data.labels is not None else "of the variance (R²)"
        yield Finding(
            "a leaking column",
            _column(case, best),
            f"alone it tells the target ({scores[best]:.1%} {said} on samples held out), and the next best column "
            f"{np.delete(scores, best).max():.0%}",
            "if it is known only when the answer is, leave it out (--ignore COLUMN): later data will not have it",
        )


def no_better_than_chance(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """After 100 steps or more the data are told no better than by chance, and nothing above says why.

    Fewer steps tell nothing: a network that is to become good may not have begun to. Chance is always saying the most
    frequent class; three standard deviations of that count are allowed for luck.
    """
    labels, names = _labels(case)
    if labels is None or len(case.run.history) < 100 or len(labels) < 50 or case.data.weights is not None or before:  # type: ignore[union-attr]
        return
    found = case.run.evaluate(case.data)
    share = float(np.bincount(labels, minlength=len(names)).max()) / len(labels)
    luck = 3 * np.sqrt(share * (1 - share) / len(labels))
    if found.get("accuracy", 1.0) <= share + luck and share < 0.9:
        yield Finding(
            "no better than chance",
            "",
            f"{found['accuracy']:.1%} of {len(labels):,} samples are right, and always saying the most frequent class "
            f"gives {share:.1%}",
            "do labels still stand beside their inputs (were they shuffled, sorted or joined on a wrong key)? If so, "
            "train longer, or with inputs that say more",
        )


#: In this order: what is a cause comes before what may only be its effect.
RULES: tuple[Rule, ...] = (
    unscaled_inputs, targets_out_of_range, squashed_logits, class_imbalance, leaking_column, equal_weights,
    vanishing_gradients, exploding_gradients, dead_units, saturated_units, frozen_layers, no_gradient, not_finite,
    rate_too_high, rate_too_low, no_better_than_chance,
)  # fmt: skip


def _trend(case: Case) -> tuple[float, float, float]:
    """The gradient by the output of the first and of the last layer with weights, and its factor a layer."""
    sizes = [one.gradient for one in case.weighty]
    if len(sizes) < _LAYERS or not (np.isfinite(sizes).all() and sizes[0] > 0 and sizes[-1] > 0):
        return 0.0, 0.0, 1.0
    return sizes[0], sizes[-1], float((sizes[0] / sizes[-1]) ** (1 / (len(sizes) - 1)))


def _found(before: Sequence[Finding], *names: str) -> bool:
    return any(finding.name in names for finding in before)


def _labels(case: Case) -> tuple[NDArray[Any] | None, tuple[str, ...]]:
    if not isinstance(case.data, Dataset) or case.data.labels is None:
        return None, ()
    return case.data.labels, case.data.classes or ()


def _column(case: Case, place: int) -> str:
    """The name of an input, where it has one."""
    names = case.run.preparation.feature_names()
    return f"column {names[place]}" if names is not None and place < len(names) else f"input {place}"


def _alone(column: NDArray[Any], targets: NDArray[Any], classes: bool) -> float:
    """How well a column tells the target alone: the share that is right, or R², on every second sample."""
    edges = np.unique(np.quantile(column[::2], np.linspace(0, 1, 65)[1:-1]))
    bins = np.searchsorted(edges, column, side="right")
    known, asked = bins[::2], bins[1::2]
    counts = np.bincount(known, minlength=len(edges) + 1)
    if classes:
        table = np.zeros((len(edges) + 1, int(targets.max()) + 1))
        np.add.at(table, (known, targets[::2]), 1)
        return float(np.mean(table.argmax(axis=1)[asked] == targets[1::2]))
    # A straight line through each bin would be better; means of many bins are near enough to see what is the same.
    sums = np.bincount(known, weights=targets[::2].astype(np.float64), minlength=len(edges) + 1)
    told = np.where(counts > 0, sums / np.maximum(counts, 1), targets[::2].mean())[asked]
    spread = float(np.var(targets[1::2].astype(np.float64)))
    return 1 - float(np.mean((targets[1::2] - told) ** 2)) / spread if spread else 0.0
