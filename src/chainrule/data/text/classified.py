"""Texts with a class, from a column of a table, as samples of one length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.cells import is_missing
from chainrule.data.csv_files import CsvFile
from chainrule.data.dataset import Dataset
from chainrule.data.preparation import Preparation
from chainrule.data.recognising import class_name
from chainrule.data.splitting import split_indices
from chainrule.data.text.form import TextForm, halves, make_vocabulary, told_unknown
from chainrule.data.text.tokenizing import Tokenizer, chosen
from chainrule.errors import ConfigurationError, DataError

Placed = tuple[str, str]
_MOST_CLASSES = 1000
#: The word for buckets that the texts decide on.
AUTO = "auto"


def texts(
    placed: Sequence[str | Placed],
    targets: Sequence[str | int],
    *,
    form: TextForm | None = None,
    classes: Sequence[str] | None = None,
    tokens: str | Tokenizer = "characters",
    min_count: int = 1,
    most: int | None = None,
    length: int | None = None,
    buckets: Sequence[int] | str = (),
    name: str = "",
) -> Dataset:
    """Texts, or (place, text), with their classes, as a data set of tokens.

    Without a ``form``, one is made: of these ``tokens`` and a vocabulary of these texts, as long as the longest of
    them, or ``length`` long, and then longer texts are cut, which the data set's ``note`` counts. Give other texts the
    same: ``form=train.preparation.text``. Without ``classes``, they are those that come, sorted.

    ``buckets`` are shorter lengths, such as (8, 16): see `TextForm`; or "auto", halves of the length where that saves
    much.

    Raises DataError, naming the place, for a text without a token, one too long for a form, and a class that is none.

    >>> data = texts(["good film", "bad film", "good"], ["+", "-", "+"], tokens="words")
    >>> data.inputs.tolist(), data.classes, data.preparation.text.vocabulary.tokens[2:]
    ([[3, 2], [4, 2], [3, 0]], ('+', '-'), ('film', 'good', 'bad'))
    """
    rows = [
        one if isinstance(one, tuple) else (f"{name or 'the texts'}, text {n}", one) for n, one in enumerate(placed)
    ]
    if len(rows) != len(targets):
        raise DataError(f"{name or 'the texts'}: {len(rows):,} texts and {len(targets):,} targets; they are as many")
    if not rows:
        raise DataError(f"{name or 'the texts'}: there are none")
    named = [class_name(target) for target in targets]
    known = tuple(sorted(set(named)) if classes is None else classes)
    if len(known) > _MOST_CLASSES:
        raise DataError(f"{name or 'the texts'}: {len(known):,} classes; up to {_MOST_CLASSES:,} are told apart")
    places = {one: number for number, one in enumerate(known)}
    for (place, _), one in zip(rows, named, strict=True):
        if one not in places:
            raise DataError(f"{place}: the target {one!r:.60} is not one of the classes, {', '.join(known[:20])}")
    used = form.tokens if form is not None else chosen(tokens, (text for _, text in rows))
    split = [(place, used.split(text)) for place, text in rows]
    if form is None:
        vocabulary = make_vocabulary(
            used, (one for _, row in split for one in row), min_count=min_count, most=most, padding=True, unknown=True
        )
        longest = max(1, *(len(row) for _, row in split))
        longer = "refuse" if length is None else "cut"
        most_tokens = longest if length is None else length
        bounds: Any = halves([len(row) for _, row in split], most_tokens) if buckets == AUTO else buckets
        form = TextForm(used, vocabulary, most_tokens, longer, buckets=bounds)
    inputs = form.encode_split(split)
    cut = sum(len(row) > form.length for _, row in split)
    notes = [f"texts of up to {form.length:,} {form.tokens.kind}, {form.symbols:,} of them known"]
    notes += [f"{cut:,} texts were longer, and cut"] * bool(cut)
    if unknown := told_unknown(form, inputs[inputs != 0]):
        notes.append(unknown)
    if form.buckets:
        notes.append(f"while learning, batches of short ones are cut to {' or '.join(map(str, form.buckets))}")
    labels = np.array([places[one] for one in named], np.int32)
    return Dataset(inputs, labels, None, known, Preparation(text=form), name, "; ".join(notes))


def read_texts(
    path: str | Path,
    column: str,
    target: str,
    *,
    tokens: str | Tokenizer = "characters",
    min_count: int = 1,
    most: int | None = None,
    length: int | None = None,
    buckets: Sequence[int] | str = (),
    test_fraction: float = 0.2,
    seed: int = 0,
) -> tuple[Dataset, Dataset]:
    """The texts in a column of a CSV or TSV file, with the classes in another, as a training and a test part.

    Vocabulary and length are those of the training part: of the test part, tokens that are new are unknown, and longer
    texts are cut. Raises DataError, naming row and line, as `texts` does.
    """
    rows, targets, name = _columns(path, column, target)
    names = sorted({class_name(one) for one in targets})
    numbers = {one: number for number, one in enumerate(names)}
    labels = np.array([numbers[class_name(one)] for one in targets])
    training, testing = split_indices(len(rows), test_fraction, seed, labels)
    train = texts(
        [rows[n] for n in training],
        [targets[n] for n in training],
        classes=names,
        tokens=tokens,
        min_count=min_count,
        most=most,
        length=length,
        buckets=buckets,
        name=name,
    )
    form = train.preparation.text
    assert form is not None
    form = replace(form, column=column, longer="cut")
    preparation = replace(train.preparation, text=form, target_name=target)
    test = texts([rows[n] for n in testing], [targets[n] for n in testing], classes=names, form=form, name=name)
    return replace(train, preparation=preparation), replace(test, preparation=preparation)


def read_texts_as(
    path: str | Path, preparation: Preparation, classes: Sequence[str] | None, *, with_targets: bool = True
) -> Dataset:
    """A further file of texts in the form of a preparation from an earlier one: to evaluate, or to predict."""
    form = preparation.text
    if form is None or not form.column:
        raise DataError(f"{Path(path).name}: this run was not trained on a column of texts")
    rows, targets, name = _columns(path, form.column, preparation.target_name if with_targets else None)
    if with_targets:
        return replace(texts(rows, targets, form=form, classes=classes, name=name), preparation=preparation)
    return Dataset(form.encode(rows, name), preparation=preparation, name=name)


def _columns(path: str | Path, column: str, target: str | None) -> tuple[list[Placed], list[str], str]:
    table = CsvFile(path)
    wanted = [column] if target is None else [column, target]
    if absent := [one for one in wanted if one not in table.columns]:
        raise DataError(f"{table.name}: no column {', '.join(map(repr, absent))}; there are {', '.join(table.columns)}")
    if column == target:
        raise ConfigurationError(f"the column {column!r} cannot be both the text and the target")
    at = [table.columns.index(one) for one in wanted]
    rows, targets = [], []
    for place, cells in table.rows():
        if not cells[at[0]].strip():
            raise DataError(f"{place}, column {column!r}: the text is empty; write it, or remove the row")
        rows.append((f"{place}, column {column!r}", cells[at[0]]))
        if target is not None:
            if is_missing(cells[at[1]]):
                raise DataError(f"{place}, column {target!r}: the value is missing; fill it in, or remove the row")
            targets.append(cells[at[1]])
    if not rows:
        raise DataError(f"{table.name}: there is a header, but no rows")
    return rows, targets, table.name
