"""The reference engine: op -> NumPy, the definition of every op."""

from __future__ import annotations

from chainrule.engines.reference.engine import ReferenceEngine, ReferenceProgram
from chainrule.engines.reference.values import VALUES

__all__ = ["VALUES", "ReferenceEngine", "ReferenceProgram"]
