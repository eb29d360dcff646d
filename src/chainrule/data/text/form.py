"""The form in which text comes to a network: kept with a run, so that text to come is treated alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.text.tokenizing import (
    BytePairs,
    CharacterPairs,
    Characters,
    ChineseWords,
    Tokenizer,
    Words,
    tokenizer_from,
)
from chainrule.data.text.vocabulary import PADDING, UNKNOWN, Vocabulary, as_tokens
from chainrule.errors import ConfigurationError, DataError

LONGER = ("refuse", "cut")
_KEYS = ("tokens", "vocabulary", "length", "longer", "column", "buckets")
_LONGEST = 1 << 20
#: What bytes become that are no character.
_NO_CHARACTER = "\ufffd"


@dataclass(frozen=True)
class TextForm:
    """Text as ``length`` tokens a sample, each a number of the ``vocabulary``.

    A shorter text is filled up with padding at its end; of one that is ``longer`` all is refused ("refuse"), or what
    stands beyond is cut off ("cut"). ``column`` is the column of a table that the texts stand in. ``buckets`` are
    shorter lengths, rising: in training, texts of about one length come together, in batches no longer than they need.

    >>> form = TextForm(Characters(), Vocabulary(("<padding>", "<unknown>", "a", "b")), length=4)
    >>> form.encode(["ab", "abc"]).tolist()
    [[2, 3, 0, 0], [2, 3, 1, 0]]
    >>> form.decode([2, 3, 0, 0])
    'ab'
    """

    tokens: Tokenizer
    vocabulary: Vocabulary
    length: int
    longer: str = "refuse"
    column: str = ""
    buckets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.tokens, Characters | CharacterPairs | Words | ChineseWords | BytePairs):
            raise ConfigurationError(f"text: tokens are such as Characters() or Words(), not {self.tokens!r}")
        if not isinstance(self.vocabulary, Vocabulary):
            raise ConfigurationError(f"text: vocabulary is a Vocabulary, not {self.vocabulary!r}")
        if not isinstance(self.length, int) or isinstance(self.length, bool) or not 1 <= self.length <= _LONGEST:
            raise ConfigurationError(f"text: length is a whole number from 1 to {_LONGEST:,}, not {self.length!r}")
        if self.longer not in LONGER:
            raise ConfigurationError(f"text: longer is {' or '.join(LONGER)}, not {self.longer!r}")
        if not isinstance(self.column, str):
            raise ConfigurationError(f"text: column is the name of a column, not {self.column!r}")
        bounds = tuple(self.buckets) if isinstance(self.buckets, list | tuple) else (None,)
        rising = [0, *bounds, self.length]
        if any(type(one) is not int for one in bounds) or any(a >= b for a, b in itertools.pairwise(rising)):
            raise ConfigurationError(
                f"text: buckets are rising lengths below {self.length:,}, such as (8, 16), not {self.buckets!r}"
            )
        if bounds and self.vocabulary.padding is None:
            raise ConfigurationError(f"text: buckets leave {PADDING} out, and the vocabulary has none")
        object.__setattr__(self, "buckets", bounds)

    @property
    def symbols(self) -> int:
        """How many tokens there are."""
        return len(self.vocabulary)

    def numbers(self, text: str, place: str = "the text") -> NDArray[np.int32]:
        """The numbers of a text's tokens, as many as it has."""
        return self.vocabulary.encode(self.tokens.split(text), place)

    def encode(self, texts: Sequence[str] | Iterable[tuple[str, str]], source: str = "the texts") -> NDArray[np.int32]:
        """Texts, or (place, text), as int32 (samples, length); DataError, naming the place, for one that does not fit.

        Refused are a text without a token, one that is too long, and a token that is not known where there is no
        unknown.
        """
        if isinstance(texts, str):
            raise DataError(f"{source}: a list of texts was expected, and one text came; put it into a list")
        placed = [one if isinstance(one, tuple) else (f"{source}, text {n}", one) for n, one in enumerate(texts)]
        for place, text in placed:
            if not isinstance(text, str):
                raise DataError(f"{place}: a text was expected, not {type(text).__name__}")
        return self.encode_split([(place, self.tokens.split(text)) for place, text in placed])

    def encode_split(self, placed: Sequence[tuple[str, list[str]]]) -> NDArray[np.int32]:
        """What `encode` does, of (place, tokens): texts that are cut already."""
        found = np.zeros((len(placed), self.length), np.int32)
        for row, (place, tokens) in enumerate(placed):
            count = len(tokens)
            if not count:
                raise DataError(f"{place}: there is no token in it; leave it out")
            if count > self.length and self.longer == "refuse":
                raise DataError(
                    f"{place}: {count:,} tokens, and there are {self.length:,} positions; shorten the text, or train "
                    "with a greater length, or with longer='cut'"
                )
            if count < self.length and self.vocabulary.padding is None:
                raise DataError(
                    f"{place}: {count:,} tokens for {self.length:,} positions, and the vocabulary has no {PADDING} to "
                    "fill them up"
                )
            found[row, : min(count, self.length)] = self.vocabulary.encode(tokens, place)[: self.length]
        return found

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of some numbers; what was unknown stays "<unknown>"."""
        return self.tokens.join(self.vocabulary.decode(int(number) for number in numbers))

    def decode_parts(self, parts: Iterable[Iterable[int]]) -> Iterator[str]:
        """The text of numbers that come some at a time, as they come: together it is what `decode` makes of all.

        What may be the first bytes of a character is held back until the rest is there.

        >>> form = TextForm(Words(), Vocabulary(("so", "good", "!")), length=4)
        >>> list(form.decode_parts([[0, 0], [1], [2]]))
        ['so so', ' good', '!']
        """
        last, waiting, text = list[int](), list[int](), ""
        for part in parts:
            waiting += part
            # How tokens meet is told by the last before them.
            text = self.decode([*last, *waiting])[len(self.decode(last)) :]
            if text and not text.endswith(_NO_CHARACTER):
                yield text
                last, waiting, text = waiting[-1:], [], ""
        if text:
            yield text

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for TOML or JSON."""
        return {
            "tokens": self.tokens.to_dict(),
            "vocabulary": list(self.vocabulary.tokens),
            "length": self.length,
            "longer": self.longer,
            "column": self.column,
            **({"buckets": list(self.buckets)} if self.buckets else {}),
        }

    @classmethod
    def from_dict(cls, values: Any) -> TextForm:
        """The form that ``to_dict`` wrote; ConfigurationError names what is wrong."""
        if not isinstance(values, Mapping):
            raise ConfigurationError("text: a table with tokens, vocabulary and length was expected")
        for key in values:
            if key not in _KEYS:
                raise ConfigurationError(f"text: unknown key {key!r}; known are {', '.join(_KEYS)}")
        if absent := [key for key in _KEYS[:3] if key not in values]:
            raise ConfigurationError(f"text: {', '.join(absent)} is missing")
        rest = {key: values[key] for key in _KEYS[2:] if key in values}
        return cls(tokenizer_from(values["tokens"]), Vocabulary(as_tokens(values["vocabulary"])), **rest)


