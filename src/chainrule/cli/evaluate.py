"""`chainrule evaluate`: how well a run does on its test part, or on other data."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli.arguments import EngineName, OtherData, Quiet, RunFolder, SkipDamaged


def evaluate(
    run: RunFolder,
    data: OtherData = None,
    target: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The target's column, if it has another name there.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Further metrics: f1,roc_auc,recall_per_class,top_5 and so on."),
    ] = None,
    engine: EngineName = None,
    skip_damaged: SkipDamaged = False,
    quiet: Quiet = False,
) -> None:
    """Measure a run on its own test part, or on data it has not seen.

    Without DATA it is the test part of the data the run was trained on, which
    took no part in training. A further file is measured whole, and so is a
    folder of images, however large: it need not fit into memory.

    \b
    Examples:
      chainrule evaluate runs/digits-1
      chainrule evaluate runs/iris-1 more-flowers.csv
      chainrule evaluate runs/houses-1 houses-2024.csv --target sold_for
      chainrule evaluate runs/digits-1 --metrics roc_auc,recall_per_class
    """
    from chainrule.cli.choices import engine_name
    from chainrule.cli.results import tell_results
    from chainrule.cli.running import open_run
    from chainrule.cli.screen import say, say_entry
    from chainrule.cli.sources import all_for
    from chainrule.metrics.naming import as_metrics
    from chainrule.training.evaluating import refuse_other_metrics

    wanted = () if metrics is None else as_metrics([name.strip() for name in metrics.split(",")])
    found = open_run(run, engine_name(engine))
    samples, words = all_for(found, run, data, target, skip_damaged)
    if not quiet:
        say_entry("Run", f"{run}, after {found.epoch} epoch{'' if found.epoch == 1 else 's'}")
        say_entry("Data", words)
        say()
    refuse_other_metrics(wanted, samples, supervised=True)
    tell_results(found, samples, "Result", metrics=wanted, brief=quiet)
