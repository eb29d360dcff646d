"""Folders of images as data sets: in memory, in a file that is mapped into memory, or read while a training goes on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.image_files import MAXIMUM_PIXELS, Header, ImageFiles, read_header
from chainrule.data.image_form import ImageForm, as_channels, as_size
from chainrule.data.image_listing import Listing, list_images, parts_of
from chainrule.data.preparation import Preparation
from chainrule.data.streams import Stream, stream
from chainrule.errors import ChainruleError, ConfigurationError, DataError, StreamError

#: More than this is not read into memory.
MAXIMUM_BYTES = 4 << 30
#: What is held out of a folder that is not read into memory is, and takes no more than this.
MAXIMUM_HELD = 1 << 29
_TESTED = 0.2


def images(
    folder: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    colour: str | None = None,
    fit: str = "crop",
    classes: Sequence[str] | None = None,
    labels: Mapping[str, Any] | None = None,
    skip_damaged: bool = False,
    into: str | Path | None = None,
    maximum_pixels: int = MAXIMUM_PIXELS,
) -> Dataset:
    """A folder of images as a data set: uint8 (samples, height, width, channels), which the graph brings into 0 … 1.

    One folder a class, whose name is the class's; or all images in one folder, without classes, or with ``labels``, the
    class of each by its file's name. ``classes`` gives the order of the classes. Images are of one size, or ``size``
    (height, width) brings them to it, and ``fit`` says how: "crop" scales and cuts off what stands over, "stretch"
    scales each side by itself. ``colour`` is "grey" or "rgb"; without it, grey if all of them are. `read_image` says
    what becomes of transparency, 16 bits and the like. A damaged file is named, and left out only if ``skip_damaged``.

    ``into`` names a .npy file to be written, which is mapped into memory, for more images than fit in there; give the
    data set to `stream`, and a thread reads it while the training goes on.

    The ``note`` says what was left out. Raises DataError, naming the file, for images of several sizes, damaged ones,
    links that lead out of the folder, and the like; MissingExtraError where Pillow is not installed.

    Differs from: Keras and PyTorch, which scale whatever sizes come, or fail in the middle of an epoch.
    """
    survey = _surveyed(folder, size, colour, fit, classes, labels, skip_damaged, maximum_pixels)
    return _as_dataset(folder, survey, classes is not None, skip_damaged, into)


def image_stream(
    folder: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    colour: str | None = None,
    fit: str = "crop",
    classes: Sequence[str] | None = None,
    labels: Mapping[str, Any] | None = None,
    maximum_pixels: int = MAXIMUM_PIXELS,
) -> Stream:
    """A folder of images as a stream: files are read and decoded while the training goes on, by a thread beside it.

    The arguments are those of `images`; the order is that of `fit`, shuffled by the run's seed. Each image is decoded
    once an epoch: where that takes longer than the training, ``images(…, into="images.npy")`` decodes it once for all.
    A damaged file ends the stream with a `StreamError` that names it.
    """
    return _as_stream(folder, _surveyed(folder, size, colour, fit, classes, labels, False, maximum_pixels))


def load_images(
    folder: Path, *, size: Any, colour: str | None, fit: str, skip_damaged: bool, seed: int
) -> tuple[Dataset, Dataset]:
    """A folder as a training and a test part: its own, in folders named train and test, or split by ``seed``."""
    train, test = open_images(
        folder, size=size, colour=colour, fit=fit, skip_damaged=skip_damaged, seed=seed, streamed=False
    )
    assert isinstance(train, Dataset)
    assert isinstance(test, Dataset)
    return train, test


def open_images(
    folder: Path, *, size: Any, colour: str | None, fit: str, skip_damaged: bool, seed: int, streamed: bool = True
) -> tuple[Dataset | Stream, Dataset | Stream]:
    """As `load_images`, but of a folder that takes more than ``MAXIMUM_BYTES`` the training part is a stream.

    So is a test part in a folder of its own, if it takes as much; what is split off for the test lies in memory. With
    ``skip_damaged`` each image of a stream is decoded once beforehand, to see which cannot be.
    """
    settings: dict[str, Any] = {"size": size, "colour": colour, "fit": fit, "skip_damaged": skip_damaged}
    parts = parts_of(folder) if folder.is_dir() else None
    place = folder if parts is None else parts[0]
    survey = _surveyed(place, size, colour, fit, None, None, skip_damaged, MAXIMUM_PIXELS)
    if streamed and survey.files.nbytes > MAXIMUM_BYTES:
        large = _as_stream(place, _readable(place, survey) if skip_damaged else survey)
        if parts is not None:
            return large, _tested(parts[1], large, settings, streamed)
        try:
            return hold_apart(large, _TESTED, seed)
        except StreamError as error:
            raise with_advice(error) from None
    train = _as_dataset(place, survey, False, skip_damaged)
    return train.split(_TESTED, seed) if parts is None else (train, _tested(parts[1], train, settings, streamed))


def read_or_stream(
    folder: Path, form: ImageForm, classes: Sequence[str] | None, skip_damaged: bool
) -> Dataset | Stream:
    """A folder of images in a form that is known: a data set, or a stream if it takes more than ``MAXIMUM_BYTES``."""
    size, colour = (form.height, form.width), "grey" if form.channels == 1 else "rgb"
    survey = _surveyed(folder, size, colour, form.fit, classes, None, skip_damaged, MAXIMUM_PIXELS)
    if survey.files.nbytes > MAXIMUM_BYTES:
        return _as_stream(folder, _readable(folder, survey, classes is not None) if skip_damaged else survey)
    return _as_dataset(folder, survey, classes is not None, skip_damaged)


def hold_apart(whole: Stream, fraction: float, seed: int) -> tuple[Stream, Dataset]:
    """A stream without a part of it, and that part in memory: no more than ``MAXIMUM_HELD`` of it."""
    shape, dtype = whole.arrays["inputs"]
    taken = len(whole) * int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    rest, held = whole.split(min(fraction, MAXIMUM_HELD / taken), seed)
    found = held.take(len(held))
    assert isinstance(found, Dataset)
    return rest, replace(found, note=whole.note)


class Survey(NamedTuple):
    """What was found in a folder: its files in their common form, what they are, and what is to be told of them."""

    files: ImageFiles
    listing: Listing
    note: list[str]

    def chosen(self, places: Sequence[int], note: Sequence[str]) -> Survey:
        """Some of the files, with more to tell."""
        files, (paths, labels, classes, left_out) = self.files, self.listing
        paths = tuple(paths[place] for place in places)
        labels = None if labels is None else tuple(labels[place] for place in places)
        listing = Listing(paths, labels, classes, left_out)
        return Survey(ImageFiles(paths, files.form, files.maximum_pixels), listing, [*self.note, *note])


def _as_dataset(
    folder: str | Path, survey: Survey, classes_given: bool, skip_damaged: bool, into: str | Path | None = None
) -> Dataset:
    files = survey.files
    if into is None and files.nbytes > MAXIMUM_BYTES:
        raise DataError(
            f"{folder}: {len(files):,} images of {'×'.join(map(str, files.form.shape))} take {files.nbytes:,} "
            f"bytes, and up to {MAXIMUM_BYTES:,} are read into memory; name a file for them, into='images.npy', "
            "give a smaller size=, or take image_stream"
        )
    if into is not None:
        inputs, kept, skipped = _written(files, Path(into), skip_damaged)
    else:
        inputs, kept, skipped = _collected(files, skip_damaged)
    found = survey.chosen(kept, [_told_skipped(skipped)] if skipped else [])
    targets = None if found.listing.labels is None else np.asarray(found.listing.labels, np.int32)
    if not classes_given:
        _refuse_lost_class(folder, found.listing)
    name, note = Path(folder).name, "; ".join(found.note)
    return Dataset(inputs, targets, None, found.listing.classes, _preparation(files.form), name, note)


def _as_stream(folder: str | Path, survey: Survey) -> Stream:
    files, listing = survey.files, survey.listing
    parts: tuple[Any, ...] = (files,)
    if listing.labels is not None:
        parts = (files, np.asarray(listing.labels, np.int32))
    found = stream(parts, classes=listing.classes, preparation=_preparation(files.form), name=Path(folder).name)
    found.note = "; ".join(survey.note)
    return found


def _readable(folder: Path, survey: Survey, classes_given: bool = False) -> Survey:
    """Those of the files that can be decoded: each is, once."""
    kept: list[int] = []
    skipped: list[str] = []
    for _ in _decoded(survey.files, True, kept, skipped):
        pass
    found = survey.chosen(kept, [_told_skipped(skipped)] if skipped else [])
    if not classes_given:
        _refuse_lost_class(folder, found.listing)
    return found


def _refuse_lost_class(folder: object, listing: Listing) -> None:
    if listing.labels is None:
        return
    there = set(listing.labels)
    for number, name in enumerate(listing.classes or ()):
        if number not in there:
            raise DataError(f"{folder}: every image of the class {name!r} is damaged; nothing is left of it")


def _tested(folder: Path, train: Dataset | Stream, settings: Mapping[str, Any], streamed: bool) -> Dataset | Stream:
    """The images of a test part of its own, in the form of those to train on."""
    form = train.preparation.images
    assert form is not None
    if settings["size"] is None:
        _refuse_other_size(folder, form)
    if streamed:
        return read_or_stream(folder, form, train.classes, settings["skip_damaged"])
    alike = {"size": (form.height, form.width), "colour": "grey" if form.channels == 1 else "rgb"}
    return images(folder, classes=train.classes, **{**settings, **alike})


def _surveyed(
    folder: str | Path,
    size: Any,
    colour: str | None,
    fit: str,
    classes: Sequence[str] | None,
    labels: Mapping[str, Any] | None,
    skip_damaged: bool,
    maximum_pixels: int,
) -> Survey:
    if isinstance(classes, str):
        raise ConfigurationError(f"classes: a sequence of names was expected, not the text {classes!r}")
    wanted, channels = as_size(size), as_channels(colour)
    if type(maximum_pixels) is not int or maximum_pixels < 1:
        raise ConfigurationError(f"maximum_pixels is a whole number above 0, not {maximum_pixels!r}")
    ImageForm(1, 1, 1, fit)  # before files are looked at
    if wanted is not None and wanted[0] * wanted[1] > maximum_pixels:
        raise ConfigurationError(
            f"images of {wanted[0]:,}×{wanted[1]:,} pixels are more than {maximum_pixels:,}, and each would be made so "
            "large; give a smaller size, or raise maximum_pixels"
        )
    folder = Path(folder)
    listing = list_images(folder, classes, labels)
    headers: dict[int, Header] = {}
    skipped: list[str] = []
    for place, path in enumerate(listing.paths):
        try:
            headers[place] = read_header(path, maximum_pixels)
        except DataError as error:
            if not skip_damaged:
                raise with_advice(error) from None
            skipped.append(str(error))
    if not headers:
        raise DataError(f"{folder}: none of its {len(listing.paths):,} images can be read; the first: {skipped[0]}")
    paths = tuple(listing.paths[place] for place in headers)
    numbers = None if listing.labels is None else tuple(listing.labels[place] for place in headers)
    if wanted is None:
        wanted = _common_size(paths, list(headers.values()))
    if channels is None:
        channels = 1 if all(header.grey for header in headers.values()) else 3
    note: list[str] = []
    if listing.left_out:
        note.append(f"left aside, as by name no image: {_few(listing.left_out)}")
    animated = [path.name for path, header in zip(paths, headers.values(), strict=True) if header.animated]
    if animated:
        note.append(f"{_counted(len(animated), 'animation')} of which the first picture is taken: {_few(animated)}")
    if skipped:
        note.append(_told_skipped(skipped))
    form = ImageForm(*wanted, channels, fit)
    return Survey(ImageFiles(paths, form, maximum_pixels), listing._replace(paths=paths, labels=numbers), note)


def _common_size(paths: Sequence[Path], headers: Sequence[Header]) -> tuple[int, int]:
    counted = Counter((header.height, header.width) for header in headers)
    usual, _ = counted.most_common(1)[0]
    if len(counted) > 1:
        place = next(n for n, header in enumerate(headers) if (header.height, header.width) != usual)
        other = headers[place]
        raise DataError(
            f"{paths[place]}: is {other.width}×{other.height} pixels (width × height), and {counted[usual]:,} of the "
            f"{len(paths):,} images are {usual[1]}×{usual[0]}; in all there are {len(counted):,} sizes. Bring all "
            f"to one size: size=({usual[0]}, {usual[1]}), (height, width)"
        )
    return usual


def _refuse_other_size(folder: Path, form: ImageForm) -> None:
    for path in list_images(folder).paths:
        try:
            header = read_header(path)
        except DataError:
            continue  # it is named, or skipped, when it is read
        if (header.height, header.width) != (form.height, form.width):
            raise DataError(
                f"{path}: is {header.width}×{header.height} pixels (width × height), and the images to train on are "
                f"{form.width}×{form.height}; bring all to one size: size=({form.height}, {form.width})"
            )


def _decoded(files: ImageFiles, skip_damaged: bool, kept: list[int], skipped: list[str]) -> Iterator[NDArray[np.uint8]]:
    for place in range(len(files)):
        try:
            image = files.read(place)
        except DataError as error:
            if not skip_damaged:
                raise with_advice(error) from None
            skipped.append(str(error))
            continue
        kept.append(place)
        yield image
    if not kept:
        raise DataError(f"none of {len(files):,} images can be read; the first: {skipped[0]}")


def _collected(files: ImageFiles, skip_damaged: bool) -> tuple[NDArray[np.uint8], list[int], list[str]]:
    kept: list[int] = []
    skipped: list[str] = []
    found = np.empty(files.shape, np.uint8)
    for row, image in enumerate(_decoded(files, skip_damaged, kept, skipped)):
        found[row] = image
    return found[: len(kept)], kept, skipped


def _written(files: ImageFiles, target: Path, skip_damaged: bool) -> tuple[NDArray[Any], list[int], list[str]]:
    """The images as one .npy file, image by image, and mapped; nothing is there under its name before it is whole."""
    from numpy.lib import format as npy

    if target.suffix != ".npy":
        raise ConfigurationError(f"into is a .npy file to be written, not {target}")
    kept: list[int] = []
    skipped: list[str] = []
    part = target.with_name(target.name + ".part")
    header = {"descr": "|u1", "fortran_order": False}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            npy.write_array_header_1_0(file, {**header, "shape": files.shape})
            start = file.tell()
            for image in _decoded(files, skip_damaged, kept, skipped):
                file.write(image.tobytes())
            file.seek(0)
            npy.write_array_header_1_0(file, {**header, "shape": (len(kept), *files.form.shape)})
            if file.tell() != start:  # numpy leaves room for a longer or shorter number
                raise DataError(f"{target}: its header has another length than at first")
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return np.load(target, mmap_mode="r"), kept, skipped


def _preparation(form: ImageForm) -> Preparation:
    shape = form.shape if form.channels > 1 else form.shape[:2]
    return Preparation(scale=1.0 / 255.0, shape=shape, images=form)


def with_advice(error: ChainruleError) -> ChainruleError:
    """What to do about a damaged file, said with it."""
    return DataError(f"{error}. Repair or remove it, or leave out what is damaged: skip_damaged=True")


def _told_skipped(skipped: Sequence[str]) -> str:
    """How many files were left out, why the first of them, and all by their names: what is lost must be seen."""
    first, rest = skipped[:5], [told.partition(": ")[0] for told in skipped[5:]]
    return f"{_counted(len(skipped), 'damaged file')} left out: {', '.join(first)}" + (
        f"; and {', '.join(rest)}" if rest else ""
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", … ({len(names):,} in all)" if len(names) > 5 else "")
