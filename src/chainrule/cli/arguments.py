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
SkipDamaged: TypeAlias = Annotated[
    bool, typer.Option("--skip-damaged", help="Leave out image files of DATA that cannot be read, and say which.")
]
EngineName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        help="native (compiled) or reference (NumPy).  [default: native, or what CHAINRULE_ENGINE says]",
    ),
]
