"""`chainrule diagnose`: what goes wrong in a training, and why."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chainrule.cli.arguments import EngineName, OtherData, SkipDamaged
from chainrule.errors import ConfigurationError, NotFiniteError, RunFileError

if TYPE_CHECKING:
    from chainrule.data import Dataset
    from chainrule.run import Run

#: Enough to see a loss fall, and so few that nobody waits.
_STEPS = 300


def diagnose(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN|DATA", help="The folder of a run; or data, as for train.", show_default=False),
    ],
    data: OtherData = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column to predict; of DATA, if it has another name.")
    ] = None,
    engine: EngineName = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Say what goes wrong in a training: where, by what evidence, what helps.

    A table of the layers: what each gives, which part of it is dead or
    saturated, the gradient there, and how far a step moves its weights. Below
    it how much the loss curves, with the learning rate that plain descent bears
    there, and what was found: gradients that vanish, a learning rate that is
    too high, a column that gives the answer away. A healthy training has no
    findings.

    For data alone, a network as train would make it takes 300 steps first, and
    is not kept.

    \b
    Examples:
      chainrule diagnose runs/digits-1
      chainrule diagnose runs/houses-1 houses.csv
      chainrule diagnose houses.csv --target price
    """
    from chainrule.cli.choices import engine_name
    from chainrule.cli.running import open_run
    from chainrule.cli.screen import say, say_entry
    from chainrule.cli.sources import data_for

    if _is_data(run):
        if data is not None:
            raise ConfigurationError(f"{run} is no run, so it takes no other data: chainrule diagnose RUN DATA")
        found, samples = _tried(run, target, engine_name(engine), skip_damaged)
        told = f"none: the network that train would make, after {len(found.history)} steps"
        words = f"the part of {run} that train would learn from"
    else:
        if not Path(run).exists():
            raise RunFileError(f"there is no run folder {run}, and no data set of that name; there are {_names()}")
        found = open_run(Path(run), engine_name(engine))
        samples, words = data_for(found, Path(run), data, target, skip_damaged)
        told = f"{run}, after {found.epoch} epoch{'' if found.epoch == 1 else 's'}"
    say_entry("Run", told)
    say_entry("Data", words)
    say()
    say(str(found.diagnose(samples)))


def _names() -> str:
    from chainrule.data import names

    return ", ".join(names())


def _is_data(name: str) -> bool:
    """Whether this names data, and no folder."""
    from chainrule.cli.sources import TABLES, is_image_folder, is_name

    if Path(name).is_dir():
        return is_image_folder(name)
    return is_name(name) or Path(name).suffix.lower() in (*TABLES, ".npz")


def _tried(data: str, target: str | None, engine: str | None, skip_damaged: bool) -> tuple[Run, Dataset]:
    """A network as train would make it, after a few steps, and what it learned from."""
    from chainrule.cli.sources import spread_over
    from chainrule.cli.training import Plan, untrained

    settings = {"target": target, "skip_damaged": skip_damaged}
    run, (part, _, _) = untrained(data, {name: value for name, value in settings.items() if value}, Plan(), engine)
    with contextlib.suppress(NotFiniteError):  # which the diagnosis speaks of
        run.fit(part, steps=_STEPS, progress=False)
    return run, spread_over(part)
