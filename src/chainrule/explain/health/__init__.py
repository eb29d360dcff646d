"""The health of a training: what is measured in it, and what goes wrong, why, and what helps."""

from __future__ import annotations

from chainrule.explain.health.curvature import Curvature
from chainrule.explain.health.diagnosis import Diagnosis, diagnose
from chainrule.explain.health.measures import Health, LayerHealth, Probe, gradient_through_time
from chainrule.explain.health.rules import Finding
from chainrule.explain.health.through_time import ThroughTime
from chainrule.explain.health.watching import Diagnose

__all__ = [
    "Curvature", "Diagnose", "Diagnosis", "Finding", "Health", "LayerHealth", "Probe", "ThroughTime", "diagnose",
    "gradient_through_time",
]  # fmt: skip
