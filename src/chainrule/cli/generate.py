"""`chainrule generate`: a language model goes on with a text."""

from __future__ import annotations

from typing import Annotated

import typer

from chainrule.cli.arguments import EngineName, RunFolder


def generate(
    run: RunFolder,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="What to go on with; may be given several times.  [default: the beginning of a line]",
            show_default=False,
        ),
    ] = None,
    length: Annotated[int, typer.Option(metavar="N", help="How many tokens to add.")] = 400,
    temperature: Annotated[
        float,
        typer.Option(metavar="NUMBER", help="Below 1 prefers what is probable; 0 takes the most probable each time."),
    ] = 1.0,
    top_k: Annotated[int | None, typer.Option(metavar="K", help="Draw among the K most probable only.")] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="P", help="Draw among the fewest most probable that have P together, such as 0.9."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="The same seed gives the same text; the next prompt takes the next seed.")
    ] = 0,
    engine: EngineName = None,
) -> None:
    """Go on with a text, by a run that has learned which token comes next.

    The text is written as it comes; Ctrl-C ends it.

    \b
    Examples:
      chainrule train notes.txt --task language-model
      chainrule generate runs/notes-1 --prompt "To be" --temperature 0.8
      chainrule generate runs/notes-1 --top-p 0.9 --length 1000 --seed 7
      chainrule generate runs/notes-1 --prompt "To be" --prompt "Or not"
    """
    from chainrule.cli.choices import engine_name
    from chainrule.cli.running import open_run

    found = open_run(run, engine_name(engine))
    texts = [
        found.generate_in_pieces(one, length, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed + number)
        for number, one in enumerate(prompt or [None])
    ]
    if not prompt:
        typer.echo(next(texts[0]).lstrip("\n"), nl=False)  # nobody gave the end of line that it begins with
    for number, text in enumerate(texts):
        if number:
            typer.echo()
        try:
            for piece in text:
                typer.echo(piece, nl=False)
        finally:
            typer.echo()
