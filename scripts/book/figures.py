"""The figures of the site, each made by a command that anybody can run: `python -m scripts.book.figures` makes all.

A page says where one belongs in a comment, which is nothing where there is no site:

    <!-- figure: vanishing | Gradient norm by layer, in the first step. -->

What stands behind the bar is its caption; the site adds the command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MADE = Path("build") / "figures"
_COMMENT = re.compile(r"^<!-- figure: ([\w-]+) \| (.+?) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Figure:
    """A program in examples/ and its arguments."""

    example: str
    arguments: tuple[str, ...] = ("--picture", "{picture}")

    def command(self, name: str) -> list[str]:
        """What makes the picture, without the interpreter, from the root of the repository."""
        picture = MADE / f"{name}.png"
        return [f"examples/{self.example}.py", *(each.format(picture=picture, folder=MADE) for each in self.arguments)]


SHORT = ("--short", "--picture", "{picture}")
FIGURES = {
    "descent-parabola": Figure("descent", ("{folder}",)),
    "descent-contours": Figure("descent", ("{folder}",)),
    "learning-rates": Figure("learning_rates"),
    "batch-sizes": Figure("batch_sizes", ("--epochs", "5", "--picture", "{picture}")),
    "optimizer-paths": Figure("optimizer_paths"),
    "optimizer-race": Figure("optimizer_race"),
    "schedules": Figure("schedules_compared"),
    "warm-restarts": Figure("warm_restarts"),
    "second-order": Figure("second_order", SHORT),
    "vanishing": Figure("vanishing", ("--epochs", "2", "--picture", "{picture}")),
    "exploding": Figure("exploding", ("--seeds", "1", "--epochs", "20", "--picture", "{picture}")),
    "equal-weights": Figure("equal_weights"),
    "activations": Figure("activations"),
    "saturated-output": Figure("saturated_output"),
    "overfitting": Figure("overfitting"),
    "approximation": Figure("approximation", SHORT),
    "depth-and-width": Figure("depth_and_width", SHORT),
    "batch-norm-rates": Figure("batch_norm_rates", SHORT),
    "local-minima": Figure("local_minima", SHORT),
    "populations": Figure("populations", SHORT),
}


def named(text: str) -> list[str]:
    """The figures that a page asks for.

    >>> named("<!-- figure: vanishing | By layer. -->")
    ['vanishing']
    """
    return [name for name, _ in _COMMENT.findall(text)]


def with_figures(text: str) -> str:
    """A page with its figures in place of the comments."""

    def directive(found: re.Match[str]) -> str:
        name, caption = found.groups()
        picture = f"/{MADE.as_posix()}/{name}.png"
        made = f"`python {' '.join(FIGURES[name].command(name))}`"
        return f"```{{figure}} {picture}\n:alt: {caption}\n\n{caption} {made}\n```"

    return _COMMENT.sub(directive, text)


def make(names: list[str]) -> None:
    """Make the pictures that are not there, or are older than their program; a program that fails ends it."""
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT / "src")}
    for name in names:
        picture, figure = ROOT / MADE / f"{name}.png", FIGURES[name]
        program = ROOT / "examples" / f"{figure.example}.py"
        if picture.exists() and picture.stat().st_mtime > program.stat().st_mtime:
            continue
        print("python", *figure.command(name), flush=True)
        picture.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, *figure.command(name)]
        subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        if not picture.exists():
            raise FileNotFoundError(f"{' '.join(command)} did not write {picture}")


def set_up(app: Any) -> None:
    """Pages are read with their figures, which are there by then."""

    def read(app: Any, docname: str, source: list[str]) -> None:
        source[0] = with_figures(source[0])

    app.connect("source-read", read)


if __name__ == "__main__":
    make(sys.argv[1:] or list(FIGURES))
