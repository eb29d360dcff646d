"""What a diagnosis says, as a section of the page: the verdict, the gradient by depth, the measures of each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from chainrule.data import Stream
from chainrule.engines.choose import choose
from chainrule.errors import ChainruleError
from chainrule.report.curves import Line, floats, line_chart
from chainrule.report.markup import Child, Markup, element
from chainrule.report.tables import cut, table

if TYPE_CHECKING:
    from chainrule.explain.health import Diagnosis
    from chainrule.run import Data, Run


def diagnosis_section(run: Run, data: Data) -> list[Child]:
    """Findings with their evidence and remedies, or that there are none; for a stream, that it cannot be made."""
    if isinstance(data, Stream):
        return [element("p", "A stream cannot be looked at twice; run.diagnose takes samples of it.", class_="soft")]
    from chainrule.explain.health import Probe, diagnose

    try:
        # One look: compiling the measuring graph would take longer than NumPy does.
        found = diagnose(run, data, Probe(run, data, choose("reference")), curvature=False)
    except ChainruleError as error:  # a step of one's own may want more than what it is measured with
        return [element("p", f"It could not be made: {error}", class_="soft")]
    return [*_verdict(found), *_by_depth(found), _layers(found)]


def _verdict(found: Diagnosis) -> list[Child]:
    if found.healthy:
        return [element("p", "Nothing found: by all rules this training is healthy.")]
    told: list[Child] = []
    for finding in found.findings:
        where = f" ({cut(finding.where)})" if finding.where else ""
        told.append(element("h3", f"{finding.name}{where}"))
        told.append(element("p", f"{finding.evidence[:1].upper()}{finding.evidence[1:]}."))
        told.append(element("p", f"→ {finding.remedy}"))
    return told


def _by_depth(found: Diagnosis) -> list[Child]:
    """The norms of the loss's gradient, and how far a step moves the weights, from the first layer to the last."""
    layers = found.health.layers
    places = floats(np.arange(len(layers)))
    if len(layers) < 2:
        return []
    norms = [
        Line("by its output", places, floats([one.gradient for one in layers]), "one"),
        Line("by its weights", places, floats([one.weight_gradient for one in layers]), "two"),
    ]
    moves = [Line("", places, floats([one.update for one in layers]), "three")]
    charts = [
        line_chart("gradient norm by depth", norms, across="layer"),
        line_chart("the next update beside the weights", moves, across="layer"),
    ]
    return [element("div", charts, class_="charts")]


def _layers(found: Diagnosis) -> Markup:
    heads, rows = found.table()
    words = f"The layers in numbers, on {found.health.samples:,} samples after step {found.health.step:,}"
    return element("details", element("summary", words), table(heads, rows, numbers=range(2, len(heads))))
