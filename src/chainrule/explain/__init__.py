"""Looking inside: where a gradient came from, whether it is right, and what a model is made of."""

from __future__ import annotations

from chainrule.explain.check import CheckRow, GradientCheck, check_gradients, check_graph
from chainrule.explain.derivation import Explanation, explain

__all__ = ["CheckRow", "Explanation", "GradientCheck", "check_gradients", "check_graph", "explain"]
