"""From exceptions to exit codes: a mistake gets one clear message, and never a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from chainrule.cli.exits import BUG, INTERRUPTED, MISTAKE
from chainrule.cli.screen import prepare_streams, say, wrapped
from chainrule.errors import ChainruleError

TRACEBACK = "CHAINRULE_TRACEBACK"

#: What other tools call it -> what it is called here.
OPTION_NAMES = {
    "--lr": "--learning-rate", "--rate": "--learning-rate", "--eta": "--learning-rate", "--alpha": "--learning-rate",
    "--step-size": "--learning-rate", "--epoch": "--epochs", "--iterations": "--epochs", "--steps": "--max-steps",
    "--max-iter": "--max-steps", "--time": "--max-time", "--timeout": "--max-time", "--minutes": "--max-time",
    "--monitor": "--best", "--batch": "--batch-size", "--bs": "--batch-size", "--batches": "--batch-size",
    "--units": "--hidden", "--layers": "--hidden", "--hidden-layers": "--hidden", "--hidden-size": "--hidden",
    "--hidden-layer-sizes": "--hidden", "--neurons": "--hidden", "--label": "--target", "--labels": "--target",
    "--column": "--target", "--y": "--target", "--act": "--activation", "--nonlinearity": "--activation",
    "--opt": "--optimizer", "--optim": "--optimizer", "--solver": "--optimizer", "--cost": "--loss",
    "--criterion": "--loss", "--objective": "--loss", "--random-state": "--seed", "--random-seed": "--seed",
    "--precision": "--dtype", "--out": "--output", "--out-dir": "--output", "--save": "--output", "--dir": "--output",
    "--early-stopping": "--patience", "--tolerance": "--stop-loss", "--tol": "--stop-loss", "--continue": "--resume",
    "--checkpoint": "--resume", "--silent": "--quiet", "--param": "--parameter", "--weight": "--parameter",
    "--index": "--sample", "--proba": "--probabilities", "--drop": "--ignore", "--exclude": "--ignore",
}  # fmt: skip

#: How the library names what the command has an option for.
_LIBRARY_WORDS = (
    (re.compile(r"\bignore=\['([^']*)'\]"), r"--ignore '\1'"),
    (re.compile(r"\(ignore\)"), "(--ignore COLUMN)"),
    (re.compile(r"\btarget='([^']*)'"), r"--target '\1'"),
    (re.compile(r"\btask='(\w+)'"), r"--task \1"),
    (re.compile(r"\bsize=\((\d+), (\d+)\)(, \(height, width\))?"), r"--size \1x\2"),
    (re.compile(r"\bskip_damaged=True"), "--skip-damaged"),
    (re.compile(r"\b(colour|fit)='(\w+)'"), r"--\1 \2"),
    (re.compile(r"\bbuckets=[\[(]([\d, ]*?),?[\])]"), r"--buckets \1"),
    (re.compile(r"\bimages=True is for"), "what changes images is for"),
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    import typer

    prepare_streams()
    # What Pillow thinks of a file's metadata is no news to whoever wants its pixels; errors are told by file.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        from chainrule.cli.app import app

        command = typer.main.get_command(app)
        code = command.main(
            args=None if arguments is None else list(arguments), prog_name="chainrule", standalone_mode=False
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except typer.Abort:
        return _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> int:
    wanted = bool(os.environ.get(TRACEBACK))
    if wanted and not hasattr(error, "format_message"):
        raise error
    if isinstance(error, ChainruleError):
        return _refuse(library_words(str(error)))
    if hasattr(error, "format_message"):  # a usage error, of whichever Click there is in Typer
        return _refuse(_usage(error))
    if isinstance(error, BrokenPipeError):
        return BUG
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        full = "; free some space, or write to another disk" if error.errno == errno.ENOSPC else ""
        return _refuse(f"{where}{error.strerror or error}{full}")
    if isinstance(error, MemoryError):
        return _refuse("there is not enough memory for this: take fewer samples, or a smaller --hidden or --batch-size")
    kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    _refuse(
        f"this is a bug in chainrule: {kind}\nRun it again with {TRACEBACK}=1 to see where, and please report that."
    )
    return BUG


def _refuse(message: str) -> int:
    with contextlib.suppress(OSError):
        say(("chainrule: ", "bold red"), wrapped(message, rest="  ") if sys.stderr.isatty() else message, error=True)
    return MISTAKE


def _interrupted() -> int:
    say("interrupted", error=True)
    return INTERRUPTED


def library_words(message: str) -> str:
    """A message of the library with the command's options in place of the library's arguments.

    >>> library_words("leave it out: ignore=['name'], or remove it")
    "leave it out: --ignore 'name', or remove it"
    """
    for pattern, words in _LIBRARY_WORDS:
        message = pattern.sub(words, message)
    return message


def _usage(error: Any) -> str:
    message = str(error.format_message()).strip()
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "chainrule")
    option = getattr(error, "option_name", None)
    if option is not None and getattr(error, "possibilities", False) is not False:
        message = f"there is no option {option}"
        known = [name for one in context.command.params for name in one.opts] if context is not None else []
        name = OPTION_NAMES.get(f"--{option.lstrip('-').lower().replace('_', '-')}")
        dashed = option.lower().replace("_", "-")
        if name in known:
            message += f"; the name is {name}"
        elif dashed in known:
            message += f"; did you mean {dashed}?"
        else:
            close = _near(dashed, known)
            message += f"; did you mean {' or '.join(close)}?" if close else ""
    return f"{message}\n`{path} --help` shows what there is"


def _near(name: str, known: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(name, [one for one in known if one.startswith("--")], n=2, cutoff=0.6)
