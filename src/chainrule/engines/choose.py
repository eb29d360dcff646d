"""The engine that is used when none is named; nothing is imported before it is asked for."""

from __future__ import annotations

import importlib.util
import os

from chainrule.engines.protocol import Engine
from chainrule.errors import EngineError

NAMES = ("native", "reference")


def default() -> str:
    """The name of the engine that is used when none is named: native, unless llvmlite cannot be found.

    The variable ``CHAINRULE_ENGINE`` names another.
    """
    return os.environ.get("CHAINRULE_ENGINE") or ("native" if importlib.util.find_spec("llvmlite") else "reference")


def choose(engine: str | Engine | None = None, *, profile: bool = False) -> Engine:
    """The engine of this name, the engine given, or the default; by default, ops that native lacks go to the reference.

    With ``profile``, the native engine adds up where the time goes. Raises `EngineError` for a name that is not known,
    and for native where llvmlite is not installed.

    >>> choose("reference").name
    'reference'
    """
    name = default() if engine is None else engine
    if not isinstance(name, str):
        return name
    if name == "native":
        try:
            from chainrule.engines.native import NativeEngine
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "llvmlite":
                raise
            raise EngineError(
                "the native engine needs llvmlite, which is not installed: pip install llvmlite"
            ) from error
        return NativeEngine(profile=profile, otherwise=choose("reference") if engine is None else None)
    if name == "reference":
        from chainrule.engines.reference import ReferenceEngine

        return ReferenceEngine()
    raise EngineError(f"there is no engine {name!r}; the engines are {', '.join(NAMES)}")
