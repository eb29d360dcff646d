"""What a law is tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A layer, the shape of a sample, and what it gives in plain NumPy, from x, and parameters and state by path.

    ``plain`` is prediction, and training too, unless it draws random numbers (``random``) or looks at the other samples
    of the batch, where ``batched`` is what it gives. ``edge``: it has no slope to check.
    """

    layer: Any
    sample: tuple[int, ...]
    output: tuple[int, ...]
    parameters: dict[str, tuple[int, ...]] = field(default_factory=dict)
    plain: Callable[..., Array] | None = None
    state: dict[str, tuple[int, ...]] = field(default_factory=dict)
    batched: Callable[..., Array] | None = None
    random: bool = False
    edge: bool = False
