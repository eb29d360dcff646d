"""Compiled programs on disk: bounded, for its owner only, checked before use, safe under several writers."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile
import time
from pathlib import Path

_MAGIC = b"chainrule code 2\n"
_DIGEST = hashlib.sha256().digest_size
#: The files that are ours, those that are being written included: nothing else in the folder is ever touched.
_OURS = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{64}\..+")
MAXIMUM_BYTES = 256 * 2**20
#: Nobody takes so many seconds to write an entry.
_FORGOTTEN = 3600


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
        if not _owned(found):
            return None
        if _others_may_write(found):
            # Whoever could write here could have us run what they like: nothing that lies here is trusted.
            place.chmod(0o700)
            for path in _entries(place):
                path.unlink(missing_ok=True)
    except (OSError, RuntimeError):  # no home is a RuntimeError
        return None
    return place


def _entries(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if _OURS.fullmatch(path.name)]


def _owned(found: os.stat_result) -> bool:
    return not hasattr(os, "getuid") or found.st_uid == os.getuid()


def _others_may_write(found: os.stat_result) -> bool:
    return os.name == "posix" and bool(stat.S_IMODE(found.st_mode) & 0o022)


def key(*parts: str) -> str:
    """The canonical name of a program: its text, the processor, the versions."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode()
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.hexdigest()


def _seal(name: str, code: bytes) -> bytes:
    """The checksum of code under its name: an entry that was moved to another name is as good as damaged."""
    return hashlib.sha256(name.encode() + b"\n" + code).digest()


def read(name: str) -> bytes | None:
    """The code kept under a name, or None if there is none, or it is damaged: then it is removed."""
    place = folder()
    if place is None:
        return None
    path = place / name
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            # The folder was ours when it was looked at: this is the file that is read.
            content = file.read() if _owned(found) and not _others_may_write(found) else b""
    except OSError:
        return None
    head = len(_MAGIC) + _DIGEST
    code = content[head:]
    sound = content[:head] == _MAGIC + _seal(name, code)
    with contextlib.suppress(OSError):  # in a folder that is read-only, a damaged entry stays, and is not used
        if sound:
            os.utime(path)  # the least recently used go first
        else:
            path.unlink(missing_ok=True)
    return code if sound else None


def write(name: str, code: bytes) -> None:
    """Keep code under a name; a full or read-only disk is no reason to stop."""
    place = folder()
    if place is None:
        return
    beside = None
    try:
        # A name that no other writer has, be it a thread of this process; open to its owner only.
        descriptor, made = tempfile.mkstemp(prefix=f".{name}.", dir=place)
        beside = Path(made)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_MAGIC + _seal(name, code) + code)
        os.replace(beside, place / name)
        _bound(place)
    except OSError:
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)


def _bound(place: Path) -> None:
    """Remove what a killed writer left, and what was used longest ago, until what is left is small enough."""
    entries = []
    for path in _entries(place):
        with contextlib.suppress(OSError):
            found = path.stat()
            if path.name.startswith(".") and found.st_mtime < time.time() - _FORGOTTEN:
                path.unlink()
                continue
            entries.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= MAXIMUM_BYTES:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
