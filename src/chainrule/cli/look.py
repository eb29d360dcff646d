"""`chainrule look`: what a network looks for, what it sees in a sample, and where it errs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.arguments import EngineName, OtherData, RunFolder, SkipDamaged
from chainrule.errors import ConfigurationError


def look(
    run: RunFolder,
    data: OtherData = None,
    what: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Some of the names above.  [default: all that this network allows]"),
    ] = None,
    sample: Annotated[int, typer.Option(metavar="N", help="Which sample, counted from 0.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "--out", metavar="PLACE", help="A folder for pictures, or one picture: look.png."),
    ] = None,
    label: Annotated[
        str | None, typer.Option("--class", metavar="NAME", help="Which class to ask for.  [default: what is said]")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="PATH", help='Which layer, as "2" or "4.0".  [default: one that suits]')
    ] = None,
    method: Annotated[
        str, typer.Option(metavar="NAME", help="The map: pca, or t-sne (by scikit-learn, an extra).")
    ] = "pca",
    engine: EngineName = None,
    skip_damaged: SkipDamaged = False,
) -> None:
    """Look inside a network: what it looks for, what it sees, where it errs.

    \b
      filters     the kernels of the first layer
      features    what a layer gives for the sample
      saliency    the gradient of the output by each pixel or column
      smooth      SmoothGrad, its mean among noise
      integrated  integrated gradients: parts that sum to the output
      grad-cam    where a layer finds what speaks for the output
      occlusion   how much the output falls where a patch is laid
      exciting    the inputs that excite the units of a layer most
      map         the samples in a plane, by the layer before the last
      mistakes    the surest ones, of all the data

    Numbers as tables, and with --output as pictures, by matplotlib.

    \b
    Examples:
      chainrule look runs/mnist-1 --sample 7 --output look.png
      chainrule look runs/mnist-1 --what saliency,grad-cam --class 3
      chainrule look runs/iris-1 --what integrated,mistakes
    """
    from chainrule.cli.choices import engine_name
    from chainrule.cli.running import open_run
    from chainrule.cli.screen import say, say_entry
    from chainrule.cli.sources import data_for
    from chainrule.explain.inside import WHAT
    from chainrule.explain.inside import look as look_into
    from chainrule.explain.inside.embedding import METHODS

    names = None if what is None else [name.strip() for name in what.split(",") if name.strip()]
    for name in names or []:
        if name not in WHAT:
            raise ConfigurationError(f"--what {name}: there is no such thing to look at; there are {', '.join(WHAT)}")
    if method not in METHODS:
        raise ConfigurationError(f"--method {method}: pca or t-sne")
    if output is not None:
        _drawable(output)
    found = open_run(run, engine_name(engine))
    samples, words = data_for(found, run, data, None, skip_damaged, labelled=False)
    if not 0 <= sample < len(samples):
        raise ConfigurationError(f"--sample {sample}: there are samples 0 to {len(samples) - 1:,} in {words}")
    if label is not None and (found.classes is None or label not in found.classes):
        there = "no classes" if found.classes is None else f"the classes {', '.join(found.classes[:20])}"
        raise ConfigurationError(f"--class {label}: the run has {there}")
    say_entry("Run", str(run))
    say_entry("Data", words)
    say()
    seen = look_into(found, samples, sample, names, output=label, layer=layer, method=method)
    say(str(seen))
    if output is not None:
        say()
        if not seen.panels:
            say("there is nothing to be drawn of this; no picture was written")
        else:
            written = seen.save(output)
            say(f"drawn in {', '.join(str(place) for place in written)}")


def _drawable(place: Path) -> None:
    """Refuse, before any work is done, where no picture could be drawn or written."""
    import chainrule.explain.pictures  # noqa: F401  matplotlib is an extra
    from chainrule.cli.running import writable

    if place.suffix.lower() == ".png":
        writable(place)
    elif place.exists() and not place.is_dir():
        raise ConfigurationError(f"--output {place} is a file; name a folder, or a picture that ends in .png")
