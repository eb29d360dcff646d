"""Data that do not lie in memory: a stream of chunks, checked as they come."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chainrule.data.chunks import Arrays, Piece, checked, made, recut, rows_of
from chainrule.data.dataset import Dataset
from chainrule.data.preparation import Preparation
from chainrule.data.scaling import Moments
from chainrule.data.splitting import split_indices
from chainrule.data.wholes import Order, Whole
from chainrule.errors import ChainruleError, ConfigurationError, DataError, StreamError

Source: TypeAlias = Callable[[int], Any] | Whole

_BLOCK = 4096  # statistics are gathered in blocks of so many samples, wherever chunks begin and end
_LARGEST = 2**31 - 1


class Stream:
    """Data to train on or to evaluate that come in chunks; `stream` makes one.

    ``len`` is the number of samples in an epoch, ``preparation`` what is done to them in the graph, ``classes`` the
    names that labels count into, ``note`` what was recognised in the source.
    """

    note: str = ""

    def __init__(
        self, source: Source, samples: int | None, classes: tuple[str, ...] | None, preparation: Preparation, name: str
    ) -> None:
        self.source, self.classes, self.preparation, self.name = source, classes, preparation, name
        self._samples = len(source) if isinstance(source, Whole) else samples
        self._first: Arrays | None = None
        self._by_name = False

    def __len__(self) -> int:
        """How many samples an epoch has; where nobody said, epoch 0 is gone through once and counted."""
        if self._samples is None:
            with closing(self._uncut(0)) as chunks:
                self._count(sum(map(rows_of, chunks)))
        return self._samples or 0

    def __repr__(self) -> str:
        count = "not counted yet" if self._samples is None else f"{self._samples:,} samples an epoch"
        return f"<Stream {self.name or 'of data'}: {count}>"

    @property
    def head(self) -> Dataset | Arrays:
        """The first chunk of epoch 0, up to 4,096 samples of it: read once, to learn shapes and dtypes."""
        return self._as_data(self._known())

    @property
    def labels(self) -> NDArray[np.int32] | None:
        """All labels, where they lie in memory, as those of a stream of arrays or of image files do; else None."""
        return self.source.labels if isinstance(self.source, Whole) and self.classes is not None else None

    @property
    def arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """The shape of a sample and the dtype of each array."""
        return {name: (array.shape[1:], array.dtype.name) for name, array in self._known().items()}

    def chunks(self, epoch: int = 0, start: int = 0, order: Order | None = None) -> Generator[Arrays]:
        """The checked chunks of an epoch from sample ``start`` on: exactly as many samples as an epoch has.

        A source of one's own is gone through from its beginning, for what comes before may decide what comes after;
        arrays are read from ``start`` on, in ``order`` if there is one. Raises `StreamError`, with the number of the
        chunk, for what the source raises, for what cannot be used, and for an epoch that ends early.
        """
        wanted = len(self)
        self._known()
        seen = from_there = start if isinstance(self.source, Whole) else 0
        with closing(self._uncut(epoch, from_there, order)) as chunks:
            for arrays in chunks:
                count = rows_of(arrays)
                first, last = max(start - seen, 0), min(count, wanted - seen)
                if first < last:
                    yield {name: array[first:last] for name, array in arrays.items()}
                seen += count
                if seen >= wanted:
                    return
        if seen == wanted:  # begun where it ends
            return
        advice = "say how many there are: stream(…, samples=…)" if seen else _ONCE
        raise StreamError(f"{self._told}: epoch {epoch} ended after {seen:,} of {wanted:,} samples; {advice}")

    def blocks(self, rows: int) -> Generator[Arrays]:
        """Epoch 0 in blocks of exactly ``rows`` samples, the last maybe smaller, however its chunks were cut."""
        with closing(self.chunks()) as chunks:
            yield from recut(chunks, rows)

    def take(self, samples: int) -> Dataset | Arrays:
        """The first samples of epoch 0, in memory: to look at, to explain, to check gradients with."""
        if not isinstance(samples, int) or samples < 1:
            raise ConfigurationError(f"samples is how many to take, 1 or more, not {samples!r}")
        with closing(self.blocks(min(samples, len(self)))) as blocks:
            return self._as_data(next(blocks))

    def split(self, fraction: float = 0.2, seed: int = 0) -> tuple[Stream, Stream]:
        """A training part, and a test part of ``fraction`` of the samples: those that `Dataset.split` takes.

        It is for a stream of arrays or of image files, of which nothing is copied, and nothing read. Raises
        `ConfigurationError` for a stream of chunks: which samples are to come is not known.

        >>> train, test = stream((np.zeros((10, 1)), np.array([0, 1] * 5)), classes=2).split(0.2)
        >>> len(train), sorted(test.take(2).targets.tolist())
        (8, [0, 1])
        """
        if not isinstance(self.source, Whole):
            raise ConfigurationError(
                f"{self._told}: a stream of chunks cannot be split, since its samples are known only as they come; "
                "make two streams, one of each part"
            )
        train, test = (
            self._with(self.preparation, self.source.chosen(rows))
            for rows in split_indices(len(self), fraction, seed, self.labels)
        )
        return train, test

    def weigh_classes(self, weights: str | Mapping[str, float] = "balanced") -> Stream:
        """This stream with weights by class, as `Dataset.weigh_classes` gives them; one of arrays or of image files."""
        whole = self.source
        labels = self._alone()
        if labels is None or not isinstance(whole, Whole):
            raise DataError(f"{self._told}: weigh_classes needs labels that lie in memory, and none do")
        found = labels.weigh_classes(weights).weights
        assert found is not None
        inputs, targets = whole.parts[:2]
        every = np.zeros(inputs.shape[0], found.dtype)
        every[slice(None) if whole.rows is None else whole.rows] = found
        return self._with(self.preparation, Whole((inputs, targets, every), whole.rows))

    def check_trainable(self) -> None:
        """Raise DataError where training could only mislead, as `Dataset.check_trainable` does, if labels are known."""
        labels = self._alone()
        if labels is not None:
            labels.check_trainable()

    def _alone(self) -> Dataset | None:
        """The labels, and weights if there are any, without the inputs; None where they do not lie in memory."""
        labels = self.labels
        if labels is None or not isinstance(self.source, Whole):
            return None
        weights = self.source.weights
        return Dataset(np.zeros((len(labels), 1), np.uint8), labels, weights, self.classes, name=self.name)

    def standardize(self) -> Stream:
        """This stream with a preparation that gives every feature mean 0 and deviation 1, as measured in epoch 0.

        The source is gone through once for it, and its samples counted. As `Dataset.standardize` does it: one shift
        and one scale for samples of more than one axis, 0 … 1 for uint8. How chunks are cut changes no bit of it.
        """
        if not isinstance(self.head, Dataset):
            raise DataError(f"{self._told}: standardize is for inputs; scale arrays of your own in the source")
        moments, count = Moments(), 0
        with closing(self._uncut(0) if self._samples is None else self.chunks()) as chunks:
            for block in recut(chunks, _BLOCK):
                moments.add(block["inputs"])
                count += rows_of(block)
        self._count(count)
        scaling = moments.scaling()
        return self._with(replace(self.preparation, shift=scaling.shift, scale=scaling.scale))

    def prepared_as(self, other: Stream | Dataset) -> Stream:
        """This stream with the preparation of other data: statistics come from the training part alone."""
        return self._with(other.preparation)

    def _with(self, preparation: Preparation, source: Source | None = None) -> Stream:
        other = Stream(source or self.source, self._samples, self.classes, preparation, self.name)
        other.note = self.note
        if source is None:
            other._first, other._by_name = self._first, self._by_name
        return other

    @property
    def _told(self) -> str:
        return self.name or "the stream"

    def _count(self, samples: int) -> None:
        if not 0 < samples <= _LARGEST:
            raise StreamError(f"{self._told}: an epoch has 1 to 2³¹ - 1 samples, not {samples:,}; {_ONCE}")
        self._samples = samples

    def _known(self) -> Arrays:
        if self._first is None:
            with closing(self._uncut(0)) as chunks:
                next(chunks, None)
        if self._first is None:
            raise StreamError(f"{self._told}: epoch 0 has no samples; {_ONCE}")
        return self._first

    def _as_data(self, arrays: Arrays) -> Dataset | Arrays:
        own = {name: array.copy() for name, array in arrays.items()}
        if self._by_name:
            return own
        parts = own["inputs"], own.get("targets"), own.get("weights")
        return Dataset(*parts, self.classes, self.preparation, self.name)

    def _uncut(self, epoch: int, start: int = 0, order: Order | None = None) -> Generator[Arrays]:
        """What the source gives, checked, each chunk with the shapes and dtypes of the first; empty ones left out."""
        whole = self.source if isinstance(self.source, Whole) else None
        pieces: Generator[Piece]
        pieces = made(self.source, epoch, self._told) if whole is None else whole.pieces(epoch, start, order)  # type: ignore[arg-type]
        with closing(pieces):
            for where, chunk, rows in pieces:
                try:
                    arrays = self._checked(chunk, where)
                except ChainruleError as error:
                    if whole is not None and rows is not None:
                        self._refuse_sample(whole, rows.tolist())
                    raise StreamError(str(error)) from None
                except Exception as error:
                    told = f"{self._told}, {where}: cannot be used: {type(error).__name__}: {error}"
                    raise StreamError(told) from error
                if rows_of(arrays):
                    if self._first is None:
                        self._by_name = isinstance(chunk, Mapping)
                        self._first = {name: array[:_BLOCK].copy() for name, array in arrays.items()}
                    yield arrays

    def _checked(self, chunk: Any, where: str) -> Arrays:
        symbolic = self.preparation if self.preparation.symbols else None
        return checked(chunk, f"{self._told}, {where}", self.classes, self._first, symbolic)

    def _refuse_sample(self, whole: Whole, rows: Sequence[int]) -> None:
        """Raise for the first of some samples that cannot be used: its own number says more than its piece's."""
        for row in rows:
            try:
                self._checked(whole.sample(row), f"sample {row:,}")
            except ChainruleError as error:
                raise StreamError(str(error)) from None


