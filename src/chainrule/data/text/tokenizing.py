"""How text is cut into tokens, and put together again: characters, pairs of them, words, Chinese words, byte pairs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from chainrule.errors import ConfigurationError, MissingExtraError

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_NO_SPACE_BEFORE = re.compile(r"\s+([^\w\s(\[{“‘])")
_MOST_MERGES = 1_000_000


class Tokenizer(Protocol):
    """What cuts text into tokens; plain settings, so that it is kept with a run."""

    @property
    def kind(self) -> str:
        """Which of `KINDS` it is."""

    def split(self, text: str) -> list[str]:
        """The tokens of a text, in order."""

    def join(self, tokens: Sequence[str]) -> str:
        """A text of these tokens."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, from which `tokenizer_from` makes it again."""


@dataclass(frozen=True)
class Characters:
    """Each character (Unicode code point) is a token: nothing is lost, spaces and ends of lines included.

    >>> Characters().split("to be")
    ['t', 'o', ' ', 'b', 'e']
    """

    kind: str = field(default="characters", init=False)

    def split(self, text: str) -> list[str]:
        """The characters."""
        return list(text)

    def join(self, tokens: Sequence[str]) -> str:
        """The characters, one after the other."""
        return "".join(tokens)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class CharacterPairs:
    """Each character is a token, and so is each pair of neighbours, after the first of the two: to tell texts apart by.

    Nothing is lost, but n characters are 2n - 1 tokens, and half of them are no news after the one before: what comes
    next in a text is learned from characters.

    >>> CharacterPairs().split("abc")
    ['a', 'ab', 'b', 'bc', 'c']

    Reference: A. Joulin et al., "Bag of tricks for efficient text classification", 2017, there of words.
    """

    kind: str = field(default="character-pairs", init=False)

    def split(self, text: str) -> list[str]:
        """The characters and pairs."""
        found = [text[place : place + size] for place in range(len(text)) for size in (1, 2)]
        return found[:-1]  # behind the last character there is none to be a pair with

    def join(self, tokens: Sequence[str]) -> str:
        """The single characters."""
        return "".join(token for token in tokens if len(token) == 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class Words:
    """Runs of letters and digits are tokens, and each other mark is one; spaces only separate.

    With ``lower`` the case of letters is forgotten. Joined again, words stand a space apart.

    >>> Words().split("Don't panic, said he.")
    ["don't", 'panic', ',', 'said', 'he', '.']
    """

    lower: bool = True
    kind: str = field(default="words", init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.lower, bool):
            raise ConfigurationError(f"Words: lower is True or False, not {self.lower!r}")

    def split(self, text: str) -> list[str]:
        """The words and marks."""
        return _WORD.findall(text.lower() if self.lower else text)

    def join(self, tokens: Sequence[str]) -> str:
        """The tokens, a space apart but before a mark."""
        return _NO_SPACE_BEFORE.sub(r"\1", " ".join(tokens))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, "lower": self.lower}


@dataclass(frozen=True)
class ChineseWords:
    """Chinese text, which has no spaces, cut into words by jieba's dictionary; spaces only separate.

    Raises `MissingExtraError` where the extra "text" is not installed.

    Reference: the library jieba, whose words are the most probable path through a dictionary of counted words.
    """

    kind: str = field(default="chinese-words", init=False)

    def split(self, text: str) -> list[str]:
        """The words and marks."""
        return [word for word in _segmenter().lcut(text) if not word.isspace()]

    def join(self, tokens: Sequence[str]) -> str:
        """The words, one after the other."""
        return "".join(tokens)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class BytePairs:
    """Pieces of words: the bytes of a text, of which the most frequent pairs were joined, again and again.

    ``merges`` are the pairs in the order in which they are joined; `BytePairs.learn` finds them. Every text can be
    cut, since single bytes are tokens too, and nothing is lost. A byte is written as a letter that can be seen: a
    space is "Ġ".

    Raises `MissingExtraError` where the extra "text" (the library tokenizers) is not installed.

    Reference: R. Sennrich, B. Haddow and A. Birch, "Neural machine translation of rare words with subword units",
    2016; on bytes, A. Radford et al., "Language models are unsupervised multitask learners", 2019.
    """

    merges: tuple[tuple[str, str], ...]
    kind: str = field(default="byte-pairs", init=False)

    def __post_init__(self) -> None:
        pairs = tuple(tuple(pair) for pair in self.merges)
        if any(len(pair) != 2 or not all(isinstance(one, str) and one for one in pair) for pair in pairs):
            raise ConfigurationError("BytePairs: merges are pairs of tokens")
        if len(pairs) > _MOST_MERGES:
            raise ConfigurationError(f"BytePairs: {len(pairs):,} merges; up to {_MOST_MERGES:,} are taken")
        object.__setattr__(self, "merges", pairs)

    @classmethod
    def learn(cls, texts: Iterable[str], size: int = 1000) -> BytePairs:
        """Find the merges in some texts (an iterable of any length) until there are ``size`` tokens, bytes included."""
        if not isinstance(size, int) or not 256 < size <= _MOST_MERGES:
            raise ConfigurationError(f"BytePairs: size is from 257 (256 bytes and a pair) to a million, not {size!r}")
        library = _tokenizers()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        import json

        found = json.loads(tokenizer.to_str())["model"]["merges"]
        pairs = (one.split(" ") if isinstance(one, str) else one for one in found)
        return cls(tuple((left, right) for left, right in pairs))

    @property
    def alphabet(self) -> tuple[str, ...]:
        """All tokens there can be: the 256 bytes, and what the merges make of them."""
        bytes_of = _tokenizers().pre_tokenizers.ByteLevel.alphabet()
        return tuple(dict.fromkeys([*sorted(bytes_of), *("".join(pair) for pair in self.merges)]))

    def split(self, text: str) -> list[str]:
        """The pieces."""
        tokens: list[str] = _byte_pairs(self).encode(text).tokens
        return tokens

    def join(self, tokens: Sequence[str]) -> str:
        """The text that these pieces are; a byte that is no character by itself becomes "\ufffd"."""
        text: str = _tokenizers().decoders.ByteLevel().decode(list(tokens))
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"kind": self.kind, "merges": [list(pair) for pair in self.merges]}


