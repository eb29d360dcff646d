"""Where data sets that do not come along are found: on disk, or else on the network, with a checked sha256."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chainrule.errors import DataError, DownloadError

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class SourceFile:
    """A file of a data set, gzipped if its name says so: the size and sha256 of what is in it.

    The checksum is of the contents because each mirror has compressed them anew.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Source:
    """A data set: its files, and the folders on the network that hold them, the best first."""

    urls: tuple[str, ...]
    files: tuple[SourceFile, ...]
    licence: str


SOURCES = {
    "mnist": Source(
        (
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ),
        (
            SourceFile(
                "train-images-idx3-ubyte.gz", 47_040_016,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            ),
            SourceFile(
                "train-labels-idx1-ubyte.gz", 60_008,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            SourceFile(
                "t10k-images-idx3-ubyte.gz", 7_840_016,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            ),
            SourceFile(
                "t10k-labels-idx1-ubyte.gz", 10_008,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        "CC BY-SA 3.0, Y. LeCun and C. Cortes",
    ),
    "fashion-mnist": Source(
        (
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        (
            SourceFile(
                "train-images-idx3-ubyte.gz", 47_040_016,
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            ),
            SourceFile(
                "train-labels-idx1-ubyte.gz", 60_008,
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            SourceFile(
                "t10k-images-idx3-ubyte.gz", 7_840_016,
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            ),
            SourceFile(
                "t10k-labels-idx1-ubyte.gz", 10_008,
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        "MIT, Zalando SE",
    ),
    "tinyshakespeare": Source(
        ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",),
        (SourceFile("input.txt", 1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),),
        "public domain; gathered by A. Karpathy",
    ),
    "thucnews-titles": Source(
        (
            "https://raw.githubusercontent.com/649453932/Chinese-Text-Classification-Pytorch/master/THUCNews/data/",
        ),
        (
            SourceFile("class.txt", 82, "005e8813ad639c219e5902dc84889202b4a717b4238497d26c3fbd5e43927a86"),
            SourceFile("dev.txt", 551_313, "6ed73aa2c57ee1560c8f76570d48735c4b1c29ae4983fe3523d56e115813e175"),
            SourceFile("test.txt", 551_596, "ebecc8c896635ad69730083ca7b81d37c42c9a5779bc05c9d2479d894e34f026"),
        ),
        "for research; headlines of Sina News, chosen by 649453932",
    ),
    "chinese-poetry": Source(
        (),  # under these names they are in no public place
        (
            SourceFile("tang-300.json", 190_787, "d77a145f7470da2ed2f79515944563c062ffc43fceda07f195a36ead66b7e5c7"),
            SourceFile("song-300.json", 151_283, "ca5d74f7fdb9d5a6acc22a7c8b4395228cad4bb8be53df44c19ba83ab6983b20"),
        ),
        "MIT, the project chinese-poetry",
    ),
}  # fmt: skip


def cache_folder() -> Path:
    """The user's own folder for downloads: XDG_CACHE_HOME/chainrule, or ~/.cache/chainrule."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return base / "chainrule"


def locate(name: str) -> Path | None:
    """The folder on this machine that holds every file of a data set, or None; nothing is downloaded.

    DataError where ``CHAINRULE_DATA`` names a folder that is not there, or the name is not known.
    """
    files = _source(name).files
    return next((base / name for base in _places() if _holds(base / name, files)), None)


def find(name: str, *, progress: Progress | None = None) -> Path:
    """The folder that holds a data set: on this machine, or downloaded into the user's cache folder.

    Looked through are the folder named by ``CHAINRULE_DATA``, the folder ``../shared/data`` beside a checkout,
    and the cache folder, each for a folder of the data set's name. Raises DownloadError where it is nowhere and
    cannot be fetched, saying what was tried and where to put the files by hand.
    """
    from chainrule.data.download import fetch

    source = _source(name)
    found = locate(name)
    if found is not None:
        return found
    folder = cache_folder() / name
    names = ", ".join(file.name for file in source.files)
    try:
        for file in source.files:
            if not _holds(folder, (file,)):
                fetch([url + file.name for url in source.urls], folder / file.name, file.size, file.sha256, progress)
    except DownloadError as error:
        raise DownloadError(
            f"{name} could not be downloaded.\n{error}\nBy hand: put {names} into {folder}, or into a folder {name} "
            "in another place, and name that place in the environment variable CHAINRULE_DATA"
        ) from error
    except OSError as error:
        raise DownloadError(f"{name} could not be kept in {folder} ({error.strerror or error})") from error
    return folder


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise DataError(f"{name!r} has no known source; known are {', '.join(SOURCES)}")
    return SOURCES[name]


def _places() -> Iterator[Path]:
    named = os.environ.get("CHAINRULE_DATA", "")
    if named:
        if not Path(named).is_dir():
            raise DataError(f"CHAINRULE_DATA names {named}, which is no folder")
        yield Path(named)
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").is_file():
        yield checkout.parent / "shared" / "data"
    yield cache_folder()


def _holds(folder: Path, files: tuple[SourceFile, ...]) -> bool:
    return all((folder / file.name).is_file() or (folder / file.name.removesuffix(".gz")).is_file() for file in files)
