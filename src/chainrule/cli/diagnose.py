"""`chainrule diagnose`: what goes wrong in a training, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli.arguments import EngineName, OtherData, RunFolder


def diagnose(
    run: RunFolder,
    data: OtherData = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The target's column, if it has another name there.")
    ] = None,
    engine: EngineName = None,
) -> None:
    """Say what goes wrong in a training: where, by what evidence, what helps.

    A table of the layers: what each gives, which part of it is dead or
    saturated, the gradient there, and how far a step moves its weights. Below
    it what was found: gradients that vanish, a learning rate that is too high,
    a column that gives the answer away. A healthy training has no findings.

    \b
    Examples:
      chainrule diagnose runs/digits-1
      chainrule diagnose runs/houses-1 houses.csv
    """
    from chainrule.cli.choices import engine_name
    from chainrule.cli.running import open_run
    from chainrule.cli.screen import say, say_entry
    from chainrule.cli.sources import data_for

    found = open_run(run, engine_name(engine))
    samples, words = data_for(found, run, data, target)
    say_entry("Run", f"{run}, after {found.epoch} epoch{'' if found.epoch == 1 else 's'}")
    say_entry("Data", words)
    say()
    say(str(found.diagnose(samples)))
