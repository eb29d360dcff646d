"""Where the data of a run come from: found, remembered with the run, and found again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.fingerprints import fingerprint, held
from chainrule.cli.screen import say
from chainrule.cli.texts import are_text_options
from chainrule.errors import ConfigurationError, DataError, RunFileError

if TYPE_CHECKING:
    from chainrule.data import Dataset, Stream
    from chainrule.data.text import TextForm
    from chainrule.run import Run

#: The files that have columns, one of which is to be named.
TABLES = (".csv", ".tsv")
#: Fewer training samples than this are too few to hold any out.
_FEWEST_TO_HOLD_OUT = 50
_LOOKED_AT = 1024


def open_data(
    data: str,
    target: str | None,
    ignore: Sequence[str],
    task: str | None,
    *,
    images: Mapping[str, Any] | None = None,
    as_images: bool = False,
    text: Mapping[str, Any] | None = None,
    form: TextForm | None = None,
) -> tuple[Dataset | Stream, Dataset | Stream, dict[str, Any]]:
    """Training and test part of a name, a file or a folder, and what has to be remembered to find them again.

    ``images`` says how the files of a folder become images; ``as_images`` keeps samples that are images in their shape;
    ``text`` says how texts become tokens. The training part of a large text is a stream; a ``form`` that is known saves
    going through the file for a vocabulary.
    """
    from chainrule.data.loading import load_or_stream

    if target is None and Path(data).suffix.lower() in TABLES:
        ask_for_target(data, "train", *(["--text", text["text"]] if text and "text" in text else []))
    options: dict[str, Any] = {**(images or {}), **(text or {})}
    task = None if task is None else task.replace("_", "-")
    if "size" in options:
        options["size"] = tuple(options["size"])
    shaped = as_images and not Path(data).is_dir()
    progress = _download_progress()
    train, test = load_or_stream(
        data, target=target, ignore=tuple(ignore), task=task, images=shaped, form=form, progress=progress, **options
    )
    named = str(Path(data).resolve()) if Path(data).exists() and not is_name(data) else data
    source: dict[str, Any] = {"data": named, "fingerprint": fingerprint(train, test), "holds": held(train, test)}
    if target:
        source["target"] = target
    if ignore:
        source["ignore"] = list(ignore)
    if task:
        source["task"] = task
    if images:
        source["images"] = dict(images)
    if text:
        source["text"] = dict(text)
    if shaped:
        source["as_images"] = True
    return train, test, source


def reopen(run: Run, folder: Path) -> tuple[Dataset | Stream, Dataset | Stream]:
    """The data that a run was trained on; DataError if they are gone, or are not the same any more."""
    source = run.source
    if not isinstance(source.get("data"), str):
        raise DataError(
            f"{folder} does not say what data it was trained on (it was not made by `chainrule train`); name the data"
        )
    settings = [source.get("target"), source.get("ignore", []), source.get("task")]
    options, shaped, text = source.get("images", {}), source.get("as_images", False), source.get("text", {})
    known = _is_source(settings) and _is_image_options(options) and are_text_options(text)
    if not known or not isinstance(shaped, bool):
        raise RunFileError(f"{folder}: the table [source] of run.toml is damaged")
    try:
        form = run.preparation.text
        train, test, found = open_data(
            source["data"], *settings, images=options, as_images=shaped, text=text, form=form
        )
    except DataError as error:
        held = f". It held {source['holds']}; put it back, and all goes on" if "holds" in source else ""
        raise DataError(f"the data that {folder} was trained on cannot be read: {error}{held}") from error
    if found["fingerprint"] != source.get("fingerprint"):
        then, now = source.get("holds", "other samples"), found["holds"]
        held = f"it held {then} and holds {now}" if then != now else f"it holds {now} as it did, with other values"
        raise DataError(
            f"{source['data']} is not what it was when {folder} was trained: {held}. So which samples were set apart "
            "as the test is not known any more"
        )
    return train, test


def hold_out(train: Dataset | Stream, fraction: float, seed: int) -> tuple[Dataset | Stream, Dataset | None]:
    """What is trained on, and what is held out to watch the training by: never a part of the test."""
    from chainrule.data import Stream
    from chainrule.data.image_folders import hold_apart
    from chainrule.data.text.streaming import divided, with_seed

    if not 0 <= fraction < 1:
        raise ConfigurationError(f"--validation is a part of the training data, from 0 to below 1, not {fraction:g}")
    if isinstance(train, Stream) and train.preparation.images is None:
        train = with_seed(train, seed)
        return divided(train, fraction) if fraction else (train, None)
    if fraction == 0 or len(train) < _FEWEST_TO_HOLD_OUT:
        return train, None
    return hold_apart(train, fraction, seed) if isinstance(train, Stream) else train.split(fraction, seed)


def not_counted_again(part: Dataset | Stream, samples: int) -> Dataset | Stream:
    """Data of a run that goes on, of which it is known how many samples they have; a text is not read to count them."""
    from chainrule.data import Stream
    from chainrule.data.text.streaming import with_samples

    return with_samples(part, samples) if isinstance(part, Stream) and part.preparation.images is None else part


def spread_over(data: Dataset | Stream) -> Dataset:
    """Data that lie in memory: all of them, or some hundreds of a stream; of one of images some of each class."""
    from chainrule.cli.texts import some_of
    from chainrule.data import Stream
    from chainrule.data.image_folders import hold_apart
    from chainrule.data.wholes import Whole

    if not isinstance(data, Stream) or not isinstance(data.source, Whole):
        return some_of(data)
    return hold_apart(data, min(0.5, _LOOKED_AT / len(data)), 0)[1]


def refuse_unlabelled(samples: Dataset | Stream, data: str | None) -> None:
    """Raise for images of which nobody says what they are."""
    from chainrule.data import Stream

    known = samples.labels if isinstance(samples, Stream) else samples.targets
    if known is None:
        raise DataError(
            f"{data}: all its images lie in one folder, so nothing says of which class each is. Put those of a class "
            "into a folder of its name; `chainrule predict` needs no classes"
        )


def data_for(
    run: Run,
    folder: Path,
    data: str | None,
    target: str | None,
    skip_damaged: bool = False,
    *,
    labelled: bool = True,
) -> tuple[Dataset, str]:
    """The samples to look at, as `all_for` has them, in memory: of a folder of images that is larger, some of it."""
    found, words = all_for(run, folder, data, target, skip_damaged, labelled=labelled)
    some = spread_over(found)
    return some, words if some is found else f"{len(some):,} of {words}"


def all_for(
    run: Run,
    folder: Path,
    data: str | None,
    target: str | None,
    skip_damaged: bool = False,
    *,
    labelled: bool = True,
) -> tuple[Dataset | Stream, str]:
    """The samples to measure by, and what they are in words: the run's own test part, or data that were named.

    Of a folder of images that is larger than memory it is a stream. It has to be ``labelled``, if that is asked.
    """
    from_folder = data is not None and Path(data).is_dir() and not is_name(data) and not _same_source(run, data)
    if skip_damaged and not from_folder:
        raise ConfigurationError("--skip-damaged is for another folder of images than the run was trained on")
    if data is None:
        if target is not None:
            raise ConfigurationError("--target is for data that are named: chainrule evaluate RUN DATA --target COLUMN")
        _, test = reopen(run, folder)
        return test, f"the test part of {run.name}"
    if _same_source(run, data):
        _, test = reopen(run, folder)
        return test, f"the test part of {run.name}: the rest of it is what this run was trained on"
    if from_folder and run.preparation.text is None:
        found, words = _folder_like(run, Path(data), skip_damaged)
        if labelled:
            refuse_unlabelled(found, data)
        return found, words
    return read_like(run, data, target, with_targets=True)


def read_like(run: Run, data: str, target: str | None, *, with_targets: bool) -> tuple[Dataset, str]:
    """Other data in the form that a run knows: all of a file, the test part of a name."""
    if run.preparation.text is not None:
        return _text_like(run, data, target, with_targets=with_targets)
    if Path(data).suffix.lower() in TABLES:
        from chainrule.data import read_prepared

        preparation = run.preparation
        if target is not None and target != preparation.target_name:
            preparation = replace(preparation, target_name=target)
        found = read_prepared(_table(data), preparation, run.classes, with_targets=with_targets)
        return replace(found, preparation=run.preparation), f"all {len(found):,} rows of {data}"
    from chainrule.data import load

    shaped = bool(run.source.get("as_images")) and is_name(data)
    train, test = load(data, target=target, images=shaped, progress=_download_progress())
    if is_name(data):
        part, words = test, f"the test part of {data}"
    else:
        part, words = _whole(train, test), f"all {len(train) + len(test):,} samples of {data}"
    if run.spec is not None and part.sample_shape != run.spec.arrays["inputs"][0]:
        shape = run.spec.arrays["inputs"][0]
        raise DataError(
            f"{data} has samples of {list(part.sample_shape)}, and this run was trained on samples of {list(shape)}"
        )
    if run.preparation.columns and part.preparation.feature_names() != run.preparation.feature_names():
        raise DataError(f"{data} has other columns than the data this run was trained on")
    if with_targets and part.targets is None:
        raise DataError(f"{data} has no targets, so there is nothing to compare with; `chainrule predict` needs none")
    if with_targets and part.classes != run.classes:
        raise DataError(f"{data} has {_told(part.classes)}, and this run was trained on {_told(run.classes)}")
    return replace(part, preparation=run.preparation), words


def _text_like(run: Run, data: str, target: str | None, *, with_targets: bool) -> tuple[Dataset, str]:
    """Texts in the form that a run knows: a table's column, all of a text, or the test part of a name."""
    from chainrule.data import load, read_texts_as
    from chainrule.data.text.corpus import language_as

    if is_name(data):
        _, test = load(data, progress=_download_progress())
        if test.preparation.text != run.preparation.text:
            raise DataError(f"{data} has other tokens than the text that this run was trained on")
        return test, f"the test part of {data}"
    if run.classes is None:
        if not with_targets:
            raise ConfigurationError(
                "this run tells which token comes next: chainrule generate RUN goes on with a text"
            )
        found = language_as(data, run.preparation)
        return found, f"all {len(found):,} windows of {data}" + (f"; {found.note}" if found.note else "")
    preparation = run.preparation
    if target is not None:
        preparation = replace(preparation, target_name=target)
    found = read_texts_as(_table(data), preparation, run.classes, with_targets=with_targets)
    return replace(found, preparation=run.preparation), f"all {len(found):,} texts of {data}"


