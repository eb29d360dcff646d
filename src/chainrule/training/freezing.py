"""What does not learn: which parameters are left, and what cannot be meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.errors import ConfigurationError
from chainrule.graph import Node
from chainrule.layers.scope import PARAMETERS, Record, fits


def check_patterns(patterns: Any) -> tuple[str, ...]:
    """The patterns, if each can be one of paths."""
    if isinstance(patterns, str) or not isinstance(patterns, Sequence):
        raise ConfigurationError(f'freeze is a list of patterns of paths, such as ["0", "1.*"], not {patterns!r}')
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern:
            raise ConfigurationError(f'freeze takes patterns of paths, such as "0" or "*.bias", not {pattern!r}')
    return tuple(patterns)


def learning(parameters: Mapping[str, Node], frozen: Sequence[str]) -> dict[str, Node]:
    """Those of the parameters that are not frozen."""
    return {path: node for path, node in parameters.items() if not fits(path, frozen)}


def refuse_idle(record: Record) -> None:
    """Raise for a pattern that freezes nothing: most likely a path that is written otherwise."""
    parameters = [name.partition("/")[2] for name in record.declared if name.startswith(f"{PARAMETERS}/")]
    for pattern in record.frozen:
        if not any(fits(path, (pattern,)) for path in parameters):
            raise ConfigurationError(f"freeze: {pattern!r} fits no parameter; there are {', '.join(parameters)}")
