"""Run folders: named, claimed and opened; and the signals that end a training."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from chainrule.errors import ConfigurationError, RunFileError

if TYPE_CHECKING:
    from chainrule.engines.protocol import Engine
    from chainrule.run import Run

RUNS = "runs"


def command(*words: object) -> str:
    """A command to copy, each word quoted as the shell wants it.

    >>> command("check", "runs/my run")
    "chainrule check 'runs/my run'"
    """
    import shlex

    return " ".join([program(), *(shlex.quote(str(word)) for word in words)])


def spelled(name: str, options: Mapping[str, Any]) -> str:
    """A command with what was given to it, as it can be typed again.

    >>> spelled("train", {"data": "iris.csv", "seed": None, "ignore": ["id", "a b"], "batch_size": "32", "quiet": True})
    "chainrule train iris.csv --ignore id --ignore 'a b' --batch-size 32 --quiet"
    """
    words: list[object] = [options["data"]] if options.get("data") is not None else []
    for option, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if option != "data" and one is not None and one is not False:
                words += [f"--{option.replace('_', '-')}", *([] if one is True else [one])]
    return command(name, *words)


def program() -> str:
    """How this program can be called again as it was called now: it may be in an environment that is not on the path.

    >>> program()
    'chainrule'
    """
    import shlex
    import shutil
    import sys

    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "chainrule":
        python = "python" if _is_same(shutil.which("python"), sys.executable) else sys.executable
        return f"{shlex.quote(python)} -m chainrule"
    if called.stem != "chainrule" or _is_same(shutil.which("chainrule"), sys.argv[0]):
        return "chainrule"
    with contextlib.suppress(ValueError):
        called = called.absolute().relative_to(Path.cwd())
    return shlex.quote(str(called))


def _is_same(found: str | None, wanted: str) -> bool:
    # Links are not followed: the Python of an environment is a link to one that has none of its packages.
    return found is not None and Path(found).absolute() == Path(wanted).absolute()


def open_run(folder: Path, engine: str | Engine | None = None) -> Run:
    """The run in a folder, to be used with an engine; RunFileError says what is there instead."""
    from chainrule.fitting import load

    if not folder.exists():
        there = sorted(path.parent for path in Path(RUNS).glob("*/run.toml")) if Path(RUNS).is_dir() else []
        known = f"; there are {', '.join(str(path) for path in there[-8:])}" if there else ""
        raise RunFileError(f"there is no run folder {folder}{known}")
    if not folder.is_dir():
        raise RunFileError(f"{folder} is a file; a run is a folder, as runs/digits-1 is")
    return load(folder, engine=engine)


def claim_folder(wanted: Path | None, name: str) -> Path:
    """A folder for a new run, made now, so that two trainings never write into one."""
    from chainrule.formats.folder import is_run

    if wanted is not None:
        if wanted.is_dir() and any(wanted.iterdir()):
            there = f"holds a run; go on with it by --resume {wanted}" if is_run(wanted) else "has files in it"
            raise ConfigurationError(f"--output {wanted} {there}, or name another folder")
        _make(wanted, exist_ok=True)
        return wanted
    stem = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"
    taken = [path.name.removeprefix(f"{stem}-") for path in Path(RUNS).glob(f"{stem}-*")]
    number = 1 + max((int(text) for text in taken if text.isascii() and text.isdigit()), default=0)
    while True:
        folder = Path(RUNS) / f"{stem}-{number}"
        if _make(folder, exist_ok=False):
            return folder
        number += 1


def _make(folder: Path, *, exist_ok: bool) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        if exist_ok or not folder.is_dir():
            raise RunFileError(f"the folder {folder} could not be made: a file of that name is there") from None
        return False
    except OSError as error:
        raise RunFileError(
            f"the folder {folder} could not be made ({error.strerror or error}); name another place by --output"
        ) from error
    return True


@contextlib.contextmanager
def termination() -> Iterator[list[int]]:
    """A request to terminate is taken as Ctrl-C is; the list holds it afterwards."""
    requests: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return

    def ask(number: int, frame: FrameType | None) -> None:
        requests.append(number)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield requests
    finally:
        signal.signal(signal.SIGTERM, before)


def writable(path: Path) -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    if path.is_dir():
        raise ConfigurationError(f"--output {path} is a folder; name a file")
    folder = path.parent
    if not folder.is_dir():
        raise ConfigurationError(f"--output {path}: there is no folder {folder}")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigurationError(f"--output {path} is not writable")
