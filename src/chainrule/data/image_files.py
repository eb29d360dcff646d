"""One image file as an array: whatever Pillow reads, checked before it is decoded, upright, 8 bits, grey or RGB."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.image_form import ImageForm
from chainrule.data.png_sums import check_sums
from chainrule.errors import ChainruleError, DataError, MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

#: An image of more pixels is refused by its header, before memory is taken for it.
MAXIMUM_PIXELS = 50_000_000
_GREY = ("1", "L", "LA", "La", "I")
_SIDEWAYS = (5, 6, 7, 8)  # the orientations of a camera that was turned by 90°
_ORIENTATION = 0x0112


class Header(NamedTuple):
    """What the beginning of a file says of an image, upright."""

    height: int
    width: int
    grey: bool
    animated: bool


def read_header(path: Path, maximum_pixels: int = MAXIMUM_PIXELS) -> Header:
    """Size and colours of an image, without decoding it; DataError for what is no image, or too large a one."""
    with _opened(path, maximum_pixels) as image:
        width, height = image.size
        # The orientation of a PNG may stand after its pixels: it is not looked for there, only when they are read.
        if image.format != "PNG" or "exif" in image.info:
            sideways = image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
            if sideways and image.format == "TIFF":  # whether Pillow has turned it already depends on its version
                width, height = _upright(image).size
            elif sideways:
                width, height = height, width
        return Header(height, width, _is_grey(image), bool(getattr(image, "is_animated", False)))


def read_image(
    path: str | Path, form: ImageForm | None = None, *, maximum_pixels: int = MAXIMUM_PIXELS
) -> NDArray[np.uint8]:
    """An image as uint8 (height, width, channels), in a form, or as it is: 1 channel if it is grey, or else 3 (RGB).

    Cameras' orientation is followed; transparent parts show white; 16 bits become 8; of an animation it is the first
    picture; colour profiles are left aside. The sums of a PNG's parts are checked; other kinds have none, so of them a
    changed byte is found only where it makes no sense. Raises DataError, naming the file, for what is no image,
    damaged, cut short, empty, or larger than ``maximum_pixels``; MissingExtraError where Pillow is not installed.
    """
    path = Path(path)
    with _opened(path, maximum_pixels, whole=True) as image:
        if form is not None and form.kind == "image":
            # JPEG can be decoded at a half, a quarter or an eighth; twice what is needed leaves the scaling its choice.
            side = 2 * max(form.height, form.width)
            image.draft(None, (side, side))
        upright = _upright(image)
        grey = _is_grey(image) if form is None else form.channels == 1
        found = _eight_bits(upright, path).convert("L" if grey else "RGB")
    if form is None:
        return np.asarray(found).reshape(found.height, found.width, -1).copy()
    if form.kind == "digit":
        from chainrule.data.handwriting import as_digit

        try:
            return as_digit(np.asarray(found), form.height, form.width)[..., None]
        except DataError as error:
            raise DataError(f"{path}: {error}") from None
    return np.asarray(_fitted(found, form)).reshape(form.shape).copy()


@contextmanager
def _opened(path: Path, maximum_pixels: int, whole: bool = False) -> Iterator[Image]:
    """The image of a file, not decoded yet; whatever Pillow raises while it is used becomes a DataError.

    If the ``whole`` file is to be read, its sums are checked first, where its kind has any.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise MissingExtraError("Pillow", "images", "reading image files") from None
    _refuse_no_file(path)
    try:
        with path.open("rb") as file, Image.open(file) as image:
            width, height = image.size
            if width * height > maximum_pixels:
                raise DataError(
                    f"{path}: is {width:,}×{height:,} pixels; up to {maximum_pixels:,} are read, since a small "
                    "file may claim any size. If it is meant, make the image smaller, or, in Python, raise "
                    "maximum_pixels"
                )
            if width * height == 0:
                raise DataError(f"{path}: is {width}×{height} pixels, so there is nothing in it")
            if image.format == "EPS":
                raise DataError(f"{path}: is PostScript, which would have to be run; save it as PNG")
            if whole and image.format == "PNG":
                check_sums(file)
            yield image
    except (ChainruleError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{path}: too large an image for Pillow ({str(error).partition(',')[0]}). If it is meant, make the image "
            "smaller, or, in Python, raise PIL.Image.MAX_IMAGE_PIXELS and maximum_pixels"
        ) from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file any more") from error
    except PermissionError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{path}: is no image of a kind that is known, whatever it is named, or its beginning is damaged"
        ) from error
    except Exception as error:  # Pillow's decoders raise much: OSError, SyntaxError, ValueError, struct.error, …
        raise DataError(f"{path}: is damaged or cut short ({error!s:.100})") from error