def _folder_like(run: Run, folder: Path, skip_damaged: bool) -> tuple[Dataset | Stream, str]:
    """All images of a folder of one folder a class, in the form that a run knows."""
    from chainrule.cli.imaging import image_form, in_range
    from chainrule.cli.seen_files import SeenFiles
    from chainrule.data import Stream, stream
    from chainrule.data.image_folders import read_or_stream
    from chainrule.data.wholes import Whole

    form = image_form(run)
    # In rows, if that is how the run sees them.
    shape = form.shape if run.spec is None else run.spec.arrays["inputs"][0]
    found = read_or_stream(folder, form, run.classes, skip_damaged)
    words = f"all {len(found):,} images of {folder}{f'; {found.note}' if found.note else ''}"
    if not isinstance(found, Stream):
        inputs = in_range(run, found.inputs).reshape(len(found), *shape)
        return replace(found, inputs=inputs, preparation=run.preparation), words
    assert isinstance(found.source, Whole)
    files, *labels = found.source.parts
    parts = (SeenFiles(files, run, shape), *labels)
    return stream(parts, classes=run.classes, preparation=run.preparation, name=found.name), words


def _whole(train: Dataset, test: Dataset) -> Dataset:
    import numpy as np

    targets = None
    if train.targets is not None and test.targets is not None:
        targets = np.concatenate([train.targets, test.targets])
    return replace(train, inputs=np.concatenate([train.inputs, test.inputs]), targets=targets)


