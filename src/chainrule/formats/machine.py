"""What made a checkpoint: versions, processor and cores; and what is another than it was."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from chainrule.engines.protocol import Engine

#: The sets of instructions that decide how sums are taken, the best first, as Linux names them.
_INSTRUCTIONS = ("avx512f", "avx2", "avx", "sse4_2", "sve", "asimd")
#: What is compared when a run is gone on with, and its name. How many cores there are changes no bit.
_COMPARED = {
    "chainrule": "chainrule", "python": "Python", "numpy": "NumPy", "llvmlite": "llvmlite", "machine": "",
    "processor": "", "instructions": "",
}  # fmt: skip


def made_with(engine: Engine) -> dict[str, Any]:
    """Versions, machine, processor, its instructions, and the cores that the engine shares its work between."""
    return {**_here(), "cores": int(getattr(engine, "cores", 1))}


def differences(before: Mapping[str, Any], engine: Engine) -> str:
    """What is another than when a run was saved, in one line; empty if nothing is."""
    now = made_with(engine)
    changed = [name for name in _COMPARED if name in before and before[name] != now[name]]
    cores = "cores" in before and before["cores"] != now["cores"]
    if not changed and not cores:
        return ""
    told = [f"{_COMPARED[name]} {before[name]!s:.60} then and {now[name]} now".strip() for name in changed]
    told += [f"{before['cores']} cores then and {now['cores']} now"] if cores else []
    bits = "its last bits may differ from those of a run that was never cut" if changed else "which changes no bit"
    return f"this is not what the run was saved with: {', '.join(told)}; {bits}"


@functools.cache
def _here() -> dict[str, str]:
    kind, processor, instructions = f"{platform.system()} {platform.machine()}", "", ""
    try:
        told: dict[str, str] = {}
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            told.setdefault(name.strip(), " ".join(value.split()))
        processor = told.get("model name", "")
        has = (told.get("flags") or told.get("Features") or "").split()
        instructions = next((name for name in _INSTRUCTIONS if name in has), "")
    except OSError:
        pass
    return {
        **{name: _version(name) for name in ("chainrule", "numpy", "llvmlite")},
        "python": platform.python_version(),
        "machine": kind,
        "processor": processor or platform.processor() or "unknown",
        "instructions": instructions or "unknown",
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
