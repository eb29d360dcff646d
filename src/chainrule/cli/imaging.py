"""Words of the command line for images: sizes, colours and augmentations; and image files in the form a run knows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.choices import one_of
from chainrule.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chainrule.augmentation import Augmentation
    from chainrule.data.image_form import ImageForm
    from chainrule.run import Run

#: Options of `chainrule train` that say how the files of a folder become images.
OPTIONS = ("size", "colour", "fit", "skip_damaged")
COLOURS, FITS, KINDS = ("grey", "rgb"), ("crop", "stretch"), ("image", "digit")
#: Names for --augment, the classes in chainrule.augmentation, and what each has if nothing is said.
AUGMENTATIONS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "shift": ("Shift", (2,)), "rotate": ("Rotate", (15,)), "zoom": ("Zoom", (0.1,)), "shear": ("Shear", (10,)),
    "flip": ("Flip", ()), "crop": ("Crop", (0.3,)), "elastic": ("Elastic", (34, 4)),
    "brightness": ("Brightness", (0.2,)), "contrast": ("Contrast", (0.2,)), "colour": ("Colour", (0.3,)),
    "cutout": ("Cutout", (8,)), "noise": ("PixelNoise", (0.05,)), "mixup": ("Mixup", (0.2,)),
    "cutmix": ("CutMix", (1.0,)),
}  # fmt: skip
_BLOCK, _BYTES = 256, 1 << 26  # so many files are read at a time, and no more bytes of pixels


def image_size(value: str) -> tuple[int, int]:
    """Height and width, from "28x20" or "28".

    >>> image_size("28x20"), image_size("32")
    ((28, 20), (32, 32))
    """
    found = re.fullmatch(r"(\d{1,5})(?:[x×](\d{1,5}))?", value.strip().lower())
    if found is None or not int(found[1]) or found[2] == "0":
        raise ConfigurationError(f"--size {value!r} is no height and width in pixels, such as 32x32 or 32")
    return int(found[1]), int(found[2] or found[1])


def image_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was said of images, as `chainrule.data.load` takes it, in plain values."""
    found: dict[str, Any] = {}
    if settings.get("size") is not None:
        found["size"] = list(image_size(settings["size"]))
    for name, known in (("colour", COLOURS), ("fit", FITS)):
        if settings.get(name) is not None:
            found[name] = one_of(f"--{name}", settings[name], known)
    if settings.get("skip_damaged"):
        found["skip_damaged"] = True
    return found


def make_augmentation(text: str | None) -> list[Augmentation]:
    """What "shift=2,rotate=15,elastic=34:4" names; numbers that are left out are the usual ones.

    >>> make_augmentation("shift=1,mixup")
    [Shift(outside='edge', pixels=1, whole=True), Mixup(alpha=0.2)]
    """
    from chainrule import augmentation

    found: list[Augmentation] = []
    for part in [] if text is None else text.split(","):
        word, _, given = part.partition("=")
        name = one_of("--augment", word, list(AUGMENTATIONS))
        kind, usual = AUGMENTATIONS[name]
        numbers = usual
        if given:
            try:
                numbers = tuple(_number(one) for one in given.split(":"))
            except ValueError:
                raise ConfigurationError(f"--augment {part}: {given!r} is no number, as in {name}=2") from None
        try:
            found.append(getattr(augmentation, kind)(*numbers))
        except TypeError:
            raise ConfigurationError(f"--augment {part}: too many numbers") from None
    return found


def told_augmentation(augmentation: Augmentation | None) -> list[str]:
    """What changes the images, in words, if anything does.

    >>> from chainrule.augmentation import Augmentations, Elastic, Shift
    >>> told_augmentation(Augmentations(Shift(2), Elastic()))
    ['changed by Shift 2, Elastic 34:4']
    """
    words = dict(AUGMENTATIONS.values())
    told = []
    for part in () if augmentation is None else getattr(augmentation, "parts", (augmentation,)):
        kind = type(part).__name__
        names = [name for name in getattr(part, "__match_args__", ()) if name != "outside"][: len(words.get(kind, ()))]
        numbers = ":".join(f"{getattr(part, name):g}" for name in names)
        told.append(f"{kind} {numbers}".strip())
    return [f"changed by {', '.join(told)}"] if told else []


def wants_images(augmentations: Sequence[Augmentation]) -> bool:
    """Whether one of them is for images alone: mixing samples and noise serve any."""
    from chainrule.augmentation import Mixup, PixelNoise

    return any(not isinstance(part, Mixup | PixelNoise) for part in augmentations)


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def image_form(run: Run) -> ImageForm:
    """The form in which a run sees images; DataError if it does not see any."""
    from chainrule.data.image_form import ImageForm

    known = run.preparation.images
    if known is not None:
        return known
    shape, kind = run.spec.arrays["inputs"] if run.spec is not None else ((), "")
    sizes = shape if len(shape) > 1 else run.preparation.shape
    if kind != "uint8" or len(sizes) not in (2, 3) or sizes[2:] not in ((), (1,), (3,)):
        raise DataError(f"{run.name or 'the run'} was trained on samples of {list(shape)} ({kind}), not on images")
    return ImageForm(sizes[0], sizes[1], sizes[2] if len(sizes) == 3 else 1)


def read_blocks(
    run: Run, paths: Sequence[Path], kind: str | None, fit: str | None, skipped: list[str] | None
) -> Iterator[tuple[list[Path], NDArray[Any]]]:
    """Files with their samples, some at a time; what cannot be read is put into ``skipped``, or refused without it."""
    import numpy as np

    from chainrule.data.image_files import read_image

    form = image_form(run)
    if kind is not None:
        form = replace(form, kind=one_of("--as", kind, KINDS))
    if fit is not None:
        form = replace(form, fit=one_of("--fit", fit, FITS))
    shape = run.spec.arrays["inputs"][0] if run.spec is not None else form.shape
    block = max(1, min(_BLOCK, _BYTES // math.prod(form.shape)))
    for start in range(0, len(paths), block):
        kept: list[Path] = []
        images: list[NDArray[Any]] = []
        for path in paths[start : start + block]:
            try:
                images.append(read_image(path, form))
            except DataError as error:
                if skipped is None:
                    raise
                skipped.append(str(error))
                continue
            kept.append(path)
        if kept:
            yield kept, in_range(run, np.stack(images)).reshape(len(kept), *shape)


def in_range(run: Run, images: NDArray[Any]) -> NDArray[Any]:
    """Images of 0 … 255 in the range of the data a run knows: the small digits that come along go to 16."""
    import numpy as np

    scale, shift = run.preparation.scale, run.preparation.shift
    if run.preparation.images is not None or not isinstance(scale, float) or shift != 0.0 or scale < 1 / 127:
        return images  # from about 128 on it is the brightest of some data that makes the scale, not what they go to
    highest = round(1 / scale)
    return ((images.astype(np.int64) * highest + 127) // 255).astype(np.uint8)
