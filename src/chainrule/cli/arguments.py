"""The arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

RunFolder: TypeAlias = Annotated[
    Path, typer.Argument(metavar="RUN", help="The folder of a run, as runs/digits-1.", show_default=False)
]
OtherData: TypeAlias = Annotated[
    str | None,
    typer.Argument(metavar="DATA", help="Other data than the run's own test part.", show_default=False),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", help="Write the result only.")]
EngineName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="native (compiled) or reference (NumPy).  [default: native, or what CHAINRULE_ENGINE says]",
    ),
]