_ONCE = "a generator can be gone through once: make a new one in each call of the source"


def stream(
    source: Any,
    *,
    samples: int | None = None,
    classes: Sequence[str] | int | None = None,
    preparation: Preparation | None = None,
    name: str = "",
) -> Stream:
    """Data that are read or made while the training goes on, by a thread beside it.

    ``source`` is a function of the epoch (0, 1, …) that gives chunks: a generator function, say. A chunk is
    (inputs, targets), (inputs, targets, weights), inputs alone, a `Dataset`, or a dictionary of arrays for a step of
    your own; with one row a sample, and of any length. Or ``source`` is all the data as one such chunk, of arrays
    that are memory-mapped for instance: they are read piece by piece, in the order in which `fit` takes those of a
    data set, by its seed and shuffle. The order of a function is its own.

    ``samples`` is how many an epoch has: it is cut there, so a source may go on for ever; without it, epoch 0 is
    gone through once to count them. ``classes`` are the names of the classes, or how many they are; labels need
    them. ``preparation`` is done in the graph; `Stream.standardize` measures one. The first chunk of epoch 0 is made
    once more, to learn shapes and dtypes.

    Raises `StreamError`, which names the chunk, where one comes that cannot be used.

    Differs from Keras and PyTorch, whose loaders give batches: chunks are cut into batches here, and how they were
    cut does not change a bit of the training.

    >>> import chainrule as cr
    >>> def chunks(epoch):
    ...     for part in range(10):
    ...         x = cr.keys.Key(0).child(epoch).child(part).normal((50, 2))
    ...         yield x, x @ [[2.0], [-1.0]]
    >>> down = cr.optimizers.SGD(learning_rate=0.1)
    >>> run = cr.fit(cr.Chain(cr.Dense(1)), cr.data.stream(chunks, samples=500), epochs=10, optimizer=down)
    >>> run.parameters["0.weight"].round(3).ravel().tolist()
    [2.0, -1.0]
    """
    if samples is not None and (type(samples) is not int or not 0 < samples <= _LARGEST):
        raise ConfigurationError(f"samples is how many an epoch has, from 1 to 2³¹ - 1, or None, not {samples!r}")
    if isinstance(source, Dataset):
        classes = source.classes if classes is None else classes
        preparation, name = preparation or source.preparation, name or source.name
    if isinstance(classes, str | bool) or (isinstance(classes, int) and classes < 1):
        raise ConfigurationError(f"classes is a sequence of names, or how many there are, not {classes!r}")
    names = range(classes) if isinstance(classes, int) else classes
    told = None if names is None else tuple(map(str, names))
    found: Source
    if isinstance(source, tuple | Mapping | np.ndarray | Dataset):
        found = Whole(source)
        if samples not in (None, len(found)):
            raise ConfigurationError(f"samples={samples:,}, and the arrays have {len(found):,}; leave samples out")
    elif callable(source):
        found = source
    else:
        raise DataError(
            f"a stream is made of a function of the epoch that gives chunks, or of arrays, not of a "
            f"{type(source).__name__}; for what can be gone through again and again: stream(lambda epoch: it)"
        )
    return Stream(found, samples, told, preparation or Preparation(), name)
