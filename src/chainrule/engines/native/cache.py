"""Compiled programs on disk: bounded, for its owner only, checked before use, safe under several writers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

_MAGIC = b"chainrule code 1\n"
_DIGEST = hashlib.sha256().digest_size
MAXIMUM_BYTES = 256 * 2**20


def folder() -> Path | None:
    """Where compiled programs are kept, or None where no folder belongs to this user alone.

    ``CHAINRULE_CACHE`` names another place, and "off" means none.
    """
    named = os.environ.get("CHAINRULE_CACHE", "")
    if named == "off":
        return None
    try:
        base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chainrule"
        place = base / "native"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = place.stat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            return None
        if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o022:
            # Whoever could write here could have us run what they like: nothing that lies here is trusted.
            place.chmod(0o700)
            for path in place.iterdir():
                path.unlink()
    except (OSError, RuntimeError):  # no home is a RuntimeError
        return None
    return place


def key(*parts: str) -> str:
    """The canonical name of a program: its text, the processor, the versions."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def read(name: str) -> bytes | None:
    """The code kept under a name, or None if there is none, or it is damaged: then it is removed."""
    place = folder()
    if place is None:
        return None
    path = place / name
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head = len(_MAGIC) + _DIGEST
    code = content[head:]
    if content[: len(_MAGIC)] != _MAGIC or content[len(_MAGIC) : head] != hashlib.sha256(code).digest():
        path.unlink(missing_ok=True)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # the least recently used go first
    return code


def write(name: str, code: bytes) -> None:
    """Keep code under a name; a full or read-only disk is no reason to stop."""
    place = folder()
    if place is None:
        return
    beside = place / f".{name}.{os.getpid()}"
    try:
        beside.write_bytes(_MAGIC + hashlib.sha256(code).digest() + code)
        os.replace(beside, place / name)
        _bound(place)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _bound(place: Path) -> None:
    entries = []
    for path in place.iterdir():
        with contextlib.suppress(OSError):
            found = path.stat()
            entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= MAXIMUM_BYTES:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
