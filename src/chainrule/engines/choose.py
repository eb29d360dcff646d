"""The engine that is used when none is named; nothing is imported before it is asked for."""

from __future__ import annotations

from chainrule.engines.protocol import Engine
from chainrule.errors import EngineError

NAMES = ("reference",)


def choose(engine: str | Engine | None = None) -> Engine:
    """The engine of this name, the engine given, or the default.

    >>> choose("reference").name
    'reference'
    """
    if engine is None or engine == "reference":
        from chainrule.engines.reference import ReferenceEngine

        return ReferenceEngine()
    if isinstance(engine, str):
        raise EngineError(f"there is no engine {engine!r}; the engines are {', '.join(NAMES)}")
    return engine
