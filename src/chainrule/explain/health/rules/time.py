"""What goes wrong with gradients on their way back through the steps of a recurrence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.data import Dataset
from chainrule.explain.health.rules.case import Case, Finding
from chainrule.explain.health.rules.data import CHANCE_AFTER, CHANCE_SAMPLES, chance
from chainrule.layers.recurrence import Looping
from chainrule.layers.recurrent import GRU, LSTM

#: Through fewer steps a trend is none.
_STEPS = 3
#: A thousandth arrives, or a thousand times as much; a millionfold tells by itself, however many steps it takes.
_MUCH, _HUGE = 1e3, 1e6
#: Gates forget on purpose: only what a step divides by more than this is a fault by itself.
_FORGETS = 2.0
#: What a step multiplies by is counted beyond this.
_GROWS = 1.5
#: Of what there is to be told, from none at 0 to all at 1: so much is nothing, and so much is enough.
_NOTHING, _ENOUGH = 0.1, 0.9


def vanishing_through_time(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """Under a thousandth of the gradient at the end comes to the first step: it halves at each, or nothing is learned.

    A network that needs only what is near forgets what is far, and well so: nothing is said of one that tells its data
    well. Where the gradient falls more slowly than by half it is told of one that has learned nothing in a hundred
    steps, by steps that move its weights, with no other fault.
    """
    for one in _trends(case):
        if one.first * _MUCH >= one.last:
            continue
        told = _told(case)
        halves, nothing = one.factor < 1 / _FORGETS, told.share < _NOTHING and not before
        if not (nothing or (halves and not told.share > _ENOUGH)):
            continue
        yield Finding(
            "vanishing through time",
            one.where,
            f"of the gradient at the end, {one.last:.2g}, {one.first:.2g} comes to the first step: each step divides "
            f"it by {1 / one.factor:.3g}, and a thousandth is left {one.within} steps before the end{told.words}",
            _remedy(case, one),
            ("a frozen layer", "learning rate too low", "no better than chance"),
        )


def exploding_through_time(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """It grows a thousandfold from the end to the first step, by more than half a step; or a millionfold."""
    # Where hardly anything moves and yet the loss rises, that is the noise of outputs that are huge.
    noise = ("learning rate too high",) if case.fastest < 1e-4 else ()
    for one in _trends(case):
        if one.first > _HUGE * one.last or (one.first > _MUCH * one.last and one.factor > _GROWS):
            yield Finding(
                "exploding through time",
                one.where,
                f"of the gradient at the end, {one.last:.2g}, {one.first:.2g} comes to the first step: each step "
                f"multiplies it by {one.factor:.3g}",
                "try clipping, Compose(ClipGlobalNorm(1.0), …), and orthogonal first weights of the recurrence (the "
                "default) or smaller ones: the same weights are met in each step, so that what they stretch is "
                "stretched each time",
                ("a frozen layer", "learning rate too low", *noise),
            )


@dataclass(frozen=True)
class _Trend:
    """The gradient at the first step of a recurrence and at its last.

    ``factor`` is what a step multiplies it by on its way back, ``within`` at how many steps a thousandth is left.
    """

    where: str
    path: str
    steps: int
    first: float
    last: float
    factor: float
    within: int


def _trends(case: Case) -> Iterator[_Trend]:
    """Of each recurrence, as a loop or written out."""
    for one in case.weighty:
        first, last, steps = one.first_gradient, one.gradient, one.uses - 1
        if steps >= _STEPS and 0 < first < np.inf and 0 < last < np.inf:
            factor = float((first / last) ** (1 / steps))
            within = math.ceil(math.log(1 / _MUCH) / math.log(factor)) if factor < 1 else steps
            yield _Trend(
                f"layer {one.path}, applied {one.uses} times", one.path, steps, first, last, factor, within
            )  # fmt: skip
    for loop in case.health.loops:
        if loop.reach >= _STEPS and loop.last > 0 and loop.factor == loop.factor:
            within = next((k for k, norm in enumerate(loop.norms) if norm * _MUCH < loop.last), loop.steps)
            yield _Trend(
                f"{loop.name}, {loop.steps} steps", loop.where, loop.steps, loop.first, loop.last, loop.factor, within
            )


def _remedy(case: Case, one: _Trend) -> str:
    found = [each.layer for each in case.run.layers if each.path == one.path and isinstance(each.layer, Looping)]
    layer = found[0] if found else None
    keeps = f"log({one.steps}) = {math.log(one.steps):.2g}, keeps a cell for about as many steps"
    if isinstance(layer, LSTM):
        helps = f"a larger forget_bias: the largest that is of use, {keeps}"
    elif isinstance(layer, GRU):
        helps = f"an LSTM, whose forget_bias says how long it keeps at first: {keeps}"
    else:
        helps = "gates, LSTM or GRU, or orthogonal first weights of the recurrence (the default)"
    return f"try {helps}; or shorter sequences, where what tells the answer comes nearer to it"


@dataclass(frozen=True)
class _Told:
    """How much of what there is to be told a network tells, from 0 to 1, in words too; NaN where nobody can say."""

    share: float = math.nan
    words: str = ""


def _told(case: Case) -> _Told:
    """Beside the one answer to all that is best: the most frequent class, the mean, the frequencies of the symbols."""
    data, run = case.data, case.run
    if (
        not isinstance(data, Dataset) or data.targets is None or data.weights is not None
        or run.model is None or run.step.measure is None
        or len(run.history) < CHANCE_AFTER or len(data) < CHANCE_SAMPLES or not case.fastest >= 1e-4
    ):  # fmt: skip
        return _Told()
    after = f"; and after {len(run.history):,} steps"
    if data.labels is not None:
        share, luck = chance(data.labels, len(data.classes or ()))
        right = run.evaluate(data).get("accuracy", math.nan)
        words = (
            f"{after} {right:.1%} of the data are right, where always saying the most frequent class gives {share:.1%}"
        )
        return _Told(0.0 if right <= share + luck else (right - share) / (1 - share), words)
    if data.symbolic:
        nats, entropy = run.evaluate(data).get("loss", math.nan), _entropy(data.targets)
        words = f"{after} a symbol costs {nats:.3g} nats, where always saying the same frequencies costs {entropy:.3g}"
        return _Told(1 - nats / entropy if entropy else math.nan, words)
    targets = np.asarray(run.preparation.target.forward(data.targets), np.float64)
    said = run.probabilities(data.inputs)
    if said.shape != targets.shape:
        return _Told()
    error, spread = float(np.mean((said - targets) ** 2)), float(np.mean((targets - targets.mean(0)) ** 2))
    words = f"{after} the squared error is {error:.3g}, where always saying the mean gives {spread:.3g}"
    return _Told(1 - error / spread if spread else math.nan, words)


def _entropy(targets: np.ndarray) -> float:
    """The nats of a symbol for one who knows how frequent each is at its position, and no more."""
    parts = [(len(asked), np.bincount(asked)) for asked in (one[one >= 0] for one in targets.T) if len(asked)]
    total = sum(size for size, _ in parts)
    return sum(-float(np.sum(some * np.log(some / size))) for size, n in parts for some in [n[n > 0]]) / max(total, 1)
