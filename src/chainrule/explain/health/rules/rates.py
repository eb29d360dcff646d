"""What goes wrong by the learning rate: too high, too low, not finite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chainrule.explain.health.rules.case import Case, Finding
from chainrule.optimizers import DeltaBarDelta, Rprop

#: How far a loss has to rise, and where it has to stand at the end, both beside where it began, to be a finding.
_ROSE = ((1.1, 1.1), (1.25, 0.95), (2.0, 0.75), (3.0, 0.5))
_WHOLE_SETS = "batch_size=None: this optimizer finds its own rates from signs, which the noise of small batches turns"


def rate_too_high(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """The loss has risen; or it rose on its way, and the less has come back the less it had to rise."""
    losses = case.losses
    if len(losses) < 10:
        return
    start, peak, end = case.beginning, losses.max(), float(np.median(losses[-len(losses) // 5 :]))
    if start > 0 and any(peak > rise * start and end > back * start for rise, back in _ROSE):
        # Small steps at the end tell nothing: units may have died meanwhile.
        far = (
            f"; a step changes the weights of a layer by up to {case.fastest:.2g} of their size (about 0.001 is usual)"
            if case.fastest > 1e-3
            else ""
        )
        yield Finding(
            "learning rate too high",
            "",
            f"the loss began at {start:.3g}, rose to {peak:.3g} and stands at {end:.3g}{far}",
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
    """The loss has fallen by less than a twentieth in 20 steps or more, and no weights move by 1e-4 of their size."""
    losses = case.losses
    if len(case.run.history) < 20 or not len(losses):  # a step of one's own may record no "loss"
        return
    start, end = case.beginning, losses[-len(losses) // 10 :].mean()
    largest = case.fastest
    if 0.95 * start < end <= 1.1 * start and largest < 1e-4:
        yield Finding(
            "learning rate too low",
            "",
            f"in {len(case.run.history):,} steps the loss went from {start:.4g} to {end:.4g}, and a step changes the "
            f"weights of no layer by more than {largest:.2g} of their size (about 0.001 is usual)",
            "ten times the learning rate; run.find_learning_rate(data) or `chainrule rate` looks for one",
        )
