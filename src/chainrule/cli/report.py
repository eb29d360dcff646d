"""`chainrule report`: a page about a run, to open in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.arguments import EngineName, OtherData, RunFolder, SkipDamaged


def report(
    run: RunFolder,
    data: OtherData = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The target's column, if it has another name there.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it.  [default: report.html in RUN]")
    ] = None,
    engine: EngineName = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Write a page about a run: how it went, how well it does, how to do it again.

    One file of HTML, without a script, that loads nothing: curves, a confusion
    matrix or residuals, the data, the model, every setting, the command, the
    versions. `chainrule train` writes it at its end; this writes it anew, or
    for other data, or for a checkpoint.

    \b
    Examples:
      chainrule report runs/digits-1
      chainrule report runs/iris-1 more-flowers.csv --output more.html
      chainrule report runs/digits-1/checkpoints/best
    """
    from chainrule.cli.choices import engine_name
    from chainrule.cli.running import open_run, writable
    from chainrule.cli.screen import say
    from chainrule.cli.sources import data_for
    from chainrule.errors import DataError
    from chainrule.report import write_report

    found = open_run(run, engine_name(engine))
    if output is not None:
        writable(output)
    try:
        samples, words = data_for(found, run, data, target, skip_damaged)
    except DataError as error:
        if data is not None:
            raise
        say(f"it says nothing of how well the run does: {error}", error=True)
        samples, words = None, ""
    say(f"written to {write_report(found, output or run, samples, words)}")
