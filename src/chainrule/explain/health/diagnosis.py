"""A diagnosis: the measures of a run as a table, and findings in words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chainrule.explain.health.curvature import Curvature, curvatures
from chainrule.explain.health.measures import Health, Probe
from chainrule.explain.health.rules import RULES, Case, Finding
from chainrule.explain.tables import number_text, table

if TYPE_CHECKING:
    from chainrule.run import Data, Run

_WIDTH = 88


@dataclass(frozen=True)
class Diagnosis:
    """What was measured, and what was found: nothing, for a training that is healthy. It prints."""

    health: Health
    findings: tuple[Finding, ...]
    #: Of each descent of the step; empty if it was not measured.
    curvature: tuple[Curvature, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __contains__(self, name: object) -> bool:
        return any(finding.name == name for finding in self.findings)

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The layers in numbers, as texts: heads, and a row for each."""
        heads = ("layer", "", "mean", "deviation", "dead", "saturated", "gradient", "of weights", "update/weights")
        return heads, [
            (
                one.path or "model", one.activation,
                *(number_text(value, 3) for value in (one.mean, one.deviation)),
                *(_percent(value) for value in (one.dead, one.saturated)),
                *(number_text(value, 3) for value in (one.gradient, one.weight_gradient, one.update)),
            )
            for one in self.health.layers
        ]  # fmt: skip

    def __str__(self) -> str:
        heads, rows = self.table()
        lines = [f"after step {self.health.step:,}: loss {number_text(self.health.loss, 4)}", ""]
        lines += [*table(heads, rows, right=range(2, len(heads))), ""]
        for one in self.curvature:
            lines += [*textwrap.wrap(str(one), _WIDTH, subsequent_indent="  "), ""]
        if self.healthy:
            return "\n".join([*lines, "nothing found: by all rules this training is healthy"])
        for finding in self.findings:
            where = f" ({finding.where})" if finding.where else ""
            lines += textwrap.wrap(f"{finding.name}{where}: {finding.evidence}", _WIDTH, subsequent_indent="  ")
            lines += textwrap.wrap(f"→ {finding.remedy}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)


def diagnose(run: Run, data: Data, probe: Probe | None = None, *, curvature: bool = True) -> Diagnosis:
    """Measure a run on some data as it is now, and judge it by each of the rules.

    The measures are those of a training step on up to a batch of the data (128 samples at least): see `LayerHealth`.
    The rules see them, the data, and the history of the run; each has its threshold beside it. Data that were not
    trained on say the most: that a network has learned nothing of use shows there alone. With ``curvature`` the largest
    eigenvalue of the Hessian is found too, and the learning rate that it allows for: see `Curvature`. The run is left
    as it is. What another finding explains is not told beside it: see `Finding`.

    Raises `DataError` for a stream: take samples of it.

    >>> import chainrule as cr
    >>> train, test = cr.data.load("iris")
    >>> alike = cr.initializers.Constant(0.1)
    >>> run = cr.fit(cr.Chain(cr.Dense(8, cr.sigmoid, weight=alike), cr.Dense(3, weight=alike)), train)
    >>> [finding.name for finding in run.diagnose(test).findings]
    ['equal weights']
    """
    probe = probe or Probe(run, data)
    health = probe.look()
    case = Case(run, data, health)
    findings: list[Finding] = []
    for rule in RULES:
        explained = {name for finding in findings for name in finding.explains}
        findings.extend(finding for finding in rule(case, tuple(findings)) if finding.name not in explained)
    return Diagnosis(health, tuple(findings), curvatures(probe) if curvature else ())


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.0f} %"
