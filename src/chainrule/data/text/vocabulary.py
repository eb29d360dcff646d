"""The tokens that a network knows, each with its number."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ConfigurationError, DataError

PADDING, UNKNOWN = "<padding>", "<unknown>"
_MOST = 10_000_000


@dataclass(frozen=True)
class Vocabulary:
    """Tokens in the order of their numbers; the padding, if there is one, is number 0, the unknown comes after it.

    ``padding`` fills short texts up, ``unknown`` stands for each token that is not listed; each is there if its name,
    "<padding>" or "<unknown>", stands first.

    >>> known = Vocabulary.of("to be or not to be".split(), min_count=2)
    >>> known.tokens
    ('<padding>', '<unknown>', 'be', 'to')
    >>> known.encode(["to", "do"]).tolist()
    [3, 1]
    """

    tokens: tuple[str, ...]
    _numbers: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tokens = tuple(self.tokens)
        if not tokens or any(not isinstance(token, str) or not token for token in tokens):
            raise ConfigurationError("a vocabulary is one token or more, none of them empty")
        numbers = {token: number for number, token in enumerate(tokens)}
        if len(numbers) < len(tokens):
            twice = next(token for number, token in enumerate(tokens) if numbers[token] != number)
            raise ConfigurationError(f"the vocabulary names {twice!r} twice")
        if numbers.get(PADDING, 0) != 0 or numbers.get(UNKNOWN, 0) > (PADDING in numbers):
            raise ConfigurationError(f"in a vocabulary, {PADDING} and then {UNKNOWN} come first")
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "_numbers", numbers)

    @classmethod
    def of(
        cls,
        tokens: Iterable[str],
        *,
        min_count: int = 1,
        most: int | None = None,
        padding: bool = True,
        unknown: bool = True,
    ) -> Vocabulary:
        """The tokens that come ``min_count`` times or more, the most frequent first and ``most`` of them at most.

        The iterable is gone through once, and only counted, so that a corpus need not lie in memory.
        """
        for name, value in (("min_count", min_count), ("most", 1 if most is None else most)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{name} is a whole number above 0, not {value!r}")
        counts = Counter(tokens)
        if not counts:
            raise DataError("there is not one token in the text, so no vocabulary")
        kept = sorted((token for token, count in counts.items() if count >= min_count), key=lambda t: (-counts[t], t))
        special = [PADDING] * padding + [UNKNOWN] * unknown
        if not kept and not unknown:
            raise DataError(f"no token comes {min_count} times; the most frequent, {max(counts.values())} times")
        return cls((*special, *kept[:most]))

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self):,} tokens>"

    @property
    def padding(self) -> int | None:
        """The number that fills up, 0, or None."""
        return self._numbers.get(PADDING)

    @property
    def unknown(self) -> int | None:
        """The number of a token that is not listed, or None."""
        return self._numbers.get(UNKNOWN)

    def encode(self, tokens: Sequence[str], place: str = "the text") -> NDArray[np.int32]:
        """The numbers of some tokens, int32; DataError for one that is not known, where there is no unknown."""
        numbers, unknown = self._numbers, self.unknown
        if unknown is None:
            for position, token in enumerate(tokens):
                if token not in numbers:
                    raise DataError(
                        f"{place}, token {position:,} (counted from 0): {token!r} is not among the {len(self):,} "
                        f"tokens of the vocabulary, and there is no {UNKNOWN} to stand for it"
                    )
        found = (numbers.get(token, unknown) for token in tokens)
        return np.fromiter(found, np.int32, len(tokens))

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """The tokens of some numbers, without padding; DataError for a number that is none's."""
        found = []
        for number in numbers:
            if not 0 <= number < len(self.tokens):
                raise DataError(f"{number} is no token's number; they are 0 … {len(self.tokens) - 1:,}")
            if number != self.padding:
                found.append(self.tokens[number])
        return found

    def save(self, path: str | Path) -> Path:
        """Write the tokens as a JSON list, one a line."""
        lines = ",\n".join(json.dumps(token, ensure_ascii=False) for token in self.tokens)
        path = Path(path)
        path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Vocabulary:
        """The vocabulary that `save` wrote; DataError for what is none. Nothing in the file is executed."""
        path = Path(path)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path.name}: no list of tokens in JSON ({error})") from error
        try:
            return cls(as_tokens(found))
        except ConfigurationError as error:
            raise DataError(f"{path.name}: {error}") from error


def as_tokens(values: object) -> tuple[str, ...]:
    """A list of texts, read from a file, as tokens; ConfigurationError for what is none."""
    if not isinstance(values, list | tuple) or len(values) > _MOST:
        raise ConfigurationError(f"the tokens are a list of at most {_MOST:,}")
    return tuple(values)
