"""Which images a folder holds, and of which class: one folder a class, or all in one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from chainrule.errors import DataError

#: By these names a file is taken for an image; what is in it decides whether it is one.
SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .jfif .mpo .bmp .dib .gif .tif .tiff .webp .avif .jp2 .ppm .pgm .pbm .pnm .tga .ico "
    ".pcx".split()
)
_CLUTTER = ("thumbs.db", "desktop.ini")
TRAIN, TEST = ("train", "training"), ("test", "val", "valid", "validation")


class Listing(NamedTuple):
    """The images of a folder, in the order of their names, with the numbers of their classes if they have any."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...] | None
    classes: tuple[str, ...] | None
    #: Names of files that are no images by their names.
    left_out: tuple[str, ...]


def parts_of(folder: Path) -> tuple[Path, Path] | None:
    """The folders of the training and the test part, if a folder holds just these two."""
    names = {path.name.lower(): path for path in _entries(folder) if path.is_dir()}
    if len(names) != 2:
        return None
    train, test = (next((names[name] for name in known if name in names), None) for known in (TRAIN, TEST))
    return None if train is None or test is None else (train, test)


def list_images(
    folder: Path, classes: Sequence[str] | None = None, labels: Mapping[str, object] | None = None
) -> Listing:
    """The images of a folder: of each class in its own, or, where there are no folders, without classes.

    ``labels`` gives the class of each file of a flat folder by its name: as a name, or as a number if there are names
    to number. Raises DataError for a folder that is no such thing, and for links that lead out of it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    entries, root = _entries(folder), Path(os.path.realpath(folder))
    for entry in entries:
        _refuse_escape(entry, root)
    folders = [entry for entry in entries if entry.is_dir()]
    files, others = _images([entry for entry in entries if not entry.is_dir()])
    if not folders:
        if not files:
            raise DataError(f"{folder}: there are no images in it{_told(others)}")
        if labels is not None:
            numbers, names = _labelled(folder, files, classes, labels)
            return Listing(tuple(files), numbers, names, tuple(others))
        return Listing(tuple(files), None, None, tuple(others))
    if labels is not None:
        raise DataError(
            f"{folder}: labels= is for images in one folder; here each class has a folder, {folders[0].name}"
        )
    if files:
        lie = f"and {len(files) - 1:,} others lie" if len(files) > 1 else "lies"
        raise DataError(
            f"{folder}: {files[0].name} {lie} beside the folders of the classes, {folders[0].name} and so on; put each "
            "image into the folder of its class"
        )
    names = _in_order(folder, [entry.name for entry in folders], classes)
    paths: list[Path] = []
    numbers_found: list[int] = []
    for entry in sorted(folders, key=lambda entry: names.index(entry.name)):
        inside, rest = _class_folder(entry, root)
        paths += inside
        numbers_found += [names.index(entry.name)] * len(inside)
        others += [f"{entry.name}/{name}" for name in rest]
    return Listing(tuple(paths), tuple(numbers_found), names, tuple(others))


def _entries(folder: Path) -> list[Path]:
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror or error})") from error
    return [entry for entry in found if not entry.name.startswith(".") and entry.name.lower() not in _CLUTTER]


def _class_folder(folder: Path, root: Path) -> tuple[list[Path], list[str]]:
    entries = _entries(folder)
    for entry in entries:
        _refuse_escape(entry, root)
    deeper = next((entry for entry in entries if entry.is_dir()), None)
    if deeper is not None:
        raise DataError(
            f"{deeper}: a folder in the folder of a class; put its images into {folder.name}, or load "
            f"{folder} by itself"
        )
    files, others = _images(entries)
    if not files:
        raise DataError(f"{folder}: there are no images of this class{_told(others)}; remove the folder, or fill it")
    return files, others


def _images(entries: list[Path]) -> tuple[list[Path], list[str]]:
    images = [entry for entry in entries if entry.suffix.lower() in SUFFIXES]
    return images, [entry.name for entry in entries if entry.suffix.lower() not in SUFFIXES]


def _refuse_escape(entry: Path, root: Path) -> None:
    if entry.is_symlink():
        meant = Path(os.path.realpath(entry))  # where it leads in a circle, that is told when it is read
        if not meant.is_relative_to(root):
            raise DataError(f"{entry}: is a link that leads out of {root.name}, to {meant}; copy what it means")


def _in_order(folder: Path, there: list[str], classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        counted = all(name.isascii() and name.isdigit() for name in there)
        return tuple(sorted(there, key=int) if counted else there)
    unknown = [name for name in there if name not in classes]
    if unknown:
        raise DataError(
            f"{folder / unknown[0]}: {unknown[0]!r} is not one of the classes {', '.join(map(repr, classes[:20]))}"
        )
    return tuple(classes)


def _labelled(
    folder: Path, files: list[Path], classes: Sequence[str] | None, labels: Mapping[str, object]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    absent = [path.name for path in files if path.name not in labels]
    if absent:
        raise DataError(f"{folder / absent[0]}: labels= says nothing of it")
    gone = set(labels) - {path.name for path in files}
    if gone:
        raise DataError(f"{folder}: labels= names {min(gone)!r}, which is not there")
    given = [labels[path.name] for path in files]
    numbered = all(isinstance(label, int) for label in given)
    if classes is None:
        if numbered:
            raise DataError(f"{folder}: labels= are numbers; give the names of the classes as well, classes=[…]")
        classes = sorted({str(label) for label in given})
    numbers = []
    for path, label in zip(files, given, strict=True):
        if isinstance(label, int) and not 0 <= label < len(classes):
            raise DataError(f"{path}: its label is {label}, and there are {len(classes)} classes, from 0")
        if not isinstance(label, int) and str(label) not in classes:
            raise DataError(f"{path}: its label {label!r} is not one of {', '.join(map(repr, list(classes)[:20]))}")
        numbers.append(label if isinstance(label, int) else list(classes).index(str(label)))
    return tuple(numbers), tuple(classes)


def _told(others: Sequence[str]) -> str:
    return f" (there are {', '.join(others[:5])}{', …' if len(others) > 5 else ''})" if others else ""
