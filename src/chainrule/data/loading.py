"""One door to all data: a name or a file in, a training and a test part out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.data.dataset import Dataset
from chainrule.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from chainrule.data.streams import Stream
    from chainrule.data.text import TextForm

_TEXTS = ("tinyshakespeare", "thucnews-titles", "chinese-poetry")
_NAMES = ("digits", "iris", "xor", "mnist", "fashion-mnist", *_TEXTS)
_WITH_IMAGES = ("digits", "mnist", "fashion-mnist")
_TABLES = (".csv", ".tsv")

Progress = Callable[[str, int, int | None], None]


def names() -> tuple[str, ...]:
    """The names that ``load`` knows.

    >>> names()
    ('digits', 'iris', 'xor', 'mnist', 'fashion-mnist', 'tinyshakespeare', 'thucnews-titles', 'chinese-poetry')
    """
    return _NAMES


def load(
    name_or_path: str | Path,
    *,
    target: str | None = None,
    images: bool = False,
    seed: int = 0,
    ignore: Sequence[str] = (),
    task: str | None = None,
    size: int | tuple[int, int] | None = None,
    colour: str | None = None,
    fit: str = "crop",
    skip_damaged: bool = False,
    text: str | None = None,
    tokens: str | None = None,
    length: int | None = None,
    buckets: Sequence[int] | str | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, Dataset]:
    """Data by name, from a .csv, .tsv or .npz file, or from a folder of images, as a training and a test part.

    digits, mnist and fashion-mnist come in a fixed split, iris and files are split by ``seed``; xor is four
    samples, twice. Samples are flat; ``images=True`` keeps digits and the like as (height, width, 1).
    ``target`` names the column of a table to predict, ``ignore`` columns to leave out, and ``task``
    ("classification" or "regression") overrules what the target looks like. ``progress`` is told
    (file, bytes so far, bytes in all) while a data set is downloaded.

    A folder holds the images of each class in a folder of its own, or two such folders, named train and test.
    ``size`` (height, width), ``colour``, ``fit`` and ``skip_damaged`` are as `chainrule.data.images` has them.

    tinyshakespeare, chinese-poetry, and files ending in .txt are texts to learn the next token from, as
    `chainrule.data.language` has them, and thucnews-titles are headlines of ten classes. ``tokens`` are "characters"
    (if nothing is said), "words", "chinese-words" or "byte-pairs", for classes "character-pairs" too, and ``length`` is
    how many a sample has. In a table, ``text`` names a column of texts to predict the target from:
    `chainrule.data.read_texts`. ``buckets`` are for texts of a class, as `chainrule.data.texts` has them.

    Raises DataError for a name that is not known, listing those that are, and for data that cannot be used;
    DownloadError where a data set is nowhere to be found; ConfigurationError for an option that does not fit.

    >>> train, test = load("digits")
    >>> train.inputs.shape, train.inputs.dtype, len(test)
    ((1438, 64), dtype('uint8'), 359)
    """
    name = str(name_or_path)
    path = Path(name_or_path)
    kind = path.suffix.lower()
    is_name = isinstance(name_or_path, str) and name in _NAMES
    if (is_name and name in _TEXTS) or (not is_name and not path.is_dir() and (kind == ".txt" or text is not None)):
        _refuse_image_options(name, size, colour, fit, skip_damaged)
        return _load_text(
            path, name if is_name else "", target, ignore, task, text, tokens, length, buckets, images, seed, progress
        )
    for option, value in {"text": text, "tokens": tokens, "length": length, "buckets": buckets}.items():
        if value is not None:
            raise ConfigurationError(f"{option}={value!r} is for texts, and {name} holds none; text= names a column")
    if is_name:
        _refuse_image_options(name, size, colour, fit, skip_damaged)
        return _by_name(name, target, images, seed, ignore, task, progress)
    if path.is_dir():
        from chainrule.data.image_folders import load_images

        _refuse_table_options(name, target, ignore, task)
        return load_images(path, size=size, colour=colour, fit=fit, skip_damaged=skip_damaged, seed=seed)
    _refuse_image_options(name, size, colour, fit, skip_damaged)
    if images:
        raise ConfigurationError(f"images=True is for {', '.join(_WITH_IMAGES)}; {name} is read as it is")
    if kind in _TABLES:
        from chainrule.data.tables import read_csv

        return read_csv(_file(path), target, seed=seed, ignore=ignore, task=task)
    if kind == ".npz":
        from chainrule.data.array_files import load_npz

        _refuse_table_options(name, target, ignore, task)
        return load_npz(_file(path), seed=seed)
    if path.exists():
        raise DataError(
            f"{name}: a file of this kind is not read; .csv, .tsv, .npz and .txt are, and folders of images"
        )
    raise DataError(
        f"{name!r} is no data set: {_near(name, _NAMES)}known are {', '.join(_NAMES)}, "
        "and files ending in .csv, .tsv, .npz or .txt, or folders of images"
    )


def load_or_stream(
    name_or_path: str | Path, *, form: TextForm | None = None, **options: Any
) -> tuple[Dataset | Stream, Dataset | Stream]:
    """What `load` gives; but of a large text file or folder of images, the training part comes as a stream.

    So does the test part of images, where it has a folder of its own and is as large.

    ``form`` is that of an earlier call, if there was one: it saves going through the file for a vocabulary.
    """
    from chainrule.data.text import streaming

    path = Path(name_or_path)
    if path.is_dir() and str(name_or_path) not in _NAMES:
        return _open_folder(path, **options)
    is_large = path.suffix.lower() == ".txt" and path.is_file() and path.stat().st_size > streaming.LARGE
    if not is_large or str(name_or_path) in _NAMES:
        return load(name_or_path, **options)
    told, given = str(path), {"target": None, "ignore": (), "task": None, **options}
    images = [given.get("size"), given.get("colour"), given.get("fit", "crop"), given.get("skip_damaged", False)]
    _refuse_image_options(told, *images)
    _refuse_beside_text(told, given["target"], given["ignore"], given["task"], given.get("text"), given.get("images"))
    _refuse_buckets(told, given.get("buckets"))
    tokens, length = given.get("tokens") or "characters", given.get("length") or 64
    return streaming.large_language(path, length=length, tokens=tokens, form=form)


def _open_folder(
    path: Path, *, images: bool = False, progress: Progress | None = None, **options: Any
) -> tuple[Dataset | Stream, Dataset | Stream]:
    """A folder of images as `load` has it, its training part a stream if there are too many."""
    from chainrule.data.image_folders import open_images

    form: dict[str, Any] = {"size": None, "colour": None, "fit": "crop", "skip_damaged": False}
    if any(value for name, value in options.items() if name not in (*form, "seed")):
        return load(path, images=images, progress=progress, **options)  # which says what does not fit
    return open_images(path, seed=options.get("seed", 0), **{name: options.get(name, form[name]) for name in form})


def _load_text(
    path: Path,
    name: str,
    target: str | None,
    ignore: Sequence[str],
    task: str | None,
    column: str | None,
    tokens: str | None,
    length: int | None,
    buckets: Sequence[int] | str | None,
    images: bool,
    seed: int,
    progress: Progress | None,
) -> tuple[Dataset, Dataset]:
    told, used = name or str(path), tokens or "characters"
    if column is not None and not name and not images:
        from chainrule.data.text.classified import read_texts

        if path.suffix.lower() not in _TABLES:
            raise ConfigurationError(f"text={column!r} names a column of a .csv or .tsv file, and {told} is none")
        if target is None:
            raise DataError(f"{told}: which column is to be predicted from {column!r}? Name the target")
        if ignore or (task or "classification") != "classification":
            raise ConfigurationError("of texts, a class is predicted, and from them alone: no ignore, no regression")
        return read_texts(_file(path), column, target, tokens=used, length=length, buckets=buckets or (), seed=seed)
    _refuse_beside_text(told, target, ignore, task, column, images)
    if name != "thucnews-titles":
        _refuse_buckets(told, buckets)
    if name:
        from chainrule.data.text.named import text_by_name

        return text_by_name(name, tokens=used, length=length, buckets=buckets or (), progress=progress)
    from chainrule.data.text.corpus import language

    return language(_file(path), length=length or 64, tokens=used)


def _by_name(
    name: str,
    target: str | None,
    images: bool,
    seed: int,
    ignore: Sequence[str],
    task: str | None,
    progress: Progress | None,
) -> tuple[Dataset, Dataset]:
    from chainrule.data import built_in

    if images and name not in _WITH_IMAGES:
        raise ConfigurationError(f"images=True is for {', '.join(_WITH_IMAGES)}; {name} has no images")
    if name == "iris":
        from chainrule.data.tables import read_csv

        path = built_in.FOLDER / "iris.csv"
        train, test = read_csv(path, target or "species", seed=seed, ignore=ignore, task=task)
        return replace(train, name=name), replace(test, name=name)
    _refuse_table_options(name, target, ignore, task)
    if name == "digits":
        return built_in.digits(images)
    if name == "xor":
        return built_in.xor()
    return built_in.images_by_name(name, images, progress)


def _refuse_table_options(name: str, target: str | None, ignore: Sequence[str], task: str | None) -> None:
    for option, value in {"target": target, "ignore": ignore, "task": task}.items():
        if value:
            raise ConfigurationError(f"{option}={value!r} is for tables; {name} is none, its targets are set")


def _refuse_beside_text(
    told: str, target: str | None, ignore: Sequence[str], task: str | None, column: str | None, images: bool | None
) -> None:
    if images:
        raise ConfigurationError(f"images=True is for {', '.join(_WITH_IMAGES)}; {told} is text")
    if column is not None:
        raise ConfigurationError(f"text={column!r} names a column of a .csv or .tsv file, and {told} is none")
    _refuse_table_options(told, target, ignore, None if task == "language-model" else task)


def _refuse_buckets(told: str, buckets: Sequence[int] | str | None) -> None:
    if buckets:
        raise ConfigurationError(f"buckets={buckets!r} are for texts of a class; {told} is one text, in equal windows")


def _refuse_image_options(name: str, size: object, colour: str | None, fit: str, skip_damaged: bool) -> None:
    given = {"size": size, "colour": colour, "fit": fit if fit != "crop" else None, "skip_damaged": skip_damaged}
    for option, value in given.items():
        if value:
            raise ConfigurationError(f"{option}={value!r} is for folders of images; {name} is none")


def _file(path: Path) -> Path:
    """The file itself, or, where there is none, the table of that name that comes along."""
    from chainrule.data.built_in import FOLDER

    if path.exists():
        return path
    if path.name == str(path) and (FOLDER / path.name).is_file() and path.suffix in _TABLES:
        return FOLDER / path.name
    folder = path.parent
    there = sorted(one.name for one in folder.iterdir()) if folder.is_dir() else []
    raise DataError(f"{path}: no such file{'; ' + near if (near := _near(path.name, there).rstrip(', ')) else ''}")


def _near(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name.lower().replace("_", "-"), known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}? " if close else ""
