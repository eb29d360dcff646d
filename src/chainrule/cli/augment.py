"""`chainrule augment`: a picture of what augmentations make of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.arguments import SkipDamaged
from chainrule.cli.imaging import image_options, make_augmentation
from chainrule.errors import ConfigurationError


def augment(
    data: Annotated[
        str,
        typer.Argument(metavar="DATA", help="digits, mnist, fashion-mnist, or a folder of images.", show_default=False),
    ],
    augment: Annotated[
        str, typer.Option(metavar="NAME=N,…", help="As for train: shift=2,rotate=15,elastic.")
    ] = "shift,rotate,zoom,elastic",
    output: Annotated[Path, typer.Option(metavar="FILE.png", help="The picture.")] = Path("augmented.png"),
    samples: Annotated[int, typer.Option(metavar="N", help="How many samples, a row each.")] = 8,
    versions: Annotated[int, typer.Option(metavar="N", help="How often each is changed.")] = 9,
    seed: Annotated[int, typer.Option(metavar="N", help="As for train: other numbers.")] = 0,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="As for train, of a folder of images.")] = None,
    colour: Annotated[str | None, typer.Option(metavar="NAME", help="As for train: grey or rgb.")] = None,
    fit: Annotated[str | None, typer.Option(metavar="NAME", help="As for train: crop or stretch.")] = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Draw what augmentations make of images: each as it is, and changed.

    \b
    Examples:
      chainrule augment digits --augment rotate=20,shift=1 --output digits.png
      chainrule augment mnist --augment elastic=34:4 --samples 4
      chainrule augment PHOTOS/ --augment flip,crop=0.4,colour=0.3
    """
    import numpy as np

    from chainrule.cli.running import writable
    from chainrule.cli.screen import say
    from chainrule.cli.sources import open_data, spread_over
    from chainrule.explain.augmented import draw_augmented

    for name, value, least, most in (
        ("samples", samples, 1, 100),
        ("versions", versions, 1, 100),
        ("seed", seed, 0, 2**32 - 1),
    ):
        if not least <= value <= most:
            raise ConfigurationError(f"--{name} is a whole number from {least} to {most}, not {value}")
    writable(output)
    parts = make_augmentation(augment)
    options = image_options({"size": size, "colour": colour, "fit": fit, "skip_damaged": skip_damaged})
    found, _, _ = open_data(data, None, [], None, images=options, as_images=True)
    train = spread_over(found)
    # Spread over all of them: folders come class by class.
    chosen = train.subset(np.linspace(0, len(train) - 1, min(samples, len(train))).astype(int))
    draw_augmented(parts, chosen, output, versions=versions, seed=seed)
    say(f"{len(chosen)} samples, each as it is and {versions} times changed, are in {output}")
