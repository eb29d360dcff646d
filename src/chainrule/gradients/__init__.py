"""Gradients: the rule table, and backpropagation as a function from graph to graph."""

from __future__ import annotations

from chainrule.gradients.formulas import formula, formula_of
from chainrule.gradients.rules import RULES, Rule, differentiable, nothing
from chainrule.gradients.transform import gradients, pull_back

__all__ = ["RULES", "Rule", "differentiable", "formula", "formula_of", "gradients", "nothing", "pull_back"]
