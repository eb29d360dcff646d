"""What is text on the command line: its options, the networks for it, and how well a language is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.choices import one_of
from chainrule.cli.screen import figure, say_entry
from chainrule.errors import ConfigurationError

if TYPE_CHECKING:
    from chainrule.data import Dataset, Stream
    from chainrule.layers import AnyLayer
    from chainrule.run import Run

#: Words for --tokens, as `chainrule.data.text` has them.
TOKENS = ("characters", "character_pairs", "words", "chinese_words", "byte_pairs")
#: The name for --task, and what the data room calls it.
LANGUAGE = "language_model"
_KINDS: Mapping[str, type | tuple[type, ...]] = {"text": str, "tokens": str, "length": int, "buckets": (str, list)}
#: What has classes by name, and no column.
_HEADLINES = "thucnews-titles"


def text_options(settings: Mapping[str, Any], data: str) -> dict[str, Any]:
    """What says how the texts of these data are read, as the data room has it.

    Batches of short texts are cut to what they need, unless --buckets says otherwise: not so for a network of one's
    own, which may make something of what fills up.
    """
    found = {name: settings[name] for name in _KINDS if settings.get(name) is not None}
    if "buckets" in found:
        found["buckets"] = _bounds(found["buckets"])
    elif ("text" in found or data == _HEADLINES) and not is_file(settings.get("model")):
        found["buckets"] = "auto"
    if "tokens" in found:
        found["tokens"] = one_of("--tokens", found["tokens"], TOKENS).replace("_", "-")
    if "length" in found and not 1 <= found["length"] <= 1 << 20:
        raise ConfigurationError(f"--length is how many tokens a sample has, 1 or more, not {found['length']}")
    return found


def _bounds(asked: str) -> list[int]:
    words = [] if asked.strip().lower() == "none" else [one.strip() for one in asked.split(",")]
    if not all(one.isascii() and one.isdigit() for one in words):
        raise ConfigurationError(f"--buckets {asked!r}: lengths are such as 8,16, rising; or none")
    return [int(one) for one in words]


def is_file(model: str | None) -> bool:
    """Whether a network is described by a file of one's own."""
    return Path(model or "").suffix in (".toml", ".py")


def are_text_options(options: Any) -> bool:
    """Whether a table of a file holds such options."""
    return isinstance(options, Mapping) and all(
        name in _KINDS and isinstance(value, _KINDS[name]) and not isinstance(value, bool)
        for name, value in options.items()
    )


def text_model(asked: str | None, data: Dataset, settings: Mapping[str, Any]) -> AnyLayer:
    """The network of this name for data that are symbols, or the usual one: lstm, and for classes averaged_embeddings.

    ``settings`` may say how many units there are (--hidden), and which part of them a step leaves out (--dropout).
    """
    from chainrule.models import text

    for name in ("activation", "batch_norm"):
        if name in settings:
            raise ConfigurationError(f"--{name.replace('_', '-')} is for dense networks, and these data are text")
    symbols, (length,) = data.preparation.symbols, data.sample_shape
    options = _units(settings)
    if data.symbolic:
        chosen = one_of("--model", asked or "lstm", list(text.LANGUAGE))
        return text.LANGUAGE[chosen](symbols, length, **options)
    chosen = one_of("--model", asked or "averaged_embeddings", list(text.CLASSIFYING))
    return text.CLASSIFYING[chosen](symbols, length, len(data.classes or ()), **options)


def _units(settings: Mapping[str, Any]) -> dict[str, Any]:
    from chainrule.cli.choices import hidden_sizes

    found: dict[str, Any] = {}
    if "hidden" in settings:
        sizes = hidden_sizes(settings["hidden"])
        if len(sizes) != 1:
            raise ConfigurationError("--hidden is one number for a network of text: how many units it has")
        found["units"] = sizes[0]
    if "dropout" in settings:
        if not 0 <= settings["dropout"] < 1:
            raise ConfigurationError(
                f"--dropout is a part of the units, from 0 to below 1, not {settings['dropout']:g}"
            )
        found["dropout"] = settings["dropout"]
    return found


def some_of(data: Dataset | Stream) -> Dataset:
    """Data that lie in memory: all of them, or, of a stream, the first."""
    from chainrule.data import Stream

    if not isinstance(data, Stream):
        return data
    head = data.head
    assert not isinstance(head, dict)
    return head


def tell_language(run: Run, data: Dataset, name: str, baseline: Dataset | Stream | None) -> None:
    """How well the next token is told: bits a token, and what it would be by how often each comes."""
    from chainrule.data.text.corpus import bits_by_counts

    assert data.targets is not None
    form = run.preparation.text
    bits = run.evaluate(data)["loss"] / math.log(2)
    what = "token" if form is None else form.tokens.kind.replace("-", " ").removesuffix("s")
    asked = int((data.targets >= 0).sum())
    line = f"{asked:,} tokens: {figure(bits)} bits a {what}, as if one of {figure(2**bits)} were to be guessed"
    told = []
    if baseline is not None:
        counted = some_of(baseline)
        where = "" if counted is baseline else f" in the first {len(counted):,} samples"
        told.append(f"(by how often each comes{where}, it would be {figure(bits_by_counts(counted, data))})")
    say_entry(name, line, *told)
