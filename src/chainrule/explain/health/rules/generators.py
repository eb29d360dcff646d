"""What goes wrong in a model that makes samples of noise: it has only few to show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.explain.health.rules.case import Case, Finding

#: What has been learned for fewer steps than these may not have begun to tell one noise from another.
_STEPS = 20
#: Healthy pairs stay above 0.35 from their first epoch on, and above 0.8 when they have learned; collapsed ones come
#: below 0.1.
_ALIKE = 0.2


def mode_collapse(case: Case, before: Sequence[Finding]) -> Iterator[Finding]:
    """Of samples made of noise, the nearest other is at less than a fifth of the distance that it has in the data."""
    if len(case.run.history) < _STEPS:
        return
    for one in case.health.varieties:
        if one.nearest < _ALIKE:
            yield Finding(
                "mode collapse",
                f"model {one.model}" if one.model else "the model",
                f"it makes {case.health.samples} samples of different noise that are all but "
                f"{'the same' if one.spread < _ALIKE else 'a few, again and again'}: the nearest other is at "
                f"{one.nearest:.2g} of the distance that it has among as many samples of the data, and they spread "
                f"over {one.spread:.2g} of what the data do",
                "a smaller learning rate for the one that makes, a judge that is larger or takes more steps, beta1=0.5 "
                "in Adam, more numbers of noise; a pair that has collapsed seldom recovers: begin anew",
            )