KINDS = ("characters", "character-pairs", "words", "chinese-words", "byte-pairs")


def tokenizer_from(values: Any) -> Tokenizer:
    """The tokenizer that ``to_dict`` wrote, or that of a name; ConfigurationError says what is wrong.

    >>> tokenizer_from("words") == tokenizer_from({"kind": "words", "lower": True})
    True
    """
    table = {"kind": values} if isinstance(values, str) else values
    if not isinstance(table, Mapping) or table.get("kind") not in KINDS:
        kind = table.get("kind") if isinstance(table, Mapping) else table
        raise ConfigurationError(f"tokens are one of {', '.join(KINDS)}, not {kind!r}")
    settings = {name: value for name, value in table.items() if name != "kind"}
    known = {"words": {"lower"}, "byte-pairs": {"merges"}}.get(table["kind"], set())
    if unknown := set(settings) - known:
        raise ConfigurationError(f"tokens: {table['kind']} have no setting {sorted(unknown)[0]!r}")
    if table["kind"] == "byte-pairs":
        merges = settings.get("merges")
        if not isinstance(merges, list | tuple) or any(not isinstance(pair, list | tuple) for pair in merges):
            raise ConfigurationError("byte pairs are learned from a text: BytePairs.learn(texts, size)")
        return BytePairs(tuple(merges))
    made: dict[str, type[Any]] = {
        "characters": Characters, "character-pairs": CharacterPairs, "words": Words, "chinese-words": ChineseWords,
    }  # fmt: skip
    found: Tokenizer = made[table["kind"]](**settings)
    return found


def chosen(tokens: str | Tokenizer, texts: Iterable[str]) -> Tokenizer:
    """A tokenizer, or that of a name; byte pairs are learned from the texts."""
    if tokens == "byte-pairs":
        return BytePairs.learn(texts)
    return tokenizer_from(tokens) if isinstance(tokens, str) else tokens


def refuse_pairs(tokens: Tokenizer) -> None:
    """Raise ConfigurationError for tokens that overlap, where the next of them is to be told."""
    if isinstance(tokens, CharacterPairs):
        raise ConfigurationError(
            "character-pairs overlap, so a pair says what the next token is; to learn a language, take characters or "
            "byte-pairs"
        )


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtraError("tokenizers", "text", "cutting text into byte pairs") from error
    return tokenizers


@cache
def _byte_pairs(pairs: BytePairs) -> Any:
    library = _tokenizers()
    vocabulary = {token: number for number, token in enumerate(pairs.alphabet)}
    try:
        tokenizer = library.Tokenizer(library.models.BPE(vocabulary, list(pairs.merges)))
    except Exception as error:  # the library raises none more exact
        raise ConfigurationError(f"BytePairs: these merges do not follow from each other ({error})") from error
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


@cache
def _segmenter() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own old spellings, which are no news to its users
        try:
            import jieba
        except ImportError as error:
            raise MissingExtraError("jieba", "text", "cutting Chinese into words") from error
    import logging

    from chainrule.data.sources import cache_folder

    jieba.setLogLevel(logging.WARNING)
    segmenter = jieba.Tokenizer()
    # What it keeps for a faster start is read again without a check, so not in a folder that others can write to.
    folder = cache_folder() / "jieba"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    segmenter.tmp_dir = str(folder)
    segmenter.initialize()
    return segmenter
