"""`chainrule check`: the gradients of a run beside differences of its loss."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli.arguments import OtherData, RunFolder, SkipDamaged


def check(
    run: RunFolder,
    data: OtherData = None,
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="How many samples the loss is taken over.")] = 8,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Chooses samples, directions and elements.")] = 0,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Check every gradient of a run by measuring it.

    Backpropagation says how the loss changes with each parameter. This moves
    the parameters a little, in random directions and one at a time, in double
    precision, and measures how the loss really changes. The exit code is 1 if
    they disagree anywhere.

    \b
    Examples:
      chainrule check runs/digits-1
      chainrule check runs/digits-1 --samples 32 --seed 5
    """
    from chainrule.cli.running import open_run
    from chainrule.cli.screen import say
    from chainrule.cli.sources import data_for

    found = open_run(run)
    chosen, _ = data_for(found, run, data, None, skip_damaged)
    result = found.check(chosen, samples=samples, seed=seed)
    say(str(result))
    if not result.passed:
        raise typer.Exit(1)
