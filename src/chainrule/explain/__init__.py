"""Looking inside: where a gradient came from, whether it is right, and what a model is made of."""

from __future__ import annotations

from chainrule.explain.check import CheckRow, GradientCheck, check_gradients, check_graph

__all__ = ["CheckRow", "GradientCheck", "check_gradients", "check_graph"]
