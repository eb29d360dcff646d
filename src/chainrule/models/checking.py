"""What every model of images begins with."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.errors import ConfigurationError
from chainrule.layers import Reshape
from chainrule.layers.windows import is_whole

Shape = tuple[int, int, int]


def images(who: str, outputs: int, shape: Sequence[int], smallest: int) -> Reshape:
    """The first layer: (batch, height, width, channels), whether images come so or as rows of numbers."""
    if not is_whole(outputs, 1):
        raise ConfigurationError(f"{who}: outputs is a whole number above 0, not {outputs!r}")
    if len(shape) != 3 or not all(is_whole(size, 1) for size in shape):
        raise ConfigurationError(f"{who}: shape is (height, width, channels), such as (28, 28, 1), not {shape!r}")
    if min(shape[:2]) < smallest:
        raise ConfigurationError(
            f"{who}: images of {shape[0]}×{shape[1]} are too small, it halves them too often; at least "
            f"{smallest}×{smallest}"
        )
    return Reshape(tuple(shape))
