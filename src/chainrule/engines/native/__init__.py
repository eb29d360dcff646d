"""The native engine."""

from __future__ import annotations

from chainrule.engines.native.engine import NativeEngine
from chainrule.engines.native.program import NativeProgram

__all__ = ["NativeEngine", "NativeProgram"]