def halves(lengths: Sequence[int], length: int) -> tuple[int, ...]:
    """Buckets for texts of such lengths: half of the length, half of that, and on, as long as one text in twenty fits.

    They are worth the steps that have to be compiled for them where they leave a quarter of all positions out; else
    there are none.

    >>> halves([3, 4, 5, 5, 6, 7, 12, 40], 40), halves([18, 20, 22, 30], 32)
    ((5, 10, 20), ())
    """
    counts, bounds = np.asarray(lengths), list[int]()
    while (bound := (bounds or [length])[0] // 2) >= 4 and (counts <= bound).mean() >= 0.05:
        bounds.insert(0, bound)
    steps = np.asarray([*bounds, length])
    cut = steps[np.minimum(np.searchsorted(steps, counts), len(bounds))].mean()
    return tuple(bounds) if cut <= 0.75 * length else ()


def make_vocabulary(
    tokens: Tokenizer,
    found: Iterable[str],
    *,
    min_count: int = 1,
    most: int | None = None,
    padding: bool,
    unknown: bool,
) -> Vocabulary:
    """The vocabulary of the tokens that are found; of byte pairs all there can be."""
    if isinstance(tokens, BytePairs):
        return Vocabulary((*[PADDING] * padding, *tokens.alphabet))
    return Vocabulary.of(found, min_count=min_count, most=most, padding=padding, unknown=unknown)


def told_unknown(form: TextForm, numbers: NDArray[np.int32]) -> str:
    """How much of a text is unknown, in words, or nothing."""
    count = 0 if form.vocabulary.unknown is None else int((numbers == form.vocabulary.unknown).sum())
    return f"{count:,} of {numbers.size:,} tokens are {UNKNOWN}" if count else ""
