"""Long texts for language models: windows of tokens, each token's target the one that follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.preparation import Preparation
from chainrule.data.text.form import TextForm, make_vocabulary, told_unknown
from chainrule.data.text.reading import TextFile
from chainrule.data.text.tokenizing import Tokenizer, chosen, refuse_pairs
from chainrule.errors import ConfigurationError, DataError

Tokens = NDArray[np.int32]
_FEW = 5


def windows(numbers: Any, length: int, *, source: str = "the text") -> tuple[Tokens, Tokens, NDArray[np.float32]]:
    """A long row of tokens as windows side by side: inputs and targets (windows, length), and weights (windows,).

    The target of a position is the token after it, so each token but the first is a target once. Where the last window
    would stand out over the end it begins earlier, and the targets that had been asked for are -1: they count for
    nothing, and its weight is the part of its positions that count.

    >>> inputs, targets, weights = windows([5, 6, 7, 8, 9, 5], 3)
    >>> inputs.tolist(), targets.tolist()
    ([[5, 6, 7], [7, 8, 9]], [[6, 7, 8], [-1, 9, 5]])
    >>> (weights * 3).round().tolist()
    [3.0, 2.0]
    """
    row = np.asarray(numbers)
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise DataError(f"{source}: tokens are one row of whole numbers, not {row.dtype}{list(row.shape)}")
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise ConfigurationError(f"length is a whole number above 0, not {length!r}")
    asked = len(row) - 1
    if asked < length:
        raise DataError(
            f"{source}: there {'is' if len(row) == 1 else 'are'} {len(row):,} token{'s' * (len(row) != 1)}, and a "
            f"window of {length:,} with the token after it wants {length + 1:,}; give more text, or a smaller length"
        )
    count = -(-asked // length)
    starts = np.minimum(np.arange(count) * length, asked - length)
    places = starts[:, None] + np.arange(length)
    inputs, targets = row[places].astype(np.int32), row[places + 1].astype(np.int32)
    again = count * length - asked
    targets[-1, :again] = -1
    weights = np.ones(count, np.float32)
    weights[-1] = (length - again) / length
    return inputs, targets, weights


def language(
    text: str | Path,
    *,
    length: int = 64,
    tokens: str | Tokenizer = "characters",
    min_count: int = 1,
    most: int | None = None,
    test_fraction: float = 0.1,
    name: str = "",
) -> tuple[Dataset, Dataset]:
    """A text, or the file at a path, to learn which token comes next: a training part and its end as the test part.

    ``tokens`` are "characters", "words", "chinese-words", "byte-pairs" (a thousand, learned from the training part),
    or a tokenizer such as `Words(lower=False)`. Tokens that come less than ``min_count`` times in the training part, or
    are not among the ``most`` frequent, are unknown; characters are listed as the whole text has them.

    Raises DataError, naming file and byte, for what is not text, and for a text that is too short.

    >>> train, test = language("to be or not to be, that is the question. " * 20, length=16)
    >>> train.inputs.shape, train.targets.shape, train.preparation.symbols
    ((48, 16), (48, 16), 15)
    """
    source, whole = (text.name, TextFile(text).read()) if isinstance(text, Path) else (name or "the text", text)
    if not 0 < test_fraction < 1:
        raise ConfigurationError(f"test_fraction is a part of the text, between 0 and 1, not {test_fraction!r}")
    if not whole.strip():
        raise DataError(f"{source}: there is nothing in it but spaces and ends of lines")
    cut = len(whole) - max(round(len(whole) * test_fraction), 1)
    parts = whole[:cut], whole[cut:]
    used = chosen(tokens, [parts[0]])
    refuse_pairs(used)
    lossless = used.kind == "characters" and min_count == 1 and most is None
    vocabulary = make_vocabulary(
        used,
        used.split(whole if lossless else parts[0]),
        min_count=min_count,
        most=most,
        padding=False,
        unknown=not lossless,
    )
    form = TextForm(used, vocabulary, length)
    found = []
    for part, told in zip(parts, ("the training part", "the test part"), strict=True):
        numbers = form.numbers(part, source)
        note = "; ".join(one for one in (f"language model: the next of {form.symbols:,} {used.kind}",
                                         told_unknown(form, numbers)) if one)  # fmt: skip
        inputs, targets, weights = windows(numbers, length, source=f"{source}, {told}")
        found.append(
            Dataset(inputs, targets, weights, None, Preparation(text=form), name or source.rpartition(".")[0], note)
        )
    return found[0], found[1]


def language_as(path: str | Path | TextFile, preparation: Preparation) -> Dataset:
    """A further text, whole, in the form of a preparation from an earlier one: to evaluate."""
    form, file = preparation.text, path if isinstance(path, TextFile) else TextFile(path)
    if form is None:
        raise DataError(f"{file.name}: this run was not trained on text")
    numbers = form.numbers(file.read(), file.name)
    inputs, targets, weights = windows(numbers, form.length, source=file.name)
    return Dataset(inputs, targets, weights, None, preparation, file.path.stem, told_unknown(form, numbers))


def bits_by_counts(train: Dataset, test: Dataset) -> float:
    """Bits a token of the test part, told by how often each comes in the training part alone: what to be better than.

    One more is added to each count, so that none is 0.
    """
    counts, asked = (
        np.bincount(np.asarray(part.targets)[np.asarray(part.targets) >= 0], minlength=part.preparation.symbols)
        for part in (train, test)
    )
    probabilities = (counts + 1) / (counts + 1).sum()
    return float(-(asked * np.log2(probabilities)).sum() / asked.sum())
