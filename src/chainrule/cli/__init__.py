"""The command `chainrule`: a command a file, on the public face of the library."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and give its exit code: 0, 1 for a check that failed, 2 for a mistake, 130 for Ctrl-C.

    >>> main(["--version"])
    chainrule ...
    0
    """
    from chainrule.cli.guard import run

    return run(arguments)
