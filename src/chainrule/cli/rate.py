"""`chainrule rate`: which learning rate suits these data, this network and this optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.arguments import EngineName


def rate(
    data: Annotated[str, typer.Argument(show_default=False, metavar="DATA", help="As for train: a name, or a file.")],
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="As for train; so are those below.")] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="A column to leave out.")] = None,
    task: Annotated[str | None, typer.Option(metavar="KIND", help="classification or regression.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="simple_cnn, …, or a file.")] = None,
    hidden: Annotated[list[str] | None, typer.Option(metavar="N,N,…", help="Units of each hidden layer.")] = None,
    activation: Annotated[str | None, typer.Option(metavar="NAME", help="relu, tanh, …")] = None,
    batch_norm: Annotated[bool | None, typer.Option("--batch-norm", help="Normalise by the batch.")] = None,
    dropout: Annotated[float | None, typer.Option(metavar="PART", help="Part of the hidden units left out.")] = None,
    loss: Annotated[str | None, typer.Option(metavar="NAME", help="cross_entropy, mean_squared_error, …")] = None,
    optimizer: Annotated[str | None, typer.Option(metavar="NAME", help="sgd, adam, …")] = None,
    momentum: Annotated[float | None, typer.Option(metavar="NUMBER", help="Momentum of sgd or rmsprop.")] = None,
    nesterov: Annotated[bool | None, typer.Option("--nesterov", help="Momentum in Nesterov's form.")] = None,
    batch_size: Annotated[str | None, typer.Option(metavar="N", help="Samples a step, or all.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Chooses first weights and order.")] = None,
    dtype: Annotated[str | None, typer.Option(metavar="NAME", help="float32 or float64.")] = None,
    lowest: Annotated[float, typer.Option(metavar="NUMBER", help="The rate of the first step.")] = 1e-6,
    highest: Annotated[float, typer.Option(metavar="NUMBER", help="The rate of the last step.")] = 10.0,
    steps: Annotated[int, typer.Option(metavar="N", help="How many steps to take.")] = 200,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the curve as a picture, a PNG file, as well.")
    ] = None,
    engine: EngineName = None,
) -> None:
    """Find a learning rate: some steps with a rate that grows, and the curve of the loss.

    Nothing is kept. The suggestion is a quarter of the rate at which the smoothed
    loss was least; the command that trains with it is written below the curve.

    \b
    Examples:
      chainrule rate digits
      chainrule rate digits --optimizer adam --hidden 128,64
      chainrule rate iris.csv --target species --batch-size 8 --plot rate.png
    """
    options = {
        "target": target, "ignore": ignore, "task": task, "model": model, "hidden": hidden, "activation": activation,
        "batch_norm": batch_norm, "dropout": dropout, "loss": loss, "optimizer": optimizer, "momentum": momentum,
        "nesterov": nesterov, "batch_size": batch_size, "seed": seed, "dtype": dtype,
    }  # fmt: skip
    settings = {name: value for name, value in options.items() if value is not None}
    from chainrule.cli.choices import engine_name, told_optimizer
    from chainrule.cli.running import command
    from chainrule.cli.screen import say, width
    from chainrule.cli.training import Plan, untrained

    run, (part, _, _) = untrained(data, settings, Plan(), engine_name(engine))
    found = run.find_learning_rate(part, lowest=lowest, highest=highest, steps=steps)
    told = told_optimizer(run.optimizer, rate=False)
    say(f"{run.name}, {told}; {len(found.rates)} steps of {run.batch_size} samples\n")
    say(found.curve().drawn(width()))
    say()
    say((f"{found.suggestion:.2g}", "bold"), f": {found.reason}")
    if plot is not None:
        say(f"\nthe picture is {found.plot(plot)}")
    say()
    say(("Next", "bold"))
    again: list[object] = []
    for name, value in settings.items():
        option = f"--{name.replace('_', '-')}"
        values = value if isinstance(value, list) else [value]
        again += [option] if value is True else [piece for one in values for piece in (option, one)]
    say(f"  {command('train', data, *again, '--learning-rate', f'{found.suggestion:.2g}')}")
