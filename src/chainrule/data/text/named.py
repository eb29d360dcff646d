"""The texts that are found by name: a play, Chinese headlines, Chinese poems."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chainrule.data.dataset import Dataset
from chainrule.data.sources import Progress, find
from chainrule.data.text.classified import texts
from chainrule.data.text.corpus import language
from chainrule.data.text.reading import TextFile
from chainrule.errors import ConfigurationError, DataError

NAMES = ("tinyshakespeare", "thucnews-titles", "chinese-poetry")


def text_by_name(
    name: str,
    *,
    tokens: str = "characters",
    length: int | None = None,
    buckets: Sequence[int] | str = (),
    progress: Progress | None = None,
) -> tuple[Dataset, Dataset]:
    """tinyshakespeare and chinese-poetry to learn the next token from, thucnews-titles to tell ten classes apart."""
    folder = find(name, progress=progress)
    if name == "thucnews-titles":
        return headlines(folder, tokens, length, buckets)
    text = poems(folder) if name == "chinese-poetry" else TextFile(folder / "input.txt").read()
    return language(text, length=length or 64, tokens=tokens, name=name)


def headlines(
    folder: Path, tokens: str = "characters", length: int | None = None, buckets: Sequence[int] | str = ()
) -> tuple[Dataset, Dataset]:
    """10,000 headlines to train on and 10,000 to test, each of ten classes: finance, realty, stocks, …"""
    classes = TextFile(folder / "class.txt").read().split()
    parts = []
    for part in ("dev", "test"):
        rows, labels = [], []
        for place, line in TextFile(folder / f"{part}.txt").lines():
            title, tab, label = line.rpartition("\t")
            if not tab or not label.strip().isdecimal() or int(label) >= len(classes):
                raise DataError(
                    f"{place}: a headline, a tab and a number from 0 to {len(classes) - 1} were expected, "
                    f"not {line!r:.60}"
                )
            rows.append((place, title))
            labels.append(classes[int(label)])
        parts.append((rows, labels))
    (rows, labels), (others, theirs) = parts
    train = texts(
        rows, labels, classes=classes, tokens=tokens, length=length or 32, buckets=buckets, name="thucnews-titles"
    )
    return train, texts(others, theirs, classes=classes, form=train.preparation.text, name="thucnews-titles")


def poems(folder: Path) -> str:
    """300 Tang poems and 300 Song ci as one text: a title, the lines, an empty line; mixed, so the end has of both."""
    found = [_poems(folder / f"{era}-300.json") for era in ("tang", "song")]
    mixed = [poem for pair in zip(*found, strict=False) for poem in pair]
    return "\n\n".join([*mixed, *max(found, key=len)[min(map(len, found)) :]]) + "\n\n"


def _poems(path: Path) -> list[str]:
    try:
        entries: Any = json.loads(TextFile(path).read())
        return ["\n".join([one.get("title") or one["rhythmic"], *one["paragraphs"]]) for one in entries]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path.name}: no list of poems in JSON ({error!r:.80})") from error


def refuse_text_options(name: str, **options: object) -> None:
    """Raise ConfigurationError for an option of texts where there are none."""
    for option, value in options.items():
        if value is not None:
            raise ConfigurationError(f"{option}={value!r} is for texts; {name} is none")