def is_name(data: str) -> bool:
    """Whether this is a data set that is known by name."""
    from chainrule.data import names

    return data in names()


def is_image_folder(data: str) -> bool:
    """Whether this is a folder of images, or of folders of them, and no run."""
    from chainrule.data.image_listing import SUFFIXES

    folder = Path(data)
    if not folder.is_dir() or (folder / "run.toml").exists():
        return False
    inside = [entry for entry in folder.iterdir() if entry.is_dir()]
    return any(
        entry.suffix.lower() in SUFFIXES
        for place in [folder, *inside]
        if os.access(place, os.R_OK | os.X_OK)
        for entry in place.iterdir()
    ) or any((folder / name).is_dir() for name in ("train", "test"))


def _is_source(settings: list[Any]) -> bool:
    target, ignore, task = settings
    texts = isinstance(ignore, list | tuple) and all(isinstance(name, str) for name in ignore)
    return texts and isinstance(target, str | None) and isinstance(task, str | None)


def _is_image_options(options: Any) -> bool:
    kinds = {"size": list, "colour": str, "fit": str, "skip_damaged": bool}
    return isinstance(options, Mapping) and all(
        name in kinds and isinstance(value, kinds[name]) for name, value in options.items()
    )


def _same_source(run: Run, data: str) -> bool:
    own = run.source.get("data")
    return own is not None and (data == own or (not is_name(data) and os.path.realpath(data) == own))


def _told(classes: tuple[str, ...] | None) -> str:
    if classes is None:
        return "a number to be predicted"
    return f"the classes {', '.join(classes[:10])}{', …' if len(classes) > 10 else ''}"


def _table(data: str) -> Path:
    """The file, or, where there is none, the table of that name that comes along."""
    from chainrule.data.built_in import FOLDER

    path = Path(data)
    if not path.exists() and path.name == data and (FOLDER / data).is_file():
        return FOLDER / data
    return path


def ask_for_target(data: str, *words: str) -> None:
    """Refuse a table without a target: its columns, and the command, of these words, with one of them named."""
    from chainrule.cli.running import command
    from chainrule.data.csv_files import CsvFile

    columns = CsvFile(_table(data)).columns
    listed = ", ".join(columns[:40]) + (", …" if len(columns) > 40 else "")
    raise DataError(
        f"which column of {data} is to be predicted? Its columns are {listed}\nFor example: "
        f"{command(*words, data, '--target', columns[-1])}"
    )


def _download_progress() -> Any:
    shown: dict[str, float] = {}

    def tell(file: str, done: int, whole: int | None) -> None:
        now, last = time.monotonic(), whole is not None and done >= whole
        if not sys.stderr.isatty():
            if file not in shown:
                say(f"downloading {file}", error=True)
            shown[file] = now
        elif last or now - shown.get(file, 0.0) > 0.2:
            shown[file] = now
            size = f" of {whole / 1e6:,.1f}" if whole else ""
            sys.stderr.write(f"\r\033[Kdownloading {file}: {done / 1e6:,.1f}{size} MB" + ("\n" if last else ""))
            sys.stderr.flush()

    return tell
