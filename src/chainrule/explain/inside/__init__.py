"""Seeing inside a trained network: what it looks for, what it finds, what of a sample matters, and where it errs.

Each is a function of a run: numbers first, in arrays whose shapes are said; `look` gathers them, and draws them.
"""

from __future__ import annotations

from chainrule.explain.inside.embedding import Embedding, embedding
from chainrule.explain.inside.exciting import Excited, excite
from chainrule.explain.inside.filters import feature_maps, filters
from chainrule.explain.inside.grad_cam import grad_cam
from chainrule.explain.inside.looking import WHAT, Look, look
from chainrule.explain.inside.mistakes import Mistakes, mistakes
from chainrule.explain.inside.occlusion import occlusion
from chainrule.explain.inside.saliency import integrated_gradients, saliency, smooth_saliency
from chainrule.explain.inside.shapes import enlarged

__all__ = [
    "WHAT", "Embedding", "Excited", "Look", "Mistakes", "embedding", "enlarged", "excite", "feature_maps", "filters",
    "grad_cam", "integrated_gradients", "look", "mistakes", "occlusion", "saliency", "smooth_saliency",
]  # fmt: skip
