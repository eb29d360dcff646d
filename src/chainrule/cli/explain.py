"""`chainrule explain`: where the gradient of one parameter comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli.arguments import OtherData, RunFolder, SkipDamaged
from chainrule.errors import ConfigurationError


def explain(
    run: RunFolder,
    data: OtherData = None,
    sample: Annotated[int, typer.Option(metavar="N", help="Which sample, counted from 0.")] = 0,
    parameter: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[I,J]", help='Which weight or bias, as "0.weight[3,2]".  [default: one that matters here]'
        ),
    ] = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Show how the gradient of one parameter came about.

    For one sample: the chain of local derivatives, each with its formula and
    its number, whose product along each path, summed over the paths, is the
    gradient; and beside it the gradient as measured by moving the parameter.

    "0.weight[3,2]" is layer 0, its weight from input 3 to unit 2.

    \b
    Examples:
      chainrule explain runs/digits-1 --sample 7
      chainrule explain runs/digits-1 --sample 7 --parameter "0.weight[28,3]"
      chainrule explain runs/iris-1 --sample 0 --parameter "1.bias[2]"
    """
    from chainrule.cli.running import open_run
    from chainrule.cli.screen import say
    from chainrule.cli.sources import data_for
    from chainrule.cli.telling import telling_parameter

    found = open_run(run)
    samples, words = data_for(found, run, data, None, skip_damaged)
    if not 0 <= sample < len(samples):
        raise ConfigurationError(f"--sample {sample}: there are samples 0 to {len(samples) - 1:,} in {words}")
    chosen = parameter or telling_parameter(found, samples, sample)
    say(str(found.explain(samples, sample, chosen)))
