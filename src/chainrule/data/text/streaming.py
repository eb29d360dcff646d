"""Texts that need not fit into memory: read piece by piece in each epoch, to learn the next token from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.preparation import Preparation
from chainrule.data.streams import Stream, stream
from chainrule.data.text.corpus import Tokens, language_as, windows
from chainrule.data.text.form import TextForm, make_vocabulary
from chainrule.data.text.reading import TextFile
from chainrule.data.text.tokenizing import Tokenizer, chosen, refuse_pairs
from chainrule.errors import ConfigurationError
from chainrule.keys import Key

#: A text file of more bytes than this is streamed where nobody says what to do with it: in memory, with its tokens and
#: windows, each byte of it takes some thirty.
LARGE = 32 << 20
#: Bytes of a large text that are set apart at most: a million characters are told apart to a few thousandths of a bit.
MOST_APART = 1 << 20


@dataclass(frozen=True)
class WindowsOf:
    """The windows of a text file, chunk after chunk: a function of the epoch, as `chainrule.data.stream` takes one."""

    file: TextFile
    form: TextForm
    seed: int = 0
    piece: int = 1 << 20
    shuffle: bool = True

    def __call__(self, epoch: int) -> Iterator[tuple[Tokens, Tokens, NDArray[np.float32]]]:
        """The windows of each piece, with what was left of the piece before."""
        length = self.form.length
        rest, number, last = np.zeros(0, np.int32), 0, np.zeros(0, np.int32)
        for text in whole_lines(self.file, self.piece):
            row = np.concatenate([rest, self.form.numbers(text, self.file.name)])
            full = (len(row) - 1) // length * length if len(row) else 0
            if full > 0:
                inputs, targets, weights = windows(row[: full + 1], length, source=self.file.name)
                order = np.arange(len(inputs))
                if self.shuffle:
                    order = Key(self.seed).child("windows").child(epoch).child(number).permutation(len(inputs))
                yield inputs[order], targets[order], weights[order]
                last = row[full - length : full]
                number += 1
            rest = row[full:]
        if len(rest) > 1:  # the end, with what came before it in front
            inputs, targets, weights = windows(np.concatenate([last, rest]), length, source=self.file.name)
            yield inputs[-1:], targets[-1:], weights[-1:]


def language_stream(
    path: str | Path | TextFile,
    *,
    length: int = 64,
    tokens: str | Tokenizer = "characters",
    min_count: int = 1,
    most: int | None = None,
    form: TextForm | None = None,
    samples: int | None = None,
    seed: int = 0,
    piece: int = 1 << 20,
    shuffle: bool = True,
) -> Stream:
    """A text file that need not fit into memory, as a stream of windows to learn the next token from.

    It is read ``piece`` bytes at a time, once in each epoch; once at first for its vocabulary, unless another's
    ``form`` is given (``train.preparation.text``); and once to count its windows, unless it is said that an epoch has
    so many ``samples``, as ``run.spec.samples`` knows where a run goes on with the same text. The windows of a piece
    come in an order made of seed and epoch; what is left at its end goes on into the next, and what is left of the
    last, less than a window, comes as the last window of `windows` does.

    Raises StreamError, naming file and byte, where the file is not text, or becomes shorter while it is read.
    """
    file = path if isinstance(path, TextFile) else TextFile(path)
    if form is None:
        used = chosen(tokens, file.pieces(piece))
        refuse_pairs(used)
        lossless = used.kind == "characters" and min_count == 1 and most is None
        vocabulary = make_vocabulary(
            used,
            (token for text in whole_lines(file, piece) for token in used.split(text)),
            min_count=min_count,
            most=most,
            padding=False,
            unknown=not lossless,
        )
        form = TextForm(used, vocabulary, length)
    return _stream(WindowsOf(file, form, seed, piece, shuffle), samples)


def large_language(
    path: str | Path,
    *,
    length: int = 64,
    tokens: str | Tokenizer = "characters",
    test_fraction: float = 0.1,
    form: TextForm | None = None,
) -> tuple[Stream, Dataset]:
    """What `language` gives of a file, the training part as a stream; of its end, the test part is a MiB at most.

    With the ``form`` of an earlier call, the file is not gone through for a vocabulary.
    """
    file = TextFile(path)
    if form is None:
        counted = file if tokens == "characters" else file.divide(test_fraction, MOST_APART)[0]
        form = language_stream(counted, length=length, tokens=tokens).preparation.text
    return divided(language_stream(file, form=form), test_fraction)


def divided(whole: Stream, fraction: float) -> tuple[Stream, Dataset]:
    """A stream of a text in two: what comes first, still a stream, and its end in memory, to measure by.

    The end is ``fraction`` of the file, a MiB of it at most.
    """
    source = windows_of(whole)
    first, end = source.file.divide(fraction, MOST_APART)
    return _stream(replace(source, file=first)), language_as(end, whole.preparation)


def with_seed(whole: Stream, seed: int) -> Stream:
    """A stream of a text, its windows in another order."""
    return _stream(replace(windows_of(whole), seed=seed))


def with_samples(whole: Stream, samples: int) -> Stream:
    """A stream of a text of which it is known how many samples an epoch has: it is not gone through to count them."""
    return _stream(windows_of(whole), samples)


def windows_of(whole: Stream) -> WindowsOf:
    """What the windows of a stream are of; ConfigurationError if it is not one of a text file."""
    if not isinstance(whole.source, WindowsOf):
        raise ConfigurationError(f"{whole.name or 'the stream'}: this is for streams of a text file alone")
    return whole.source


def _stream(source: WindowsOf, samples: int | None = None) -> Stream:
    return stream(source, samples=samples, preparation=Preparation(text=source.form), name=source.file.path.stem)


def whole_lines(file: TextFile, piece: int) -> Iterator[str]:
    """The text in pieces that end where lines end, so that no word is cut; a line longer than a piece is."""
    rest = ""
    for text in file.pieces(piece):
        rest += text
        cut = rest.rfind("\n") + 1 or (len(rest) if len(rest) >= piece else 0)
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
    if rest:
        yield rest