def _refuse_no_file(path: Path) -> None:
    """Before it is opened, since what is no file may never answer."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # links that lead in a circle, a folder that may not be looked into, …
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: not a file")
    if not found.st_size:
        raise DataError(f"{path}: is empty, 0 bytes")


def _is_grey(image: Image) -> bool:
    if image.mode != "P":
        return image.mode in _GREY or image.mode.startswith("I;16")
    palette = np.asarray(image.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())


def _upright(image: Image) -> Image:
    from PIL import ImageOps

    image.load()
    ImageOps.exif_transpose(image, in_place=True)  # a large image is not copied for it
    return image


def _eight_bits(image: Image, path: Path) -> Image:
    """An image of 8 bits a channel without transparency, grey, RGB or CMYK."""
    from PIL import Image as Pillow

    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise DataError(f"{path}: holds numbers from {values.min():,} to {values.max():,}; 8 or 16 bits are read")
        levels = values.astype(np.uint32)
        levels *= 255
        levels += 0x7FFF
        levels //= 0xFFFF
        return Pillow.fromarray(levels.astype(np.uint8))
    if image.mode == "F":
        raise DataError(f"{path}: holds floating-point numbers, so what is black and white in it is not known")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        clear = image if image.mode == "RGBA" else image.convert("RGBA")
        paper = Pillow.new("RGB", clear.size, "white")
        paper.paste(clear, (0, 0), clear)
        return paper
    return image if image.mode != "P" else image.convert("RGB")


def _fitted(image: Image, form: ImageForm) -> Image:
    from PIL import Image as Pillow
    from PIL import ImageOps

    size = form.width, form.height
    if image.size == size:
        return image
    if form.fit == "stretch":
        return image.resize(size, Pillow.Resampling.BILINEAR)
    return ImageOps.fit(image, size, Pillow.Resampling.BILINEAR)


class ImageFiles:
    """Image files in the place of an array (samples, height, width, channels) of uint8: read when they are looked at.

    ``files[3:5]`` and ``files[[7, 2]]`` read so many of them. Memory is what is asked for, and one image.
    """

    ndim = 4
    dtype = np.dtype(np.uint8)

    def __init__(self, paths: tuple[Path, ...], form: ImageForm, maximum_pixels: int = MAXIMUM_PIXELS) -> None:
        self.paths, self.form, self.maximum_pixels = paths, form, maximum_pixels

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(samples, height, width, channels)."""
        return (len(self.paths), *self.form.shape)

    @property
    def nbytes(self) -> int:
        """What all of them would take."""
        return int(np.prod(self.shape, dtype=np.int64))

    def read(self, place: int) -> NDArray[np.uint8]:
        """One image."""
        return read_image(self.paths[place], self.form, maximum_pixels=self.maximum_pixels)

    def __getitem__(self, rows: Any) -> NDArray[np.uint8]:
        places = np.atleast_1d(np.arange(len(self))[rows])
        found = np.empty((len(places), *self.form.shape), np.uint8)
        for row, place in enumerate(places.tolist()):
            found[row] = self.read(place)
        return found
