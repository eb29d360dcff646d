"""The Typer application: every command, and what `chainrule --help` says to a newcomer."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli.augment import augment
from chainrule.cli.check import check
from chainrule.cli.diagnose import diagnose
from chainrule.cli.doctor import doctor
from chainrule.cli.evaluate import evaluate
from chainrule.cli.explain import explain
from chainrule.cli.generate import generate
from chainrule.cli.look import look
from chainrule.cli.predict import predict
from chainrule.cli.rate import rate
from chainrule.cli.report import report
from chainrule.cli.train import train

# Plain help instead of boxes: worked examples keep their lines, in 80 columns and in a pipe.
app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
for one in (train, rate, evaluate, predict, generate, report, look, explain, check, diagnose, augment, doctor):
    app.command()(one)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Say which version this is.")] = False,
) -> None:
    """Train neural networks, and look at every number inside.

    New here? In a minute you have trained a network that reads handwriting,
    and have seen where one of its numbers comes from:

    \b
      chainrule train digits        train on 1,797 handwritten digits; the end
                                    of its output says how to go on
      chainrule explain runs/digits-1 --sample 7
                                    one gradient, by the chain rule, in numbers
      chainrule check runs/digits-1 are all gradients right? measure it
      chainrule diagnose runs/digits-1
                                    what goes wrong in a training, and why
      chainrule look runs/digits-1  what it looks for, what it sees, where it errs
      chainrule train data.csv --target COLUMN
                                    the same for a table of your own
      chainrule train notes.txt --task language-model
                                    learn to write like a text

    `chainrule train --help` goes on from here, with examples. A run is a folder
    of plain files: evaluate, predict, generate, report, look, explain, check and
    diagnose take it.
    """
    if version:
        from chainrule import __version__

        typer.echo(f"chainrule {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit
